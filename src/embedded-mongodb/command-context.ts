/** What every command handler gets, and how it reads its arguments. */
import type { Doc } from './bson-decode.js';
import { isObject } from './bson-order.js';
import type { Catalog, Collection } from './catalog.js';
import { CommandError, typeMismatch } from './command-error.js';
import type { Durability } from './durability.js';
import type { CursorTable } from './cursors.js';
import type { Executor } from './executor.js';
import { compileCondition, compileExpression } from './expression.js';
import type { IndexBuilder } from './index-builder.js';
import type { MatchContext } from './match.js';
import { bsonTypeName, wholeNumber } from './match-leaf.js';
import type { Store } from './store.js';

export interface Engine {
  store: Store;
  catalog: Catalog;
  executor: Executor;
  durability: Durability;
  cursors: CursorTable;
  builder: IndexBuilder;
  startedAt: number;
  counters: Map<string, number>;
  /** How often expired documents are removed. */
  sweep: { everyMs: number };
  connections: () => number;
  port: () => number;
}

export interface CommandContext extends Engine {
  db: string;
  name: string;
  command: Doc;
  sequences: Map<string, Buffer[]>;
  connectionId: number;
  /** When `maxTimeMS` runs out (performance.now()), or Infinity. */
  deadline: number;
}

export type Handler = (context: CommandContext) => Doc | Promise<Doc>;

/** The collection name that is the command's own argument. @throws CommandError 73 */
export function collectionName(context: CommandContext): string {
  const name = context.command[context.name];
  if (typeof name !== 'string') throw new CommandError(73, `collection name has invalid type ${bsonTypeName(name)}`);
  if (name === '' || name.includes('\0')) throw new CommandError(73, `Invalid namespace specified '${context.db}.${name}'`);
  return name;
}

export function findCollection(context: CommandContext): Collection | undefined {
  return context.catalog.find(`${context.db}.${collectionName(context)}`);
}

/** A document argument. @throws CommandError 14 */
export function docArgument(command: Doc, name: string, otherwise: Doc = {}): Doc {
  const value = command[name];
  if (value === undefined || value === null) return otherwise;
  if (!isObject(value)) throw typeMismatch(`BSON field '${name}' is the wrong type '${bsonTypeName(value)}', expected type 'object'`);
  return value;
}

/** A non-negative whole number argument. @throws CommandError 14, 51024 */
export function countArgument(command: Doc, name: string, otherwise: number): number {
  const value = command[name];
  if (value === undefined || value === null) return otherwise;
  const whole = wholeNumber(value);
  if (whole === null) throw typeMismatch(`BSON field '${name}' is the wrong type '${bsonTypeName(value)}', expected types '[long, int, decimal, double]'`);
  if (whole < 0) throw new CommandError(51024, `BSON field '${name}' value must be >= 0, actual value '${whole}'`);
  return whole;
}

export function refuseCollation(command: Doc): void {
  const collation = command['collation'];
  if (collation === undefined || collation === null) return;
  if (isObject(collation) && (collation['locale'] === 'simple' || Object.keys(collation).length === 0)) return;
  throw new CommandError(238, 'collation is not supported by this server: only the simple (binary) order is');
}

export function matchContext(command: Doc): MatchContext {
  return { compileExpression: compileCondition, variables: evaluateVariables(docArgument(command, 'let')) };
}

/** The values of `let`: each is an expression without a document. */
export function evaluateVariables(spec: Doc): Doc {
  const variables: Doc = { NOW: new Date() };
  for (const name in spec) variables[name] = compileExpression(spec[name])({});
  return variables;
}

export function checkDeadline(context: CommandContext): void {
  if (performance.now() > context.deadline) throw new CommandError(50, 'operation exceeded time limit');
}
