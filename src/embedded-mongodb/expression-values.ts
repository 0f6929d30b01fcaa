/** The operators on evaluated values: comparison, arithmetic, arrays, sets, objects, strings, types. */
import { Binary, Decimal128, Timestamp } from 'bson';
import { add, isNumber, multiply, numberKind, toNumber, wholeResult } from './arithmetic.js';
import { doubleValue, type Doc } from './bson-decode.js';
import { encode } from './bson-encode.js';
import { compare, equals, isObject, plainNumber } from './bson-order.js';
import { CommandError } from './command-error.js';
import { exact, toDecimal128 } from './decimal.js';
import { convert } from './expression-convert.js';
import { bsonTypeName, wholeNumber } from './match-leaf.js';
import { truthy } from './match.js';
import { ACCUMULATORS } from './accumulators.js';
import { valueKey } from './value-key.js';

type Run = (args: unknown[], name: string) => unknown;
export interface ValueOperator {
  min: number;
  max: number;
  run: Run;
}

const MANY = 100_000;
const fixed = (count: number, run: Run): ValueOperator => ({ min: count, max: count, run });
const between = (min: number, max: number, run: Run): ValueOperator => ({ min, max, run });
const nil = (value: unknown): boolean => value === null || value === undefined;

function comparison(holds: (order: number) => boolean): ValueOperator {
  return fixed(2, ([a, b]) => holds(a === undefined || b === undefined ? (a === b ? 0 : a === undefined ? -1 : 1) : compare(a, b)));
}

function numeric(name: string, value: unknown): void {
  if (!isNumber(value)) throw new CommandError(name === '$add' ? 14 : 16554, `${name} only supports numeric types, not ${bsonTypeName(value)}`);
}

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
      sum = add(sum, value);
    }
  }
  return date ? new Date(date.getTime() + toNumber(sum)) : sum;
};

const subtract: Run = ([a, b], name) => {
  if (nil(a) || nil(b)) return null;
  if (a instanceof Date) return b instanceof Date ? BigInt(a.getTime() - b.getTime()) : new Date(a.getTime() - toNumber(b));
  if (!isNumber(a) || !isNumber(b)) throw new CommandError(14, `can't ${name} ${bsonTypeName(b)} from ${bsonTypeName(a)}`);
  if (typeof a === 'bigint' || typeof b === 'bigint') {
    if (numberKind(a) !== 'double' && numberKind(b) !== 'double' && !(a instanceof Decimal128) && !(b instanceof Decimal128)) return BigInt(a as number | bigint) - BigInt(b as number | bigint);
  }
  return add(a, multiply(b, -1));
};

const divide: Run = ([a, b]) => {
  if (nil(a) || nil(b)) return null;
  if (!isNumber(a) || !isNumber(b)) throw new CommandError(14, `$divide only supports numeric types, not ${bsonTypeName(a)} and ${bsonTypeName(b)}`);
  if (toNumber(b) === 0) throw new CommandError(2, "can't $divide by zero");
  if (a instanceof Decimal128 || b instanceof Decimal128) return divideDecimals(a, b);
  return doubleValue(toNumber(a) / toNumber(b));
};

function divideDecimals(a: unknown, b: unknown): Decimal128 {
  const [x, y] = [exact(a), exact(b)];
  if (typeof x === 'string' || typeof y === 'string') return Decimal128.fromString(String(toNumber(a) / toNumber(b)));
  const shift = 40;
  return toDecimal128({ digits: (x.digits * 10n ** BigInt(shift)) / y.digits, exponent: x.exponent - y.exponent - shift });
}

const mod: Run = ([a, b]) => {
  if (nil(a) || nil(b)) return null;
  if (!isNumber(a) || !isNumber(b)) throw new CommandError(16611, `$mod only supports numeric types, not ${bsonTypeName(a)} and ${bsonTypeName(b)}`);
  if (toNumber(b) === 0) throw new CommandError(16610, "can't $mod by zero");
  const [x, y] = [plainNumber(a), plainNumber(b)];
  if (typeof x === 'bigint' || typeof y === 'bigint') if (numberKind(a) !== 'double' && numberKind(b) !== 'double') return BigInt(x as number | bigint) % BigInt(y as number | bigint);
  const result = toNumber(a) % toNumber(b);
  return numberKind(a) === 'int' && numberKind(b) === 'int' ? (Object.is(result, -0) ? 0 : result) : doubleValue(result);
};

