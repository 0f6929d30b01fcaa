/** Addition and multiplication that keep BSON's numeric types: int32 grows to int64, doubles and decimals win. */
import { Decimal128, Double } from 'bson';
import { doubleValue } from './bson-decode.js';
import { plainNumber, RANK, typeRank } from './bson-order.js';
import { badValue } from './command-error.js';
import { addExact, asDecimal, multiplyExact, toDecimal128 } from './decimal.js';

export type NumberKind = 'int' | 'long' | 'double' | 'decimal';

export function isNumber(value: unknown): boolean {
  return typeRank(value) === RANK.number;
}

export function numberKind(value: unknown): NumberKind {
  if (typeof value === 'bigint') return 'long';
  if (value instanceof Decimal128) return 'decimal';
  if (value instanceof Double) return 'double';
  return isInt32(value as number) ? 'int' : 'double';
}

export function isInt32(value: number): boolean {
  return Number.isInteger(value) && value >= -2147483648 && value <= 2147483647 && !Object.is(value, -0);
}

/** A number of any kind as a JS number, with the loss that this brings. */
export function toNumber(value: unknown): number {
  const plain = plainNumber(value);
  return Number(plain instanceof Decimal128 ? plain.toString() : plain);
}

/** A whole number in the smallest integer type that holds it; beyond int64 a double. */
export function wholeResult(value: bigint): unknown {
  if (value >= -2147483648n && value <= 2147483647n) return Number(value);
  return BigInt.asIntN(64, value) === value ? value : Number(value);
}

export function add(a: unknown, b: unknown): unknown {
  return combine(a, b, (x, y) => x + y, (x, y) => x + y, addExact);
}

export function multiply(a: unknown, b: unknown): unknown {
  return combine(a, b, (x, y) => x * y, (x, y) => x * y, multiplyExact);
}

function combine(
  a: unknown,
  b: unknown,
  doubles: (x: number, y: number) => number,
  integers: (x: bigint, y: bigint) => bigint,
  decimals: typeof addExact,
): unknown {
  const [left, right] = [numberKind(a), numberKind(b)];
  if (left === 'decimal' || right === 'decimal') return toDecimal128(decimals(asDecimal(a), asDecimal(b)));
  if (left === 'double' || right === 'double') return doubleValue(doubles(toNumber(a), toNumber(b)));
  if (left === 'int' && right === 'int') {
    const result = doubles(a as number, b as number);
    if (isInt32(result)) return result;
    return Object.is(result, -0) ? 0 : integers(BigInt(a as number), BigInt(b as number));
  }
  const result = integers(BigInt(a as number | bigint), BigInt(b as number | bigint));
  if (BigInt.asIntN(64, result) !== result) throw badValue('Failed to apply $inc or $mul operations: the result does not fit into a 64-bit integer');
  return result;
}
