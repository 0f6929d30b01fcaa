/** Aggregation expressions, evaluated by mingo on values that it knows. */
import { Decimal128, Double } from 'bson';
import { evalExpr } from 'mingo/core';
import { Context } from 'mingo/core';
import * as accumulators from 'mingo/operators/accumulator';
import * as expressions from 'mingo/operators/expression';
import * as stages from 'mingo/operators/pipeline';
import * as queries from 'mingo/operators/query';
import * as projections from 'mingo/operators/projection';
import * as windows from 'mingo/operators/window';
import type { Doc } from './bson-decode.js';
import { isObject } from './bson-order.js';
import { CommandError } from './command-error.js';
import { truthy } from './match.js';

export const MINGO_CONTEXT = Context.init({ accumulator: accumulators, expression: expressions, pipeline: stages, query: queries, projection: projections, window: windows } as never);

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

export function compileExpression(expression: unknown, variables: Doc = {}): (doc: Doc) => unknown {
  const plain = toMingo(expression);
  const options = { context: MINGO_CONTEXT, variables: toMingo(variables) as Doc } as never;
  return (doc) => {
    try {
      return evalExpr(toMingo(doc) as never, plain as never, options) as unknown;
    } catch (error) {
      throw new CommandError(2, (error as Error).message);
    }
  };
}

export function compileCondition(expression: unknown, variables: Doc): (doc: Doc) => boolean {
  const value = compileExpression(expression, variables);
  return (doc) => truthy(value(doc));
}
