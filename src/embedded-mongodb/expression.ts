/** Compiles aggregation expressions: paths, variables, literals and operators; values keep their BSON types. */
import type { Doc } from './bson-decode.js';
import { isObject } from './bson-order.js';
import { CommandError } from './command-error.js';
import { SCOPED_OPERATORS } from './expression-scoped.js';
import { VALUE_OPERATORS } from './expression-values.js';
import { truthy } from './match.js';
import { readExpressionPath } from './path-walk.js';
import type { Run } from './value-operator.js';

/** What an expression is evaluated on: the document and the variables in sight. */
export interface Frame {
  root: unknown;
  variables: Doc;
}

export type Evaluate = (frame: Frame) => unknown;
export type Compile = (expression: unknown) => Evaluate;

/** Compiles an expression. @throws CommandError when it is not valid */
export const compile: Compile = (expression) => {
  if (typeof expression === 'string' && expression.startsWith('$')) return compilePath(expression);
  if (Array.isArray(expression)) {
    const items = expression.map(compile);
    return (frame) => items.map((item) => item(frame) ?? null);
  }
  if (!isObject(expression)) return () => expression;
  const names = Object.keys(expression);
  if (!names.some((name) => name.startsWith('$'))) return compileObject(expression);
  if (names.length > 1) throw new CommandError(15983, 'an object representing an expression must have exactly one field');
  return compileOperator(names[0]!, expression[names[0]!]);
};

function compileObject(expression: Doc): Evaluate {
  const fields = Object.entries(expression).map(([name, value]) => {
    if (name.includes('.')) throw new CommandError(16412, `FieldPath field names may not contain '.'. Consider using $getField or $setField.`);
    return [name, compile(value)] as const;
  });
  return (frame) => {
    const doc: Doc = {};
    for (const [name, evaluate] of fields) {
      const value = evaluate(frame);
      if (value !== undefined) doc[name] = value;
    }
    return doc;
  };
}

function compilePath(text: string): Evaluate {
  if (!text.startsWith('$$')) {
    const parts = pathParts(text.slice(1));
    return (frame) => readExpressionPath(frame.root, parts);
  }
  const [name, ...rest] = text.slice(2).split('.') as [string, ...string[]];
  if (rest.includes('')) throw new CommandError(15998, 'FieldPath field names may not be empty strings.');
  if (name === 'ROOT' || name === 'CURRENT') return (frame) => readExpressionPath(name === 'ROOT' ? (frame.variables['ROOT'] ?? frame.root) : frame.root, rest);
  if (name === 'REMOVE') return () => undefined;
  if (name === 'NOW') return (frame) => frame.variables['NOW'] ?? new Date();
  if (/^[A-Z]/.test(name) && !['DESCEND', 'PRUNE', 'KEEP'].includes(name)) throw new CommandError(17276, `Use of undefined variable: ${name}`);
  if (['DESCEND', 'PRUNE', 'KEEP'].includes(name)) return () => name;
  return (frame) => {
    if (!(name in frame.variables)) throw new CommandError(17276, `Use of undefined variable: ${name}`);
    return readExpressionPath(frame.variables[name], rest);
  };
}

function pathParts(path: string): string[] {
  const parts = path.split('.');
  if (parts.includes('')) throw new CommandError(parts.length === 1 ? 16872 : 15998, parts.length === 1 ? "'$' by itself is not a valid FieldPath" : 'FieldPath field names may not be empty strings.');
  return parts;
}

function compileOperator(name: string, operand: unknown): Evaluate {
  const scoped = SCOPED_OPERATORS[name];
  if (scoped) return scoped(operand, compile);
  const onValues = VALUE_OPERATORS[name];
  if (onValues) {
    const { min, max, run } = onValues;
    if (onValues.named && isNamed(operand)) return compileNamed(operand, run, name);
    const list = (Array.isArray(operand) ? operand : [operand]) as unknown[];
    if (list.length < min || list.length > max) throw new CommandError(16020, `Expression ${name} takes ${min === max ? `exactly ${min}` : `at least ${min}`} arguments. ${list.length} were passed in.`);
    const args = list.map(compile);
    return (frame) => run(args.map((arg) => arg(frame)), name);
  }
  throw new CommandError(168, `Unrecognized expression '${name}'`);
}

/** An object that is no expression by itself but holds one per argument. */
function isNamed(operand: unknown): operand is Doc {
  return isObject(operand) && !Object.keys(operand).some((key) => key.startsWith('$'));
}

function compileNamed(operand: Doc, run: Run, name: string): Evaluate {
  const fields = Object.entries(operand).map(([key, value]) => [key, compile(value)] as const);
  return (frame) => {
    const args: Doc = {};
    for (const [key, evaluate] of fields) args[key] = evaluate(frame) ?? null;
    return run([args], name);
  };
}

/** An expression as a function of the document alone. */
export function compileExpression(expression: unknown, variables: Doc = {}): (doc: Doc) => unknown {
  const evaluate = compile(expression);
  return (doc) => evaluate({ root: doc, variables: { ...variables, ROOT: doc } });
}

/** The operand of `$expr`. */
export function compileCondition(expression: unknown, variables: Doc): (doc: Doc) => boolean {
  const value = compileExpression(expression, variables);
  return (doc) => truthy(value(doc));
}
