/** The `update` command, and how one statement of it changes, or adds, one document. */
import { decode, decodeFields, decodeUpdateStatement, type Doc } from './bson-decode.js';
import { encode, encodeChanged } from './bson-encode.js';
import { sliceIsOver } from './budget.js';
import { checkName, type Collection } from './catalog.js';
import { CommandError, failedToParse } from './command-error.js';
import { collectionName, docArgument, evaluateVariables, findCollection, matchContext, refuseCollation, type CommandContext } from './command-context.js';
import { checkId, withId } from './document-id.js';
import { createRunner, type Found } from './find-runner.js';
import { encodeKey, MAX_KEY_BYTES } from './index-key.js';
import { compileFilter, fieldsOf, truthy, type Matcher } from './match.js';
import { compileChange, requireKnownStage } from './pipeline.js';
import { choosePlan, soleId } from './plan.js';
import { entriesBefore, fieldsToKnow, findUnique, insertRecord, replaceRecord } from './records.js';
import { parseSort, type SortPart } from './sort.js';
import { compileUpdate, type CompiledUpdate } from './update.js';
import { seedFromFilter } from './upsert.js';
import { collectTargets, current, giveWay, runSteps, statements, writeError, type Steps } from './write-steps.js';

export interface UpdateStatement {
  filter: Doc;
  /** What the filter reads; null: it may read anything. */
  fields: ReadonlySet<string> | null;
  match: Matcher;
  compiled: CompiledUpdate;
  multi: boolean;
  upsert: boolean;
  hint: unknown;
  sort: readonly SortPart[];
}

/** @throws CommandError when the statement is not valid */
export function readUpdate(context: CommandContext, statement: Doc): UpdateStatement {
  refuseCollation(statement);
  const filter = docArgument(statement, 'q');
  const matching = matchContext(context.command);
  if (statement['c']) matching.variables = { ...matching.variables, ...evaluateVariables(docArgument(statement, 'c')) };
  const compiled = compileUpdate(statement['u'], {
    arrayFilters: statement['arrayFilters'],
    context: matching,
    compilePipeline: (stages, variables) => updatePipeline(stages, variables),
  });
  const multi = truthy(statement['multi']);
  if (multi && compiled.kind === 'replacement') throw failedToParse('multi update is not supported for replacement-style update');
  return { filter, fields: fieldsOf(filter), match: compileFilter(filter, matching), compiled, multi, upsert: truthy(statement['upsert']), hint: statement['hint'], sort: parseSort(docArgument(statement, 'sort')) };
}

const UPDATE_STAGES = new Set(['$set', '$addFields', '$unset', '$project', '$replaceRoot', '$replaceWith']);

/** A pipeline as a function over one document. @throws CommandError 72 for a stage that an update may not have */
export function updatePipeline(stages: Doc[], variables: Doc): (doc: Doc) => Doc {
  for (const stage of stages) {
    const name = Object.keys(stage)[0] ?? '';
    if (!UPDATE_STAGES.has(name)) throw new CommandError(72, `${name} is not allowed to be used within an update`);
  }
  return compileChange(stages, variables);
}

export function update(context: CommandContext): Doc | Promise<Doc> {
  const name = collectionName(context);
  if (!findCollection(context)) checkName(context.db, name);
  const list = statements(context, 'updates', decodeUpdate);
  // A stage that does not exist fails the whole command, one that has no place in an update only its statement.
  for (const { u } of list) if (Array.isArray(u)) u.forEach(requireKnownStage);
  return runSteps(context, updateSteps(context, name, list));
}

/** An upsert may make a whole document of it, with all of its index keys. */
function decodeUpdate(bytes: Buffer): Doc {
  const statement = decodeUpdateStatement(bytes);
  return truthy(statement['upsert']) ? decode(bytes) : statement;
}