/** A function on one number that keeps whole types whole. */
function rounding(round: (value: number) => number): ValueOperator {
  return fixed(1, ([value], name) => {
    if (nil(value)) return null;
    numeric(name, value);
    const kind = numberKind(value);
    if (kind === 'int' || kind === 'long') return value;
    return kind === 'decimal' ? Decimal128.fromString(String(round(toNumber(value)))) : doubleValue(round(toNumber(value)));
  });
}

function roundTo(away: boolean): Run {
  return ([value, digits], name) => {
    if (nil(value)) return null;
    numeric(name, value);
    const places = digits === undefined ? 0 : (wholeNumber(digits) ?? 0);
    const kind = numberKind(value);
    if ((kind === 'int' || kind === 'long') && places >= 0) return value;
    const scale = 10 ** places;
    const scaled = toNumber(value) * scale;
    const result = (away ? halfToEven(scaled) : Math.trunc(scaled)) / scale;
    return kind === 'int' || kind === 'long' ? wholeResult(BigInt(Math.trunc(result))) : kind === 'decimal' ? Decimal128.fromString(String(result)) : doubleValue(result);
  };
}

function halfToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 ? floor + 1 : rest < 0.5 ? floor : floor % 2 === 0 ? floor : floor + 1;
}

function realFunction(compute: (value: number) => number): ValueOperator {
  return fixed(1, ([value], name) => {
    if (nil(value)) return null;
    numeric(name, value);
    return doubleValue(compute(toNumber(value)));
  });
}

const pow: Run = ([a, b], name) => {
  if (nil(a) || nil(b)) return null;
  numeric(name, a);
  numeric(name, b);
  const result = toNumber(a) ** toNumber(b);
  const whole = ['int', 'long'].includes(numberKind(a)) && ['int', 'long'].includes(numberKind(b)) && toNumber(b) >= 0 && Number.isSafeInteger(result);
  return whole ? wholeResult(BigInt(result)) : doubleValue(result);
};

const abs: Run = ([value], name) => {
  if (nil(value)) return null;
  numeric(name, value);
  return compare(value, 0) < 0 ? multiply(value, -1) : value;
};

function requireArray(name: string, value: unknown, code = 28664): unknown[] {
  if (!Array.isArray(value)) throw new CommandError(code, `The argument to ${name} must be an array, but was of type: ${bsonTypeName(value)}`);
  return value;
}

const elementAt: Run = ([list, index], name) => {
  if (nil(list) || nil(index)) return null;
  const at = wholeNumber(index);
  if (at === null) throw new CommandError(28690, `${name}'s second argument must be a numeric value, but is ${bsonTypeName(index)}`);
  return requireArray(name, list, 28689).at(at);
};

const slice: Run = ([list, first, second], name) => {
  if (nil(list) || nil(first)) return null;
  const items = requireArray(name, list, 28724);
  const [a, b] = [wholeNumber(first), second === undefined ? null : wholeNumber(second)];
  if (a === null) throw new CommandError(28725, 'Second argument to $slice must be numeric');
  if (b === null) return a >= 0 ? items.slice(0, a) : items.slice(a);
  if (b <= 0) throw new CommandError(28729, 'Third argument to $slice must be positive');
  const start = a < 0 ? Math.max(0, items.length + a) : a;
  return items.slice(start, start + b);
};

const concatArrays: Run = (args, name) => (args.some(nil) ? null : args.flatMap((list) => requireArray(name, list)));

const indexOfArray: Run = ([list, wanted, start = 0, end]) => {
  if (nil(list)) return null;
  const items = requireArray('$indexOfArray', list, 40090);
  const stop = end === undefined ? items.length : Math.min(items.length, wholeNumber(end) ?? 0);
  for (let i = wholeNumber(start) ?? 0; i < stop; i++) if (equals(items[i], wanted)) return i;
  return -1;
};

const range: Run = ([start, end, step = 1]) => {
  const [from, to, by] = [wholeNumber(start), wholeNumber(end), wholeNumber(step)];
  if (from === null || to === null || by === null) throw new CommandError(34443, '$range requires whole 32-bit numbers');
  if (by === 0) throw new CommandError(34449, '$range requires a non-zero step value');
  if (Math.abs((to - from) / by) > 5_000_000) throw new CommandError(146, '$range would use too much memory');
  const list: number[] = [];
  for (let i = from; by > 0 ? i < to : i > to; i += by) list.push(i);
  return list;
};

