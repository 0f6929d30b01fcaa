/** `aggregate`: the first stages become a query on the collection, the rest is pulled through on what that finds. */
import { decode, type Doc } from './bson-decode.js';
import { encode } from './bson-encode.js';
import { equals, isObject } from './bson-order.js';
import { CommandError, typeMismatch } from './command-error.js';
import { countArgument, docArgument, findCollection, matchContext, refuseCollation, type CommandContext } from './command-context.js';
import { countMatches, firstBatch } from './commands-read.js';
import { explainPlan } from './explain.js';
import { collStats, operations } from './commands-server.js';
import { createRunner, type Query } from './find-runner.js';
import { turnIsOver, type Flow, type Turn } from './flow.js';
import { compileFilter } from './match.js';
import { compilePipeline } from './pipeline.js';
import { splitPipeline, type LeadingQuery } from './pipeline-leading.js';
import { isWritingStage, prepareOutput } from './pipeline-output.js';
import type { PipelineScope } from './pipeline-stage.js';
import { choosePlan } from './plan.js';
import { MAX_DOCUMENT_BYTES } from './records.js';
import { parseSort } from './sort.js';

export function aggregate(context: CommandContext): Doc | Promise<Doc> {
  const { command, db } = context;
  refuseCollation(command);
  const stages = command['pipeline'];
  if (!Array.isArray(stages)) throw typeMismatch("A pipeline must be an array of objects");
  for (const stage of stages) if (!isObject(stage)) throw typeMismatch("Each element of the 'pipeline' array must be an object");
  const cursor = command['cursor'];
  if (command['explain'] === true) return explainPlan(context, command, 'queryPlanner');
  if (!isObject(cursor)) throw new CommandError(9, "The 'cursor' option is required, except for aggregate with the explain argument");
  const target = command['aggregate'];
  if (typeof target !== 'string' && target !== 1) throw new CommandError(9, "Invalid command format: the 'aggregate' field must specify a collection name or 1");
  const batchSize = countArgument(docArgument(command, 'cursor'), 'batchSize', 101);
  const ns = typeof target === 'string' ? `${db}.${target}` : `${db}.$cmd.aggregate`;
  const constant = countStage(stages as Doc[]);
  if (constant && typeof target === 'string') {
    const counted = countMatches(context, findCollection(context), constant.filter, command['hint']);
    const reply = (n: number): Doc => ({ cursor: { firstBatch: n > 0 && batchSize > 0 ? [{ _id: constant.id, [constant.field]: n }] : [], id: 0n, ns }, ok: 1 });
    if (batchSize > 0) return counted instanceof Promise ? counted.then(reply) : reply(counted);
  }
  return runStages(context, typeof target === 'string' ? target : null, stages as Doc[], ns, batchSize);
}

/** `countDocuments` asks for `[{$match}, {$group: {_id: 1, n: {$sum: 1}}}]`: that needs no documents. */
function countStage(stages: readonly Doc[]): { filter: Doc; id: unknown; field: string } | null {
  const last = stages.at(-1)?.['$group'];
  if (stages.length > 2 || !isObject(last) || !('_id' in last) || (stages.length === 2 && !isObject(stages[0]!['$match']))) return null;
  const { _id: id, ...fields } = last;
  const [field, ...others] = Object.keys(fields);
  if (field === undefined || others.length > 0 || typeof id === 'string' || isObject(id) || Array.isArray(id)) return null;
  const sum = fields[field];
  if (!isObject(sum) || !equals(sum, { $sum: 1 })) return null;
  return { filter: stages.length === 2 ? (stages[0]!['$match'] as Doc) : {}, id, field };
}

function runStages(context: CommandContext, target: string | null, stages: Doc[], ns: string, batchSize: number): Doc | Promise<Doc> {
  const turn: Turn = { until: 0 };
  const scope = openScope(context, turn);
  if (target === null && !['$documents', '$listLocalSessions', '$currentOp'].some((name) => name in (stages[0] ?? {}))) throw refuseBare(stages[0]);
  const { query, rest } = splitPipeline(stages);
  const last = rest.at(-1);
  const output = last && isWritingStage(last) ? prepareOutput(context, rest.pop()!, target) : null;
  const run = compilePipeline(rest, scope);
  if (target !== null && rest.length === 0 && !output) return firstBatch(context, ns, { next: rawResults(context, target, query, context.command['hint']) }, batchSize, false);
  const flow = run(target === null || startsItself(rest[0]) ? [] : openFlow(context, turn, target, query, context.command['hint']));
  const documents = flow[Symbol.iterator]();
  const next = (until: number): Doc | null | undefined => {
    turn.until = until;
    const { value, done } = documents.next() as IteratorResult<Doc | null, void>;
    return done ? null : (value ?? undefined);
  };
  const close = (): void => void documents.return?.();
  if (output) return closing(() => output(next, { cursor: { firstBatch: [], id: 0n, ns }, ok: 1 }), close);
  const nextBytes = (until: number): Buffer | null | undefined => {
    const doc = next(until);
    return doc ? encodeResult(doc) : doc;
  };
  return firstBatch(context, ns, { next: nextBytes, close }, batchSize, false);
}

