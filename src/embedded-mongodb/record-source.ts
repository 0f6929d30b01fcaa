/** Reads records one after another along a plan, in small chunks, so that it can stop at any time and go on later. */
import type { Collection } from './catalog.js';
import type { IndexScan, Plan } from './plan.js';
import { readRecord } from './records.js';
import { collectionBounds, recordKey, type Store } from './store.js';

export interface RecordSource {
  record: number;
  /** The document's bytes; overwritten by the next read from the store. */
  bytes: Buffer;
  keysExamined: number;
  docsExamined: number;
  /** Moves to the next record; false at the end. */
  advance(): boolean;
  /** To be called before others have their turn: what was read ahead is read again, as it will be by then. */
  forget(): void;
}

const FIRST_CHUNK = 4;
const MAX_CHUNK = 256;
const EMPTY = Buffer.alloc(0);

export function openSource(store: Store, collection: Collection, plan: Plan): RecordSource {
  if (plan.kind === 'collection') return collectionSource(store, collection, plan.backward);
  if (plan.kind === 'union') return unionSource(plan.branches.map((branch) => indexSource(store, collection, branch)));
  return indexSource(store, collection, plan);
}

function collectionSource(store: Store, collection: Collection, backward: boolean): RecordSource {
  const bounds = collectionBounds(collection.id);
  let chunk: { key: Buffer; value: Buffer }[] = [];
  let at = 0;
  let size = FIRST_CHUNK;
  let last: Buffer | null = null;
  let given: Buffer | null = null;
  let ended = false;
  const refill = (): void => {
    const range = backward
      ? { start: last ?? bounds.end, end: bounds.start, reverse: true, exclusiveStart: last !== null, inclusiveEnd: true, limit: size }
      : { start: last ?? bounds.start, end: bounds.end, exclusiveStart: last !== null, limit: size };
    chunk = [...store.docs.getRange(range)] as { key: Buffer; value: Buffer }[];
    at = 0;
    ended = chunk.length < size;
    last = chunk.at(-1)?.key ?? last;
    size = Math.min(MAX_CHUNK, size * 4);
  };
  const source: RecordSource = {
    record: 0, bytes: EMPTY, keysExamined: 0, docsExamined: 0,
    advance: () => {
      if (at === chunk.length) {
        if (ended || collection.dropped) return false;
        refill();
        if (chunk.length === 0) return false;
      }
      const { key, value } = chunk[at++]!;
      given = key;
      source.record = key.readUIntBE(4, 6);
      source.bytes = value;
      source.docsExamined++;
      return true;
    },
    forget: () => {
      if (at === chunk.length) return;
      chunk = [];
      at = 0;
      last = given;
      ended = false;
    },
  };
  return source;
}

interface Entry {
  record: number;
  key: Buffer;
}

/** The entries of one range of an index, in order. */
export function entryReader(store: Store, scan: IndexScan, which: number): () => Entry | null {
  const { low, high } = scan.ranges[which]!;
  const { unique } = scan.index;
  let chunk: Entry[] = [];
  let at = 0;
  let size = FIRST_CHUNK;
  let last: Buffer | null = null;
  let ended = false;
  const refill = (): void => {
    const options = scan.backward
      ? { start: last ?? high, end: low, reverse: true, exclusiveStart: true, inclusiveEnd: true, limit: size }
      : { start: last ?? low, end: high, exclusiveStart: last !== null, limit: size };
    if (unique) chunk = [...store.index.getRange(options)].map(({ key, value }) => ({ key, record: value.readUIntBE(0, 6) }));
    else chunk = [...store.index.getKeys(options)].map((key) => ({ key, record: key.readUIntBE(key.length - 6, 6) }));
    at = 0;
    ended = chunk.length < size;
    last = chunk.at(-1)?.key ?? last;
    size = Math.min(MAX_CHUNK, size * 4);
  };
  return () => {
    if (at === chunk.length) {
      if (ended) return null;
      refill();
      if (chunk.length === 0) return null;
    }
    return chunk[at++]!;
  };
}

