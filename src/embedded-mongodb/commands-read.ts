/** The commands that read: find, getMore, killCursors, count, distinct, explain. */
import { decode, type Doc } from './bson-decode.js';
import { createBatch } from './batch.js';
import { beginTurn, sliceEnd, sliceIsOver } from './budget.js';
import { encode, type RawBson } from './bson-encode.js';
import { compare } from './bson-order.js';
import type { Collection } from './catalog.js';
import { CommandError, failedToParse } from './command-error.js';
import { checkDeadline, collectionName, countArgument, docArgument, findCollection, matchContext, refuseCollation, type CommandContext } from './command-context.js';
import type { Cursor, Source } from './cursors.js';
import { explainPlan } from './explain.js';
import { compileExpression } from './expression.js';
import { valueKey } from './value-key.js';
import { createRunner, projectBytes, type Found, type Query } from './find-runner.js';
import { keyValueOf } from './index-definition.js';
import { compileFilter } from './match.js';
import { wholeNumber } from './match-leaf.js';
import { keyValues } from './path-walk.js';
import { choosePlan, limitScan, type Plan } from './plan.js';
import { compileProjection } from './project.js';
import { countEntries } from './record-source.js';
import { parseSort, requireSortObject } from './sort.js';

const MAX_BATCH_BYTES = 16 * 1024 * 1024;
const FIRST_BATCH = 101;
const SLICE_MS = 10;

/** Reads the arguments of a find into a query with its plan. @throws CommandError */
export function parseFind(context: CommandContext, command: Doc, collection: Collection | undefined): Query {
  refuseCollation(command);
  const matching = matchContext(command);
  const filter = docArgument(command, 'filter');
  const match = compileFilter(filter, matching);
  const sort = sortParts(docArgument(command, 'sort'));
  const projection = docArgument(command, 'projection');
  const project = Object.keys(projection).length === 0 ? null : compileProjection(projection, (expression) => compileExpression(expression, matching.variables), matching);
  for (const name of ['tailable', 'awaitData']) if (command[name] === true) throw new CommandError(2, `error processing query: tailable cursor requested on non capped collection`);
  const [min, max] = [docArgument(command, 'min'), docArgument(command, 'max')];
  const limited = Object.keys(min).length + Object.keys(max).length > 0;
  if (limited && command['hint'] === undefined) throw new CommandError(51173, 'When using min()/max() a hint of which index to use must be provided');
  let plan: Plan = collection ? choosePlan(collection, limited ? {} : filter, sort, command['hint']) : { kind: 'collection', backward: false, sorted: true };
  if (limited && collection) plan = limitScan(plan, min, max);
  let limit = wholeNumber(command['limit'] ?? 0) ?? 0;
  if (limit < 0) throw new CommandError(51024, `BSON field 'limit' value must be >= 0, actual value '${limit}'`);
  limit = countArgument(command, 'limit', 0);
  return { filter, match, sort: sort[0]?.path === '$natural' ? [] : sort, skip: countArgument(command, 'skip', 0), limit, plan, project };
}

function sortParts(spec: Doc): ReturnType<typeof parseSort> {
  return parseSort(requireSortObject(spec));
}

export function find(context: CommandContext): Doc | Promise<Doc> {
  const { command, store, db } = context;
  const name = collectionName(context);
  const collection = findCollection(context);
  const query = parseFind(context, command, collection);
  const ns = `${db}.${name}`;
  const batchSize = countArgument(command, 'batchSize', FIRST_BATCH);
  if (!collection) return { cursor: { firstBatch: [], id: 0n, ns }, ok: 1 };
  const runner = createRunner(store, collection, query);
  const shape = shapeOf(command, query);
  const next = (until: number): Buffer | null | undefined => {
    const found = runner.next(until);
    return found ? shape(found) : found;
  };
  return firstBatch(context, ns, { next, atEnd: runner.atEnd }, batchSize, command['singleBatch'] === true);
}

