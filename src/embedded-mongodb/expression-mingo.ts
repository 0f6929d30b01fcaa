/** The operators that mingo evaluates: given values that were computed here, in the form that it knows. */
import { Decimal128, Double } from 'bson';
import { Context, evalExpr } from 'mingo/core';
import * as accumulators from 'mingo/operators/accumulator';
import * as expressions from 'mingo/operators/expression';
import * as stages from 'mingo/operators/pipeline';
import * as queries from 'mingo/operators/query';
import * as projections from 'mingo/operators/projection';
import * as windows from 'mingo/operators/window';
import { doubleValue, type Doc } from './bson-decode.js';
import { isObject } from './bson-order.js';
import { CommandError } from './command-error.js';
import type { Compile, Evaluate } from './expression.js';

export const MINGO_CONTEXT = Context.init({ accumulator: accumulators, expression: expressions, pipeline: stages, query: queries, projection: projections, window: windows });

const OPTIONS = { context: MINGO_CONTEXT } as never;
const REFUSED = new Set(['$function', '$where', '$accumulator', '$expr', '$jsonSchema', '$toHashedIndexKey']);
/** Their results are doubles even when they are whole. */
const DOUBLE_RESULTS = new Set(['$sin', '$cos', '$tan', '$asin', '$acos', '$atan', '$atan2', '$sinh', '$cosh', '$tanh', '$asinh', '$acosh', '$atanh', '$degreesToRadians', '$radiansToDegrees']);

/** A value in the form mingo computes with. */
export function toMingo(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Double) return value.value;
  if (value instanceof Decimal128) return Number(value.toString());
  if (Array.isArray(value)) return value.map(toMingo);
  if (!isObject(value)) return value;
  const copy: Doc = {};
  for (const name in value) copy[name] = toMingo(value[name]);
  return copy;
}

export function mingoOperator(name: string, operand: unknown, compile: Compile): Evaluate {
  if (REFUSED.has(name) || !(name in (expressions as Record<string, unknown>))) throw new CommandError(168, `Unrecognized expression '${name}'`);
  const fields = isObject(operand) && !Object.keys(operand).some((key) => key.startsWith('$')) ? Object.entries(operand).map(([key, value]) => [key, compile(value)] as const) : null;
  const items = fields ? [] : (Array.isArray(operand) ? operand : [operand]).map(compile);
  return (frame) => {
    const literal = (value: unknown): Doc => ({ $literal: toMingo(value ?? null) });
    const args = fields ? Object.fromEntries(fields.map(([key, evaluate]) => [key, literal(evaluate(frame))])) : items.map((item) => literal(item(frame)));
    try {
      const result = evalExpr({}, { [name]: Array.isArray(args) && args.length === 1 && !Array.isArray(operand) ? args[0] : args }, OPTIONS);
      return DOUBLE_RESULTS.has(name) && typeof result === 'number' ? doubleValue(result) : result;
    } catch (error) {
      throw error instanceof CommandError ? error : new CommandError(2, (error as Error).message);
    }
  };
}
