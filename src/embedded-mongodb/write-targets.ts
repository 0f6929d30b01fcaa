/** Finds the documents that a statement writes to, all of them before the first is changed. */
import { ObjectId } from 'bson';
import { decode, decodeFields, type Doc } from './bson-decode.js';
import { isObject } from './bson-order.js';
import { sliceEnd, sliceIsOver } from './budget.js';
import type { Collection } from './catalog.js';
import type { CommandContext } from './command-context.js';
import { createRunner, type Found, type FindRunner } from './find-runner.js';
import type { Index } from './index-definition.js';
import { encodeKey, MAX_KEY_BYTES } from './index-key.js';
import type { Matcher } from './match.js';
import { choosePlan, soleId } from './plan.js';
import { copyBytes, findUnique, readRecord } from './records.js';
import type { SortPart } from './sort.js';
import { giveWay } from './write-steps.js';

export interface Targeting {
  filter: Doc;
  /** What the filter reads; null: it may read anything. */
  fields: ReadonlySet<string> | null;
  match: Matcher;
  hint: unknown;
  sort: readonly SortPart[];
}

/** A document as it was found in this turn, or, when others had theirs since, the number of its record. */
export type Target = number | Found;

/** @param limit 0: all that match */
export function* findTargets(context: CommandContext, collection: Collection, targeting: Targeting, limit: number): Generator<undefined, Target[]> {
  const { filter, match, fields, hint, sort } = targeting;
  const isPlain = hint === undefined && sort.length === 0;
  const byId = isPlain ? idKey(collection, filter) : null;
  if (byId !== null) {
    const found = foundUnder(context, collection, byId, match, fields);
    return found === null ? [] : [found];
  }
  const keys = isPlain && limit === 0 ? idKeys(collection, filter) : null;
  if (keys !== null) return yield* collectByKeys(context, collection, keys, match, fields);
  const plan = choosePlan(collection, filter, sort, hint);
  const runner = createRunner(context.store, collection, { filter, match, sort: sort[0]?.path === '$natural' ? [] : sort, skip: 0, limit, plan, project: null });
  return yield* collect(context, runner, limit === 1);
}

/** What a filter's `_id` is in its index, where it names just one: then there is nothing to plan. */
function idKey(collection: Collection, filter: Doc): Buffer | null {
  const sole = soleId(collection, filter);
  return sole === null ? null : keyOf(sole.index, sole.id);
}

/** The same for a list of them; null where one is not plain to look up. */
function idKeys(collection: Collection, { _id: id }: Doc): Buffer[] | null {
  const index = collection.indexes[0];
  if (index?.name !== '_id_' || !isObject(id) || !Array.isArray(id['$in']) || Object.keys(id).length > 1) return null;
  const keys: Buffer[] = [];
  for (const one of new Set<unknown>(id['$in'])) {
    const key = typeof one === 'string' || one instanceof ObjectId ? keyOf(index, one) : null;
    if (key === null) return null;
    keys.push(key);
  }
  return keys;
}

function keyOf(index: Index, id: unknown): Buffer | null {
  const key = encodeKey([id], index.descending);
  return key.length > MAX_KEY_BYTES ? null : key;
}

function foundUnder(context: CommandContext, collection: Collection, key: Buffer, match: Matcher, fields: ReadonlySet<string> | null): Found | null {
  const record = findUnique(context.store, collection.indexes[0]!, key);
  return record === null ? null : current(context, collection, record, match, fields);
}

function* collectByKeys(context: CommandContext, collection: Collection, keys: readonly Buffer[], match: Matcher, fields: ReadonlySet<string> | null): Generator<undefined, Target[]> {
  let targets: Target[] = [];
  // Two object ids that are equal are not the same object.
  const known = new Set<number>();
  for (const key of keys) {
    const found = foundUnder(context, collection, key, match, fields);
    if (found !== null && !known.has(found.record)) {
      known.add(found.record);
      targets.push(found);
    }
    if (!sliceIsOver()) continue;
    targets = targets.map(recordOf);
    yield* giveWay(context);
  }
  return targets;
}

/** What a runner finds. A single one is changed in the turn in which it was found, so that nobody changes it between. */
function* collect(context: CommandContext, runner: FindRunner, single: boolean): Generator<undefined, Target[]> {
  let targets: Target[] = [];
  for (;;) {
    const found = runner.next(sliceEnd());
    if (found === null) return targets;
    if (found) targets.push(found);
    if (found && (single || !sliceIsOver())) continue;
    targets = targets.map(recordOf);
    yield* giveWay(context);
  }
}

export function recordOf(target: Target): number {
  return typeof target === 'number' ? target : target.record;
}

/** The target as it is now: it may have changed while the command let others have their turn. */
export function current(context: CommandContext, collection: Collection, target: Target, match: Matcher, fields: ReadonlySet<string> | null): Found | null {
  if (typeof target !== 'number') return target;
  const bytes = readRecord(context.store, collection, target);
  if (!bytes) return null;
  const copy = copyBytes(bytes);
  return match(fields ? decodeFields(copy, fields) : decode(copy)) ? { record: target, bytes: copy } : null;
}
