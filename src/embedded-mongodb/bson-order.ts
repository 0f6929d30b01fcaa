/** MongoDB's comparison order across BSON types, and what follows from it: equality and the canonical type of a value. */
import { Binary, BSONRegExp, BSONSymbol, Code, DBRef, Decimal128, Double, Int32, Long, MaxKey, MinKey, ObjectId, Timestamp } from 'bson';
import type { Doc } from './bson-decode.js';
import { compareExact, exact } from './decimal.js';

export const RANK = {
  minKey: 1, null: 5, number: 10, string: 15, object: 20, array: 25, binary: 30, objectId: 35, boolean: 40, date: 45, timestamp: 47,
  regex: 50, dbRef: 55, code: 60, codeWithScope: 65, maxKey: 127,
} as const;

/** The place of a value's type in the order; a missing value counts as null. */
export function typeRank(value: unknown): number {
  switch (typeof value) {
    case 'number':
    case 'bigint':
      return RANK.number;
    case 'string':
      return RANK.string;
    case 'boolean':
      return RANK.boolean;
    case 'object':
      return value === null ? RANK.null : objectRank(value);
    default:
      return RANK.null;
  }
}

function objectRank(value: object): number {
  if (Array.isArray(value)) return RANK.array;
  const proto = Object.getPrototypeOf(value);
  if (proto === Object.prototype || proto === null) return RANK.object;
  if (value instanceof Date) return RANK.date;
  if (value instanceof ObjectId) return RANK.objectId;
  // A Timestamp is a Long by inheritance, so it is asked for first.
  if (value instanceof Timestamp) return RANK.timestamp;
  if (value instanceof Double || value instanceof Decimal128 || value instanceof Long || value instanceof Int32) return RANK.number;
  if (value instanceof Binary) return RANK.binary;
  if (value instanceof BSONRegExp || value instanceof RegExp) return RANK.regex;
  if (value instanceof MinKey) return RANK.minKey;
  if (value instanceof MaxKey) return RANK.maxKey;
  if (value instanceof BSONSymbol) return RANK.string;
  if (value instanceof Code) return value.scope ? RANK.codeWithScope : RANK.code;
  if (value instanceof DBRef) return RANK.dbRef;
  return RANK.object;
}

export function isObject(value: unknown): value is Doc {
  if (typeof value !== 'object' || value === null) return false;
  const proto = Object.getPrototypeOf(value);
  return proto === Object.prototype || proto === null;
}

/** Compares two values of any types: negative, zero or positive. */
export function compare(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return a < b ? -1 : a > b ? 1 : a === b ? 0 : compareNumbers(a, b);
  const rankA = typeRank(a);
  const rankB = typeRank(b);
  if (rankA !== rankB) return rankA - rankB;
  return compareSameType(rankA, a, b);
}

export function equals(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  return compare(a, b) === 0;
}

function compareSameType(rank: number, a: unknown, b: unknown): number {
  switch (rank) {
    case RANK.number:
      return compareNumbers(a, b);
    case RANK.string:
      return compareStrings(a instanceof BSONSymbol ? a.value : (a as string), b instanceof BSONSymbol ? b.value : (b as string));
    case RANK.object:
      return compareObjects(a as Doc, b as Doc);
    case RANK.array:
      return compareArrays(a as unknown[], b as unknown[]);
    case RANK.objectId:
      return Buffer.compare((a as ObjectId).id, (b as ObjectId).id);
    case RANK.boolean:
      return Number(a) - Number(b);
    case RANK.date:
      return (a as Date).getTime() - (b as Date).getTime();
    default:
      return compareRare(rank, a, b);
  }
}

function compareRare(rank: number, a: unknown, b: unknown): number {
  switch (rank) {
    case RANK.binary:
      return compareBinary(a as Binary, b as Binary);
    case RANK.timestamp:
      return (a as Timestamp).t - (b as Timestamp).t || (a as Timestamp).i - (b as Timestamp).i;
    case RANK.regex: {
      const [x, y] = [regexParts(a), regexParts(b)];
      return compareStrings(x[0], y[0]) || compareStrings(x[1], y[1]);
    }
    case RANK.code:
      return compareStrings((a as Code).code, (b as Code).code);
    case RANK.codeWithScope:
      return compareStrings((a as Code).code, (b as Code).code) || compareObjects((a as Code).scope as Doc, (b as Code).scope as Doc);
    case RANK.dbRef:
      return compareStrings((a as DBRef).collection, (b as DBRef).collection) || compare((a as DBRef).oid, (b as DBRef).oid);
    default:
      return 0;
  }
}

export function regexParts(value: unknown): [string, string] {
  return value instanceof RegExp ? [value.source, value.flags] : [(value as BSONRegExp).pattern, (value as BSONRegExp).options];
}

function compareBinary(a: Binary, b: Binary): number {
  return a.position - b.position || a.sub_type - b.sub_type || Buffer.compare(a.buffer.subarray(0, a.position), b.buffer.subarray(0, b.position));
}

/** A number as a JS number or bigint; Decimal128 stays as it is. */
export function plainNumber(value: unknown): number | bigint | Decimal128 {
  if (value instanceof Double || value instanceof Int32) return value.value;
  if (value instanceof Long) return value.toBigInt();
  return value as number | bigint | Decimal128;
}

export function compareNumbers(left: unknown, right: unknown): number {
  const a = plainNumber(left);
  const b = plainNumber(right);
  if (a instanceof Decimal128 || b instanceof Decimal128) return compareExact(exact(a), exact(b));
  if (a < b) return -1;
  if (a > b) return 1;
  // oxlint-disable-next-line eqeqeq -- a bigint and a number of equal value are equal only by ==
  if (a == b) return 0;
  return (Number.isNaN(a) ? 0 : 1) - (Number.isNaN(b) ? 0 : 1);
}

const SURROGATE = /[\ud800-\udfff]/;

/** By UTF-8 bytes, which differs from JS order only where surrogates are. */
export function compareStrings(a: string, b: string): number {
  if (a === b) return 0;
  if (SURROGATE.test(a) || SURROGATE.test(b)) return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return a < b ? -1 : 1;
}

function compareArrays(a: unknown[], b: unknown[]): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const order = compare(a[i], b[i]);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

function compareObjects(a: Doc, b: Doc): number {
  const keysA = Object.keys(a);
  const keysB = Object.keys(b);
  const shared = Math.min(keysA.length, keysB.length);
  for (let i = 0; i < shared; i++) {
    const [left, right] = [a[keysA[i]!], b[keysB[i]!]];
    const order = typeRank(left) - typeRank(right) || compareStrings(keysA[i]!, keysB[i]!) || compare(left, right);
    if (order !== 0) return order;
  }
  return keysA.length - keysB.length;
}
