/** The accumulators of `$group`: each starts empty, takes values one by one, and gives a result. */
import { Decimal128 } from 'bson';
import { add, isNumber, toNumber } from './arithmetic.js';
import { doubleValue, type Doc } from './bson-decode.js';
import { compare, equals, isObject } from './bson-order.js';
import { CommandError } from './command-error.js';
import { exact, toDecimal128 } from './decimal.js';

export interface Accumulator {
  add(value: unknown): void;
  result(): unknown;
}

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
      if (!(value instanceof Decimal128)) return doubleValue(toNumber(value) / count);
      const parts = exact(value);
      return typeof parts === 'string' ? value : toDecimal128({ digits: (parts.digits * 10n ** 40n) / BigInt(count), exponent: parts.exponent - 40 });
    },
  };
}

function extreme(sign: 1 | -1): () => Accumulator {
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

function deviation(sample: boolean): () => Accumulator {
  return () => {
    const values: number[] = [];
    return {
      add: (value) => void (isNumber(value) && values.push(toNumber(value))),
      result: () => {
        if (values.length < (sample ? 2 : 1)) return null;
        const mean = values.reduce((total, value) => total + value, 0) / values.length;
        const squares = values.reduce((total, value) => total + (value - mean) ** 2, 0);
        return doubleValue(Math.sqrt(squares / (values.length - (sample ? 1 : 0))));
      },
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

function push(): Accumulator {
  const list: unknown[] = [];
  return { add: (value) => void (value !== undefined && list.push(value)), result: () => list };
}

function addToSet(): Accumulator {
  const list: unknown[] = [];
  const scalars = new Set<unknown>();
  return {
    add: (value) => {
      if (value === undefined) return;
      const simple = typeof value === 'string' || typeof value === 'boolean';
      if (simple ? scalars.has(value) : list.some((known) => equals(known, value))) return;
      if (simple) scalars.add(value);
      list.push(value);
    },
    result: () => list,
  };
}

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

export const ACCUMULATORS: Record<string, () => Accumulator> = {
  $sum: sum, $avg: avg, $min: extreme(-1), $max: extreme(1), $stdDevPop: deviation(false), $stdDevSamp: deviation(true), $first: first, $last: last, $push: push,
  $addToSet: addToSet, $mergeObjects: mergeObjects,
};
