/** The operators on numbers: arithmetic that keeps BSON's types, rounding, logarithms, trigonometry, bits. */
import { Decimal128 } from 'bson';
import { add, isNumber, multiply, numberKind, toNumber, wholeResult } from './arithmetic.js';
import { doubleValue } from './bson-decode.js';
import { compare, plainNumber } from './bson-order.js';
import { CommandError } from './command-error.js';
import { asDecimal, divideExact, exact, toDecimal128 } from './decimal.js';
import { bsonTypeName, wholeNumber } from './match-leaf.js';
import { between, fixed, MANY, nil, numeric, type Run, type ValueOperator } from './value-operator.js';

const isWhole = (value: unknown): boolean => numberKind(value) === 'int' || numberKind(value) === 'long';

/** Whole numbers that grow beyond int64 become doubles. */
function leniently(operation: (a: unknown, b: unknown) => unknown, inDoubles: (a: number, b: number) => number): (a: unknown, b: unknown) => unknown {
  return (a, b) => {
    try {
      return operation(a, b);
    } catch {
      return doubleValue(inDoubles(toNumber(a), toNumber(b)));
    }
  };
}

const plus = leniently(add, (a, b) => a + b);
const times = leniently(multiply, (a, b) => a * b);

const addAll: Run = (args, name) => {
  let sum: unknown = 0;
  let date: Date | null = null;
  for (const value of args) {
    if (nil(value)) return null;
    if (value instanceof Date) {
      if (date) throw new CommandError(16612, 'only one date allowed in an $add expression');
      date = value;
    } else {
      numeric(name, value);
      sum = plus(sum, value);
    }
  }
  return date ? new Date(date.getTime() + Math.round(toNumber(sum))) : sum;
};

const subtract: Run = ([a, b], name) => {
  if (nil(a) || nil(b)) return null;
  if (a instanceof Date) {
    if (b instanceof Date) return BigInt(a.getTime() - b.getTime());
    if (isNumber(b)) return new Date(a.getTime() - Math.round(toNumber(b)));
  }
  if (!isNumber(a) || !isNumber(b)) throw new CommandError(14, `can't ${name} ${bsonTypeName(b)} from ${bsonTypeName(a)}`);
  return plus(a, times(b, -1));
};

const divide: Run = ([a, b]) => {
  if (nil(a) || nil(b)) return null;
  if (!isNumber(a) || !isNumber(b)) throw new CommandError(14, `$divide only supports numeric types, not ${bsonTypeName(a)} and ${bsonTypeName(b)}`);
  if (toNumber(b) === 0) throw new CommandError(2, "can't $divide by zero");
  if (a instanceof Decimal128 || b instanceof Decimal128) return toDecimal128(divideExact(asDecimal(a), asDecimal(b)));
  return doubleValue(toNumber(a) / toNumber(b));
};

const mod: Run = ([a, b]) => {
  if (nil(a) || nil(b)) return null;
  if (!isNumber(a) || !isNumber(b)) throw new CommandError(16611, `$mod only supports numeric types, not ${bsonTypeName(a)} and ${bsonTypeName(b)}`);
  if (toNumber(b) === 0) throw new CommandError(16610, "can't $mod by zero");
  if (a instanceof Decimal128 || b instanceof Decimal128) return modDecimals(a, b);
  if (isWhole(a) && isWhole(b)) {
    const rest = BigInt(plainNumber(a) as number | bigint) % BigInt(plainNumber(b) as number | bigint);
    return numberKind(a) === 'int' && numberKind(b) === 'int' ? Number(rest) : rest;
  }
  return doubleValue(toNumber(a) % toNumber(b));
};

function modDecimals(a: unknown, b: unknown): Decimal128 {
  const [x, y] = [asDecimal(a), asDecimal(b)];
  if (typeof x === 'string' || typeof y === 'string') return Decimal128.fromString(String(toNumber(a) % toNumber(b)));
  const low = Math.min(x.exponent, y.exponent);
  return toDecimal128({ digits: (x.digits * 10n ** BigInt(x.exponent - low)) % (y.digits * 10n ** BigInt(y.exponent - low)), exponent: low });
}

/** How a quotient's rest decides: towards zero, to even, down or up. */
type Rounding = 'trunc' | 'even' | 'floor' | 'ceil';

