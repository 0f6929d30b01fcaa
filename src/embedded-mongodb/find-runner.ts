/** Runs one query in slices: source, filter, sort, skip, limit, projection; keeps its place between batches. */
import { turnHasEnded } from './budget.js';
import { decode, decodeFields, type Doc } from './bson-decode.js';
import { encode } from './bson-encode.js';
import type { Collection } from './catalog.js';
import type { Matcher } from './match.js';
import { fieldsOf } from './match.js';
import type { Plan } from './plan.js';
import type { Projection } from './project.js';
import { openSource, type RecordSource } from './record-source.js';
import { copyBytes, readRecord } from './records.js';
import { compareSortKeys, sortKey, type SortPart } from './sort.js';
import { createSorter } from './sorter.js';
import type { Store } from './store.js';

export interface Query {
  filter: Doc;
  match: Matcher;
  sort: readonly SortPart[];
  skip: number;
  /** 0: no limit. */
  limit: number;
  plan: Plan;
  project: Projection | null;
}

export interface Found {
  record: number;
  bytes: Buffer;
}

export interface FindRunner {
  source: RecordSource;
  /** The next match (bytes are the caller's to keep); null at the end, undefined when the slice is used up. */
  next(until: number): Found | null | undefined;
  /** Whether the limit is reached. */
  atEnd(): boolean;
}

const CHECK_EVERY = 16;

function isOver(step: number, until: number): boolean {
  return turnHasEnded() || (step % CHECK_EVERY === 0 && performance.now() > until);
}

interface Sorted {
  record: number;
  key: unknown[];
}

/** A runner over the stored documents of a collection; `next` gives unprojected documents. */
export function createRunner(store: Store, collection: Collection, query: Query): FindRunner {
  const source = openSource(store, collection, query.plan);
  const fields = neededFields(query);
  const everything = Object.keys(query.filter).length === 0;
  let skipped = 0;
  let given = 0;
  let ordered: Iterator<Sorted> | null = null;
  const sorting = query.sort.length > 0 && !query.plan.sorted;
  const keep = query.limit > 0 ? query.skip + query.limit : Infinity;
  const sorter = sorting ? createSorter<Sorted>((a, b) => compareSortKeys(a.key, b.key, query.sort) || a.record - b.record, keep) : null;

  const readDoc = (bytes: Buffer): Doc => (fields ? decodeFields(bytes, fields) : decode(bytes));

  const nextMatch = (until: number): boolean | undefined => {
    for (let i = 1; source.advance(); i++) {
      if (everything || query.match(readDoc(source.bytes))) return true;
      if (isOver(i, until)) return undefined;
    }
    return false;
  };

  /** Takes the keys of everything that matches; false when the slice is used up. */
  const collect = (until: number): boolean => {
    for (let i = 1; source.advance(); i++) {
      const doc = readDoc(source.bytes);
      if (everything || query.match(doc)) sorter!.add({ record: source.record, key: sortKey(doc, query.sort) });
      if (isOver(i, until)) return false;
    }
    return true;
  };

  const nextSorted = (until: number): Found | null | undefined => {
    if (!ordered) {
      if (!collect(until)) return undefined;
      ordered = sorter!.sorted();
    }
    for (let i = 1; ; i++) {
      const { value, done } = ordered.next();
      if (done) return null;
      if (skipped < query.skip) {
        skipped++;
        if (i % CHECK_EVERY === 0 && performance.now() > until) return undefined;
        continue;
      }
      const bytes = readRecord(store, collection, value.record);
      if (bytes && (everything || query.match(readDoc(bytes)))) return { record: value.record, bytes: copyBytes(bytes) };
    }
  };

  const atEnd = (): boolean => query.limit > 0 && given >= query.limit;
  const nextUnsorted = (until: number): Found | null | undefined => {
    for (;;) {
      const moved = nextMatch(until);
      if (moved === undefined) return undefined;
      if (!moved) return null;
      if (skipped >= query.skip) return { record: source.record, bytes: copyBytes(source.bytes) };
      skipped++;
      if (skipped % CHECK_EVERY === 0 && performance.now() > until) return undefined;
    }
  };

  return {
    source,
    atEnd,
    next: (until) => {
      if (atEnd()) return null;
      const found = sorting ? nextSorted(until) : nextUnsorted(until);
      if (found) given++;
      // Others may change what was read ahead: a claim must see it as it is then.
      if (found === undefined) source.forget();
      return found;
    },
  };
}

function neededFields(query: Query): Set<string> | null {
  const fields = fieldsOf(query.filter);
  if (!fields) return null;
  for (const part of query.sort) fields.add(part.parts[0]!);
  return fields;
}

export function projectBytes(bytes: Buffer, project: Projection | null, filter: Doc): Buffer {
  if (!project) return bytes;
  return encode(project(project.fields ? decodeFields(bytes, project.fields) : decode(bytes), filter));
}