function* updateSteps(context: CommandContext, name: string, list: readonly Doc[]): Steps {
  const ordered = context.command['ordered'] !== false;
  const totals = { n: 0, nModified: 0 };
  const upserted: Doc[] = [];
  const writeErrors: Doc[] = [];
  for (let i = 0; i < list.length; i++) {
    try {
      const statement = readUpdate(context, list[i]!);
      const id = yield* runUpdate(context, name, statement, totals);
      if (id) {
        upserted.push({ index: i, _id: id.value });
        totals.n++;
      }
    } catch (error) {
      writeErrors.push(writeError(i, error));
      if (ordered) break;
    }
    if (i + 1 < list.length && sliceIsOver()) yield* giveWay(context);
  }
  return { n: totals.n, nModified: totals.nModified, ...(upserted.length > 0 ? { upserted } : {}), ...(writeErrors.length > 0 ? { writeErrors } : {}), ok: 1 };
}

/** Applies one statement; gives the `_id` when it inserted. */
function* runUpdate(context: CommandContext, name: string, statement: UpdateStatement, totals: { n: number; nModified: number }): Generator<undefined, { value: unknown } | null> {
  const collection = context.catalog.find(`${context.db}.${name}`);
  if (collection) {
    const targets = yield* findTargets(context, collection, statement, statement.multi ? 0 : 1);
    for (let i = 0; i < targets.length; i++) {
      const found = current(context, collection, targets[i]!, statement.match, statement.fields);
      if (!found) continue;
      if (applyUpdate(context, collection, found, statement)) totals.nModified++;
      totals.n++;
      if (i + 1 < targets.length && sliceIsOver()) yield* giveWay(context);
    }
    if (targets.length > 0) return null;
  }
  if (!statement.upsert) return null;
  const doc = insertUpserted(context, name, statement);
  return { value: doc['_id'] };
}

/** The records a statement is about, all of them found before the first is changed. */
export function* findTargets(context: CommandContext, collection: Collection, statement: UpdateStatement, limit: number): Generator<undefined, (number | Found)[]> {
  const { filter, match, hint, sort } = statement;
  const byId = hint === undefined && sort.length === 0 ? idKey(collection, filter) : null;
  if (byId !== null) {
    const record = findUnique(context.store, collection.indexes[0]!, byId);
    const found = record === null ? null : current(context, collection, record, match, statement.fields);
    return found === null ? [] : [found];
  }
  const plan = choosePlan(collection, filter, sort, hint);
  const runner = createRunner(context.store, collection, { filter, match, sort: sort[0]?.path === '$natural' ? [] : sort, skip: 0, limit, plan, project: null });
  return yield* collectTargets(context, runner, limit === 1);
}

/** What a filter's `_id` is in its index, where it names just one: then there is nothing to plan. */
function idKey(collection: Collection, filter: Doc): Buffer | null {
  const sole = soleId(collection, filter);
  if (sole === null) return null;
  const key = encodeKey([sole.id], sole.index.descending);
  return key.length > MAX_KEY_BYTES ? null : key;
}

/** Changes one document and gives its bytes; null when that made no difference. */
export function applyUpdate(context: CommandContext, collection: Collection, found: Found, statement: UpdateStatement): Buffer | null {
  const { touched, isLocal } = statement.compiled;
  const known = isLocal && touched ? fieldsToKnow(collection, touched) : null;
  const old = known ? decodeFields(found.bytes, known) : decode(found.bytes);
  // Before the change, which is made in place.
  const before = entriesBefore(collection, old, touched);
  const doc = statement.compiled.apply(old, statement.filter, false);
  const bytes = known && touched ? encodeChanged(found.bytes, doc, touched) : encode(doc);
  if (bytes.equals(found.bytes)) return null;
  replaceRecord(context.store, collection, found.record, before, found.bytes.length, doc, bytes);
  return bytes;
}

/** Adds the document of an upsert that found none. @throws CommandError 11000 and others */
export function insertUpserted(context: CommandContext, name: string, statement: UpdateStatement): Doc {
  const seed = seedFromFilter(statement.filter, statement.compiled);
  const doc = withId(statement.compiled.apply(seed, statement.filter, true));
  checkId(doc['_id']);
  insertRecord(context.store, context.catalog.getOrCreate(context.db, name), doc, encode(doc));
  return doc;
}
