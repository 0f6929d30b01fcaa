/** What an operator on evaluated values is, for the files that hold them. */
import { isNumber } from './arithmetic.js';
import { CommandError } from './command-error.js';
import { bsonTypeName } from './match-leaf.js';

/** Gets the values of the arguments (undefined where missing) and the operator's name. */
export type Run = (args: unknown[], name: string) => unknown;

export interface ValueOperator {
  /** How many arguments it takes. */
  min: number;
  max: number;
  /** It takes an object of named arguments: those that are missing are given as null. */
  named?: boolean;
  run: Run;
}

export const MANY = 100_000;

export const fixed = (count: number, run: Run): ValueOperator => ({ min: count, max: count, run });
/** One argument: an object of named ones (or whatever else the operator takes). */
export const named = (run: Run): ValueOperator => ({ min: 1, max: 1, named: true, run });
export const between = (min: number, max: number, run: Run): ValueOperator => ({ min, max, run });
export const nil = (value: unknown): value is null | undefined => value === null || value === undefined;

/** @throws CommandError when the value is no number */
export function numeric(name: string, value: unknown): void {
  if (!isNumber(value)) throw new CommandError(name === '$add' || name === '$multiply' ? 14 : name === '$round' || name === '$trunc' ? 51081 : 28765, `${name} only supports numeric types, not ${bsonTypeName(value)}`);
}

/** @throws CommandError with `code` when the value is no array */
export function requireArray(name: string, value: unknown, code = 28664): unknown[] {
  if (!Array.isArray(value)) throw new CommandError(code, `The argument to ${name} must be an array, but was of type: ${bsonTypeName(value)}`);
  return value;
}
