/** What commands hold in memory, all together: a share of the heap; beyond it the command that asks for more fails, and the server lives. */
import { getHeapStatistics } from 'node:v8';
import { CommandError } from './command-error.js';

/** Documents take about four times their BSON size as objects. */
const MAX_HELD_BYTES = Math.max(64 * 1024 * 1024, getHeapStatistics().heap_size_limit / 8);
let heldByAll = 0;

export interface Account {
  /** Counts a value that is kept. @throws CommandError 292 when all commands together hold too much */
  hold(value: unknown): void;
  holdBytes(bytes: number): void;
  /** Gives everything back. */
  close(): void;
}

export function openAccount(): Account {
  let held = 0;
  const holdBytes = (bytes: number): void => {
    held += bytes;
    heldByAll += bytes;
    if (heldByAll > MAX_HELD_BYTES) throw new CommandError(292, `Exceeded the memory limit: this server holds at most ${Math.round(MAX_HELD_BYTES / 1048576)} MB of documents in the stages of all aggregations. Filter earlier, or sort by an index.`);
  };
  return {
    holdBytes,
    hold: (value) => holdBytes(approximateSize(value)),
    close: () => {
      heldByAll -= held;
      held = 0;
    },
  };
}

/** About the size in BSON, without encoding. */
export function approximateSize(value: unknown): number {
  if (typeof value === 'string') return value.length + 12;
  if (value === null || typeof value !== 'object') return 16;
  let size = 16;
  if (Array.isArray(value)) for (const item of value) size += approximateSize(item);
  else if ('buffer' in value) return 24 + (value.buffer as Uint8Array).length;
  else for (const name in value) size += name.length + approximateSize((value as Record<string, unknown>)[name]);
  return size;
}
