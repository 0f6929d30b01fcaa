/** The `update` command, and how one statement of it changes, or adds, one document. */
import { decode, decodeFields, decodeUpdateStatement, type Doc } from './bson-decode.js';
import { encode, encodeChanged } from './bson-encode.js';
import { sliceIsOver } from './budget.js';
import { checkName, type Collection } from './catalog.js';
import { CommandError, failedToParse } from './command-error.js';
import { collectionName, docArgument, evaluateVariables, findCollection, matchContext, refuseCollation, type CommandContext } from './command-context.js';
import { checkId, withId } from './document-id.js';
import type { Found } from './find-runner.js';
import type { Index } from './index-definition.js';
import { compileFilter, fieldsOf, truthy } from './match.js';
import { compileChange, requireKnownStage } from './pipeline.js';
import { affectedIndexes, entriesOf, fieldsToKnow, insertRecord, replaceRecord } from './records.js';
import { parseSort } from './sort.js';
import { compileUpdate, type CompiledUpdate } from './update.js';
import { seedFromFilter } from './upsert.js';
import { giveWay, runSteps, statements, writeError, type Steps } from './write-steps.js';
import { current, findTargets, recordOf, type Targeting } from './write-targets.js';

export interface UpdateStatement extends Targeting {
  compiled: CompiledUpdate;
  multi: boolean;
  upsert: boolean;
}

/** What of a collection's documents an update has to do with, as long as the collection's indexes stay what they are. */
export interface Reach {
  indexes: readonly Index[];
  /** The fields to decode; null: all. */
  known: ReadonlySet<string> | null;
  /** Of those, arrays whose elements nothing looks into. */
  opaque: ReadonlySet<string>;
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
  const reaches: Reaches = { asOf: -1, known: new Map() };
  for (let i = 0; i < list.length; i++) {
    try {
      const statement = readUpdate(context, list[i]!);
      const id = yield* runUpdate(context, name, statement, totals, reaches);
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
function* runUpdate(context: CommandContext, name: string, statement: UpdateStatement, totals: { n: number; nModified: number }, reaches: Reaches): Generator<undefined, { value: unknown } | null> {
  const collection = context.catalog.find(`${context.db}.${name}`);
  if (collection) {
    const targets = yield* findTargets(context, collection, statement, statement.multi ? 0 : 1);
    let reach = targets.length > 0 ? knownReach(context, reaches, collection, statement.compiled) : null;
    let isFresh = true;
    for (let i = 0; i < targets.length; i++) {
      const found = current(context, collection, isFresh ? targets[i]! : recordOf(targets[i]!), statement.match, statement.fields);
      if (!found) continue;
      if (applyUpdate(context, collection, found, statement, reach!)) totals.nModified++;
      totals.n++;
      if (i + 1 === targets.length || !sliceIsOver()) continue;
      yield* giveWay(context);
      isFresh = false;
      reach = knownReach(context, reaches, collection, statement.compiled);
    }
    if (targets.length > 0) return null;
  }
  if (!statement.upsert) return null;
  const doc = insertUpserted(context, name, statement);
  return { value: doc['_id'] };
}

export function reachOf(collection: Collection, { touched, opaque, isLocal }: CompiledUpdate): Reach {
  const indexes = affectedIndexes(collection, touched);
  const known = isLocal && touched ? fieldsToKnow(indexes, touched) : null;
  return { indexes, known, opaque: known === null ? NOTHING : outside(opaque, indexes) };
}

/** By the fields that an update touches: the statements of one command are mostly alike. */
interface Reaches {
  /** Forgotten when others have run since: the indexes may be others now. */
  asOf: number;
  known: Map<string, Reach>;
}

function knownReach({ executor }: CommandContext, reaches: Reaches, collection: Collection, compiled: CompiledUpdate): Reach {
  if (compiled.touched === null || !compiled.isLocal) return reachOf(collection, compiled);
  if (reaches.asOf !== executor.tasksRun()) {
    reaches.known.clear();
    reaches.asOf = executor.tasksRun();
  }
  // No name holds a zero byte.
  const key = `${[...compiled.touched].join('\0')}\0\0${[...compiled.opaque].join('\0')}`;
  const known = reaches.known.get(key);
  if (known !== undefined) return known;
  const reach = reachOf(collection, compiled);
  reaches.known.set(key, reach);
  return reach;
}

const NOTHING: ReadonlySet<string> = new Set();

/** Those that are in no index. */
function outside(names: ReadonlySet<string>, indexes: readonly Index[]): ReadonlySet<string> {
  for (const name of names) if (indexes.some(({ fields }) => fields === null || fields.has(name))) return NOTHING;
  return names;
}

/** Changes one document and gives its bytes; null when that made no difference. */
export function applyUpdate(context: CommandContext, collection: Collection, found: Found, statement: UpdateStatement, { indexes, known, opaque }: Reach): Buffer | null {
  const { touched } = statement.compiled;
  const old = known ? decodeFields(found.bytes, known, opaque) : decode(found.bytes);
  // Before the change, which is made in place.
  const before = entriesOf(indexes, old);
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
