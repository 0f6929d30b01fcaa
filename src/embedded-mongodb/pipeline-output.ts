/** `$out` and `$merge`: the documents of a pipeline go into a collection. */
import { decode, type Doc } from './bson-decode.js';
import { encode } from './bson-encode.js';
import { isObject } from './bson-order.js';
import { checkName, type Catalog, type Collection } from './catalog.js';
import { CommandError } from './command-error.js';
import type { CommandContext } from './command-context.js';
import { updatePipeline, runSteps, type Steps } from './commands-write.js';
import { createRunner, type Found } from './find-runner.js';
import { compileFilter } from './match.js';
import { choosePlan } from './plan.js';
import { insertRecord, replaceRecord } from './records.js';
import { readExpressionPath } from './path-walk.js';
import { withId } from './update.js';

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

/** Writes the documents and answers with an empty cursor. */
export function writeOutput(context: CommandContext, stage: Doc, docs: readonly Doc[], ns: string): Doc | Promise<Doc> {
  const reply: Doc = { cursor: { firstBatch: [], id: 0n, ns }, ok: 1 };
  if ('$out' in stage) return runSteps(context, outSteps(context, readTarget(context, stage['$out'], 'coll'), docs, reply));
  const spec: Doc = isObject(stage['$merge']) ? stage['$merge'] : { into: stage['$merge'] };
  return runSteps(context, mergeSteps(context, readTarget(context, spec['into'], 'coll'), spec, docs, reply));
}

/** Fills a new collection and puts it in the old one's place when it is complete. */
function* outSteps(context: CommandContext, target: Target, docs: readonly Doc[], reply: Doc): Steps {
  const { catalog, store } = context;
  checkName(target.db, target.name);
  const temporary = catalog.create(target.db, `tmp.out.${catalog.newId()}`, {});
  try {
    const old = catalog.find(`${target.db}.${target.name}`);
    for (const index of old?.indexes ?? []) if (index.name !== '_id_') catalog.addIndex(temporary, index.spec, true);
    for (let i = 0; i < docs.length; i++) {
      const doc = withId(docs[i]!);
      insertRecord(store, temporary, doc, encode(doc));
      if (i % 64 === 63) yield undefined;
    }
  } catch (error) {
    catalog.drop(temporary);
    throw error;
  }
  const old = catalog.find(`${target.db}.${target.name}`);
  if (old) catalog.drop(old);
  catalog.rename(temporary, target.db, target.name);
  return reply;
}

function* mergeSteps(context: CommandContext, target: Target, spec: Doc, docs: readonly Doc[], reply: Doc): Steps {
  const on = spec['on'] === undefined ? ['_id'] : Array.isArray(spec['on']) ? (spec['on'] as string[]) : [spec['on'] as string];
  checkName(target.db, target.name);
  const collection = context.catalog.getOrCreate(target.db, target.name);
  requireUnique(collection, on);
  for (let i = 0; i < docs.length; i++) {
    mergeOne(context, context.catalog, collection, on, spec, withId(docs[i]!));
    if (i % 64 === 63) yield undefined;
  }
  return reply;
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
  const next = nextVersion(whenMatched, spec, old, doc);
  const bytes = encode(next);
  if (!bytes.equals(found.bytes)) replaceRecord(context.store, catalog.find(collection.ns) ?? collection, found.record, found.bytes, next, bytes, null);
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
