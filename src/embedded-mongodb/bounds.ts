/** From a filter's conditions on one path to ranges of encoded index keys that hold every match. */
import { BSONRegExp, Decimal128, MaxKey, MinKey } from 'bson';
import type { Doc } from './bson-decode.js';
import { isObject, RANK, typeRank } from './bson-order.js';
import { encodeKeyPart, invert } from './index-key.js';
import { isOperatorObject } from './match.js';
import { isNaNValue } from './match-leaf.js';

/** Conditions that a filter puts on a path, all of which must hold. */
export interface PathConditions {
  points: unknown[] | null;
  lower: { value: unknown; inclusive: boolean } | null;
  upper: { value: unknown; inclusive: boolean } | null;
  /** Bounds say all that the filter says about this path (no other operator beside them). */
  exact: boolean;
  /** A missing field can't match. */
  exists: boolean;
}

/** Collects, per path, what the top level of a filter (through `$and`) requires. */
export function conditionsOf(filter: Doc, into = new Map<string, PathConditions>(), prefix = ''): Map<string, PathConditions> {
  for (const [name, operand] of Object.entries(filter)) {
    if (name === '$and' && Array.isArray(operand)) for (const part of operand as Doc[]) conditionsOf(part, into, prefix);
    else if (!name.startsWith('$')) addCondition(into, prefix + name, operand);
  }
  return into;
}

function entryFor(into: Map<string, PathConditions>, path: string): PathConditions {
  let entry = into.get(path);
  if (!entry) into.set(path, (entry = { points: null, lower: null, upper: null, exact: true, exists: false }));
  return entry;
}

function addCondition(into: Map<string, PathConditions>, path: string, operand: unknown): void {
  const entry = entryFor(into, path);
  if (!isOperatorObject(operand)) return addPoints(entry, [operand]);
  for (const [name, value] of Object.entries(operand)) addOperator(into, path, entry, name, value);
}

function addOperator(into: Map<string, PathConditions>, path: string, entry: PathConditions, name: string, value: unknown): void {
  switch (name) {
    case '$eq':
      return isRegex(value) ? inexact(entry) : addPoints(entry, [value]);
    case '$in':
      return Array.isArray(value) && !value.some(isRegex) ? addPoints(entry, value) : inexact(entry);
    case '$gt':
    case '$gte':
      return addRange(entry, 'lower', value, name === '$gte');
    case '$lt':
    case '$lte':
      return addRange(entry, 'upper', value, name === '$lte');
    case '$all':
      entry.exact = false;
      if (Array.isArray(value) && value.length > 0 && !isOperatorObject(value[0]) && !isRegex(value[0])) addPoints(entry, [value[0]]);
      return;
    case '$elemMatch':
      entry.exact = false;
      entry.exists = true;
      if (isObject(value) && !isOperatorObject(value)) conditionsOf(value, into, `${path}.`);
      else if (isObject(value)) for (const [inner, operand] of Object.entries(value)) if (/^\$(eq|in|gte?|lte?)$/.test(inner)) addOperator(into, path, entry, inner, operand);
      return;
    case '$exists':
      entry.exact = false;
      if (value === true || value === 1) entry.exists = true;
      return;
    case '$regex':
      entry.exact = false;
      entry.exists = true;
      return addPrefix(entry, value, undefined);
    default:
      entry.exact = false;
  }
}

function isRegex(value: unknown): boolean {
  return value instanceof BSONRegExp || value instanceof RegExp;
}

function inexact(entry: PathConditions): void {
  entry.exact = false;
}

function addPoints(entry: PathConditions, values: readonly unknown[]): void {
  if (values.some(isRegex)) {
    inexact(entry);
    return;
  }
  if (values.every((value) => value !== null && value !== undefined)) entry.exists = true;
  if (values.some((value) => value === null || typeof value === 'object')) entry.exact = entry.exact && values.every((value) => value !== null && !Array.isArray(value));
  if (entry.points && entry.points.length <= values.length) {
    entry.exact = false;
    return;
  }
  if (entry.points || entry.lower || entry.upper) entry.exact = false;
  entry.points = [...values];
}

function addRange(entry: PathConditions, side: 'lower' | 'upper', value: unknown, inclusive: boolean): void {
  const rank = typeRank(value);
  const usable = rank !== RANK.array && rank !== RANK.object && rank !== RANK.null && !(value instanceof MinKey) && !(value instanceof MaxKey) && !isNaNValue(value);
  if (!usable) return inexact(entry);
  entry.exists = true;
  if (entry[side] !== null || entry.points) entry.exact = false;
  else entry[side] = { value, inclusive };
}

function addPrefix(entry: PathConditions, value: unknown, options: unknown): void {
  const [pattern, flags] = typeof value === 'string' ? [value, options] : value instanceof BSONRegExp ? [value.pattern, value.options] : ['', ''];
  const literal = /^\^([\w \-:@/]+)/.exec(pattern)?.[1];
  if (!literal || flags || pattern.includes('|') || entry.lower || entry.upper || entry.points) return;
  const prefix = /^[?*{]/.test(pattern.slice(literal.length + 1)) ? literal.slice(0, -1) : literal;
  if (prefix === '') return;
  entry.lower = { value: prefix, inclusive: true };
}

export interface ByteRange {
  low: Buffer;
  high: Buffer;
}

const ABOVE = Buffer.alloc(40, 0xff);

/** The ranges of one field's encoded values, in ascending byte order; null when the conditions give none. */
export function partRanges(conditions: PathConditions, descending: boolean, multikey: boolean): { ranges: ByteRange[]; points: boolean } | null {
  if (conditions.points) {
    const keys = conditions.points.flatMap((value) => pointKeys(value, descending));
    keys.sort((a, b) => Buffer.compare(a, b));
    const distinct = keys.filter((key, i) => i === 0 || !key.equals(keys[i - 1]!));
    return { points: true, ranges: distinct.map((key) => ({ low: key, high: Buffer.concat([key, ABOVE]) })) };
  }
  const { lower } = conditions;
  const upper = multikey && lower ? null : conditions.upper;
  if (!lower && !upper) return null;
  return { points: false, ranges: [valueRange(lower, upper, descending)] };
}

/** An array as operand matches the whole array and its elements, so that its first element is looked up too. */
function pointKeys(value: unknown, descending: boolean): Buffer[] {
  const keys = [encodeKeyPart(value, descending)];
  if (Array.isArray(value)) keys.push(encodeKeyPart(value[0], descending));
  return keys;
}

function valueRange(lower: PathConditions['lower'], upper: PathConditions['upper'], descending: boolean): ByteRange {
  const rank = typeRank((lower ?? upper)!.value);
  const low = lower ? encodeKeyPart(lower.value, false) : Buffer.from([rank]);
  const high = upper ? encodeKeyPart(upper.value, false) : Buffer.from([rank]);
  const afterLow = lower !== null && !lower.inclusive;
  const throughHigh = upper === null || upper.inclusive;
  if (!descending) return { low: afterLow ? Buffer.concat([low, ABOVE]) : low, high: throughHigh ? Buffer.concat([high, ABOVE]) : high };
  invert(low);
  invert(high);
  return { low: throughHigh ? high : Buffer.concat([high, ABOVE]), high: afterLow ? low : Buffer.concat([low, ABOVE]) };
}

export function isDecimalValue(value: unknown): boolean {
  return value instanceof Decimal128;
}
