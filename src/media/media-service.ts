/**
 * The use cases of uploaded files: keep, list, delete, use in posts, end. A file has a document before it has a place and gives up its place before
 * its document, so whatever dies in between is found and ended by the sweep.
 */
import { createHash } from 'node:crypto';
import type { Actor } from '../accounts/actor.js';
import { AppError, ErrorCode } from '../lib/app-error.js';
import type { Clock } from '../lib/clock.js';
import { newRefId, newToken } from '../lib/ids.js';
import { sizeText } from '../lib/size-text.js';
import type { Notifier } from '../lib/notifier.js';
import { announcedType, fileTypeOf, TAKEN, type FileType } from './file-type.js';
import type { MediaFiles, ReceivedFile } from './media-files.js';
import { mediaIdsIn, pathOf, readFileName, type MediaFile, type MediaShape } from './media.js';
import type { MediaRemoval } from './media-removal.js';
import type { KeptFile, MediaCursor, MediaStore } from './media-store.js';
import type { MediaUsageStore } from './media-usage-store.js';

export interface MediaServiceDeps {
  store: MediaStore;
  usage: MediaUsageStore;
  files: MediaFiles;
  clock: Clock;
  notifier: Notifier;
  publicUrl(): string;
  /** Of one file. */
  maxBytes: number;
  retentionDays: number;
  /** Bytes that the account's plan allows; null: no limit. */
  limitOf(accountId: string): Promise<number | null>;
  /** Address of the page where the plan can be changed. */
  billingUrl(): string;
  /** What a file's telling bytes say of its size and its duration. */
  shapeOf(telling: Buffer, contentType: string): MediaShape;
  removal: Pick<MediaRemoval, 'removeUnused' | 'clear'>;
}

/** Received and looked at, not kept yet. */
export interface IncomingFile extends ReceivedFile {
  type: FileType;
  shape: MediaShape;
}

export interface FileAbout {
  fileName: string;
  description: string;
}

export type MediaService = ReturnType<typeof createMediaService>;

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** A file that is being put in place for longer than this was left by a process that died. */
const PLACING_MS = 60 * MINUTE_MS;
/** How long an upload address can be used. */
const ANNOUNCED_MS = 30 * MINUTE_MS;
const DISK_FULL: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EROFS']);
/** Of a profile that is deleted, in one go. */
const MANY = 200;