/** What the stages hold is given back, also when the command fails. */
function closing(work: () => Doc | Promise<Doc>, close: () => void): Doc | Promise<Doc> {
  let reply: Doc | Promise<Doc> | undefined;
  try {
    reply = work();
  } finally {
    if (reply instanceof Promise) reply.then(close, close);
    else close();
  }
  return reply;
}

/** A pipeline on no collection must begin with a stage that makes documents. */
function refuseBare(first: Doc | undefined): CommandError {
  const name = Object.keys(first ?? {})[0];
  if (name === '$changeStream') return new CommandError(40573, 'The $changeStream stage is only supported on replica sets');
  return new CommandError(73, `{aggregate: 1} is not valid for '${name ?? ''}'; a collection is required.`);
}

function startsItself(stage: Doc | undefined): boolean {
  return stage !== undefined && ['$documents', '$collStats', '$indexStats', '$listLocalSessions', '$currentOp'].some((name) => name in stage);
}

function openScope(context: CommandContext, turn: Turn): PipelineScope {
  const variables = matchContext(context.command).variables ?? {};
  return {
    variables, turn, compile: compilePipeline, about: aboutServer(context),
    find: (name, query, visible) => openFlow(context, turn, name, { filter: {}, sort: {}, skip: 0, limit: 0, ...query }, undefined, visible),
  };
}

function aboutServer(context: CommandContext): NonNullable<PipelineScope['about']> {
  const collection = typeof context.command['aggregate'] === 'string' ? findCollection(context) : undefined;
  const host = `127.0.0.1:${context.port()}`;
  return {
    $collStats: (operand) => {
      const spec = isObject(operand) ? operand : {};
      if (!collection) throw new CommandError(26, `Collection [${context.db}.${String(context.command['aggregate'])}] not found.`);
      const { ok: _ok, ns, ...storageStats } = collStats({ ...context, name: 'aggregate' });
      return [{ ns, host, localTime: new Date(), ...('storageStats' in spec ? { storageStats } : {}), ...('count' in spec ? { count: collection.count } : {}) }];
    },
    $indexStats: () => (collection?.indexes ?? []).map((index) => ({ name: index.name, key: index.key, host, accesses: { ops: 0n, since: new Date(context.startedAt) }, spec: index.spec })),
    $currentOp: (operand) => {
      if (context.db !== 'admin') throw new CommandError(73, '$currentOp must be run against the \'admin\' database with {aggregate: 1}');
      return operations(context, isObject(operand) && operand['idleCursors'] === true);
    },
    $listLocalSessions: () => (isObject(context.command['lsid']) ? [{ _id: context.command['lsid'], lastUse: new Date() }] : []),
  };
}

/** What of a collection a query finds; null when there is no such collection. */
function openQuery(context: CommandContext, name: string, leading: LeadingQuery, hint: unknown, variables?: Doc): ReturnType<typeof createRunner> | null {
  const matching = matchContext(context.command);
  const match = compileFilter(leading.filter, variables ? { ...matching, variables } : matching);
  const sort = parseSort(leading.sort);
  const collection = context.catalog.find(`${context.db}.${name}`);
  if (!collection) return null;
  const query: Query = { filter: leading.filter, match, sort, skip: leading.skip, limit: leading.limit, plan: choosePlan(collection, leading.filter, sort, hint), project: null };
  return createRunner(context.store, collection, query);
}

function openFlow(context: CommandContext, turn: Turn, name: string, leading: LeadingQuery, hint: unknown, variables?: Doc): Flow {
  const runner = openQuery(context, name, leading, hint, variables);
  return runner ? flowOf(runner, turn) : [];
}

function* flowOf(runner: ReturnType<typeof createRunner>, turn: Turn): Flow {
  for (;;) {
    const found = runner.next(turn.until);
    if (found === null) return;
    yield found ? decode(found.bytes) : null;
    if (found && turnIsOver(turn)) yield null;
  }
}

/** Documents that no stage changes are passed on as they are stored. */
function rawResults(context: CommandContext, name: string, leading: LeadingQuery, hint: unknown): (until: number) => Buffer | null | undefined {
  const runner = openQuery(context, name, leading, hint);
  return (until) => {
    const found = runner ? runner.next(until) : null;
    return found ? found.bytes : found;
  };
}

function encodeResult(doc: Doc): Buffer {
  const bytes = encode(doc);
  if (bytes.length > MAX_DOCUMENT_BYTES) throw new CommandError(10334, `BSONObj size: ${bytes.length} is invalid. Size must be between 0 and ${MAX_DOCUMENT_BYTES}(16MB)`);
  return bytes;
}