/** The entries of all ranges: one range after the other, or merged on the key behind the fixed fields. */
function entriesOf(store: Store, scan: IndexScan): () => Entry | null {
  if (scan.wholeKeys && scan.mergeFrom === null) return lookUps(store, scan);
  if (scan.mergeFrom !== null && scan.ranges.length > 1) return mergedEntries(store, scan);
  let which = 0;
  let read: (() => Entry | null) | null = null;
  return () => {
    for (;;) {
      if (!read) {
        if (which >= scan.ranges.length) return null;
        read = entryReader(store, scan, which++);
      }
      const entry = read();
      if (entry) return entry;
      read = null;
    }
  };
}

/** One look-up per range, without a cursor. */
function lookUps(store: Store, scan: IndexScan): () => Entry | null {
  let which = 0;
  return () => {
    while (which < scan.ranges.length) {
      const key = scan.ranges[which++]!.low;
      const value = store.index.getBinaryFast(key);
      if (value) return { key, record: value.readUIntBE(0, 6) };
    }
    return null;
  };
}

function mergedEntries(store: Store, scan: IndexScan): () => Entry | null {
  const heads = scan.ranges.map((range, which) => {
    const read = entryReader(store, scan, which);
    return { read, entry: read(), skip: range.low.length };
  });
  const sign = scan.backward ? -1 : 1;
  return () => {
    let best: (typeof heads)[number] | null = null;
    for (const head of heads) {
      if (!head.entry) continue;
      if (!best || sign * Buffer.compare(head.entry.key.subarray(head.skip), best.entry!.key.subarray(best.skip)) < 0) best = head;
    }
    if (!best) return null;
    const { entry } = best;
    best.entry = best.read();
    return entry;
  };
}

function indexSource(store: Store, collection: Collection, scan: IndexScan): RecordSource {
  const next = entriesOf(store, scan);
  const seen = scan.index.multikey ? new Set<number>() : null;
  const source: RecordSource = {
    record: 0, bytes: EMPTY, keysExamined: 0, docsExamined: 0,
    // Only keys are read ahead.
    forget: () => undefined,
    advance: () => {
      for (;;) {
        if (collection.dropped) return false;
        const entry = next();
        if (!entry) return false;
        source.keysExamined++;
        if (seen) {
          if (seen.has(entry.record)) continue;
          seen.add(entry.record);
        }
        const bytes = readRecord(store, collection, entry.record);
        if (!bytes) continue;
        source.docsExamined++;
        source.record = entry.record;
        source.bytes = bytes;
        return true;
      }
    },
  };
  return source;
}

function unionSource(sources: RecordSource[]): RecordSource {
  const seen = new Set<number>();
  let which = 0;
  const source: RecordSource = {
    record: 0, bytes: EMPTY, keysExamined: 0, docsExamined: 0,
    forget: () => undefined,
    advance: () => {
      while (which < sources.length) {
        const current = sources[which]!;
        const moved = current.advance();
        source.keysExamined = sources.reduce((sum, one) => sum + one.keysExamined, 0);
        source.docsExamined = sources.reduce((sum, one) => sum + one.docsExamined, 0);
        if (!moved) which++;
        else if (!seen.has(current.record)) {
          seen.add(current.record);
          source.record = current.record;
          source.bytes = current.bytes;
          return true;
        }
      }
      return false;
    },
  };
  return source;
}

/** Counts the entries of a scan without reading any document. */
export function countEntries(store: Store, scan: IndexScan): number {
  let count = 0;
  for (const { low, high } of scan.ranges) count += store.index.getKeysCount({ start: low, end: high });
  return count;
}

export function recordExists(store: Store, collection: Collection, record: number): boolean {
  return store.docs.doesExist(recordKey(collection.id, record));
}