/** Rounds to a number of decimal places; each type stays what it is. */
function roundNumber(value: unknown, places: number, rounding: Rounding): unknown {
  const kind = numberKind(value);
  const parts = exact(value);
  if (typeof parts === 'string') return value;
  if (isWhole(value) && places >= 0) return value;
  if (kind === 'double' && places >= 0) return doubleValue(roundDouble(toNumber(value), places, rounding));
  const unit = 10n ** BigInt(Math.max(0, -places - parts.exponent));
  const digits = unit === 1n ? parts.digits : roundedQuotient(parts.digits, unit, rounding) * unit;
  if (kind === 'decimal') return unit === 1n ? value : toDecimal128({ digits: digits / unit, exponent: -places });
  const whole = digits * 10n ** BigInt(Math.max(0, parts.exponent));
  if (kind === 'double') return doubleValue(Number(whole) / 10 ** Math.max(0, -parts.exponent));
  return kind === 'long' ? whole : wholeResult(whole);
}

function roundedQuotient(value: bigint, unit: bigint, rounding: Rounding): bigint {
  const [quotient, rest] = [value / unit, value % unit];
  if (rest === 0n || rounding === 'trunc') return quotient;
  if (rounding === 'floor') return rest < 0n ? quotient - 1n : quotient;
  if (rounding === 'ceil') return rest > 0n ? quotient + 1n : quotient;
  const twice = (rest < 0n ? -rest : rest) * 2n;
  const away = twice > unit || (twice === unit && quotient % 2n !== 0n);
  return away ? quotient + (rest < 0n ? -1n : 1n) : quotient;
}

/** By the decimal digits that a double shows, as MongoDB does it. */
function roundDouble(value: number, places: number, rounding: Rounding): number {
  if (Number.isInteger(value)) return value;
  const parts = exact(Decimal128.fromString(String(value)));
  if (typeof parts === 'string') return value;
  const drop = -places - parts.exponent;
  if (drop <= 0) return value;
  const rounded = roundedQuotient(parts.digits, 10n ** BigInt(drop), rounding);
  const result = Number(`${rounded}e${-places}`);
  return result === 0 && value < 0 ? -0 : result;
}

function rounding(how: Rounding): ValueOperator {
  return fixed(1, ([value], name) => {
    if (nil(value)) return null;
    numeric(name, value);
    return roundNumber(value, 0, how);
  });
}

function roundTo(how: Rounding): ValueOperator {
  return between(1, 2, ([value, digits], name) => {
    if (nil(value) || digits === null) return null;
    numeric(name, value);
    const places = digits === undefined ? 0 : wholeNumber(digits);
    if (places === null) throw new CommandError(51082, `precision argument to ${name} must be a integral value`);
    if (places < -20 || places > 100) throw new CommandError(51083, `cannot apply ${name} with precision value ${places} value must be in [-20, 100]`);
    return roundNumber(value, places, how);
  });
}

/** A real function: decimals stay decimals, all else becomes a double. */
function real(compute: (value: number) => number, valid: (value: number) => boolean = () => true, refusal: [number, string] = [2, '']): ValueOperator {
  return fixed(1, ([value], name) => {
    if (nil(value)) return null;
    numeric(name, value);
    const number = toNumber(value);
    if (Number.isNaN(number)) return value;
    if (!valid(number)) throw new CommandError(refusal[0], `${name}${refusal[1]}`);
    return value instanceof Decimal128 ? Decimal128.fromString(String(compute(number))) : doubleValue(compute(number));
  });
}

const pow: Run = ([a, b], name) => {
  if (nil(a) || nil(b)) return null;
  if (!isNumber(a)) throw new CommandError(28762, `${name}'s base must be numeric, not ${bsonTypeName(a)}`);
  if (!isNumber(b)) throw new CommandError(28763, `${name}'s exponent must be numeric, not ${bsonTypeName(b)}`);
  if (toNumber(a) === 0 && toNumber(b) < 0) throw new CommandError(28764, '$pow cannot take a base of 0 and a negative exponent');
  if (isWhole(a) && isWhole(b) && toNumber(b) >= 0 && toNumber(b) < 64) {
    const result = BigInt(plainNumber(a) as number | bigint) ** BigInt(plainNumber(b) as number | bigint);
    if (BigInt.asIntN(64, result) === result) return numberKind(a) === 'long' || numberKind(b) === 'long' ? result : wholeResult(result);
  }
  const result = toNumber(a) ** toNumber(b);
  return a instanceof Decimal128 || b instanceof Decimal128 ? Decimal128.fromString(String(result)) : doubleValue(result);
};

const abs: Run = ([value], name) => {
  if (nil(value)) return null;
  numeric(name, value);
  if (value === -9223372036854775808n) throw new CommandError(28680, "can't take $abs of long long min");
  return compare(value, 0) < 0 ? times(value, -1) : value;
};