const arrayToObject: Run = ([list], name) => {
  if (nil(list)) return null;
  const doc: Doc = {};
  for (const item of requireArray(name, list, 40386)) {
    const [key, value] = Array.isArray(item) ? item : isObject(item) ? [item['k'], item['v']] : [undefined, undefined];
    if (typeof key !== 'string') throw new CommandError(40395, '$arrayToObject requires an array of key and value pairs, where the key must be of type string');
    doc[key] = value ?? null;
  }
  return doc;
};

const objectToArray: Run = ([doc]) => {
  if (nil(doc)) return null;
  if (!isObject(doc)) throw new CommandError(40390, `$objectToArray requires a document input, found: ${bsonTypeName(doc)}`);
  return Object.entries(doc).map(([k, v]) => ({ k, v }));
};

const mergeObjects: Run = (args) => {
  const list = args.length === 1 && Array.isArray(args[0]) ? args[0] : args;
  const doc: Doc = {};
  for (const one of list) {
    if (nil(one)) continue;
    if (!isObject(one)) throw new CommandError(40400, `$mergeObjects requires object inputs, but input ${String(one)} is of type ${bsonTypeName(one)}`);
    Object.assign(doc, one);
  }
  return doc;
};

function distinct(list: readonly unknown[]): Map<string, unknown> {
  return new Map(list.map((item) => [valueKey(item), item]));
}

function sets(args: unknown[], name: string): Map<string, unknown>[] | null {
  if (args.some(nil)) return null;
  return args.map((list) => distinct(requireArray(name, list, 17043)));
}

const union: Run = (args, name) => {
  const all = sets(args, name);
  return all ? [...new Map(all.flatMap((set) => [...set])).values()].sort(compare) : null;
};
const intersection: Run = (args, name) => {
  const all = sets(args, name);
  return all ? [...(all[0] ?? new Map<string, unknown>())].filter(([key]) => all.every((set) => set.has(key))).map(([, value]) => value).sort(compare) : null;
};
const difference: Run = (args, name) => {
  const all = sets(args, name);
  return all ? [...all[0]!].filter(([key]) => !all[1]!.has(key)).map(([, value]) => value) : null;
};

const concat: Run = (args) => {
  if (args.some(nil)) return null;
  for (const value of args) if (typeof value !== 'string') throw new CommandError(16702, `$concat only supports strings, not ${bsonTypeName(value)}`);
  return args.join('');
};

function text(value: unknown): string {
  if (nil(value)) return '';
  if (typeof value === 'string') return value;
  return convert(value, 'string') as string;
}

/** `$toInt` and the like: null stays null. */
function converting(type: string): ValueOperator {
  return fixed(1, ([value]) => (nil(value) ? null : convert(value, type)));
}

/** An accumulator used as an expression: over its arguments, or over the array that is its only one. */
function folding(name: string): ValueOperator {
  return between(0, MANY, (args) => {
    const state = ACCUMULATORS[name]!();
    for (const value of args.length === 1 && Array.isArray(args[0]) ? args[0] : args) state.add(value);
    return state.result();
  });
}

