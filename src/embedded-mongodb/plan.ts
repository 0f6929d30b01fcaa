/** Chooses how a query reads its records: one index, a union of indexes for `$or`, or the whole collection. */
import { ObjectId } from 'bson';
import type { Doc } from './bson-decode.js';
import { equals, compare } from './bson-order.js';
import { conditionsOf, partRanges, type ByteRange, type PathConditions } from './bounds.js';
import type { Collection } from './catalog.js';
import { badValue, CommandError } from './command-error.js';
import type { Index } from './index-definition.js';
import { encodeKey, limitBound } from './index-key.js';
import { isOperatorObject } from './match.js';
import type { SortPart } from './sort.js';
import { idPrefix } from './store.js';

export interface IndexScan {
  kind: 'index';
  index: Index;
  /** Ranges of LMDB keys, in the order in which they are read. */
  ranges: ByteRange[];
  backward: boolean;
  /** Records come in the order that the query asks for. */
  sorted: boolean;
  /** Each range alone is in order: they are to be merged on the rest of the key. */
  mergeFrom: number | null;
  /** Every record of the ranges matches; nothing needs to be read to count them. */
  exact: boolean;
  /** The lower end of each range is a whole key of a unique index: it holds one record or none. */
  wholeKeys: boolean;
}

export type Plan = { kind: 'collection'; backward: boolean; sorted: boolean } | IndexScan | { kind: 'union'; branches: IndexScan[]; sorted: false };

/** Of one field alone, and of several fields together. */
const MAX_POINTS = 200_000;
const MAX_RANGES = 2000;

/** @throws CommandError when a hint names no index. */
export function choosePlan(collection: Collection, filter: Doc, sort: readonly SortPart[], hint?: unknown): Plan {
  const natural = naturalOrder(sort, hint);
  if (natural !== 0) return { kind: 'collection', backward: natural < 0, sorted: sort.length <= 1 };
  const byId = hint === undefined || hint === null ? planById(collection, filter, sort) : null;
  if (byId) return byId;
  const conditions = conditionsOf(filter);
  const hinted = hint === undefined || hint === null ? null : hintedIndex(collection, hint);
  const usable = hinted ? [hinted] : collection.indexes.filter((index) => index.ready && !index.hidden);
  let best: { scan: IndexScan; score: number } | null = null;
  for (const index of usable) {
    if (!index.ready || (!covers(index, conditions) && !hinted)) continue;
    const candidate = scanOf(index, filter, conditions, sort);
    if (candidate.score > (best?.score ?? 0) || (hinted && !best)) best = candidate;
  }
  if (hinted && best) return best.scan;
  if (!best || best.score < 10) {
    const union = planUnion(collection, filter);
    if (union && (!best || best.score < 6 || !best.scan.sorted)) return union;
  }
  return best ? best.scan : { kind: 'collection', backward: false, sorted: sort.length === 0 };
}

/** One document by its `_id`: nothing can be better, so nothing else is weighed. */
function planById(collection: Collection, filter: Doc, sort: readonly SortPart[]): IndexScan | null {
  const sole = soleId(collection, filter);
  if (sole === null) return null;
  const { scan } = scanOf(sole.index, filter, conditionsOf({ _id: sole.id }), sort);
  scan.exact &&= Object.keys(filter).length === 1;
  return scan;
}

/** The `_id` that a filter names, where it is just one and plain to look up; null otherwise. */
export function soleId(collection: Collection, { _id: id }: Doc): { id: string | ObjectId; index: Index } | null {
  const index = collection.indexes[0];
  return (typeof id === 'string' || id instanceof ObjectId) && index?.name === '_id_' ? { id, index } : null;
}

function naturalOrder(sort: readonly SortPart[], hint: unknown): number {
  if (sort[0]?.path === '$natural') return sort[0].direction;
  if (hint !== null && typeof hint === 'object' && '$natural' in hint) return Number((hint as Doc)['$natural']);
  return 0;
}

