/** The operators on arrays, sets and objects. */
import type { Doc } from './bson-decode.js';
import { compare, equals, isObject } from './bson-order.js';
import { CommandError } from './command-error.js';
import { bsonTypeName, wholeNumber } from './match-leaf.js';
import { truthy } from './match.js';
import { valueKey } from './value-key.js';
import { between, fixed, MANY, named, nil, requireArray, type Run, type ValueOperator } from './value-operator.js';

/** Also for the one name that plain assignment would take for the prototype. */
function setOwn(doc: Doc, name: string, value: unknown): void {
  Object.defineProperty(doc, name, { value, enumerable: true, configurable: true, writable: true });
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
  if ((to - from) / by > 5_000_000) throw new CommandError(146, '$range would use too much memory');
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
    setOwn(doc, key, value ?? null);
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

const zip: Run = ([spec], name) => {
  if (!isObject(spec)) throw new CommandError(34460, `$zip only supports an object as an argument, found ${bsonTypeName(spec)}`);
  for (const key in spec) if (!['inputs', 'useLongestLength', 'defaults'].includes(key)) throw new CommandError(34464, `$zip found an unknown argument: ${key}`);
  const { inputs, useLongestLength = false, defaults = null } = spec;
  if (!Array.isArray(inputs)) throw new CommandError(34461, `inputs must be an array of expressions, found ${bsonTypeName(inputs)}`);
  if (inputs.length === 0) throw new CommandError(34465, '$zip requires at least one input array');
  if (typeof useLongestLength !== 'boolean') throw new CommandError(34463, 'useLongestLength must be a bool');
  if (defaults !== null && !useLongestLength) throw new CommandError(34466, 'cannot specify defaults unless useLongestLength is true');
  if (defaults !== null && (!Array.isArray(defaults) || defaults.length !== inputs.length)) throw new CommandError(34467, 'defaults and inputs must have the same length');
  if (inputs.some(nil)) return null;
  const lists = inputs.map((list) => requireArray(name, list, 34468));
  const lengths = lists.map((list) => list.length);
  const length = useLongestLength ? Math.max(...lengths) : Math.min(...lengths);
  return Array.from({ length }, (_, i) => lists.map((list, which) => (i < list.length ? list[i] : ((defaults as unknown[] | null)?.[which] ?? null))));
};

/** `$firstN`, `$lastN`, `$minN`, `$maxN` of an array. */
function several(pick: (items: unknown[], n: number) => unknown[]): ValueOperator {
  return named(([spec], name) => {
    if (!isObject(spec) || !('n' in spec) || !('input' in spec)) throw new CommandError(5787906, `${name} requires an object with 'n' and 'input'`);
    const n = wholeNumber(spec['n']);
    if (n === null || n < 1) throw new CommandError(5787908, `'n' must be greater than 0, found ${String(spec['n'])}`);
    return pick(requireArray(name, spec['input'], 5788200), n);
  });
}

const ordered = (items: readonly unknown[], sign: 1 | -1): unknown[] => items.filter((item) => !nil(item)).sort((a, b) => sign * compare(a, b));

export const LIST_OPERATORS: Record<string, ValueOperator> = {
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
  $zip: named(zip),
  $firstN: several((items, n) => items.slice(0, n)), $lastN: several((items, n) => items.slice(-n)), $minN: several((items, n) => ordered(items, 1).slice(0, n)), $maxN: several((items, n) => ordered(items, -1).slice(0, n)),
};