export const VALUE_OPERATORS: Record<string, ValueOperator> = {
  $eq: comparison((order) => order === 0), $ne: comparison((order) => order !== 0), $gt: comparison((order) => order > 0), $gte: comparison((order) => order >= 0),
  $lt: comparison((order) => order < 0), $lte: comparison((order) => order <= 0),
  $cmp: fixed(2, ([a, b]) => Math.sign(a === undefined || b === undefined ? (a === b ? 0 : a === undefined ? -1 : 1) : compare(a, b))),
  $not: fixed(1, ([value]) => !truthy(value)),
  $add: between(0, MANY, addAll), $subtract: fixed(2, subtract), $divide: fixed(2, divide), $mod: fixed(2, mod), $abs: fixed(1, abs), $pow: fixed(2, pow),
  $multiply: between(0, MANY, (args, name) => {
    if (args.some(nil)) return null;
    for (const value of args) numeric(name, value);
    return args.reduce((product, value) => multiply(product, value), 1);
  }),
  $ceil: rounding(Math.ceil), $floor: rounding(Math.floor), $round: between(1, 2, roundTo(true)), $trunc: between(1, 2, roundTo(false)),
  $sqrt: realFunction(Math.sqrt), $exp: realFunction(Math.exp), $ln: realFunction(Math.log), $log10: realFunction(Math.log10),
  $arrayElemAt: fixed(2, elementAt), $slice: between(2, 3, slice), $concatArrays: between(0, MANY, concatArrays), $indexOfArray: between(2, 4, indexOfArray), $range: between(2, 3, range),
  $first: fixed(1, ([list], name) => (nil(list) ? null : requireArray(name, list, 28689)[0])),
  $last: fixed(1, ([list], name) => (nil(list) ? null : requireArray(name, list, 28689).at(-1))),
  $size: fixed(1, ([list], name) => requireArray(name, list, 17124).length),
  $isArray: fixed(1, ([value]) => Array.isArray(value)),
  $in: fixed(2, ([value, list], name) => requireArray(name, list, 40081).some((item) => equals(item, value))),
  $reverseArray: fixed(1, ([list], name) => (nil(list) ? null : requireArray(name, list, 34435).toReversed())),
  $arrayToObject: fixed(1, arrayToObject), $objectToArray: fixed(1, objectToArray), $mergeObjects: between(0, MANY, mergeObjects),
  $setUnion: between(0, MANY, union), $setIntersection: between(0, MANY, intersection), $setDifference: fixed(2, difference),
  $setEquals: between(2, MANY, (args, name) => {
    const all = sets(args, name) ?? [];
    return all.every((set) => set.size === all[0]!.size && [...set.keys()].every((key) => all[0]!.has(key)));
  }),
  $setIsSubset: fixed(2, (args, name) => {
    const all = sets(args, name);
    return all !== null && [...all[0]!.keys()].every((key) => all[1]!.has(key));
  }),
  $anyElementTrue: fixed(1, ([list], name) => requireArray(name, list, 17041).some(truthy)),
  $allElementsTrue: fixed(1, ([list], name) => requireArray(name, list, 17040).every(truthy)),
  $concat: between(0, MANY, concat),
  $toUpper: fixed(1, ([value]) => text(value).replaceAll(/[a-z]+/g, (part) => part.toUpperCase())),
  $toLower: fixed(1, ([value]) => text(value).replaceAll(/[A-Z]+/g, (part) => part.toLowerCase())),
  $strcasecmp: fixed(2, ([a, b]) => Math.sign(compare(text(a).toUpperCase(), text(b).toUpperCase()))),
  $type: fixed(1, ([value]) => bsonTypeName(value)),
  $isNumber: fixed(1, ([value]) => isNumber(value)),
  $toInt: converting('int'), $toLong: converting('long'), $toDouble: converting('double'), $toDecimal: converting('decimal'), $toString: converting('string'), $toBool: converting('bool'),
  $toDate: converting('date'), $toObjectId: converting('objectId'),
  $sum: folding('$sum'), $avg: folding('$avg'), $min: folding('$min'), $max: folding('$max'), $stdDevPop: folding('$stdDevPop'), $stdDevSamp: folding('$stdDevSamp'),
  $indexOfCP: between(2, 4, ([value, wanted, start = 0, end]) => {
    if (nil(value)) return null;
    const [points, parts] = [Array.from(text(value)), Array.from(text(wanted))];
    const stop = Math.min(points.length, end === undefined ? points.length : (wholeNumber(end) ?? 0)) - parts.length;
    for (let i = wholeNumber(start) ?? 0; i <= stop; i++) if (parts.every((part, j) => points[i + j] === part)) return i;
    return -1;
  }),
  $bsonSize: fixed(1, ([doc]) => (nil(doc) ? null : encode(doc as Doc).length)),
  $binarySize: fixed(1, ([value]) => (nil(value) ? null : value instanceof Binary ? value.position : Buffer.byteLength(text(value)))),
  $tsSecond: fixed(1, ([value]) => (value instanceof Timestamp ? BigInt(value.t) : null)),
  $tsIncrement: fixed(1, ([value]) => (value instanceof Timestamp ? BigInt(value.i) : null)),
  $rand: between(0, 1, () => Math.random()),
};