const log: Run = ([value, base], name) => {
  if (nil(value) || nil(base)) return null;
  if (!isNumber(value)) throw new CommandError(28756, `${name}'s argument must be numeric, not ${bsonTypeName(value)}`);
  if (!isNumber(base)) throw new CommandError(28757, `${name}'s base must be numeric, not ${bsonTypeName(base)}`);
  if (toNumber(value) <= 0) throw new CommandError(28758, `${name}'s argument must be a positive number, but is ${toNumber(value)}`);
  if (toNumber(base) <= 0 || toNumber(base) === 1) throw new CommandError(28759, `${name}'s base must be a positive number not equal to 1, but is ${toNumber(base)}`);
  const result = Math.log(toNumber(value)) / Math.log(toNumber(base));
  const near = Math.round(result);
  return doubleValue(Math.abs(result - near) < 1e-12 && toNumber(base) ** near === toNumber(value) ? near : result);
};

function bits(start: bigint, combine: (a: bigint, b: bigint) => bigint): ValueOperator {
  return between(0, MANY, (args, name) => {
    if (args.some(nil)) return null;
    for (const value of args) if (!isNumber(value) || !isWhole(value)) throw new CommandError(14, `${name} only supports int and long operands.`);
    const result = BigInt.asIntN(64, args.reduce<bigint>((value, arg) => combine(value, BigInt(plainNumber(arg) as number | bigint)), start));
    return args.some((value) => numberKind(value) === 'long') ? result : wholeResult(result);
  });
}

const atan2: Run = ([a, b], name) => {
  if (nil(a) || nil(b)) return null;
  numeric(name, a);
  numeric(name, b);
  const result = Math.atan2(toNumber(a), toNumber(b));
  return a instanceof Decimal128 || b instanceof Decimal128 ? Decimal128.fromString(String(result)) : doubleValue(result);
};

const unit = (value: number): boolean => value >= -1 && value <= 1;
const finite: [(value: number) => boolean, [number, string]] = [Number.isFinite, [50989, ' cannot take an infinite argument']];
const inUnit: [(value: number) => boolean, [number, string]] = [unit, [50989, ' takes values between -1 and 1']];
const positive = (code: number): [(value: number) => boolean, [number, string]] => [(value) => value > 0, [code, "'s argument must be a positive number"]];

export const MATH_OPERATORS: Record<string, ValueOperator> = {
  $add: between(0, MANY, addAll), $subtract: fixed(2, subtract), $divide: fixed(2, divide), $mod: fixed(2, mod), $abs: fixed(1, abs), $pow: fixed(2, pow), $log: fixed(2, log),
  $multiply: between(0, MANY, (args, name) => {
    if (args.some(nil)) return null;
    for (const value of args) numeric(name, value);
    return args.reduce((product, value) => times(product, value), 1);
  }),
  $ceil: rounding('ceil'), $floor: rounding('floor'), $round: roundTo('even'), $trunc: roundTo('trunc'),
  $sqrt: real(Math.sqrt, (value) => value >= 0, [28714, "'s argument must be greater than or equal to 0"]), $exp: real(Math.exp), $ln: real(Math.log, ...positive(28766)), $log10: real(Math.log10, ...positive(28761)),
  $sin: real(Math.sin, ...finite), $cos: real(Math.cos, ...finite), $tan: real(Math.tan, ...finite), $asin: real(Math.asin, ...inUnit), $acos: real(Math.acos, ...inUnit), $atan: real(Math.atan),
  $atan2: fixed(2, atan2), $sinh: real(Math.sinh), $cosh: real(Math.cosh), $tanh: real(Math.tanh), $asinh: real(Math.asinh),
  $acosh: real(Math.acosh, (value) => value >= 1, [50989, ' takes values from 1 on']), $atanh: real(Math.atanh, ...inUnit),
  $degreesToRadians: real((value) => (value * Math.PI) / 180), $radiansToDegrees: real((value) => (value * 180) / Math.PI), $sigmoid: real((value) => 1 / (1 + Math.exp(-value))),
  $bitAnd: bits(-1n, (a, b) => a & b), $bitOr: bits(0n, (a, b) => a | b), $bitXor: bits(0n, (a, b) => a ^ b),
  $bitNot: fixed(1, ([value], name) => {
    if (nil(value)) return null;
    if (!isNumber(value) || !isWhole(value)) throw new CommandError(14, `${name} only supports int and long operands.`);
    return typeof value === 'bigint' ? ~value : ~(value as number);
  }),
};
