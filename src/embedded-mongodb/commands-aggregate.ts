/** `aggregate`: the first stages become a query on the collection, the rest runs on what that finds. */
import { decode, type Doc } from './bson-decode.js';
import { encode } from './bson-encode.js';
import { equals, isObject } from './bson-order.js';
import type { Collection } from './catalog.js';
import { CommandError, typeMismatch } from './command-error.js';
import { checkDeadline, countArgument, docArgument, matchContext, refuseCollation, type CommandContext } from './command-context.js';
import { countMatches, firstBatch } from './commands-read.js';
import { createRunner, type FindRunner, type Query } from './find-runner.js';
import { compileFilter } from './match.js';
import { wholeNumber } from './match-leaf.js';
import { openChain, type Chain, type PipelineScope } from './pipeline.js';
import { isWritingStage, writeOutput } from './pipeline-output.js';
import { choosePlan } from './plan.js';
import { MAX_DOCUMENT_BYTES } from './records.js';
import { parseSort } from './sort.js';

interface Split {
  filter: Doc;
  sort: Doc;
  skip: number;
  limit: number;
  rest: Doc[];
}

/** What of a pipeline's beginning a query can do: `$match`, `$sort`, `$skip`, `$limit` in this order. */
function splitPipeline(stages: readonly Doc[]): Split {
  const split: Split = { filter: {}, sort: {}, skip: 0, limit: 0, rest: [...stages] };
  const filters: Doc[] = [];
  const take = (name: string): unknown => (split.rest[0] && name in split.rest[0] ? split.rest.shift()![name] : undefined);
  for (let filter = take('$match'); filter !== undefined; filter = take('$match')) {
    if (!isObject(filter)) throw new CommandError(15959, 'the match filter must be an expression in an object');
    filters.push(filter);
  }
  split.filter = filters.length === 0 ? {} : filters.length === 1 ? filters[0]! : { $and: filters };
  const sort = take('$sort');
  if (sort !== undefined) {
    if (!isObject(sort) || Object.keys(sort).length === 0) throw new CommandError(15976, '$sort stage must have at least one sort key');
    split.sort = sort;
  }
  const skip = take('$skip');
  if (skip !== undefined) split.skip = whole(skip, 15956, '$skip');
  const limit = take('$limit');
  if (limit !== undefined) {
    split.limit = whole(limit, 15958, '$limit');
    if (split.limit === 0) throw new CommandError(15958, 'the limit must be positive');
  }
  return split;
}

function whole(value: unknown, code: number, name: string): number {
  const number = wholeNumber(value);
  if (number === null || number < 0) throw new CommandError(code, `invalid argument to ${name} stage: Expected a non-negative number in: ${name}: ${String(value)}`);
  return number;
}

export function aggregate(context: CommandContext): Doc | Promise<Doc> {
  const { command, db } = context;
  refuseCollation(command);
  const stages = command['pipeline'];
  if (!Array.isArray(stages)) throw typeMismatch("A pipeline must be an array of objects");
  for (const stage of stages) checkStage(stage);
  const cursor = command['cursor'];
  if (!isObject(cursor) && !command['explain']) throw new CommandError(9, "The 'cursor' option is required, except for aggregate with the explain argument");
  const target = command['aggregate'];
  const collection = typeof target === 'string' ? context.catalog.find(`${db}.${target}`) : undefined;
  const ns = typeof target === 'string' ? `${db}.${target}` : `${db}.$cmd.aggregate`;
  const batchSize = countArgument(docArgument(command, 'cursor'), 'batchSize', 101);
  const constant = countStage(stages as Doc[]);
  if (constant) {
    const counted = countMatches(context, collection, constant.filter, command['hint']);
    const reply = (n: number): Doc => ({ cursor: { firstBatch: n > 0 ? [{ _id: constant.id, [constant.field]: n }] : [], id: 0n, ns }, ok: 1 });
    return counted instanceof Promise ? counted.then(reply) : reply(counted);
  }
  return runStages(context, collection, stages as Doc[], ns, batchSize);
}

