/** What of a pipeline's beginning a query can do, with indexes: `$match`, `$sort`, `$skip`, `$limit` in this order. */
import type { Doc } from './bson-decode.js';
import { isObject } from './bson-order.js';
import { CommandError } from './command-error.js';
import { wholeNumber } from './match-leaf.js';

export interface LeadingQuery {
  filter: Doc;
  sort: Doc;
  skip: number;
  /** 0: no limit. */
  limit: number;
}

/** @throws CommandError when one of those stages is not valid */
export function splitPipeline(stages: readonly Doc[]): { query: LeadingQuery; rest: Doc[] } {
  for (const stage of stages) if (Object.keys(stage).length !== 1) throw new CommandError(40323, 'A pipeline stage specification object must contain exactly one field.');
  const rest = [...stages];
  const query: LeadingQuery = { filter: {}, sort: {}, skip: 0, limit: 0 };
  const filters: Doc[] = [];
  const take = (name: string): unknown => (rest[0] && name in rest[0] ? rest.shift()![name] : undefined);
  for (let filter = take('$match'); filter !== undefined; filter = take('$match')) {
    if (!isObject(filter)) throw new CommandError(15959, 'the match filter must be an expression in an object');
    filters.push(filter);
  }
  query.filter = allOf(filters);
  const sort = take('$sort');
  if (sort !== undefined) {
    if (!isObject(sort) || Object.keys(sort).length === 0) throw new CommandError(15976, '$sort stage must have at least one sort key');
    query.sort = sort;
  }
  const skip = take('$skip');
  if (skip !== undefined) query.skip = stageNumber('$skip', skip, 0, 15956);
  const limit = take('$limit');
  if (limit !== undefined) query.limit = stageNumber('$limit', limit, 1, 15958);
  return { query, rest };
}

export function allOf(filters: readonly Doc[]): Doc {
  const wanted = filters.filter((filter) => Object.keys(filter).length > 0);
  return wanted.length === 0 ? {} : wanted.length === 1 ? wanted[0]! : { $and: wanted };
}

/** The number of a `$limit`, `$skip` or `$sample`. @throws CommandError */
export function stageNumber(name: string, operand: unknown, least: number, code: number): number {
  const number = wholeNumber(operand);
  if (number === null || number < 0) throw new CommandError(name === '$limit' ? 5107201 : name === '$skip' ? 5107200 : code, `invalid argument to ${name} stage: Expected a non-negative number in: ${name}: ${String(operand)}`);
  if (number < least) throw new CommandError(code, name === '$limit' ? 'the limit must be positive' : `the size of ${name} must be positive`);
  return number;
}
