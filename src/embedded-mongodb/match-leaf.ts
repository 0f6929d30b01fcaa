/** The tests on a single value that query operators are made of. */
import { Binary, BSONRegExp, BSONSymbol, Decimal128, Double, MaxKey, MinKey } from 'bson';
import { compare, compareStrings, equals, plainNumber, RANK, regexParts, typeRank } from './bson-order.js';
import { badValue, failedToParse } from './command-error.js';
import { exact } from './decimal.js';
import { compileRegex } from './regex.js';

export type Test = (value: unknown) => boolean;

/** `$eq`, `$gt`, `$gte`, `$lt`, `$lte`: only values of the operand's own type compare (type bracketing). */
export function comparison(name: string, operand: unknown, literalRegex = false): Test {
  if (name === '$eq') return equality(operand, literalRegex);
  if (operand instanceof MinKey || operand instanceof MaxKey) return byOrder(name, operand);
  const rank = typeRank(operand);
  if (rank === RANK.null) return name === '$gte' || name === '$lte' ? (value) => value === null || value === undefined : () => false;
  if (isNaNValue(operand)) return name === '$gte' || name === '$lte' ? isNaNValue : () => false;
  if (typeof operand === 'number') return numberComparison(name, operand);
  if (operand instanceof Date) return dateComparison(name, operand.getTime());
  const holds = ordering(name);
  return (value) => value !== undefined && typeRank(value) === rank && !isNaNValue(value) && holds(compare(value, operand));
}

function byOrder(name: string, operand: unknown): Test {
  const holds = ordering(name);
  return (value) => holds(compare(value ?? null, operand));
}

function ordering(name: string): (order: number) => boolean {
  if (name === '$gt') return (order) => order > 0;
  if (name === '$gte') return (order) => order >= 0;
  if (name === '$lt') return (order) => order < 0;
  return (order) => order <= 0;
}

function numberComparison(name: string, operand: number): Test {
  const holds = ordering(name);
  return (value) => {
    if (typeof value === 'number') return name === '$gt' ? value > operand : name === '$gte' ? value >= operand : name === '$lt' ? value < operand : value <= operand;
    return typeRank(value) === RANK.number && !isNaNValue(value) && holds(compare(value, operand));
  };
}

function dateComparison(name: string, operand: number): Test {
  const holds = ordering(name);
  return (value) => value instanceof Date && holds(value.getTime() - operand);
}

export function isNaNValue(value: unknown): boolean {
  if (typeof value === 'number') return Number.isNaN(value);
  if (value instanceof Decimal128) return exact(value) === 'NaN';
  return value instanceof Double && Number.isNaN(value.value);
}

function equality(operand: unknown, literalRegex: boolean): Test {
  if (operand === null || operand === undefined) return (value) => value === null || value === undefined;
  if (typeof operand === 'string') return (value) => value === operand || (value instanceof BSONSymbol && value.value === operand);
  if (typeof operand === 'boolean') return (value) => value === operand;
  if (operand instanceof BSONRegExp || operand instanceof RegExp) {
    const same: Test = (value) => value !== undefined && typeRank(value) === RANK.regex && compare(value, operand) === 0;
    if (literalRegex) return same;
    const matches = regexTest(operand, undefined);
    return (value) => same(value) || matches(value);
  }
  return (value) => value !== undefined && value !== null && equals(value, operand);
}

/** `$regex` with `$options`, or a regular expression as a value. */
export function regexTest(operand: unknown, options: unknown): Test {
  let pattern: string;
  let flags = '';
  if (typeof operand === 'string') pattern = operand;
  else if (operand instanceof BSONRegExp || operand instanceof RegExp) [pattern, flags] = regexParts(operand);
  else throw badValue('$regex has to be a string');
  if (options !== undefined) {
    if (typeof options !== 'string') throw badValue('$options has to be a string');
    if (flags !== '') throw Object.assign(badValue('options set in both $regex and $options'), { code: 51075 });
    flags = options;
  }
  const regex = compileRegex(pattern, flags);
  return (value) => {
    if (typeof value === 'string') return regex.test(value);
    if (value instanceof BSONSymbol) return regex.test(value.value);
    if (!(value instanceof BSONRegExp)) return false;
    const [p, f] = regexParts(value);
    return compareStrings(p, pattern) === 0 && compareStrings(f, flags) === 0;
  };
}

const TYPE_ALIASES: Record<string, number> = {
  double: 1, string: 2, object: 3, array: 4, binData: 5, undefined: 6, objectId: 7, bool: 8, date: 9, null: 10, regex: 11, dbPointer: 12,
  javascript: 13, symbol: 14, javascriptWithScope: 15, int: 16, timestamp: 17, long: 18, decimal: 19, minKey: -1, maxKey: 127,
};

