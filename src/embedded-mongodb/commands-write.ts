/** The commands that change documents: insert, update, delete, findAndModify. */
import { BSONRegExp, Timestamp } from 'bson';
import { decode, decodeAround, decodeFields, type Doc } from './bson-decode.js';
import { encode, RawBson } from './bson-encode.js';
import { beginTurn } from './budget.js';
import { isObject } from './bson-order.js';
import { checkName, type Collection } from './catalog.js';
import { checkStatementFields } from './command-fields.js';
import { CommandError, failedToParse, typeMismatch } from './command-error.js';
import { checkDeadline, collectionName, docArgument, evaluateVariables, findCollection, matchContext, refuseCollation, type CommandContext } from './command-context.js';
import { compileExpression } from './expression.js';
import { createRunner, projectBytes, type Found, type FindRunner } from './find-runner.js';
import { compileFilter, fieldsOf, truthy, type Matcher } from './match.js';
import { wholeNumber } from './match-leaf.js';
import { compileChange } from './pipeline.js';
import { choosePlan } from './plan.js';
import { compileProjection } from './project.js';
import { copyBytes, deleteRecord, entriesBefore, fieldsToKnow, insertRecord, readRecord, replaceRecord } from './records.js';
import { parseSort, type SortPart } from './sort.js';
import { compileUpdate, replaceTimestamps, type CompiledUpdate } from './update.js';
import { seedFromFilter, withId } from './upsert.js';

/** A command in steps: it yields where others may have their turn. */
export type Steps = Generator<undefined, Doc>;

export function runSteps(context: CommandContext, steps: Steps): Doc | Promise<Doc> {
  return context.executor.sliced(true, () => {
    beginTurn(context.deadline);
    const { done, value } = steps.next();
    return done ? value : undefined;
  });
}

const MAX_STATEMENTS = 100_000;
const YIELD_EVERY = 64;

function statements(context: CommandContext, name: string): Doc[] {
  const raw = context.sequences.get(name);
  const list = raw ? raw.map((bytes) => decode(bytes)) : context.command[name];
  if (!Array.isArray(list)) throw failedToParse(`BSON field '${context.name}.${name}' is missing but a required field`);
  if (list.length === 0 || list.length > MAX_STATEMENTS) throw new CommandError(16, `Write batch sizes must be between 1 and ${MAX_STATEMENTS}. Got ${list.length} operations.`);
  for (const item of list) {
    if (!isObject(item)) throw typeMismatch(`BSON field '${context.name}.${name}' has an element that is not an object`);
    checkStatementFields(context.name, name, item);
  }
  return list as Doc[];
}

function writeError(index: number, error: unknown): Doc {
  if (!(error instanceof CommandError)) throw error;
  return { index, code: error.code, ...error.extra, errmsg: error.message };
}

export function insert(context: CommandContext): Doc | Promise<Doc> {
  const name = collectionName(context);
  if (!findCollection(context)) checkName(context.db, name);
  const docs = context.sequences.get('documents');
  if (!docs) throw failedToParse("BSON field 'insert.documents' is missing but a required field");
  if (docs.length === 0 || docs.length > MAX_STATEMENTS) throw new CommandError(16, `Write batch sizes must be between 1 and ${MAX_STATEMENTS}. Got ${docs.length} operations.`);
  return runSteps(context, insertSteps(context, name, docs));
}

function* insertSteps(context: CommandContext, name: string, docs: readonly Buffer[]): Steps {
  const ordered = context.command['ordered'] !== false;
  const writeErrors: Doc[] = [];
  let n = 0;
  for (let i = 0; i < docs.length; i++) {
    try {
      const { doc, bytes } = prepareInsert(docs[i]!);
      insertRecord(context.store, context.catalog.getOrCreate(context.db, name), doc, bytes);
      n++;
    } catch (error) {
      writeErrors.push(writeError(i, error));
      if (ordered) break;
    }
    if (i % YIELD_EVERY === YIELD_EVERY - 1) {
      checkDeadline(context);
      yield undefined;
    }
  }
  return { n, ...(writeErrors.length > 0 ? { writeErrors } : {}), ok: 1 };
}

/** The document with its `_id` in front, as it is stored. */
function prepareInsert(raw: Buffer): { doc: Doc; bytes: Buffer } {
  const doc = decode(raw);
  let first = true;
  let idFirst = false;
  let stamps = false;
  for (const name in doc) {
    if (first) idFirst = name === '_id';
    first = false;
    if (doc[name] instanceof Timestamp) stamps = true;
  }
  checkId(doc['_id']);
  if (idFirst && !stamps) return { doc, bytes: raw };
  const complete = withId(stamps ? replaceTimestamps(doc) : doc);
  return { doc: complete, bytes: encode(complete) };
}

