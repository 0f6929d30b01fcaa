/**
 * When what was committed is on disk. Commits go to the system's page cache, which outlives this process; the disk is flushed in
 * the background and for those who wait for it. The state of each flush stays intact until the next one is complete: a read
 * transaction keeps its pages from being reused, and its root (LMDB's meta page) is kept in a file of its own. After a crash of
 * the machine the data file is set back to that root, because the order in which later pages reached the disk is not known.
 */
import { closeSync, existsSync, fdatasync, fdatasyncSync, fstatSync, openSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { dirname } from 'node:path';
import type { RootDatabase } from 'lmdb';

const SLOT_BYTES = 8192;
const HEAD_BYTES = 512;
const MAGIC = 'embedded-sync-1';

interface Slot {
  sequence: number;
  boot: string;
  /** Of the data file: the state of another file must never be written into this one. */
  inode: string;
  clean: boolean;
  meta: Buffer;
}

export interface Durability {
  /** To be called after each commit. */
  committed(): void;
  /** Resolves when everything committed so far is on disk. */
  flush(): Promise<void>;
  /** Flushes, lets go of the environment while `reopen` replaces it, and takes hold of the new one; nothing may be committed meanwhile. */
  across(reopen: () => Promise<void>): Promise<void>;
  /** Flushes and notes that nothing is to be set back. */
  close(): Promise<void>;
}

/** What changes with every start of the machine; null where that cannot be told, and every commit is to be flushed by itself. */
export function bootId(): string | null {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return null;
  }
}

function syncPath(dataFile: string): string {
  return `${dataFile}-sync`;
}

/** To be called when commits are flushed by LMDB itself: what was noted of flushes before must not be gone back to. */
export function forgetFlushes(dataFile: string): void {
  rmSync(syncPath(dataFile), { force: true });
}

function inodeOf(handle: number): string {
  const { dev, ino } = fstatSync(handle, { bigint: true });
  return `${dev}:${ino}`;
}

function encodeSlot(slot: Slot): Buffer {
  const bytes = Buffer.alloc(SLOT_BYTES);
  const head = JSON.stringify({ magic: MAGIC, sequence: slot.sequence, boot: slot.boot, inode: slot.inode, clean: slot.clean, metaBytes: slot.meta.length });
  bytes.write(head, 64);
  slot.meta.copy(bytes, HEAD_BYTES);
  createHash('sha256').update(bytes.subarray(64)).digest().copy(bytes, 0);
  return bytes;
}

function decodeSlot(bytes: Buffer): Slot | null {
  if (bytes.length < SLOT_BYTES || !createHash('sha256').update(bytes.subarray(64)).digest().equals(bytes.subarray(0, 32))) return null;
  try {
    const text = bytes.toString('utf8', 64, HEAD_BYTES);
    const head = JSON.parse(text.slice(0, text.indexOf('\0'))) as Slot & { magic: string; metaBytes: number };
    return head.magic === MAGIC ? { ...head, meta: Buffer.from(bytes.subarray(HEAD_BYTES, HEAD_BYTES + head.metaBytes)) } : null;
  } catch {
    return null;
  }
}

function latestSlot(dataFile: string): Slot | null {
  const path = syncPath(dataFile);
  if (!existsSync(path)) return null;
  const bytes = readFileSync(path);
  const slots = [decodeSlot(bytes.subarray(0, SLOT_BYTES)), decodeSlot(bytes.subarray(SLOT_BYTES, 2 * SLOT_BYTES))].filter((slot) => slot !== null);
  return slots.sort((a, b) => b.sequence - a.sequence)[0] ?? null;
}

/**
 * Sets a data file back to its last flushed state when the machine was started again since. To be called before it is opened.
 * @returns whether it did
 */
export function setBackAfterReboot(dataFile: string): boolean {
  const boot = bootId();
  const slot = latestSlot(dataFile);
  if (boot === null || slot === null || slot.clean || slot.boot === boot || !existsSync(dataFile)) return false;
  const handle = openSync(dataFile, 'r+');
  try {
    if (inodeOf(handle) !== slot.inode) return false;
    for (const page of [0, 1]) {
      const meta = Buffer.from(slot.meta);
      meta.writeBigUInt64LE(BigInt(page), 0);
      writeSync(handle, meta, 0, meta.length, page * meta.length);
    }
    fdatasyncSync(handle);
    return true;
  } finally {
    closeSync(handle);
  }
}

