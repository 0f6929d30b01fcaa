/** The accumulators of `$group` and of windows: each starts empty, takes values one by one, and gives a result. */
import { Decimal128 } from 'bson';
import { add, isNumber, toNumber } from './arithmetic.js';
import { doubleValue, type Doc } from './bson-decode.js';
import { compare, isObject } from './bson-order.js';
import { CommandError } from './command-error.js';
import { divideExact, exact, toDecimal128 } from './decimal.js';
import { valueKey } from './value-key.js';
import type { Account } from './memory-account.js';

export interface Accumulator {
  add(value: unknown): void;
  result(): unknown;
}

/** `account`, when given, counts what is kept. */
export type MakeAccumulator = (account?: Account) => Accumulator;

const nil = (value: unknown): boolean => value === null || value === undefined;

function sum(): Accumulator {
  let total: unknown = 0;
  return {
    add: (value) => {
      if (isNumber(value)) total = addLeniently(total, value);
    },
    result: () => total,
  };
}

/** Sums leave int64 for a double when they grow beyond it. */
function addLeniently(a: unknown, b: unknown): unknown {
  try {
    return add(a, b);
  } catch {
    return doubleValue(toNumber(a) + toNumber(b));
  }
}

function avg(): Accumulator {
  const total = sum();
  let count = 0;
  return {
    add: (value) => {
      if (!isNumber(value)) return;
      total.add(value);
      count++;
    },
    result: () => {
      if (count === 0) return null;
      const value = total.result();
      return value instanceof Decimal128 ? toDecimal128(divideExact(exact(value), exact(count))) : doubleValue(toNumber(value) / count);
    },
  };
}

function extreme(sign: 1 | -1): MakeAccumulator {
  return () => {
    let best: unknown = null;
    let any = false;
    return {
      add: (value) => {
        if (nil(value)) return;
        if (!any || sign * compare(value, best) > 0) best = value;
        any = true;
      },
      result: () => best,
    };
  };
}

function deviation(sample: boolean): MakeAccumulator {
  return () => {
    let [count, mean, squares] = [0, 0, 0];
    return {
      add: (value) => {
        if (!isNumber(value)) return;
        const number = toNumber(value);
        count++;
        const delta = number - mean;
        mean += delta / count;
        squares += delta * (number - mean);
      },
      result: () => (count < (sample ? 2 : 1) ? null : doubleValue(Math.sqrt(squares / (count - (sample ? 1 : 0))))),
    };
  };
}

function first(): Accumulator {
  let any = false;
  let kept: unknown = null;
  return {
    add: (value) => {
      if (!any) kept = value ?? null;
      any = true;
    },
    result: () => kept,
  };
}

function last(): Accumulator {
  let kept: unknown = null;
  return { add: (value) => void (kept = value ?? null), result: () => kept };
}

const push: MakeAccumulator = (account) => {
  const list: unknown[] = [];
  const take = (value: unknown): void => {
    if (value === undefined) return;
    account?.hold(value);
    list.push(value);
  };
  return { add: take, result: () => list };
};

const addToSet: MakeAccumulator = (account) => {
  const known = new Map<string, unknown>();
  const take = (value: unknown): void => {
    if (value === undefined) return;
    const key = valueKey(value);
    if (known.has(key)) return;
    account?.holdBytes(key.length * 2 + 100);
    known.set(key, value);
  };
  return { add: take, result: () => [...known.values()] };
};

function mergeObjects(): Accumulator {
  const doc: Doc = {};
  return {
    add: (value) => {
      if (nil(value)) return;
      if (!isObject(value)) throw new CommandError(40400, '$mergeObjects requires object inputs');
      Object.assign(doc, value);
    },
    result: () => doc,
  };
}

export const ACCUMULATORS: Record<string, MakeAccumulator> = {
  $sum: sum, $avg: avg, $min: extreme(-1), $max: extreme(1), $stdDevPop: deviation(false), $stdDevSamp: deviation(true), $first: first, $last: last, $push: push,
  $addToSet: addToSet, $mergeObjects: mergeObjects,
};
