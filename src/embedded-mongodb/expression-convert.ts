/** `$convert` and its short forms, by BSON types. */
import { Decimal128, Double, ObjectId, Timestamp } from 'bson';
import { isInt32, toNumber } from './arithmetic.js';
import { doubleValue } from './bson-decode.js';
import { plainNumber, RANK, typeRank } from './bson-order.js';
import { CommandError } from './command-error.js';
import { asDecimal, toDecimal128 } from './decimal.js';
import { parseDate } from './date-format.js';
import { bsonTypeName, wholeNumber } from './match-leaf.js';

const NUMBER_TO_NAME: Record<number, string> = { 1: 'double', 2: 'string', 7: 'objectId', 8: 'bool', 9: 'date', 16: 'int', 18: 'long', 19: 'decimal' };

function failure(value: unknown, to: string, why = ''): CommandError {
  return new CommandError(241, why || `Unsupported conversion from ${bsonTypeName(value)} to ${to} in $convert with no onError value`);
}

/** @throws CommandError 241 when the value has no such form */
export function convert(value: unknown, target: unknown): unknown {
  const to = typeof target === 'string' ? target : NUMBER_TO_NAME[wholeNumber(target) ?? -1];
  switch (to) {
    case 'string':
      return toText(value);
    case 'bool':
      return typeRank(value) === RANK.number ? toNumber(value) !== 0 : typeof value === 'boolean' ? value : true;
    case 'int':
    case 'long':
      return toInteger(value, to);
    case 'double':
      return toDouble(value);
    case 'decimal':
      return toDecimal(value);
    case 'date':
      return toDate(value);
    case 'objectId':
      if (value instanceof ObjectId) return value;
      if (typeof value === 'string' && /^[0-9a-f]{24}$/i.test(value)) return new ObjectId(value);
      throw failure(value, to, typeof value === 'string' ? `Failed to parse objectId '${value}' in $convert with no onError value` : '');
    default:
      throw new CommandError(2, `Unknown type name: ${String(target)}`);
  }
}

function toText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  if (typeRank(value) === RANK.number) return value instanceof Double ? String(value.value) : String(value);
  if (value instanceof Date) return value.toISOString();
  if (value instanceof ObjectId) return value.toHexString();
  throw failure(value, 'string');
}

function parseNumber(value: string, to: string): number {
  if (!/^\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*$/i.test(value) || /^\s|\s$/.test(value)) throw failure(value, to, `Failed to parse number '${value}' in $convert with no onError value`);
  return Number(value);
}

function toInteger(value: unknown, to: 'int' | 'long'): unknown {
  let result: bigint;
  if (typeof value === 'boolean') result = value ? 1n : 0n;
  else if (value instanceof Date && to === 'long') result = BigInt(value.getTime());
  else if (typeof value === 'string') {
    if (!/^[-+]?\d+$/.test(value)) throw failure(value, to, `Failed to parse number '${value}' in $convert with no onError value`);
    result = BigInt(value.replace('+', ''));
  } else if (typeRank(value) === RANK.number) {
    const plain = plainNumber(value);
    const number = toNumber(plain);
    if (!Number.isFinite(number)) throw failure(value, to, `Attempt to convert ${number} to integer value in $convert with no onError value`);
    result = typeof plain === 'bigint' ? plain : BigInt(Math.trunc(number));
  } else throw failure(value, to);
  if (to === 'int' ? !isInt32(Number(result)) : BigInt.asIntN(64, result) !== result) throw failure(value, to, `Conversion would overflow target type in $convert with no onError value: ${String(result)}`);
  return to === 'int' ? Number(result) : result;
}

function toDouble(value: unknown): unknown {
  if (typeof value === 'boolean') return doubleValue(value ? 1 : 0);
  if (typeof value === 'string') return doubleValue(parseNumber(value, 'double'));
  if (value instanceof Date) return doubleValue(value.getTime());
  if (typeRank(value) === RANK.number) return doubleValue(toNumber(value));
  throw failure(value, 'double');
}

function toDecimal(value: unknown): Decimal128 {
  if (typeof value === 'boolean') return Decimal128.fromString(value ? '1' : '0');
  if (typeof value === 'string') {
    parseNumber(value, 'decimal');
    return Decimal128.fromString(value);
  }
  if (value instanceof Date) return Decimal128.fromString(String(value.getTime()));
  if (value instanceof Decimal128) return value;
  if (typeRank(value) === RANK.number) return toDecimal128(asDecimal(value));
  throw failure(value, 'decimal');
}

function toDate(value: unknown): Date {
  if (value instanceof Date) return value;
  if (value instanceof ObjectId) return value.getTimestamp();
  if (value instanceof Timestamp) return new Date(value.t * 1000);
  if (typeof value === 'string') return new Date(parseDate(value, () => 0));
  if (typeRank(value) === RANK.number && !(typeof value === 'number' && isInt32(value))) return new Date(Math.trunc(toNumber(value)));
  throw failure(value, 'date');
}