/** What a find gives of each document: its projection, its record's number with it, or only its key in the index. */
function shapeOf(command: Doc, query: Query): (found: Found) => Buffer {
  const { plan, project, filter } = query;
  if (command['returnKey'] === true) return (found) => encode(plan.kind === 'index' ? keyValueOf(plan.index, decode(found.bytes)) : {});
  if (command['showRecordId'] !== true) return (found) => projectBytes(found.bytes, project, filter);
  return (found) => encode({ ...decode(projectBytes(found.bytes, project, filter)), $recordId: BigInt(found.record) });
}

/** Fills the first batch and keeps a cursor when there may be more. */
export function firstBatch(context: CommandContext, ns: string, source: Source, batchSize: number, single: boolean): Doc | Promise<Doc> {
  const cursor = context.cursors.open(ns, source, context.command['noCursorTimeout'] === true);
  if (batchSize === 0 && !single) {
    context.cursors.keep(cursor);
    return { cursor: { firstBatch: [], id: cursor.id, ns }, ok: 1 };
  }
  let open = false;
  const closeUnlessOpen = (): void => {
    if (!open) source.close?.();
  };
  let reply: Doc | Promise<Doc> | undefined;
  try {
    reply = fillBatch(context, cursor, batchSize, (docs, ended) => {
      if (!ended && !single) context.cursors.keep(cursor);
      open = !ended && !single;
      return { cursor: { firstBatch: docs, id: open ? cursor.id : 0n, ns }, ok: 1 };
    });
  } finally {
    if (reply instanceof Promise) reply.then(closeUnlessOpen, closeUnlessOpen);
    else closeUnlessOpen();
  }
  return reply;
}

function fillBatch(context: CommandContext, cursor: Cursor, batchSize: number, finish: (docs: RawBson, ended: boolean) => Doc): Doc | Promise<Doc> {
  const batch = createBatch();
  const max = batchSize === 0 ? Infinity : batchSize;
  return context.executor.sliced(false, () => {
    beginTurn(context.deadline);
    const until = sliceEnd();
    for (;;) {
      if (batch.count >= max) return finish(batch.close(), !cursor.held && cursor.source.atEnd?.() === true);
      const doc = cursor.held ?? cursor.source.next(until);
      if (doc === undefined) {
        checkDeadline(context);
        return undefined;
      }
      if (doc === null) return finish(batch.close(), true);
      cursor.held = null;
      if (batch.count > 0 && batch.bytes + doc.length > MAX_BATCH_BYTES) {
        cursor.held = doc;
        return finish(batch.close(), false);
      }
      batch.add(doc);
      if (!sliceIsOver()) continue;
      checkDeadline(context);
      return undefined;
    }
  });
}

export function getMore(context: CommandContext): Doc | Promise<Doc> {
  const { command, cursors, db } = context;
  const id = command['getMore'];
  const cursorId = typeof id === 'bigint' ? id : BigInt(wholeNumber(id) ?? 0);
  const ns = `${db}.${String(command['collection'])}`;
  const batchSize = countArgument(command, 'batchSize', 0);
  const cursor = cursors.take(cursorId, ns);
  let ended = true;
  const done = (): void => cursors.release(cursor, ended);
  try {
    const reply = fillBatch(context, cursor, batchSize, (nextBatch, finished) => {
      ended = finished;
      return { cursor: { nextBatch, id: finished ? 0n : cursorId, ns }, ok: 1 };
    });
    if (reply instanceof Promise) return reply.finally(done);
    done();
    return reply;
  } catch (error) {
    done();
    throw error;
  }
}

