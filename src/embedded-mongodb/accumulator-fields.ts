/** An accumulator with its argument, as `$group`, `$bucket` and windows name them. */
import { ACCUMULATORS, type MakeAccumulator } from './accumulators.js';
import { isNumber, toNumber } from './arithmetic.js';
import type { Doc } from './bson-decode.js';
import { compare, isObject } from './bson-order.js';
import { CommandError } from './command-error.js';
import { compile, compileExpression } from './expression.js';
import { wholeNumber } from './match-leaf.js';
import { percentileRanks, percentiles } from './percentile.js';
import { compareSortKeys, parseSort, sortKey } from './sort.js';

/** One field of a `$group`: what is taken of each document, and what collects it. */
export interface AccumulatorField {
  name: string;
  make: MakeAccumulator;
  value: (doc: Doc) => unknown;
}

const nil = (value: unknown): boolean => value === null || value === undefined;

/** @throws CommandError when there is no such accumulator or its argument is not valid */
export function compileAccumulator(name: string, operator: string, argument: unknown, variables: Doc): AccumulatorField {
  if (operator === '$count') {
    if (!isObject(argument) || Object.keys(argument).length > 0) throw new CommandError(2, '$count takes no arguments, i.e. $count:{}');
    return { name, make: ACCUMULATORS['$sum']!, value: () => 1 };
  }
  if (/^\$(first|last|min|max)N$|^\$(top|bottom)N?$/.test(operator)) return compileSeveral(name, operator, argument, variables);
  if (operator === '$median' || operator === '$percentile') return compilePercentile(name, operator, argument, variables);
  const make = ACCUMULATORS[operator];
  if (!make) throw new CommandError(15952, `unknown group operator '${operator}'`);
  if (Array.isArray(argument)) throw new CommandError(40237, `The ${operator} accumulator is a unary operator`);
  return { name, make, value: compileExpression(argument, variables) };
}

interface Ranked {
  key: unknown[];
  value: unknown;
}

/** `$firstN`, `$maxN`, `$top`, `$topN` and their like: never more than a few times what they give is kept. */
function compileSeveral(name: string, operator: string, argument: unknown, variables: Doc): AccumulatorField {
  if (!isObject(argument)) throw new CommandError(5787900, `specification must be an object; found ${operator}`);
  const sorted = operator.startsWith('$top') || operator.startsWith('$bottom');
  const single = operator === '$top' || operator === '$bottom';
  const count = single ? 1 : wholeNumber(compile(argument['n'])({ root: {}, variables }));
  if (count === null || count < 1) throw new CommandError(5787908, `'n' must be greater than 0, found ${String(argument['n'])}`);
  if (sorted && !isObject(argument['sortBy'])) throw new CommandError(5788005, "Missing value for 'sortBy'");
  const parts = sorted ? parseSort(argument['sortBy'] as Doc) : [];
  const value = compileExpression(sorted ? argument['output'] : argument['input'], variables);
  const order = orderOf(operator, parts);
  const fromEnd = operator.startsWith('$last') || operator.startsWith('$bottom');
  const make: MakeAccumulator = (account) => {
    let list: Ranked[] = [];
    const cut = (): void => {
      if (order) list.sort(order);
      list = fromEnd ? list.slice(-count) : list.slice(0, count);
    };
    const take = (item: unknown): void => {
      if (order && !sorted && nil((item as Ranked).value)) return;
      if (operator === '$firstN' && list.length === count) return;
      list.push(item as Ranked);
      if (list.length > count * 2 + 100) cut();
      else account?.hold((item as Ranked).value);
    };
    const result = (): unknown => {
      cut();
      const values = list.map((item) => item.value ?? null);
      return single ? values[0] : values;
    };
    return { add: take, result };
  };
  return { name, make, value: (doc): Ranked => ({ key: sortKey(doc, parts), value: value(doc) }) };
}

function orderOf(operator: string, parts: ReturnType<typeof parseSort>): ((a: Ranked, b: Ranked) => number) | null {
  if (parts.length > 0) return (a, b) => compareSortKeys(a.key, b.key, parts);
  if (operator === '$minN') return (a, b) => compare(a.value, b.value);
  return operator === '$maxN' ? (a, b) => compare(b.value, a.value) : null;
}

function compilePercentile(name: string, operator: string, argument: unknown, variables: Doc): AccumulatorField {
  const spec = isObject(argument) ? argument : null;
  const ranks = percentileRanks(operator, spec, spec?.['p'] === undefined ? undefined : compile(spec['p'])({ root: {}, variables }));
  const make: MakeAccumulator = (account) => {
    const numbers: number[] = [];
    const take = (value: unknown): void => {
      if (!isNumber(value)) return;
      account?.holdBytes(8);
      numbers.push(toNumber(value));
    };
    return { add: take, result: () => percentiles(numbers, operator, ranks) };
  };
  return { name, make, value: compileExpression(spec!['input'], variables) };
}
