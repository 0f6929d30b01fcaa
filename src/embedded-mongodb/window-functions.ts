/** The window functions that are no accumulators: ranks, shifts, rates of change, sums under curves, gaps filled. */
import { add, isNumber, multiply, toNumber } from './arithmetic.js';
import { doubleValue, type Doc } from './bson-decode.js';
import { isObject } from './bson-order.js';
import { CommandError, failedToParse } from './command-error.js';
import { compileExpression } from './expression.js';
import { wholeNumber } from './match-leaf.js';
import { compareSortKeys, type SortPart } from './sort.js';

export interface Partition {
  docs: readonly Doc[];
  keys: readonly (readonly unknown[])[];
  sort: readonly SortPart[];
}

/** Whether two positions of a partition have the same sort key. */
export function sameKey(partition: Partition, a: number, b: number): boolean {
  return compareSortKeys(partition.keys[a]!, partition.keys[b]!, partition.sort) === 0;
}

/** Values that are found one after another, each when it is first asked for: a partition may be long, and others wait. */
export function lazily<T>(find: (at: number) => T): (at: number) => T {
  const values: T[] = [];
  return (at) => {
    while (values.length <= at) values.push(find(values.length));
    return values[at]!;
  };
}

type Read = (at: number) => unknown;
type Make = (partition: Partition, bounds: (at: number) => [number, number]) => Read;

interface WindowFunction {
  takesWindow: boolean;
  /** @throws CommandError when the argument is not valid */
  compile(argument: unknown, context: { sort: readonly SortPart[]; variables: Doc }): Make;
}

function requireSort(name: string, sort: readonly SortPart[], single = false): void {
  if (sort.length === 0) throw new CommandError(5371602, `'${name}' must be specified with a 'sortBy' expression`);
  if (single && sort.length !== 1) throw new CommandError(5371602, `'${name}' must be specified with a top level sortBy expression with exactly one element`);
}

function ranked(name: string, count: (partition: Partition) => Read): WindowFunction {
  return {
    takesWindow: false,
    compile: (argument, { sort }) => {
      if (!isObject(argument) || Object.keys(argument).length > 0) throw new CommandError(5371603, `'${name}' must be specified with '{}' as the value`);
      requireSort(name, sort, name !== '$documentNumber');
      return count;
    },
  };
}

function rank(dense: boolean): (partition: Partition) => Read {
  return (partition) => {
    let before = 0;
    return lazily((at) => (before = at > 0 && sameKey(partition, at, at - 1) ? before : dense ? before + 1 : at + 1));
  };
}

const shift: WindowFunction = {
  takesWindow: false,
  compile: (argument, { sort, variables }) => {
    if (!isObject(argument)) throw failedToParse("Argument to $shift must be an object");
    requireSort('$shift', sort);
    const by = wholeNumber(argument['by']);
    if (by === null) throw failedToParse("'$shift:by' field must be an integer");
    const [output, otherwise] = [compileExpression(argument['output'], variables), 'default' in argument ? compileExpression(argument['default'], variables)({}) : null];
    return ({ docs }) => (at) => (docs[at + by] ? output(docs[at + by]!) : otherwise);
  },
};

/** Input values beside the places on the axis, in units of `unit`. */
function curve(name: string, argument: unknown, sort: readonly SortPart[], variables: Doc): (partition: Partition) => { x: (at: number) => number; y: Read } {
  if (!isObject(argument) || argument['input'] === undefined) throw failedToParse(`${name} requires an 'input' expression`);
  requireSort(name, sort, true);
  const input = compileExpression(argument['input'], variables);
  const unit = argument['unit'];
  const unitMs = unit === undefined ? 1 : { week: 604_800_000, day: 86_400_000, hour: 3_600_000, minute: 60_000, second: 1000, millisecond: 1 }[unit as string];
  if (unitMs === undefined) throw new CommandError(5490704, `unit must be 'week' or smaller`);
  const place = (value: unknown): number => {
    if (value instanceof Date ? unit === undefined : unit !== undefined || !isNumber(value)) throw new CommandError(5624900, `${name} where the sortBy is a Date requires a 'unit', and only then`);
    return value instanceof Date ? value.getTime() / unitMs : toNumber(value);
  };
  return ({ docs, keys }) => ({ x: lazily((at) => place(keys[at]![0])), y: lazily((at) => input(docs[at]!)) });
}

const derivative: WindowFunction = {
  takesWindow: true,
  compile: (argument, { sort, variables }) => {
    const read = curve('$derivative', argument, sort, variables);
    return (partition, bounds) => {
      const { x, y } = read(partition);
      return (at) => {
        const [from, to] = bounds(at);
        if (to <= from || !isNumber(y(from)) || !isNumber(y(to)) || x(to) === x(from)) return null;
        return doubleValue((toNumber(y(to)) - toNumber(y(from))) / (x(to) - x(from)));
      };
    };
  },
};