function checkId(id: unknown): void {
  if (Array.isArray(id)) throw new CommandError(53, "The '_id' value cannot be of type array");
  if (id instanceof BSONRegExp) throw new CommandError(53, "The '_id' value cannot be of type regex");
  if (isObject(id)) for (const name in id) if (name.startsWith('$') && !['$ref', '$id', '$db'].includes(name)) throw new CommandError(52, `_id fields may not contain '$'-prefixed fields: ${name} is not valid for storage.`);
}

interface UpdateStatement {
  filter: Doc;
  match: Matcher;
  compiled: CompiledUpdate;
  multi: boolean;
  upsert: boolean;
  hint: unknown;
  sort: readonly SortPart[];
}

function readUpdate(context: CommandContext, statement: Doc): UpdateStatement {
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
  return { filter, match: compileFilter(filter, matching), compiled, multi, upsert: truthy(statement['upsert']), hint: statement['hint'], sort: parseSort(docArgument(statement, 'sort')) };
}

const UPDATE_STAGES = new Set(['$set', '$addFields', '$unset', '$project', '$replaceRoot', '$replaceWith']);

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
  return runSteps(context, updateSteps(context, name, statements(context, 'updates')));
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
    if (i % 16 === 15) yield undefined;
  }
  return { n: totals.n, nModified: totals.nModified, ...(upserted.length > 0 ? { upserted } : {}), ...(writeErrors.length > 0 ? { writeErrors } : {}), ok: 1 };
}

/** Applies one statement; gives the `_id` when it inserted. */
function* runUpdate(context: CommandContext, name: string, statement: UpdateStatement, totals: { n: number; nModified: number }): Generator<undefined, { value: unknown } | null> {
  const collection = context.catalog.find(`${context.db}.${name}`);
  if (collection) {
    const targets = yield* findTargets(context, collection, statement, statement.multi ? 0 : 1);
    const fields = fieldsOf(statement.filter);
    for (let i = 0; i < targets.length; i++) {
      const found = current(context, collection, targets[i]!, statement.match, fields);
      if (!found) continue;
      if (applyUpdate(context, collection, found, statement)) totals.nModified++;
      totals.n++;
      if (i % YIELD_EVERY === YIELD_EVERY - 1) {
        checkDeadline(context);
        yield undefined;
      }
    }
    if (targets.length > 0) return null;
  }
  if (!statement.upsert) return null;
  const doc = insertUpserted(context, name, statement);
  return { value: doc['_id'] };
}

/** The records a statement is about, all of them found before the first is changed. */
function* findTargets(context: CommandContext, collection: Collection, statement: UpdateStatement, limit: number): Generator<undefined, (number | Found)[]> {
  const { filter, match, hint, sort } = statement;
  const plan = choosePlan(collection, filter, sort, hint);
  const runner = createRunner(context.store, collection, { filter, match, sort: sort[0]?.path === '$natural' ? [] : sort, skip: 0, limit, plan, project: null });
  return yield* collectTargets(context, runner, limit === 1);
}

function* collectTargets(context: CommandContext, runner: FindRunner, single: boolean): Generator<undefined, (number | Found)[]> {
  const targets: (number | Found)[] = [];
  for (let until = performance.now() + 10; ; ) {
    const found = runner.next(until);
    if (found === null) return targets;
    if (found) targets.push(single ? found : found.record);
    if (found && (targets.length % YIELD_EVERY !== 0 || performance.now() < until)) continue;
    checkDeadline(context);
    yield undefined;
    until = performance.now() + 10;
  }
}

/** The target as it is now: it may have changed while the command let others have their turn. */
function current(context: CommandContext, collection: Collection, target: number | Found, match: Matcher, fields: ReadonlySet<string> | null): Found | null {
  if (typeof target !== 'number') return target;
  const bytes = readRecord(context.store, collection, target);
  if (!bytes) return null;
  const copy = copyBytes(bytes);
  return match(fields ? decodeFields(copy, fields) : decode(copy)) ? { record: target, bytes: copy } : null;
}

/** Changes one document; false when that made no difference. */
function applyUpdate(context: CommandContext, collection: Collection, found: Found, statement: UpdateStatement): Buffer | null {
  const { touched, isLocal } = statement.compiled;
  const known = isLocal && touched ? fieldsToKnow(collection, touched) : null;
  const old = known ? decodeAround(found.bytes, known) : decode(found.bytes);
  // Before the change, which is made in place.
  const before = entriesBefore(collection, old, touched);
  const doc = statement.compiled.apply(old, statement.filter, false);
  const bytes = encode(doc);
  if (bytes.equals(found.bytes)) return null;
  replaceRecord(context.store, collection, found.record, before, found.bytes.length, doc, bytes);
  return bytes;
}