export function createMediaService(deps: MediaServiceDeps) {
  const { store, usage, files, clock, removal } = deps;

  const later = (ms: number): Date => new Date(clock.now().getTime() + ms);
  const told = (accountId: string): void => deps.notifier.notify(`account:${accountId}:billing`);

  /** @throws AppError `conflict` with code 920 that says what is reached and where the plan can be changed */
  async function noRoom(actor: Actor, limit: number): Promise<AppError> {
    const used = await usage.bytesOf(actor.accountId);
    const message = `Your plan allows ${sizeText(limit)} of uploaded media, and ${sizeText(used)} are used: there is no room for this file. `
      + `Delete some on the page "Media", or change your plan: ${deps.billingUrl()}`;
    const details = { limit: { what: 'mediaBytes', limit, used, changePlanUrl: deps.billingUrl() } };
    return new AppError('conflict', ErrorCode.planLimit, message, { details, fields: [{ field: 'file', code: ErrorCode.planLimit, message }] });
  }

  /** The last steps of a file whose document is `pending`. */
  async function settle(actor: Actor, file: MediaFile, received: ReceivedFile): Promise<MediaFile> {
    const limit = await deps.limitOf(actor.accountId);
    if (!(await usage.take(actor.accountId, file, limit, clock.now()))) throw await noRoom(actor, limit ?? 0);
    await files.place(received, file.id);
    if (!(await store.markStored(file.id, file.expiresAt))) {
      throw new AppError('unavailable', ErrorCode.unavailable, 'The file took too long to be stored. Send it again.', { retryAfterS: 1 });
    }
    await usage.taken(actor.accountId, file.id);
    told(actor.accountId);
    return { ...file, state: 'stored' };
  }

  async function toDisk(stream: AsyncIterable<Uint8Array>, maxBytes: number): Promise<ReceivedFile | null> {
    try {
      return await files.receive(stream, maxBytes);
    } catch (error) {
      if (!DISK_FULL.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
      throw new AppError('unavailable', ErrorCode.unavailable, 'There is no room on the disk that keeps uploads. Nothing was stored; tell the administrator of this Signpost.', { retryAfterS: 60, cause: error });
    }
  }

  async function own(actor: Actor, id: string): Promise<KeptFile> {
    const file = await store.find(id);
    if (file === null || file.profileId !== actor.profileId || file.state !== 'stored') throw noFile();
    return file;
  }

  function fresh(actor: Actor, about: FileAbout, type: FileType): Omit<MediaFile, 'state' | 'bytes' | 'shape'> {
    const createdAt = clock.now();
    return {
      id: newRefId(), accountId: actor.accountId, profileId: actor.profileId, fileName: readFileName(about.fileName, `upload.${type.extension}`),
      description: about.description, type, createdAt, expiresAt: new Date(createdAt.getTime() + deps.retentionDays * DAY_MS),
    };
  }

  return {
    maxBytes: deps.maxBytes,
    /** Below the folder of the files. */
    diskPathOf: (id: string): string => files.pathOf(id),
    urlOf: (file: Pick<MediaFile, 'id' | 'type'>): string => deps.publicUrl() + pathOf(file),

    /**
     * Reads a file that is being sent, to its end. Nothing of it counts until it is kept; whoever asked for it discards it otherwise.
     * @throws AppError `too-large`, `conflict` (the plan has no room for it), `unsupported`
     */
    async receive(actor: Actor, stream: AsyncIterable<Uint8Array>): Promise<IncomingFile> {
      const limit = await deps.limitOf(actor.accountId);
      const room = limit === null ? Infinity : Math.max(0, limit - (await usage.bytesOf(actor.accountId)));
      const received = await toDisk(stream, Math.min(deps.maxBytes, room));
      if (received === null) {
        if (room < deps.maxBytes) throw await noRoom(actor, limit ?? 0);
        throw fileProblem('too-large', ErrorCode.tooLarge, `The file is too large: at most ${sizeText(deps.maxBytes)}.`);
      }
      const type = fileTypeOf(received.head);
      try {
        if (received.bytes === 0) throw fileProblem('invalid', ErrorCode.badRequest, 'The file is empty.');
        if (type === null) throw fileProblem('unsupported', 415, `This kind of file is not taken. Signpost takes ${TAKEN}, and looks at the file itself, not at its name.`);
        return { ...received, type, shape: deps.shapeOf(await files.telling(received, type.kind), type.contentType) };
      } catch (error) {
        await files.discard(received);
        throw error;
      }
    },

    /** Keeps a body on disk until it is read. @returns null when it is larger than `maxBytes` */
    async spool(stream: AsyncIterable<Uint8Array>, maxBytes: number): Promise<{ path: string; discard(): Promise<void> } | null> {
      const received = await toDisk(stream, maxBytes);
      return received === null ? null : { path: received.path, discard: () => files.discard(received) };
    },

    discard: (received: Pick<ReceivedFile, 'path'>): Promise<void> => files.discard(received),

    /** @throws AppError `conflict` with code 920 when the plan has no room for it */
    async keep(actor: Actor, received: IncomingFile, about: FileAbout): Promise<MediaFile> {
      const file: MediaFile = { ...fresh(actor, about, received.type), state: 'pending', bytes: received.bytes, shape: received.shape };
      await store.insert(file, later(PLACING_MS));
      try {
        return await settle(actor, file, received);
      } catch (error) {
        // Ended at once where that is possible; the sweep ends the rest.
        const left = await store.find(file.id).catch(() => null);
        if (left !== null && left.state === 'pending') await removal.clear(left).catch(() => undefined);
        throw error;
      }
    },

    /** @returns an address that takes the bytes once, within half an hour. @throws AppError `unsupported` */
    async announce(actor: Actor, contentType: string, fileName: string): Promise<{ file: MediaFile; uploadUrl: string }> {
      const type = announcedType(contentType);
      if (type === null) {
        const message = `${contentType === '' ? 'The contentType is missing.' : 'This contentType is not taken.'} Signpost takes ${TAKEN}.`;
        throw new AppError('unsupported', 415, `contentType: ${message}`, { fields: [{ field: 'contentType', message, code: 415 }] });
      }
      const token = newToken(24);
      const file: MediaFile = { ...fresh(actor, { fileName, description: '' }, type), state: 'announced', bytes: 0, shape: {} };
      await store.insert(file, later(ANNOUNCED_MS), hashOf(token));
      return { file, uploadUrl: `${deps.publicUrl()}/media/uploads/${file.id}?token=${token}` };
    },

    /** For whom a file may be sent to this upload address; null: it was used, its time is over, or it is none. */
    async announcedBy(id: string, token: string): Promise<Actor | null> {
      const file = await store.findAnnounced(id, hashOf(token), clock.now());
      return file === null ? null : { accountId: file.accountId, profileId: file.profileId, userId: null, isAdministrator: false, timeZone: 'UTC', via: 'api' };
    },

    /** Keeps what came to an upload address. @throws AppError `not-found` when the address was used meanwhile, `unsupported`, `conflict` */
    async keepAnnounced(actor: Actor, id: string, token: string, received: IncomingFile): Promise<MediaFile> {
      const file = await store.findAnnounced(id, hashOf(token), clock.now());
      if (file === null) throw noFile();
      if (received.type.contentType !== file.type.contentType) {
        throw fileProblem('unsupported', 415, `The upload address was made for ${file.type.contentType}, and this is ${received.type.contentType}. Ask for another address.`);
      }
      const found = { type: received.type, bytes: received.bytes, shape: received.shape };
      if (!(await store.beginUpload(id, hashOf(token), found, clock.now(), later(PLACING_MS)))) throw noFile();
      try {
        return await settle(actor, { ...file, ...found }, received);
      } catch (error) {
        if (error instanceof AppError && error.code === ErrorCode.planLimit) await store.announceAgain(id, file.dueAt);
        throw error;
      }
    },

    list: (actor: Actor, limit: number, after: MediaCursor | null = null): Promise<MediaFile[]> => store.list(actor.profileId, limit, after),

    /** What may be shown to anybody who has the address; null when it is gone. */
    async findPublic(id: string): Promise<MediaFile | null> {
      const file = await store.find(id);
      return file?.state === 'stored' ? file : null;
    },

    get: own,

    /** @throws AppError `not-found`, `conflict` when a post that waits uses it */
    async remove(actor: Actor, id: string): Promise<void> {
      const { fileName } = await own(actor, id);
      if (await removal.removeUnused(id)) return;
      throw new AppError('conflict', ErrorCode.conflict, `${fileName} is used by a post that waits. Take it out of the post or cancel the post, then delete the file.`);
    },

    /** All of a profile that is being deleted, whose posts were cancelled. */
    async removeAll(actor: Actor): Promise<void> {
      for (;;) {
        const found = await store.list(actor.profileId, MANY);
        let removed = 0;
        for (const { id } of found) if (await removal.removeUnused(id)) removed += 1;
        // What a post of another profile uses ends with its time.
        if (removed === 0) return;
      }
    },

    /** Those of the account that are there, by id. */
    async findOwn(actor: Actor, ids: string[]): Promise<Map<string, MediaFile>> {
      return new Map((await store.findStored(actor.accountId, ids)).map((file) => [file.id, file]));
    },

    /** Notes, before a post is stored, that it is written with these files: none of them is deleted while it waits. @returns false when one is gone */
    use: (actor: Actor, ids: string[], postId: string): Promise<boolean> => store.use(actor.accountId, ids, postId, clock.now()),

    endUse: (ids: string[], postId: string): Promise<void> => store.endUse(ids, postId),

    usedBytes: (accountId: string): Promise<number> => usage.bytesOf(accountId),

    /** The bytes of an upload that an address names, where this machine has them; null otherwise. */
    async readOwn(url: string, maxBytes: number): Promise<{ data: Buffer; contentType: string } | null> {
      const [id] = mediaIdsIn(url);
      const file = id === undefined ? null : await store.find(id);
      if (file === null || file.state !== 'stored' || file.bytes > maxBytes) return null;
      const data = await files.read(file.id);
      return data === null ? null : { data, contentType: file.type.contentType };
    },
  };
}

function fileProblem(kind: 'invalid' | 'too-large' | 'unsupported', code: number, message: string): AppError {
  return new AppError(kind, code, message, { fields: [{ field: 'file', message, code }] });
}

function noFile(): AppError {
  return new AppError('not-found', ErrorCode.notFound, 'There is no such file. It may have been deleted, or its time is over.');
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
