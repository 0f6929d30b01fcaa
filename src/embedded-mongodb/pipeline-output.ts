/** `$out` and `$merge`: the documents of a pipeline go into a collection. */
import { decode, type Doc } from './bson-decode.js';
import { encode } from './bson-encode.js';
import { sliceEnd, sliceIsOver } from './budget.js';
import { isObject } from './bson-order.js';
import { checkName, type Catalog, type Collection } from './catalog.js';
import { CommandError } from './command-error.js';
import type { CommandContext } from './command-context.js';
import { openAccount } from './memory-account.js';
import { withId } from './document-id.js';
import { createRunner, type Found } from './find-runner.js';
import { compileFilter } from './match.js';
import { choosePlan } from './plan.js';
import { entriesOf, insertRecord, replaceRecord } from './records.js';
import { readExpressionPath } from './path-walk.js';
import { giveWay, runSteps, type Steps } from './write-steps.js';
import { updatePipeline } from './write-update.js';

export function isWritingStage(stage: Doc): boolean {
  return '$out' in stage || '$merge' in stage;
}

interface Target {
  db: string;
  name: string;
}

function readTarget(context: CommandContext, operand: unknown, key: string): Target {
  if (typeof operand === 'string') return { db: context.db, name: operand };
  if (isObject(operand) && typeof operand[key] === 'string') return { db: typeof operand['db'] === 'string' ? operand['db'] : context.db, name: operand[key] };
  throw new CommandError(16990, `invalid target of ${key === 'coll' ? '$out' : '$merge'}: a collection name is needed`);
}

/** The next document of a pipeline; null at the end, undefined when the turn is over. */
type Next = (until: number) => Doc | null | undefined;

/** Checks the stage before anything is read; what it gives writes the documents and answers with `reply`. */
export function prepareOutput(context: CommandContext, stage: Doc, source: string | null): (next: Next, reply: Doc) => Doc | Promise<Doc> {
  if ('$out' in stage) {
    const target = readTarget(context, stage['$out'], 'coll');
    return (next, reply) => runSteps(context, outSteps(context, target, next, reply));
  }
  const spec: Doc = isObject(stage['$merge']) ? stage['$merge'] : { into: stage['$merge'] };
  checkMerge(spec);
  const target = readTarget(context, spec['into'], 'coll');
  const ownSource = target.db === context.db && target.name === source;
  return (next, reply) => runSteps(context, mergeSteps(context, target, spec, next, ownSource, reply));
}

const MERGE_FIELDS = new Set(['into', 'on', 'let', 'whenMatched', 'whenNotMatched']);

function checkMerge(spec: Doc): void {
  for (const name in spec) if (!MERGE_FIELDS.has(name)) throw new CommandError(40415, `BSON field '$merge.${name}' is an unknown field.`);
  const { whenMatched = 'merge', whenNotMatched = 'insert' } = spec;
  if (!Array.isArray(whenMatched) && !['replace', 'keepExisting', 'merge', 'fail'].includes(whenMatched as string)) throw new CommandError(2, `Enumeration value '${String(whenMatched)}' for field '$merge.whenMatched' is not a valid value.`);
  if (!['insert', 'discard', 'fail'].includes(whenNotMatched as string)) throw new CommandError(2, `Enumeration value '${String(whenNotMatched)}' for field '$merge.whenNotMatched' is not a valid value.`);
}

/** Takes what is ready, with pauses. */
function* pull(context: CommandContext, next: Next): Generator<undefined, Doc | null> {
  for (;;) {
    const doc = sliceIsOver() ? undefined : next(sliceEnd());
    if (doc !== undefined) return doc;
    yield* giveWay(context);
  }
}

const TEMPORARY = /^tmp\.out\.\d+$/;

/** Removes what an `$out` was filling when the server was killed. To be called in a transaction before anything is served. */
export function dropLeftovers(catalog: Catalog): void {
  for (const collection of Array.from(catalog.collections.values())) if (TEMPORARY.test(collection.name)) catalog.drop(collection);
}

