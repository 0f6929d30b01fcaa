/** Exact arithmetic on Decimal128 (and on other numbers beside it) with bigint: a coefficient and a power of ten. */
import { Decimal128, Double } from 'bson';

export type Exact = { digits: bigint; exponent: number } | 'NaN' | 'Infinity' | '-Infinity';

/** Any BSON number as an exact decimal. */
export function exact(value: unknown): Exact {
  if (typeof value === 'bigint') return { digits: value, exponent: 0 };
  if (value instanceof Double) return exactDouble(value.value);
  if (typeof value === 'number') return exactDouble(value);
  return parse((value as Decimal128).toString());
}

/** As a decimal to calculate with: of a double the 15 digits that it is sure of. */
export function asDecimal(value: unknown): Exact {
  const double = value instanceof Double ? value.value : typeof value === 'number' && !Number.isInteger(value) ? value : null;
  return double === null || !Number.isFinite(double) ? exact(value) : parse(double.toPrecision(15));
}

function parse(text: string): Exact {
  if (text === 'NaN' || text === 'Infinity' || text === '-Infinity') return text;
  const [mantissa, power = '0'] = text.toLowerCase().split('e') as [string, string?];
  const [whole, fraction = ''] = mantissa.split('.') as [string, string?];
  return { digits: BigInt(whole + fraction), exponent: Number(power) - fraction.length };
}

function exactDouble(value: number): Exact {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity';
  if (Number.isInteger(value)) return { digits: BigInt(value), exponent: 0 };
  let scaled = value;
  let twos = 0;
  while (!Number.isInteger(scaled)) {
    scaled *= 2;
    twos++;
  }
  return { digits: BigInt(scaled) * 5n ** BigInt(twos), exponent: -twos };
}

/** -1, 0 or 1; NaN sorts below everything, as in MongoDB. */
export function compareExact(a: Exact, b: Exact): number {
  const ranks = { NaN: 0, '-Infinity': 1, Infinity: 3 };
  const rankA = typeof a === 'string' ? ranks[a] : 2;
  const rankB = typeof b === 'string' ? ranks[b] : 2;
  if (rankA !== rankB) return rankA < rankB ? -1 : 1;
  if (typeof a === 'string' || typeof b === 'string') return 0;
  return compareFinite(a, b);
}

function compareFinite(a: { digits: bigint; exponent: number }, b: { digits: bigint; exponent: number }): number {
  const signA = a.digits > 0n ? 1 : a.digits < 0n ? -1 : 0;
  const signB = b.digits > 0n ? 1 : b.digits < 0n ? -1 : 0;
  if (signA !== signB) return signA < signB ? -1 : 1;
  if (signA === 0) return 0;
  const low = Math.min(a.exponent, b.exponent);
  const left = a.digits * 10n ** BigInt(a.exponent - low);
  const right = b.digits * 10n ** BigInt(b.exponent - low);
  return left < right ? -1 : left > right ? 1 : 0;
}

/** The Decimal128 nearest to an exact value (34 digits, half to even). */
export function toDecimal128(value: Exact): Decimal128 {
  if (typeof value === 'string') return Decimal128.fromString(value);
  let { digits, exponent } = value;
  const negative = digits < 0n;
  if (negative) digits = -digits;
  const extra = digits.toString().length - 34;
  if (extra > 0) {
    const unit = 10n ** BigInt(extra);
    const rest = digits % unit;
    digits /= unit;
    exponent += extra;
    if (rest * 2n > unit || (rest * 2n === unit && digits % 2n === 1n)) digits += 1n;
  }
  return Decimal128.fromString(`${negative ? '-' : ''}${digits}E${exponent}`);
}

export function addExact(a: Exact, b: Exact): Exact {
  if (typeof a === 'string' || typeof b === 'string') return special(a, b, (x, y) => x + y);
  const low = Math.min(a.exponent, b.exponent);
  return { digits: a.digits * 10n ** BigInt(a.exponent - low) + b.digits * 10n ** BigInt(b.exponent - low), exponent: low };
}

export function multiplyExact(a: Exact, b: Exact): Exact {
  if (typeof a === 'string' || typeof b === 'string') return special(a, b, (x, y) => x * y);
  return { digits: a.digits * b.digits, exponent: a.exponent + b.exponent };
}

/** A quotient to 34 digits; an exact one has no more zeros at its end than its operands ask for. */
export function divideExact(a: Exact, b: Exact): Exact {
  if (typeof a === 'string' || typeof b === 'string') return special(a, b, (x, y) => x / y);
  const shift = 40 + Math.max(0, b.digits.toString().length - a.digits.toString().length);
  const scaled = a.digits * 10n ** BigInt(shift);
  const quotient = { digits: scaled / b.digits, exponent: a.exponent - b.exponent - shift };
  if (scaled % b.digits !== 0n) return quotient;
  while (quotient.exponent < a.exponent - b.exponent && quotient.digits % 10n === 0n) {
    quotient.digits /= 10n;
    quotient.exponent++;
  }
  return quotient;
}

function special(a: Exact, b: Exact, operation: (x: number, y: number) => number): Exact {
  return exactDouble(operation(exactToNumber(a), exactToNumber(b)));
}

export function exactToNumber(value: Exact): number {
  return typeof value === 'string' ? Number(value) : Number(`${value.digits}e${value.exponent}`);
}
