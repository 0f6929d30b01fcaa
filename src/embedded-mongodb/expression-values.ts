/** The operators on evaluated values: comparison, types, conversion, accumulators over arrays; and the table of all of them. */
import { Binary, Timestamp } from 'bson';
import { ACCUMULATORS } from './accumulators.js';
import { isNumber, toNumber } from './arithmetic.js';
import { encode } from './bson-encode.js';
import { compare, isObject } from './bson-order.js';
import { CommandError } from './command-error.js';
import { convert } from './expression-convert.js';
import { DATE_OPERATORS } from './expression-dates.js';
import { LIST_OPERATORS } from './expression-lists.js';
import { MATH_OPERATORS } from './expression-math.js';
import { STRING_OPERATORS } from './expression-strings.js';
import { bsonTypeName } from './match-leaf.js';
import { truthy } from './match.js';
import { percentileRanks, percentiles } from './percentile.js';
import { between, fixed, MANY, named, nil, type ValueOperator } from './value-operator.js';

function comparison(holds: (order: number) => boolean): ValueOperator {
  return fixed(2, ([a, b]) => holds(a === undefined || b === undefined ? (a === b ? 0 : a === undefined ? -1 : 1) : compare(a, b)));
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

function timestamp(value: unknown): Timestamp {
  if (!(value instanceof Timestamp)) throw new CommandError(5687301, `the argument must be a timestamp, but is ${bsonTypeName(value)}`);
  return value;
}

const percentileOf: ValueOperator = named(([spec], name) => {
  const found = isObject(spec) ? spec : null;
  const ranks = percentileRanks(name, found, found?.['p']);
  const input = found!['input'];
  return percentiles((Array.isArray(input) ? input : [input]).filter(isNumber).map(toNumber), name, ranks);
});

export const VALUE_OPERATORS: Record<string, ValueOperator> = {
  ...MATH_OPERATORS, ...STRING_OPERATORS, ...DATE_OPERATORS, ...LIST_OPERATORS,
  $eq: comparison((order) => order === 0), $ne: comparison((order) => order !== 0), $gt: comparison((order) => order > 0), $gte: comparison((order) => order >= 0),
  $lt: comparison((order) => order < 0), $lte: comparison((order) => order <= 0),
  $cmp: fixed(2, ([a, b]) => Math.sign(a === undefined || b === undefined ? (a === b ? 0 : a === undefined ? -1 : 1) : compare(a, b))),
  $not: fixed(1, ([value]) => !truthy(value)),
  $type: fixed(1, ([value]) => bsonTypeName(value)),
  $isNumber: fixed(1, ([value]) => isNumber(value)),
  $toInt: converting('int'), $toLong: converting('long'), $toDouble: converting('double'), $toDecimal: converting('decimal'), $toString: converting('string'), $toBool: converting('bool'),
  $toDate: converting('date'), $toObjectId: converting('objectId'),
  $sum: folding('$sum'), $avg: folding('$avg'), $min: folding('$min'), $max: folding('$max'), $stdDevPop: folding('$stdDevPop'), $stdDevSamp: folding('$stdDevSamp'),
  $median: percentileOf, $percentile: percentileOf,
  $bsonSize: fixed(1, ([doc], name) => {
    if (nil(doc)) return null;
    if (!isObject(doc)) throw new CommandError(31393, `${name} requires a document input, found: ${bsonTypeName(doc)}`);
    return encode(doc).length;
  }),
  $binarySize: fixed(1, ([value], name) => {
    if (nil(value)) return null;
    if (value instanceof Binary) return value.position;
    if (typeof value !== 'string') throw new CommandError(51276, `${name} requires a string or BinData argument, found: ${bsonTypeName(value)}`);
    return Buffer.byteLength(value);
  }),
  $tsSecond: fixed(1, ([value]) => (nil(value) ? null : BigInt(timestamp(value).t))),
  $tsIncrement: fixed(1, ([value]) => (nil(value) ? null : BigInt(timestamp(value).i))),
  $rand: between(0, 1, () => Math.random()),
};