/** Fills a new collection and puts it in the old one's place when it is complete. */
function* outSteps(context: CommandContext, target: Target, next: Next, reply: Doc): Steps {
  const { catalog, store } = context;
  checkName(target.db, target.name);
  const temporary = catalog.create(target.db, `tmp.out.${catalog.newId()}`, {});
  let complete = false;
  try {
    const old = catalog.find(`${target.db}.${target.name}`);
    for (const index of old?.indexes ?? []) if (index.name !== '_id_') catalog.addIndex(temporary, index.spec, true);
    for (;;) {
      const found = yield* pull(context, next);
      if (!found) break;
      const doc = withId(found);
      insertRecord(store, temporary, doc, encode(doc));
    }
    complete = true;
  } finally {
    if (!complete && !temporary.dropped) catalog.drop(temporary);
  }
  if (temporary.dropped) throw new CommandError(175, `the database ${target.db} was dropped meanwhile`);
  const old = catalog.find(`${target.db}.${target.name}`);
  if (old) catalog.drop(old);
  catalog.rename(temporary, target.db, target.name);
  return reply;
}

function* mergeSteps(context: CommandContext, target: Target, spec: Doc, next: Next, ownSource: boolean, reply: Doc): Steps {
  const on = spec['on'] === undefined ? ['_id'] : Array.isArray(spec['on']) ? (spec['on'] as string[]) : [spec['on'] as string];
  checkName(target.db, target.name);
  const collection = context.catalog.getOrCreate(target.db, target.name);
  requireUnique(collection, on);
  const source = ownSource ? yield* allAtOnce(context, next) : next;
  for (;;) {
    const doc = yield* pull(context, source);
    if (!doc) return reply;
    mergeOne(context, context.catalog, collection, on, spec, withId(doc));
  }
}

/** Reads everything before the first write, so that a pipeline does not meet what it wrote itself. */
function* allAtOnce(context: CommandContext, next: Next): Generator<undefined, Next> {
  const account = openAccount();
  const docs: Doc[] = [];
  try {
    for (let doc = yield* pull(context, next); doc; doc = yield* pull(context, next)) {
      account.hold(doc);
      docs.push(doc);
    }
  } finally {
    account.close();
  }
  let at = 0;
  return () => docs[at++] ?? null;
}

function requireUnique(collection: Collection, on: readonly string[]): void {
  const wanted = [...on].sort().join('\0');
  const found = collection.indexes.some((index) => index.unique && !index.partial && Object.keys(index.key).sort().join('\0') === wanted);
  if (!found) throw new CommandError(51183, 'Cannot find index to verify that join fields will be unique');
}

function mergeOne(context: CommandContext, catalog: Catalog, collection: Collection, on: readonly string[], spec: Doc, doc: Doc): void {
  const found = findOne(context, collection, Object.fromEntries(on.map((path) => [path, { $eq: readExpressionPath(doc, path.split('.')) ?? null }])));
  const whenMatched = spec['whenMatched'] ?? 'merge';
  if (!found) {
    if (spec['whenNotMatched'] === 'discard') return;
    if (spec['whenNotMatched'] === 'fail') throw new CommandError(13113, '$merge could not find a matching document in the target collection for at least one document in the source collection');
    insertRecord(context.store, collection, doc, encode(doc));
    return;
  }
  if (whenMatched === 'keepExisting') return;
  if (whenMatched === 'fail') throw new CommandError(11000, '$merge found a matching document', { keyPattern: { _id: 1 }, keyValue: { _id: doc['_id'] } });
  const old = decode(found.bytes);
  const target = catalog.find(collection.ns) ?? collection;
  const before = entriesOf(target.indexes, old);
  const next = nextVersion(whenMatched, spec, old, doc);
  const bytes = encode(next);
  if (!bytes.equals(found.bytes)) replaceRecord(context.store, target, found.record, before, found.bytes.length, next, bytes);
}

function nextVersion(whenMatched: unknown, spec: Doc, old: Doc, doc: Doc): Doc {
  if (whenMatched === 'replace') return { ...doc, _id: old['_id'] };
  if (whenMatched === 'merge') return { ...old, ...doc, _id: old['_id'] };
  if (!Array.isArray(whenMatched)) throw new CommandError(2, `invalid whenMatched of $merge: ${String(whenMatched)}`);
  return updatePipeline(whenMatched as Doc[], { ...(spec['let'] as Doc | undefined), new: doc })(old);
}

function findOne(context: CommandContext, collection: Collection, filter: Doc): Found | null {
  const runner = createRunner(context.store, collection, { filter, match: compileFilter(filter), sort: [], skip: 0, limit: 1, plan: choosePlan(collection, filter, []), project: null });
  return runner.next(Infinity) ?? null;
}