function hintedIndex(collection: Collection, hint: unknown): Index {
  const found = collection.indexes.find((index) => (typeof hint === 'string' ? index.name === hint : sameKey(index.key, hint as Doc)));
  if (!found) throw badValue('error processing query: planner returned error :: caused by :: hint provided does not correspond to an existing index');
  return found;
}

export function sameKey(a: Doc, b: Doc): boolean {
  const [x, y] = [Object.keys(a), Object.keys(b)];
  return x.length === y.length && x.every((name, i) => name === y[i] && equals(a[name], b[name]));
}

/** Whether every match of the filter is in the index: sparse and partial indexes leave documents out. */
function covers(index: Index, conditions: ReadonlyMap<string, PathConditions>): boolean {
  if (index.sparse && !index.parts.some((part) => conditions.get(part.path)?.exists)) return false;
  if (!index.partial) return true;
  return Object.entries(index.partial).every(([path, operand]) => implied(path, operand, conditions));
}

function implied(path: string, operand: unknown, conditions: ReadonlyMap<string, PathConditions>): boolean {
  if (path === '$and') return (operand as Doc[]).every((part) => Object.entries(part).every(([name, inner]) => implied(name, inner, conditions)));
  if (path.startsWith('$')) return false;
  const known = conditions.get(path);
  if (!known) return false;
  if (!isOperatorObject(operand)) return known.points !== null && known.points.every((point) => equals(point, operand));
  return Object.entries(operand).every(([name, value]) => impliedOperator(name, value, known));
}

function impliedOperator(name: string, value: unknown, known: PathConditions): boolean {
  const { points, lower, upper } = known;
  switch (name) {
    case '$exists':
      return value === true && known.exists;
    case '$eq':
      return points !== null && points.every((point) => equals(point, value));
    case '$in':
      return points !== null && points.every((point) => (value as unknown[]).some((allowed) => equals(allowed, point)));
    case '$gt':
    case '$gte': {
      const enough = (other: unknown, inclusive: boolean): boolean => compare(other, value) > 0 || (compare(other, value) === 0 && (name === '$gte' || !inclusive));
      return points ? points.every((point) => enough(point, true)) : lower !== null && enough(lower.value, lower.inclusive);
    }
    case '$lt':
    case '$lte': {
      const enough = (other: unknown, inclusive: boolean): boolean => compare(other, value) < 0 || (compare(other, value) === 0 && (name === '$lte' || !inclusive));
      return points ? points.every((point) => enough(point, true)) : upper !== null && enough(upper.value, upper.inclusive);
    }
    default:
      return false;
  }
}

function scanOf(index: Index, filter: Doc, conditions: ReadonlyMap<string, PathConditions>, sort: readonly SortPart[]): { scan: IndexScan; score: number } {
  let ranges: ByteRange[] = [{ low: idPrefix(index.id), high: idPrefix(index.id + 1) }];
  let prefixes: Buffer[] = [idPrefix(index.id)];
  let score = index.partial ? 1 : 0;
  let used = 0;
  let fixed = 0;
  let exact = index.partial === null && !index.multikey && !index.longKeys;
  for (const part of index.parts) {
    const known = conditions.get(part.path);
    const found = known && partRanges(known, part.descending, index.multikey);
    if (!known || !found || prefixes.length * found.ranges.length > (prefixes.length === 1 ? MAX_POINTS : MAX_RANGES)) break;
    ranges = prefixes.flatMap((prefix) => found.ranges.map(({ low, high }) => ({ low: Buffer.concat([prefix, low]), high: Buffer.concat([prefix, high]) })));
    exact &&= known.exact;
    used++;
    score += found.points ? (found.ranges.length === 1 ? 10 : 8) : 6;
    if (!found.points) break;
    prefixes = ranges.map((range) => range.low);
    fixed++;
  }
  if (index.unique && fixed === index.parts.length) score += 50;
  const order = sortOrder(index, conditions, sort, fixed, prefixes.length);
  if (order) score += used === 0 && sort.length > 0 ? 4 : sort.length > 0 ? 7 : 0;
  const backward = order?.backward ?? false;
  const wholeKeys = index.unique && fixed === index.parts.length && ranges.every((range) => range.low.length <= 1800);
  for (const range of ranges) {
    range.low = limitBound(range.low);
    if (range.high.length > 1800) range.high = Buffer.concat([limitBound(range.high), Buffer.alloc(40, 0xff)]);
  }
  if (backward) ranges.reverse();
  const scan: IndexScan = { kind: 'index', index, ranges, backward, sorted: order !== null, mergeFrom: order?.mergeFrom ?? null, exact: exact && used === conditions.size && onlyPaths(filter), wholeKeys };
  if (ranges.length === 0) score += 100;
  return { scan, score };
}