function insertUpserted(context: CommandContext, name: string, statement: UpdateStatement): Doc {
  const seed = seedFromFilter(statement.filter, statement.compiled);
  const doc = withId(statement.compiled.apply(seed, statement.filter, true));
  checkId(doc['_id']);
  insertRecord(context.store, context.catalog.getOrCreate(context.db, name), doc, encode(doc));
  return doc;
}

export function remove(context: CommandContext): Doc | Promise<Doc> {
  return runSteps(context, deleteSteps(context, collectionName(context), statements(context, 'deletes')));
}

function* deleteSteps(context: CommandContext, name: string, list: readonly Doc[]): Steps {
  const ordered = context.command['ordered'] !== false;
  const writeErrors: Doc[] = [];
  let n = 0;
  for (let i = 0; i < list.length; i++) {
    try {
      n += yield* runDelete(context, name, list[i]!);
    } catch (error) {
      writeErrors.push(writeError(i, error));
      if (ordered) break;
    }
    if (i % 16 === 15) yield undefined;
  }
  return { n, ...(writeErrors.length > 0 ? { writeErrors } : {}), ok: 1 };
}

function* runDelete(context: CommandContext, name: string, statement: Doc): Generator<undefined, number> {
  refuseCollation(statement);
  const filter = docArgument(statement, 'q');
  const limit = wholeNumber(statement['limit']);
  if (limit !== 0 && limit !== 1) throw failedToParse(`The limit field in delete objects must be 0 or 1. Got ${String(statement['limit'])}`);
  const match = compileFilter(filter, matchContext(context.command));
  const collection = context.catalog.find(`${context.db}.${name}`);
  if (!collection) return 0;
  const plan = choosePlan(collection, filter, [], statement['hint']);
  const runner = createRunner(context.store, collection, { filter, match, sort: [], skip: 0, limit, plan, project: null });
  const targets = yield* collectTargets(context, runner, limit === 1);
  let n = 0;
  for (let i = 0; i < targets.length; i++) {
    const found = current(context, collection, targets[i]!, match, null);
    if (!found) continue;
    deleteRecord(context.store, collection, found.record, found.bytes);
    n++;
    if (i % YIELD_EVERY === YIELD_EVERY - 1) {
      checkDeadline(context);
      yield undefined;
    }
  }
  return n;
}

export function findAndModify(context: CommandContext): Doc | Promise<Doc> {
  const { command } = context;
  const removing = truthy(command['remove']);
  const statement: Doc = { q: command['query'] ?? {}, u: command['update'], arrayFilters: command['arrayFilters'], upsert: command['upsert'], hint: command['hint'], collation: command['collation'] };
  if (removing && command['update'] !== undefined) throw failedToParse('Cannot specify both an update and remove=true');
  if (!removing && command['update'] === undefined) throw failedToParse('Either an update or remove=true must be specified');
  if (removing && truthy(command['upsert'])) throw failedToParse('Cannot specify both upsert=true and remove=true');
  if (removing && truthy(command['new'])) throw failedToParse("Cannot specify both new=true and remove=true; 'remove' always returns the deleted document");
  if (removing) statement['u'] = {};
  const parsed = readUpdate(context, statement);
  parsed.sort = parseSort(docArgument(command, 'sort'));
  return runSteps(context, findAndModifySteps(context, parsed, removing));
}

function* findAndModifySteps(context: CommandContext, statement: UpdateStatement, removing: boolean): Steps {
  const { command } = context;
  const name = collectionName(context);
  const fields = docArgument(command, 'fields', docArgument(command, 'projection'));
  const matching = matchContext(command);
  const project = Object.keys(fields).length === 0 ? null : compileProjection(fields, (expression) => compileExpression(expression, matching.variables), matching);
  const shownBytes = (bytes: Buffer): RawBson => new RawBson(projectBytes(bytes, project, statement.filter));
  const collection = findCollection(context);
  const target = collection ? ((yield* findTargets(context, collection, statement, 1))[0] as Found | undefined) : undefined;
  const wantsNew = truthy(command['new']);
  if (target && collection) {
    if (removing) {
      deleteRecord(context.store, collection, target.record, target.bytes);
      return { lastErrorObject: { n: 1 }, value: shownBytes(target.bytes), ok: 1 };
    }
    const after = applyUpdate(context, collection, target, statement) ?? target.bytes;
    return { lastErrorObject: { n: 1, updatedExisting: true }, value: shownBytes(wantsNew ? after : target.bytes), ok: 1 };
  }
  if (removing) return { lastErrorObject: { n: 0 }, value: null, ok: 1 };
  if (!statement.upsert) return { lastErrorObject: { n: 0, updatedExisting: false }, value: null, ok: 1 };
  const doc = insertUpserted(context, name, statement);
  return { lastErrorObject: { n: 1, updatedExisting: false, upserted: doc['_id'] }, value: wantsNew ? shownBytes(encode(doc)) : null, ok: 1 };
}