function checkStage(stage: unknown): void {
  if (!isObject(stage)) throw typeMismatch('Each element of the \'pipeline\' array must be an object');
  const names = Object.keys(stage);
  if (names.length !== 1) throw new CommandError(40323, 'A pipeline stage specification object must contain exactly one field.');
  if (names[0] === '$changeStream') throw new CommandError(40573, 'The $changeStream stage is only supported on replica sets');
}

/** `countDocuments` asks for `[{$match}, {$group: {_id: 1, n: {$sum: 1}}}]`: that needs no documents. */
function countStage(stages: readonly Doc[]): { filter: Doc; id: unknown; field: string } | null {
  const last = stages.at(-1)?.['$group'];
  if (stages.length > 2 || !isObject(last) || !('_id' in last) || (stages.length === 2 && !isObject(stages[0]!['$match']))) return null;
  const { _id: id, ...fields } = last;
  const [field, ...others] = Object.keys(fields);
  if (field === undefined || others.length > 0 || typeof id === 'string' || isObject(id)) return null;
  const sum = fields[field];
  if (!isObject(sum) || !equals(sum, { $sum: 1 })) return null;
  return { filter: stages.length === 2 ? (stages[0]!['$match'] as Doc) : {}, id, field };
}

function runStages(context: CommandContext, collection: Collection | undefined, stages: Doc[], ns: string, batchSize: number): Doc | Promise<Doc> {
  const split = splitPipeline(stages);
  const matching = matchContext(context.command);
  const match = compileFilter(split.filter, matching);
  const sort = parseSort(split.sort);
  let runner: FindRunner | null = null;
  if (collection) {
    const query: Query = { filter: split.filter, match, sort, skip: split.skip, limit: split.limit, plan: choosePlan(collection, split.filter, sort, context.command['hint']), project: null };
    runner = createRunner(context.store, collection, query);
  }
  if (split.rest.length === 0) return firstBatch(context, ns, (until) => {
    const found = runner ? runner.next(until) : null;
    return found ? found.bytes : found;
  }, batchSize, false);
  const scope: PipelineScope = { variables: matching.variables ?? {}, session: context.command['lsid'], read: (name) => readAll(context, name) };
  const last = split.rest.at(-1);
  const writing = last && isWritingStage(last) ? split.rest.pop()! : null;
  const chain = openChain(split.rest, scope);
  const finish = (): Doc | Promise<Doc> => {
    const output = chain.finish();
    let at = 0;
    if (writing) return writeOutput(context, writing, output, ns);
    return firstBatch(context, ns, () => (at < output.length ? encodeResult(output[at++]!) : null), batchSize, false);
  };
  const collected = context.executor.sliced(false, () => collectInput(context, runner, chain));
  return collected instanceof Promise ? collected.then(finish) : finish();
}

function encodeResult(doc: Doc): Buffer {
  const bytes = encode(doc);
  if (bytes.length > MAX_DOCUMENT_BYTES) throw new CommandError(10334, `BSONObj size: ${bytes.length} is invalid. Size must be between 0 and ${MAX_DOCUMENT_BYTES}(16MB)`);
  return bytes;
}

const MAX_INPUT = 2_000_000;

/** Feeds documents for a while; true at the end. */
function collectInput(context: CommandContext, runner: FindRunner | null, chain: Chain): true | undefined {
  const until = performance.now() + 10;
  const docs: Doc[] = [];
  let found: ReturnType<FindRunner['next']>;
  do {
    found = runner ? runner.next(until) : null;
    if (found) docs.push(decode(found.bytes));
  } while (found && docs.length < 100);
  chain.feed(docs);
  if (chain.held() > MAX_INPUT) throw new CommandError(292, 'the aggregation needs more documents in memory than this server holds');
  if (found === null) return true;
  checkDeadline(context);
  return undefined;
}

function readAll(context: CommandContext, name: string): Doc[] {
  const collection = context.catalog.find(`${context.db}.${name}`);
  if (!collection) return [];
  const runner = createRunner(context.store, collection, { filter: {}, match: () => true, sort: [], skip: 0, limit: 0, plan: { kind: 'collection', backward: false, sorted: true }, project: null });
  const docs: Doc[] = [];
  for (let found = runner.next(Infinity); found; found = runner.next(Infinity)) docs.push(decode(found.bytes));
  return docs;
}
