/** Removes documents whose TTL index says that their time is over, and the leftovers of dropped collections and indexes. */
import { decode } from './bson-decode.js';
import { partRanges } from './bounds.js';
import type { Catalog, Collection } from './catalog.js';
import type { Executor } from './executor.js';
import type { Index } from './index-definition.js';
import { copyBytes, deleteRecord, readRecord } from './records.js';
import { entryReader } from './record-source.js';
import { keyValues } from './path-walk.js';
import { idPrefix, type Store } from './store.js';

const CHUNK = 200;

/** Deletes what has expired by `now`; resolves with the number of documents deleted. */
export async function sweepExpired(store: Store, catalog: Catalog, executor: Executor, now: number): Promise<number> {
  let removed = 0;
  for (const collection of Array.from(catalog.collections.values())) {
    for (const index of collection.indexes) {
      if (index.expireAfterSeconds === null || !index.ready) continue;
      for (;;) {
        const n = await executor.submit(true, true, () => removeChunk(store, collection, index, now));
        removed += n;
        if (n < CHUNK) break;
      }
    }
  }
  return removed;
}

function removeChunk(store: Store, collection: Collection, index: Index, now: number): number {
  if (collection.dropped || index.expireAfterSeconds === null || !collection.indexes.includes(index)) return 0;
  const cutoff = new Date(now - index.expireAfterSeconds * 1000);
  const part = index.parts[0]!;
  const found = partRanges({ points: null, lower: null, upper: { value: cutoff, inclusive: true }, exact: true, exists: true }, part.descending, true)!;
  const prefix = idPrefix(index.id);
  const ranges = found.ranges.map(({ low, high }) => ({ low: Buffer.concat([prefix, low]), high: Buffer.concat([prefix, high]) }));
  const next = entryReader(store, { kind: 'index', index, ranges, backward: false, sorted: false, mergeFrom: null, exact: false, wholeKeys: false }, 0);
  const records: number[] = [];
  for (let entry = next(); entry && records.length < CHUNK; entry = next()) records.push(entry.record);
  let removed = 0;
  for (const record of records) {
    const bytes = readRecord(store, collection, record);
    if (!bytes) continue;
    const copy = copyBytes(bytes);
    if (!expired(copy, part.parts, cutoff)) continue;
    deleteRecord(store, collection, record, copy);
    removed++;
  }
  return removed;
}

function expired(bytes: Buffer, parts: readonly string[], cutoff: Date): boolean {
  const values: unknown[] = [];
  keyValues(decode(bytes), parts, 0, values);
  return values.some((value) => value instanceof Date && value.getTime() <= cutoff.getTime());
}

/** Clears away what dropped collections and indexes left in the files, a little at a time. */
export async function sweepGarbage(catalog: Catalog, executor: Executor): Promise<void> {
  while (catalog.garbage.length > 0) await executor.submit(true, true, () => catalog.sweepGarbage(1000));
}