export function killCursors(context: CommandContext): Doc {
  const ids = context.command['cursors'];
  if (!Array.isArray(ids)) throw failedToParse("Field 'cursors' must be an array");
  const cursorsKilled: bigint[] = [];
  const cursorsNotFound: bigint[] = [];
  for (const id of ids as unknown[]) {
    const cursorId = typeof id === 'bigint' ? id : BigInt(wholeNumber(id) ?? 0);
    (context.cursors.kill(cursorId) ? cursorsKilled : cursorsNotFound).push(cursorId);
  }
  return { cursorsKilled, cursorsNotFound, cursorsAlive: [], cursorsUnknown: [], ok: 1 };
}

export function count(context: CommandContext): Doc | Promise<Doc> {
  const { command } = context;
  refuseCollation(command);
  const filter = docArgument(command, 'query');
  const limit = Math.abs(wholeNumber(command['limit'] ?? 0) ?? 0);
  const skip = countArgument(command, 'skip', 0);
  const counted = countMatches(context, findCollection(context), filter, command['hint']);
  const reply = (n: number): Doc => ({ n: limit > 0 ? Math.min(limit, Math.max(0, n - skip)) : Math.max(0, n - skip), ok: 1 });
  return counted instanceof Promise ? counted.then(reply) : reply(counted);
}

/** How many documents match, from the index alone where its ranges say it all. */
export function countMatches(context: CommandContext, collection: Collection | undefined, filter: Doc, hint?: unknown): number | Promise<number> {
  const match = compileFilter(filter, matchContext(context.command));
  if (!collection) return 0;
  if (Object.keys(filter).length === 0 && (hint === undefined || hint === null)) return collection.count;
  const plan = choosePlan(collection, filter, [], hint);
  if (plan.kind === 'index' && plan.exact) return countEntries(context.store, plan);
  const runner = createRunner(context.store, collection, { filter, match, sort: [], skip: 0, limit: 0, plan, project: null });
  let n = 0;
  return context.executor.sliced(false, () => {
    const until = performance.now() + SLICE_MS;
    for (;;) {
      const found = runner.next(until);
      if (found === null) return n;
      if (found === undefined) {
        checkDeadline(context);
        return undefined;
      }
      if (++n % 64 === 0 && performance.now() > until) {
        checkDeadline(context);
        return undefined;
      }
    }
  });
}

export function distinct(context: CommandContext): Doc | Promise<Doc> {
  const { command, store } = context;
  refuseCollation(command);
  const collection = findCollection(context);
  const key = command['key'];
  if (typeof key !== 'string') throw new CommandError(14, "BSON field 'distinct.key' is the wrong type, expected type 'string'");
  const filter = docArgument(command, 'query');
  const match = compileFilter(filter, matchContext(command));
  if (!collection) return { values: [], ok: 1 };
  const runner = createRunner(store, collection, { filter, match, sort: [], skip: 0, limit: 0, plan: choosePlan(collection, filter, [], command['hint']), project: null });
  const parts = key.split('.');
  const groups = new Map<string, unknown>();
  let keyBytes = 0;
  let seen = 0;
  return context.executor.sliced(false, () => {
    const until = performance.now() + SLICE_MS;
    for (;;) {
      const found = runner.next(until);
      if (found === undefined) {
        checkDeadline(context);
        return undefined;
      }
      if (found === null) return { values: [...groups.values()].sort(compare), ok: 1 };
      const values: unknown[] = [];
      keyValues(decode(found.bytes), parts, 0, values);
      for (const value of values) {
        const key = valueKey(value);
        if (value === undefined || groups.has(key)) continue;
        groups.set(key, value);
        keyBytes += key.length;
        if (keyBytes > MAX_BATCH_BYTES) throw new CommandError(17217, 'distinct too big, 16mb cap');
      }
      if (++seen % 64 === 0 && performance.now() > until) {
        checkDeadline(context);
        return undefined;
      }
    }
  });
}

export function explain(context: CommandContext): Doc | Promise<Doc> {
  const inner = docArgument(context.command, 'explain');
  return explainPlan(context, inner, context.command['verbosity']);
}