const integral: WindowFunction = {
  takesWindow: true,
  compile: (argument, { sort, variables }) => {
    const read = curve('$integral', argument, sort, variables);
    return (partition, bounds) => {
      const { x, y } = read(partition);
      let sum = 0;
      const under = lazily((at) => (sum += at === 0 ? 0 : ((x(at) - x(at - 1)) * (toNumber(y(at) ?? 0) + toNumber(y(at - 1) ?? 0))) / 2));
      return (at) => {
        const [from, to] = bounds(at);
        return to < from ? null : doubleValue(under(to) - under(from));
      };
    };
  },
};

const movingAverage: WindowFunction = {
  takesWindow: false,
  compile: (argument, { sort, variables }) => {
    if (!isObject(argument) || argument['input'] === undefined || 'N' in argument === 'alpha' in argument) throw failedToParse("$expMovingAvg requires 'input' and exactly one of 'N' and 'alpha'");
    requireSort('$expMovingAvg', sort);
    const alpha = 'alpha' in argument ? toNumber(argument['alpha']) : 2 / (toNumber(argument['N']) + 1);
    if (!(alpha > 0 && alpha <= 1)) throw failedToParse("'alpha' must be between 0 and 1 (exclusive)");
    const input = compileExpression(argument['input'], variables);
    return ({ docs }) => {
      let average: number | null = null;
      return lazily((at) => {
        const value = input(docs[at]!);
        if (isNumber(value)) average = average === null ? toNumber(value) : toNumber(value) * alpha + average * (1 - alpha);
        return average === null ? null : doubleValue(average);
      });
    };
  },
};

function covariance(sample: boolean): WindowFunction {
  return {
    takesWindow: true,
    compile: (argument, { variables }) => {
      if (!Array.isArray(argument) || argument.length !== 2) throw failedToParse('a covariance takes an array of two expressions');
      const [left, right] = argument.map((one) => compileExpression(one, variables)) as [(doc: Doc) => unknown, (doc: Doc) => unknown];
      return ({ docs }, bounds) => (at) => {
        const [from, to] = bounds(at);
        const pairs = docs.slice(from, to + 1).map((doc) => [left(doc), right(doc)]).filter((pair) => pair.every(isNumber)).map((pair) => pair.map(toNumber) as [number, number]);
        if (pairs.length < (sample ? 2 : 1)) return null;
        const mean = (i: 0 | 1): number => pairs.reduce((sum, pair) => sum + pair[i], 0) / pairs.length;
        const [x, y] = [mean(0), mean(1)];
        return doubleValue(pairs.reduce((sum, pair) => sum + (pair[0] - x) * (pair[1] - y), 0) / (pairs.length - (sample ? 1 : 0)));
      };
    },
  };
}

const carried: WindowFunction = {
  takesWindow: false,
  compile: (argument, { sort, variables }) => {
    requireSort('$locf', sort);
    const input = compileExpression(argument, variables);
    return ({ docs }) => {
      let kept: unknown = null;
      return lazily((at) => (kept = input(docs[at]!) ?? kept));
    };
  },
};

const linear: WindowFunction = {
  takesWindow: false,
  compile: (argument, { sort, variables }) => {
    requireSort('$linearFill', sort, true);
    const input = compileExpression(argument, variables);
    return ({ docs, keys }) => {
      let before = NaN;
      const x = lazily((at) => {
        const key = keys[at]![0];
        const place = key instanceof Date ? key.getTime() : toNumber(key);
        if (place === before) throw new CommandError(6050106, 'There can be no repeated values in the sort field');
        return (before = place);
      });
      const y = lazily((at) => {
        const value = input(docs[at]!) ?? null;
        if (value !== null && !isNumber(value)) throw new CommandError(6050201, 'Value to be filled must be numeric or nullish');
        return value;
      });
      const nearest = neighbours(y, docs.length);
      return (at) => {
        x(at);
        return y(at) ?? between(x, y, at, nearest(at));
      };
    };
  },
};

/** The nearest known values on both sides of each position that is asked for, from the first to the last. */
function neighbours(y: Read, length: number): (at: number) => [number, number] {
  let [seen, left, right] = [0, -1, 0];
  return (at) => {
    for (; seen <= at; seen++) if (y(seen) !== null) left = seen;
    if (right < at) right = at;
    while (right < length && y(right) === null) right++;
    return [left, right < length ? right : -1];
  };
}

/** The value on the line between two known ones. */
function between(x: (at: number) => number, y: Read, at: number, [left, right]: [number, number]): unknown {
  if (left < 0 || right < 0) return null;
  const share = (x(at) - x(left)) / (x(right) - x(left));
  return add(y(left), multiply(add(y(right), multiply(y(left), -1)), doubleValue(share)));
}

export const WINDOW_FUNCTIONS: Record<string, WindowFunction> = {
  $rank: ranked('$rank', rank(false)), $denseRank: ranked('$denseRank', rank(true)), $documentNumber: ranked('$documentNumber', () => (at) => at + 1),
  $shift: shift, $derivative: derivative, $integral: integral, $expMovingAvg: movingAverage, $covariancePop: covariance(false), $covarianceSamp: covariance(true),
  $locf: carried, $linearFill: linear,
};
