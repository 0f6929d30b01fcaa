/** Uploaded files on disk: received beside their place, made lasting, moved there in one step, and read from there. */
import { accessSync, constants, mkdirSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, stat, unlink, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { newRefId } from '../lib/ids.js';
import { startProblem } from '../lib/start-problem.js';
import { HEAD_BYTES } from './file-type.js';

export interface ReceivedFile {
  /** Where it lies until it is put in its place. */
  path: string;
  bytes: number;
  head: Buffer;
}

export type MediaFiles = ReturnType<typeof createMediaFiles>;

/** Of an image: its size stands in its first bytes, behind what a camera wrote there. */
const IMAGE_HEAD_BYTES = 1_048_576;
/** The part of a video that says how large and how long it is. */
const MOST_MOOV_BYTES = 16_777_216;
const MOST_BOXES = 1_000;

/** @param folder is made when it isn't there; several machines that serve the pages share one */
export function createMediaFiles(folder: string) {
  const incoming = path.join(folder, 'incoming');

  /** Ids spread over 256 folders: some file systems are slow with many files in one. */
  function placeOf(id: string): string {
    return path.join(folder, id.slice(0, 2), id);
  }

  return {
    folder,

    /** Tried at the start, so that the first upload isn't the first to learn it. @throws Error with a plain message when nothing can be written there */
    prepare(): void {
      try {
        mkdirSync(incoming, { recursive: true, mode: 0o700 });
        accessSync(incoming, constants.W_OK);
      } catch (error) {
        throw startProblem(`Uploaded files can't be kept in ${folder}: ${error instanceof Error ? error.message : String(error)}. Check MEDIA_DIR.`, error);
      }
    },

    /**
     * Writes a stream beside its place until it ends; what is over the limit is read and thrown away, so that the client hears why.
     * @returns null when it is larger than `maxBytes`
     * @throws Error when the stream breaks off or the disk is full; nothing is left then
     */
    async receive(stream: AsyncIterable<Uint8Array>, maxBytes: number): Promise<ReceivedFile | null> {
      await mkdir(incoming, { recursive: true, mode: 0o700 });
      const file = path.join(incoming, newRefId());
      const handle = await open(file, 'wx', 0o600);
      const head: Buffer[] = [];
      let bytes = 0;
      let failure: unknown = null;
      try {
        for await (const chunk of stream) {
          bytes += chunk.length;
          // Also after a full disk: forms are read to their end, or their reader waits for ever.
          if (bytes > maxBytes || failure !== null) continue;
          if (bytes - chunk.length < HEAD_BYTES) head.push(Buffer.from(chunk.subarray(0, HEAD_BYTES)));
          await writeAll(handle, chunk).catch((error: unknown) => (failure = error));
        }
        if (failure !== null) throw failure;
        if (bytes <= maxBytes) await handle.sync();
      } catch (error) {
        await handle.close();
        await remove(file);
        throw error;
      }
      await handle.close();
      if (bytes <= maxBytes) return { path: file, bytes, head: Buffer.concat(head).subarray(0, HEAD_BYTES) };
      await remove(file);
      return null;
    },

    /** Throws a received file away; does nothing when it was put in its place. */
    discard: (received: Pick<ReceivedFile, 'path'>): Promise<void> => remove(received.path),

    /** Puts a received file in its place, for good. */
    async place(received: Pick<ReceivedFile, 'path'>, id: string): Promise<void> {
      const place = placeOf(id);
      await mkdir(path.dirname(place), { recursive: true, mode: 0o700 });
      await rename(received.path, place);
      await syncFolder(path.dirname(place));
      await syncFolder(folder);
    },

    /** Does nothing when it isn't there. */
    remove: (id: string): Promise<void> => remove(placeOf(id)),

    /** Its path below the folder. */
    pathOf: (id: string): string => path.join(id.slice(0, 2), id),

    /** @returns null when this machine doesn't have it */
    read: (id: string): Promise<Buffer | null> => readFile(placeOf(id)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      return null;
    }),

    /** The bytes that say how large it is and how long it lasts: an image's first ones, a video's box `moov`. */
    async telling(received: Pick<ReceivedFile, 'path' | 'bytes'>, kind: string): Promise<Buffer> {
      const handle = await open(received.path, 'r');
      try {
        return kind === 'video' ? await readMoov(handle, received.bytes) : await readAt(handle, 0, Math.min(IMAGE_HEAD_BYTES, received.bytes));
      } finally {
        await handle.close();
      }
    },

    /** Removes what was received before then and never put in its place: its process died. */
    async sweep(before: Date): Promise<void> {
      const names = await readdir(incoming).catch(() => [] as string[]);
      for (const name of names) {
        const file = path.join(incoming, name);
        const found = await stat(file).catch(() => null);
        if (found !== null && found.mtime < before) await remove(file);
      }
    },
  };
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.length; ) at += (await handle.write(chunk, at)).bytesWritten;
}

async function remove(file: string): Promise<void> {
  await unlink(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}

/** Makes a rename last; not every system lets a folder be opened for that. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => null);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}

async function readAt(handle: FileHandle, at: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, at);
  return buffer.subarray(0, bytesRead);
}

/** ISO base media files are boxes in a row, each with its length and its name before it. */
async function readMoov(handle: FileHandle, bytes: number): Promise<Buffer> {
  for (let at = 0, boxes = 0; at + 8 <= bytes && boxes < MOST_BOXES; boxes++) {
    const head = await readAt(handle, at, 16);
    if (head.length < 16) break;
    const short = head.readUInt32BE(0);
    const size = short === 1 ? Number(head.readBigUInt64BE(8)) : short === 0 ? bytes - at : short;
    if (size < 8) break;
    if (head.toString('latin1', 4, 8) === 'moov') return readAt(handle, at, Math.min(size, bytes - at, MOST_MOOV_BYTES));
    at += size;
  }
  return Buffer.alloc(0);
}
