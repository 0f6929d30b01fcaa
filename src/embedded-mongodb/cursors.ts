/** Open cursors: where each query stands, until it ends, is killed, or was not asked for ten minutes. */
import { randomBytes } from 'node:crypto';
import { CommandError } from './command-error.js';

/** Where a cursor's documents come from. */
export interface Source {
  /** The next document (raw), null at the end, undefined when the slice is used up. */
  next: (until: number) => Buffer | null | undefined;
  /** Whether nothing can follow: where that is not known without looking, the client asks once more, as it has to with MongoDB. */
  atEnd?: () => boolean;
  /** Lets go of what it holds. */
  close?: () => void;
}

export interface Cursor {
  id: bigint;
  ns: string;
  source: Source;
  /** A document that did not fit into the last batch. */
  held: Buffer | null;
  noTimeout: boolean;
  lastUsed: number;
  inUse: boolean;
}

export interface CursorTable {
  open(ns: string, source: Source, noTimeout: boolean): Cursor;
  keep(cursor: Cursor): void;
  /** @throws CommandError 43 */
  take(id: bigint, ns: string): Cursor;
  release(cursor: Cursor, ended: boolean): void;
  kill(id: bigint): boolean;
  sweep(now: number): void;
  size(): number;
  /** Those that wait to be read from. */
  idle(): Cursor[];
}

const IDLE_MS = 10 * 60_000;
const MAX_CURSORS = 20_000;

export function createCursors(): CursorTable {
  const cursors = new Map<bigint, Cursor>();
  const remove = (cursor: Cursor): void => {
    cursors.delete(cursor.id);
    cursor.source.close?.();
  };
  const newId = (): bigint => randomBytes(8).readBigUInt64BE() >> 1n || 1n;
  return {
    open: (ns, source, noTimeout) => ({ id: newId(), ns, source, held: null, noTimeout, lastUsed: Date.now(), inUse: true }),
    keep: (cursor) => {
      if (cursors.size >= MAX_CURSORS) throw new CommandError(146, `too many open cursors: ${cursors.size}`);
      cursor.inUse = false;
      cursor.lastUsed = Date.now();
      cursors.set(cursor.id, cursor);
    },
    take: (id, ns) => {
      const cursor = cursors.get(id);
      if (!cursor) throw new CommandError(43, `cursor id ${id} not found`);
      if (cursor.ns !== ns) throw new CommandError(13, `Requested getMore on namespace '${ns}', but cursor belongs to a different namespace ${cursor.ns}`);
      if (cursor.inUse) throw new CommandError(12051, `cursor id ${id} is already in use`);
      cursor.inUse = true;
      return cursor;
    },
    release: (cursor, ended) => {
      cursor.inUse = false;
      cursor.lastUsed = Date.now();
      if (ended || !cursors.has(cursor.id)) remove(cursor);
    },
    kill: (id) => {
      const cursor = cursors.get(id);
      if (!cursor) return false;
      // One that is being read from is closed when its batch is done.
      if (cursor.inUse) cursors.delete(id);
      else remove(cursor);
      return true;
    },
    sweep: (now) => {
      for (const cursor of cursors.values()) if (!cursor.noTimeout && !cursor.inUse && now - cursor.lastUsed > IDLE_MS) remove(cursor);
    },
    size: () => cursors.size,
    idle: () => [...cursors.values()].filter((cursor) => !cursor.inUse),
  };
}