/** The newer of LMDB's two meta pages, as it is in the file now. */
function readMeta(handle: number): Buffer {
  const head = Buffer.alloc(64);
  readSync(handle, head, 0, 64, 0);
  const pageSize = head.readUInt32LE(48);
  const pages = [Buffer.alloc(pageSize), Buffer.alloc(pageSize)] as const;
  readSync(handle, pages[0], 0, pageSize, 0);
  readSync(handle, pages[1], 0, pageSize, pageSize);
  return pages[0].readBigUInt64LE(152) > pages[1].readBigUInt64LE(152) ? pages[0] : pages[1];
}

const sync = promisify(fdatasync);

/** Watches over an environment that was opened with `noSync`. Its present state is flushed before this resolves. */
export async function keepDurable(store: { env: RootDatabase<Buffer, Buffer> }, dataFile: string, boot: string, flushEveryMs: number): Promise<Durability> {
  const data = openSync(dataFile, 'r+');
  const slots = openSync(syncPath(dataFile), existsSync(syncPath(dataFile)) ? 'r+' : 'w+', 0o600);
  const inode = inodeOf(data);
  let sequence = latestSlot(dataFile)?.sequence ?? 0;
  let pin: { done(): void } | null = null;
  let dirty = false;
  let running: Promise<void> | null = null;
  let timer: NodeJS.Timeout | null = null;

  const note = async (meta: Buffer, clean: boolean): Promise<void> => {
    sequence++;
    writeSync(slots, encodeSlot({ sequence, boot, inode, clean, meta }), 0, SLOT_BYTES, (sequence % 2) * SLOT_BYTES);
    await sync(slots);
  };

  const flushOnce = async (clean: boolean): Promise<void> => {
    dirty = false;
    const next = store.env.useReadTransaction() as { done(): void };
    const meta = readMeta(data);
    try {
      await sync(data);
      await note(meta, clean);
    } catch (error) {
      next.done();
      dirty = true;
      throw error;
    }
    pin?.done();
    pin = next;
  };

  const start = (): Promise<void> => {
    if (timer) clearTimeout(timer);
    timer = null;
    running = flushOnce(false).finally(() => {
      running = null;
      if (dirty) later();
    });
    return running;
  };

  const later = (): void => {
    timer ??= setTimeout(() => {
      timer = null;
      if (!running) start().catch((error: unknown) => void process.stderr.write(`embedded-mongodb: the disk could not be flushed: ${String(error)}\n`));
    }, flushEveryMs);
  };

  const flush = async (): Promise<void> => {
    // A flush that is under way began before the latest commits: they need the next one.
    while (running) await running.catch(() => undefined);
    if (dirty) await start();
  };

  await flushOnce(false);
  const directory = openSync(dirname(dataFile), 'r');
  await sync(directory).catch(() => undefined);
  closeSync(directory);

  return {
    committed: () => {
      dirty = true;
      if (!running) later();
    },
    flush,
    across: async (reopen) => {
      while (running) await running.catch(() => undefined);
      running = (async () => {
        await flushOnce(false);
        (pin as { done(): void } | null)?.done();
        pin = null;
        await reopen();
        await flushOnce(false);
      })().finally(() => {
        running = null;
      });
      await running;
    },
    close: async () => {
      if (timer) clearTimeout(timer);
      while (running) await (running as Promise<void>).catch(() => undefined);
      if (timer) clearTimeout(timer);
      await flushOnce(true);
      (pin as { done(): void } | null)?.done();
      closeSync(data);
      closeSync(slots);
    },
  };
}

/** On systems without a boot id every commit is flushed by LMDB itself. */
export const FLUSHED_BY_COMMIT: Durability = { across: (reopen) => reopen(), committed: () => undefined, flush: () => Promise.resolve(), close: () => Promise.resolve() };