const RANK_TO_TYPE: Record<number, number> = {
  [RANK.minKey]: -1, [RANK.null]: 10, [RANK.string]: 2, [RANK.object]: 3, [RANK.array]: 4, [RANK.binary]: 5, [RANK.objectId]: 7, [RANK.boolean]: 8,
  [RANK.date]: 9, [RANK.timestamp]: 17, [RANK.regex]: 11, [RANK.dbRef]: 12, [RANK.code]: 13, [RANK.codeWithScope]: 15, [RANK.maxKey]: 127,
};

/** BSON's type number of a value. */
export function bsonType(value: unknown): number {
  const rank = typeRank(value);
  if (rank === RANK.string) return typeof value === 'string' ? 2 : 14;
  if (rank !== RANK.number) return RANK_TO_TYPE[rank]!;
  if (value instanceof Decimal128) return 19;
  if (value instanceof Double) return 1;
  if (typeof value === 'number') return Number.isInteger(value) && value >= -2147483648 && value <= 2147483647 && !Object.is(value, -0) ? 16 : 1;
  return 18;
}

/** BSON's alias of a value's type, as `$type` in an expression gives it. */
export function bsonTypeName(value: unknown): string {
  if (value === undefined) return 'missing';
  const type = bsonType(value);
  return Object.keys(TYPE_ALIASES).find((alias) => TYPE_ALIASES[alias] === type)!;
}

export function typeTest(operand: unknown): Test {
  const wanted = new Set<number>();
  for (const item of Array.isArray(operand) ? operand : [operand]) {
    if (item === 'number') [1, 16, 18, 19].forEach((type) => wanted.add(type));
    else if (typeof item === 'string') {
      const type = TYPE_ALIASES[item];
      if (type === undefined) throw badValue(`Unknown type name alias: ${item}`);
      wanted.add(type);
    } else {
      const type = Number(plainNumber(item));
      if (typeRank(item) !== RANK.number) throw Object.assign(badValue('type must be represented as a number or a string'), { code: 14 });
      if (!Object.values(TYPE_ALIASES).includes(type)) throw badValue(`Invalid numerical type code: ${type}`);
      wanted.add(type);
    }
  }
  if (wanted.size === 0) throw failedToParse('$type must match at least one type');
  return (value) => value !== undefined && wanted.has(bsonType(value));
}

/** A whole number from any numeric type, or null. */
export function wholeNumber(value: unknown): number | null {
  if (typeRank(value) !== RANK.number) return null;
  const plain = plainNumber(value);
  const number = Number(plain instanceof Decimal128 ? plain.toString() : plain);
  return Number.isInteger(number) ? number : null;
}

export function sizeTest(operand: unknown): Test {
  const size = wholeNumber(operand);
  if (size === null) throw failedToParse(`Failed to parse $size. Expected an integer`);
  if (size < 0) throw failedToParse('Failed to parse $size. Expected a non-negative number');
  return (value) => Array.isArray(value) && value.length === size;
}

export function modTest(operand: unknown): Test {
  if (!Array.isArray(operand)) throw badValue('malformed mod, needs to be an array');
  if (operand.length < 2) throw badValue('malformed mod, not enough elements');
  if (operand.length > 2) throw badValue('malformed mod, too many elements');
  const [divisor, remainder] = operand.map((item) => truncate(item));
  if (divisor === null || divisor === undefined) throw badValue('malformed mod, divisor not a number');
  if (remainder === null || remainder === undefined) throw badValue('malformed mod, remainder not a number');
  if (divisor === 0) throw badValue('divisor cannot be 0');
  return (value) => {
    const number = truncate(value);
    return number !== null && number % divisor === remainder;
  };
}

function truncate(value: unknown): number | null {
  if (typeRank(value) !== RANK.number) return null;
  const plain = plainNumber(value);
  const number = Number(plain instanceof Decimal128 ? plain.toString() : plain);
  return Number.isFinite(number) ? Math.trunc(number) : null;
}

export function bitTest(name: string, operand: unknown): Test {
  const mask = bitMask(name, operand);
  return (value) => {
    const bits = bitsOf(value);
    if (bits === null) return false;
    const common = bits & mask;
    if (name === '$bitsAllSet') return common === mask;
    if (name === '$bitsAllClear') return common === 0n;
    return name === '$bitsAnySet' ? common !== 0n : common !== mask;
  };
}

function bitMask(name: string, operand: unknown): bigint {
  if (Array.isArray(operand)) {
    let mask = 0n;
    for (const item of operand) {
      const position = wholeNumber(item);
      if (position === null || position < 0) throw badValue(`bit positions must be integers >= 0`);
      mask |= 1n << BigInt(position);
    }
    return mask;
  }
  const bits = bitsOf(operand);
  if (bits === null || bits < 0n) throw badValue(`${name} takes an Array, a number, or a BinData but received: ${String(operand)}`);
  return bits;
}

function bitsOf(value: unknown): bigint | null {
  if (value instanceof Binary) {
    let bits = 0n;
    for (let i = value.position - 1; i >= 0; i--) bits = (bits << 8n) | BigInt(value.buffer[i]!);
    return bits;
  }
  const whole = wholeNumber(value);
  if (whole === null) return null;
  return typeof value === 'bigint' ? value : BigInt(whole);
}
