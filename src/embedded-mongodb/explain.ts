/** `explain`: which index a command would use and how many keys and documents it looks at. */
import type { Doc } from './bson-decode.js';
import { isObject } from './bson-order.js';
import type { Collection } from './catalog.js';
import { CommandError } from './command-error.js';
import { checkDeadline, docArgument, matchContext, type CommandContext } from './command-context.js';
import { createRunner, type Query } from './find-runner.js';
import { compileFilter } from './match.js';
import { choosePlan, type Plan } from './plan.js';
import { splitPipeline } from './pipeline-leading.js';
import { parseSort } from './sort.js';
import { countArgument } from './command-context.js';

interface Explained {
  collection: string;
  filter: Doc;
  sort: Doc;
  skip: number;
  limit: number;
  hint: unknown;
  /** What of a pipeline no query does. */
  rest: Doc[];
}

const VERBOSITIES = ['queryPlanner', 'executionStats', 'allPlansExecution'];

/** Plans (and with `executionStats` runs, without changing anything) the query of a command. */
export function explainPlan(context: CommandContext, inner: Doc, verbosity: unknown): Doc | Promise<Doc> {
  if (verbosity !== undefined && !VERBOSITIES.includes(verbosity as string)) throw new CommandError(2, `Enumeration value '${String(verbosity)}' for field 'explain.verbosity' is not a valid value.`);
  if (isObject(inner['writeConcern'])) throw new CommandError(72, 'Command explain does not support writeConcern');
  const what = readInner(inner);
  const ns = `${context.db}.${what.collection}`;
  const collection = context.catalog.find(ns);
  const sort = parseSort(what.sort);
  const match = compileFilter(what.filter, matchContext(inner));
  const plan: Plan = collection ? choosePlan(collection, what.filter, sort, what.hint) : { kind: 'collection', backward: false, sorted: true };
  const query: Query = { filter: what.filter, match, sort, skip: what.skip, limit: what.limit, plan, project: null };
  const queryPlanner = {
    namespace: ns, indexFilterSet: false, parsedQuery: what.filter, winningPlan: collection ? describe(query) : { stage: 'EOF' }, rejectedPlans: [],
  };
  const reply = { explainVersion: '1', queryPlanner, command: inner, serverInfo: { host: '127.0.0.1', port: context.port(), version: '7.0.0' }, ok: 1 };
  const told = verbosity === 'queryPlanner' || !collection ? reply : runStats(context, collection, query, reply);
  const shape = (one: Doc): Doc => (what.rest.length > 0 ? asStages(one, what.rest) : one);
  return told instanceof Promise ? told.then(shape) : shape(told);
}

/** Of a pipeline: the query as `$cursor`, and the stages behind it. */
function asStages({ queryPlanner, executionStats, ...reply }: Doc, rest: readonly Doc[]): Doc {
  return { ...reply, stages: [{ $cursor: { queryPlanner, ...(executionStats === undefined ? {} : { executionStats }) } }, ...rest] };
}

function runStats(context: CommandContext, collection: Collection, query: Query, reply: Doc): Doc | Promise<Doc> {
  const startedAt = performance.now();
  const runner = createRunner(context.store, collection, query);
  let nReturned = 0;
  return context.executor.sliced(false, () => {
    const until = performance.now() + 10;
    for (;;) {
      const found = runner.next(until);
      if (found === undefined) {
        checkDeadline(context);
        return undefined;
      }
      if (found) {
        if (++nReturned % 64 !== 0 || performance.now() < until) continue;
        checkDeadline(context);
        return undefined;
      }
      const executionStats = {
        executionSuccess: true, nReturned, executionTimeMillis: Math.round(performance.now() - startedAt),
        totalKeysExamined: runner.source.keysExamined, totalDocsExamined: runner.source.docsExamined,
        executionStages: { ...describe(query), nReturned, keysExamined: runner.source.keysExamined, docsExamined: runner.source.docsExamined },
      };
      return { ...reply, executionStats };
    }
  });
}

function readInner(inner: Doc): Explained {
  const name = Object.keys(inner)[0] ?? '';
  const collection = inner[name];
  if (typeof collection !== 'string') throw new CommandError(2, 'explain needs a command on a collection');
  const first = (list: unknown): Doc => (Array.isArray(list) && isObject(list[0]) ? list[0] : {});
  const base = { collection, sort: docArgument(inner, 'sort'), skip: countArgument(inner, 'skip', 0), limit: countArgument(inner, 'limit', 0), hint: inner['hint'], rest: [] };
  if (name === 'find') return { ...base, filter: docArgument(inner, 'filter') };
  if (name === 'count' || name === 'distinct' || name === 'findAndModify' || name === 'findandmodify') return { ...base, filter: docArgument(inner, 'query') };
  if (name === 'update' || name === 'delete') {
    const entry = first(inner[name === 'update' ? 'updates' : 'deletes']);
    return { ...base, filter: docArgument(entry, 'q'), hint: entry['hint'] };
  }
  if (name === 'aggregate') return { ...base, ...leadingStages(inner['pipeline']) };
  throw new CommandError(59, `Explain failed due to unknown command: ${name}`);
}

function leadingStages(pipeline: unknown): Omit<Explained, 'collection' | 'hint'> {
  if (!Array.isArray(pipeline) || !pipeline.every(isObject)) throw new CommandError(14, "A pipeline must be an array of objects");
  const { query, rest } = splitPipeline(pipeline);
  return { ...query, rest };
}

function describe(query: Query): Doc {
  const { plan } = query;
  let stage: Doc = describeSource(plan, query.filter);
  if (query.sort.length > 0 && !plan.sorted) stage = { stage: 'SORT', sortPattern: Object.fromEntries(query.sort.map((part) => [part.path, part.direction])), inputStage: stage };
  if (query.skip > 0) stage = { stage: 'SKIP', skipAmount: query.skip, inputStage: stage };
  if (query.limit > 0) stage = { stage: 'LIMIT', limitAmount: query.limit, inputStage: stage };
  return stage;
}

function describeSource(plan: Plan, filter: Doc): Doc {
  if (plan.kind === 'collection') return { stage: 'COLLSCAN', filter, direction: plan.backward ? 'backward' : 'forward' };
  if (plan.kind === 'union') return { stage: 'FETCH', filter, inputStage: { stage: 'OR', inputStages: plan.branches.map(describeScan) } };
  return { stage: 'FETCH', filter, inputStage: describeScan(plan) };
}

function describeScan(scan: Extract<Plan, { kind: 'index' }>): Doc {
  const { index } = scan;
  return {
    stage: scan.mergeFrom === null ? 'IXSCAN' : 'SORT_MERGE', keyPattern: index.key, indexName: index.name, isMultiKey: index.multikey, isUnique: index.unique,
    isSparse: index.sparse, isPartial: index.partial !== null, direction: scan.backward ? 'backward' : 'forward', ranges: scan.ranges.length,
  };
}