function onlyPaths(filter: Doc): boolean {
  return Object.entries(filter).every(([name, operand]) => (name === '$and' ? (operand as Doc[]).every(onlyPaths) : !name.startsWith('$')));
}

/** Whether reading the ranges gives the wanted order: fields held to one value may be left out of it. */
function sortOrder(
  index: Index,
  conditions: ReadonlyMap<string, PathConditions>,
  sort: readonly SortPart[],
  fixed: number,
  ranges: number,
): { backward: boolean; mergeFrom: number | null } | null {
  if (sort.length === 0) return { backward: false, mergeFrom: null };
  if (index.multikey || index.longKeys) return null;
  const single = (path: string): boolean => {
    const points = conditions.get(path)?.points;
    return points?.length === 1 && !Array.isArray(points[0]);
  };
  const wanted = sort.filter((part) => !single(part.path));
  if (ranges > 1) {
    const merged = matchOrder(index, wanted, fixed, single);
    const inOrder = matchOrder(index, wanted, index.parts.findIndex((part) => !single(part.path)), single);
    if (inOrder !== null) return { backward: inOrder, mergeFrom: null };
    return merged === null ? null : { backward: merged, mergeFrom: fixed };
  }
  const backward = matchOrder(index, wanted, fixed, single);
  return backward === null ? null : { backward, mergeFrom: null };
}

function matchOrder(index: Index, wanted: readonly SortPart[], from: number, single: (path: string) => boolean): boolean | null {
  let at = Math.max(0, from);
  let backward: boolean | null = null;
  for (const part of wanted) {
    while (at < index.parts.length && index.parts[at]!.path !== part.path && single(index.parts[at]!.path)) at++;
    const field = index.parts[at];
    if (!field || field.path !== part.path) return null;
    const reversed = field.descending !== part.direction < 0;
    if (backward !== null && backward !== reversed) return null;
    backward = reversed;
    at++;
  }
  return backward ?? false;
}

/** `$or` at the top level: each branch, together with the rest of the filter, must have an index. */
function planUnion(collection: Collection, filter: Doc): Plan | null {
  const branches = filter['$or'] as Doc[] | undefined;
  if (!Array.isArray(branches)) return null;
  const { $or: _, ...rest } = filter;
  const scans: IndexScan[] = [];
  for (const branch of branches) {
    const plan = choosePlan(collection, { $and: [branch, rest] }, []);
    if (plan.kind === 'collection') return null;
    if (plan.kind === 'union') scans.push(...plan.branches);
    else scans.push(plan);
  }
  return { kind: 'union', branches: scans, sorted: false };
}

/** The part of a hinted index between `min` (taken in) and `max` (left out). @throws CommandError 51173, 51174 */
export function limitScan(plan: Plan, min: Doc, max: Doc): IndexScan {
  if (plan.kind !== 'index') throw new CommandError(51173, 'When using min()/max() a hint of which index to use must be provided');
  const { index } = plan;
  const bound = (values: Doc, otherwise: Buffer): Buffer => {
    const paths = Object.keys(values);
    if (paths.length === 0) return otherwise;
    if (paths.join('\0') !== index.parts.map((part) => part.path).join('\0')) throw new CommandError(51174, 'The index chosen is not compatible with min/max');
    return limitBound(Buffer.concat([idPrefix(index.id), encodeKey(Object.values(values), index.descending)]));
  };
  const ranges = [{ low: bound(min, idPrefix(index.id)), high: bound(max, idPrefix(index.id + 1)) }];
  return { ...plan, ranges, exact: false, wholeKeys: false, mergeFrom: null };
}
