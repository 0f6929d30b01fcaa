/** One output of `$setWindowFields`: which neighbours of a document it takes, and what it makes of them. */
import type { Doc } from './bson-decode.js';
import { isObject } from './bson-order.js';
import { compileAccumulator, type AccumulatorField } from './accumulator-fields.js';
import { isNumber, toNumber } from './arithmetic.js';
import { CommandError, failedToParse } from './command-error.js';
import { addUnits, unitOf } from './calendar.js';
import { countStep } from './budget.js';
import { wholeNumber } from './match-leaf.js';
import type { SortPart } from './sort.js';
import { lazily, WINDOW_FUNCTIONS, type Partition } from './window-functions.js';

export interface WindowField {
  path: string[];
  /** A partition's values, to be asked for from the first position to the last. */
  open(partition: Partition): WindowReader;
}

export interface WindowReader {
  /** Does a piece of the work for a position; false when more is to be done before it can be read. */
  prepare(at: number): boolean;
  read(at: number): unknown;
}

/** Values that one call of `prepare` takes in. */
const PIECE = 512;

/** First and last position of each document's window; the last is before the first when it is empty. */
type Bounds = (at: number) => [number, number];

/** @throws CommandError when the output is not valid */
export function compileWindow(path: string, output: unknown, sort: readonly SortPart[], variables: Doc): WindowField {
  if (!isObject(output)) throw failedToParse(`The field '${path}' must be an object`);
  const { window, ...rest } = output;
  const [operator, ...others] = Object.keys(rest);
  if (operator === undefined || others.length > 0) throw failedToParse(`Expected exactly one window function for field '${path}'`);
  if (window !== undefined && !isObject(window)) throw failedToParse("'window' field must be an object");
  const parts = path.split('.');
  const special = WINDOW_FUNCTIONS[operator];
  if (special) {
    if (window && !special.takesWindow) throw new CommandError(5371601, `'${operator}' does not accept a 'window' field`);
    const make = special.compile(rest[operator], { sort, variables });
    return { path: parts, open: (partition) => ({ prepare: () => true, read: make(partition, boundsOf(window, partition)) }) };
  }
  const field = compileAccumulator(path, operator, rest[operator], variables);
  checkWindow(window, sort);
  return { path: parts, open: (partition) => accumulate(field, partition, window) };
}

function checkWindow(window: Doc | undefined, sort: readonly SortPart[]): void {
  if (!window) return;
  if ('documents' in window && 'range' in window) throw failedToParse("'window' field can only specify one of 'documents' or 'range'");
  for (const name in window) if (!['documents', 'range', 'unit'].includes(name)) throw failedToParse(`'window' field has an unknown option '${name}'`);
  const pair = window['documents'] ?? window['range'];
  if (pair === undefined) return;
  if (!Array.isArray(pair) || pair.length !== 2) throw failedToParse("Window bounds must be a 2-element array");
  if ('documents' in window && sort.length === 0 && !pair.every((bound) => bound === 'unbounded')) throw new CommandError(5339901, "Document-based bounds require a sortBy");
  if ('range' in window && sort.length !== 1) throw new CommandError(5339902, "Range-based bounds require sortBy a single field");
  for (const bound of pair) if (typeof bound === 'string' ? bound !== 'unbounded' && bound !== 'current' : !isNumber(bound)) throw failedToParse("Window bounds must be 'unbounded', 'current', or a number.");
}

/** Grows one state while the window only grows; otherwise goes over each window anew. */
function accumulate(field: AccumulatorField, partition: Partition, window: Doc | undefined): WindowReader {
  const bounds = boundsOf(window, partition);
  const value = lazily((at) => field.value(partition.docs[at]!));
  let state = field.make();
  let [from, to] = [0, -1];
  return {
    prepare: (at) => {
      const [low, high] = bounds(at);
      if (low !== from || high < to) {
        state = field.make();
        from = low;
        to = low - 1;
      }
      for (const end = Math.min(high, to + PIECE); to < end; ) {
        countStep();
        state.add(value(++to));
      }
      return to >= high;
    },
    read: () => {
      const result = state.result();
      return Array.isArray(result) ? [...result as unknown[]] : result;
    },
  };
}

function boundsOf(window: Doc | undefined, partition: Partition): Bounds {
  const last = partition.docs.length - 1;
  if (window && 'documents' in window) {
    const [low, high] = window['documents'] as [unknown, unknown];
    const lower = (at: number): number => (low === 'unbounded' ? 0 : Math.max(0, at + (low === 'current' ? 0 : wholeNumber(low)!)));
    const upper = (at: number): number => (high === 'unbounded' ? last : Math.min(last, at + (high === 'current' ? 0 : wholeNumber(high)!)));
    return (at) => [lower(at), upper(at)];
  }
  if (window && 'range' in window) return rangeBounds(window, partition);
  return () => [0, last];
}

/** A value as a number on the axis of a range: dates with a unit, numbers without. */
function axisValue(value: unknown, unit: unknown): number {
  if (unit === undefined) {
    if (!isNumber(value)) throw new CommandError(5429414, "Invalid range: Expected the sortBy field to be a number, but it was not");
    return toNumber(value);
  }
  if (!(value instanceof Date)) throw new CommandError(5429513, 'Invalid range: Expected the sortBy field to be a Date');
  return value.getTime();
}

/** Moves a value of the axis by an amount of the unit. */
function moved(value: number, amount: number, unit: unknown): number {
  return unit === undefined ? value + amount : addUnits(value, unitOf(unit, '$setWindowFields'), amount);
}

function rangeBounds(window: Doc, partition: Partition): Bounds {
  const [low, high] = window['range'] as [unknown, unknown];
  const { unit } = window;
  const axis = lazily((at) => (low === 'unbounded' && high === 'unbounded' ? 0 : axisValue(partition.keys[at]![0], unit)));
  const sign = partition.sort[0]!.direction;
  const last = partition.keys.length - 1;
  const edge = (at: number, bound: unknown): number => (bound === 'current' ? axis(at) : moved(axis(at), sign * toNumber(bound), unit));
  let [from, to] = [0, -1];
  return (at) => {
    const [least, most] = [low === 'unbounded' ? null : edge(at, low), high === 'unbounded' ? null : edge(at, high)];
    if (least === null) from = 0;
    else while (from <= last && sign * (axis(from) - least) < 0) from++;
    if (most === null) to = last;
    else while (to < last && sign * (axis(to + 1) - most) <= 0) to++;
    return [from, to];
  };
}
