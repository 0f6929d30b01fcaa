/** Compiles an update (operators, replacement or pipeline) into a function that changes a document in place. */
import type { Doc } from './bson-decode.js';
import { equals, isObject } from './bson-order.js';
import { badValue, CommandError, failedToParse } from './command-error.js';
import { compileFilter, type MatchContext } from './match.js';
import { positionalIndex } from './positional.js';
import { addToSetChange, isBlindPush, popChange, pullAllChange, pullChange, pushChange } from './update-arrays.js';
import { bitChange, currentDateChange, incChange, maxChange, minChange, mulChange, newTimestamp, type FieldChange } from './update-fields.js';
import { erase, expandPath, findPlace, isPositional, makePlace, splitPath, valueAt, write, type PathScope } from './update-path.js';

export interface CompiledUpdate {
  kind: 'operators' | 'replacement' | 'pipeline';
  /** Top-level fields that may change, or null when any may. */
  touched: ReadonlySet<string> | null;
  /** Top-level arrays to which it only adds elements, whatever they and the others are. */
  opaque: ReadonlySet<string>;
  /** It looks at no other fields than `_id` and those that it touches, and leaves each in its place. */
  isLocal: boolean;
  apply(doc: Doc, filter: Doc, inserting: boolean): Doc;
}

/** Runs the stages of a pipeline update on one document; given by the caller. */
export type PipelineCompiler = (stages: Doc[], variables: Doc) => (doc: Doc) => Doc;

interface Step {
  path: string;
  parts: string[];
  /** Whether the path has positional parts. */
  dynamic: boolean;
  /** Changes the places that `path` stands for, all found before the first step of an update changed anything. */
  run(doc: Doc, places: readonly string[][], inserting: boolean): void;
}

const CHANGES: Record<string, (operand: unknown) => FieldChange> = {
  $inc: incChange, $mul: mulChange, $min: minChange, $max: maxChange, $currentDate: currentDateChange, $bit: bitChange,
  $push: pushChange, $addToSet: addToSetChange, $pop: popChange, $pull: pullChange, $pullAll: pullAllChange,
};

const FIELD_OPERATORS: ReadonlySet<string> = new Set([...Object.keys(CHANGES), '$set', '$setOnInsert', '$unset', '$rename']);
const NONE: ReadonlySet<string> = new Set();

/** Operators that never make a missing field. */
const ONLY_PRESENT = new Set(['$pop', '$pull', '$pullAll']);

export interface UpdateOptions {
  arrayFilters?: unknown;
  context?: MatchContext;
  compilePipeline?: PipelineCompiler;
}

/** @throws CommandError when the update is not valid. */
export function compileUpdate(update: unknown, options: UpdateOptions = {}): CompiledUpdate {
  if (Array.isArray(update)) {
    if (options.arrayFilters !== undefined && (options.arrayFilters as unknown[]).length > 0) throw failedToParse('arrayFilters may not be specified for pipeline-style updates');
    if (!options.compilePipeline) throw badValue('a pipeline is not allowed here');
    const run = options.compilePipeline(update as Doc[], options.context?.variables ?? {});
    return { kind: 'pipeline', touched: null, opaque: NONE, isLocal: false, apply: (doc) => keepId(doc['_id'], run(doc)) };
  }
  if (!isObject(update)) throw failedToParse('Update argument must be either an object or an array');
  const first = Object.keys(update)[0];
  if (first === undefined || !first.startsWith('$')) return compileReplacement(update, options);
  return compileOperators(update, options);
}

function compileReplacement(update: Doc, options: UpdateOptions): CompiledUpdate {
  for (const name of Object.keys(update)) {
    if (name.startsWith('$')) throw new CommandError(52, `The dollar ($) prefixed field '${name}' in '${name}' is not allowed in the context of an update's replacement document. Consider using an aggregation pipeline with $replaceWith.`);
  }
  if (Array.isArray(options.arrayFilters) && options.arrayFilters.length > 0) throw failedToParse('arrayFilters may not be specified for replacement-style updates');
  return { kind: 'replacement', touched: null, opaque: NONE, isLocal: false, apply: (doc) => keepId(doc['_id'], replaceTimestamps({ ...update })) };
}

/** An empty timestamp in a top-level field means "now". */
export function replaceTimestamps(doc: Doc): Doc {
  for (const name in doc) {
    const value = doc[name] as { _bsontype?: string; t?: number; i?: number } | null;
    if (name !== '_id' && value !== null && typeof value === 'object' && value._bsontype === 'Timestamp' && value.t === 0 && value.i === 0) doc[name] = newTimestamp();
  }
  return doc;
}

/** Puts the document's own `_id` first and refuses another one. */
function keepId(id: unknown, next: Doc): Doc {
  if (id === undefined) return next;
  if (next['_id'] !== undefined && !equals(next['_id'], id)) {
    throw new CommandError(66, "Performing an update on the path '_id' would modify the immutable field '_id'");
  }
  const { _id: _, ...rest } = next;
  return { _id: id, ...rest };
}

function compileOperators(update: Doc, options: UpdateOptions): CompiledUpdate {
  const filters = parseArrayFilters(options.arrayFilters, options.context ?? {});
  const steps: Step[] = [];
  const opaque = new Set<string>();
  for (const operator in update) {
    const fields = update[operator];
    if (!FIELD_OPERATORS.has(operator)) throw failedToParse(`Unknown modifier: ${operator}. Expected a valid update modifier or pipeline-style update specified as an array`);
    if (!isObject(fields)) throw failedToParse(`Modifiers operate on fields but we found type ${typeof fields} instead. For example: {$mod: {<field>: ...}} not {${operator}: ${String(fields)}}`);
    for (const path in fields) {
      compileStep(steps, operator, path, fields[path]);
      if (operator === '$push' && isBlindPush(fields[path])) opaque.add(path);
    }
  }
  const touched = new Set<string>();
  for (const step of steps) touched.add(step.parts[0]!);
  // As many names as steps: no two of them can meet.
  if (touched.size < steps.length) refuseConflicts(steps);
  checkArrayFilters(steps, filters);
  steps.sort(compareSteps);
  // What takes a new name comes last, even where that name was there.
  const isLocal = update['$rename'] === undefined && !steps.some((step) => step.path.includes('$'));
  const places = steps.some((step) => step.dynamic) ? null : steps.map((step) => [step.parts]);
  return { kind: 'operators', touched, opaque, isLocal, apply: (doc, filter, inserting) => applySteps(steps, places ?? placesIn(doc, steps, filters, filter, inserting), doc, inserting, touched.has('_id')) };
}

function placesIn(doc: Doc, steps: readonly Step[], arrayFilters: PathScope['arrayFilters'], filter: Doc, inserting: boolean): string[][][] {
  const scope: PathScope = { arrayFilters, positional: (path) => positionalIndex(doc, filter, path, inserting) };
  return steps.map((step) => (step.dynamic ? expandPath(doc, step.parts, scope) : [step.parts]));
}

function applySteps(steps: readonly Step[], places: readonly string[][][], doc: Doc, inserting: boolean, touchesId: boolean): Doc {
  const id = doc['_id'];
  for (let i = 0; i < steps.length; i++) steps[i]!.run(doc, places[i]!, inserting);
  if (touchesId && id !== undefined && (doc['_id'] === undefined || !equals(doc['_id'], id))) {
    throw new CommandError(66, "Performing an update on the path '_id' would modify the immutable field '_id'");
  }
  return doc;
}

function compileStep(steps: Step[], operator: string, path: string, operand: unknown): void {
  const parts = splitPath(path);
  if (parts[0] === '$' || parts[0]!.startsWith('$[')) throw badValue(`Cannot have array filter identifier (i.e. '$[<id>]') element in the first position in path '${path}'`);
  if (operator === '$rename') {
    steps.push(...compileRename(path, parts, operand));
    return;
  }
  const run = runOperator(operator, operand);
  const dynamic = path.includes('$') && parts.some(isPositional);
  if (!parts[0]!.startsWith('$') || operator === '$unset') {
    steps.push({ path, parts, dynamic, run });
    return;
  }
  steps.push({ path, parts, dynamic, run: (doc, places, inserting) => {
    // Such a field can be inserted but not be made by changing a document.
    if (!inserting) throw new CommandError(52, `The dollar ($) prefixed field '${parts[0]}' in '${path}' is not valid for storage.`);
    run(doc, places, inserting);
  } });
}

function runOperator(operator: string, operand: unknown): Step['run'] {
  if (operator === '$unset') {
    return (doc, places) => {
      for (const concrete of places) {
        const place = findPlace(doc, concrete);
        if (place && valueAt(place) !== undefined) erase(place);
      }
    };
  }
  if (operator === '$set' || operator === '$setOnInsert') {
    return (doc, places, inserting) => {
      if (operator === '$set' || inserting) for (const concrete of places) write(makePlace(doc, concrete), operand);
    };
  }
  const change = CHANGES[operator]!(operand);
  const onlyPresent = ONLY_PRESENT.has(operator);
  return (doc, places) => {
    for (const concrete of places) applyChange(doc, concrete, change, onlyPresent);
  };
}

function applyChange(doc: Doc, concrete: string[], change: FieldChange, onlyPresent: boolean): void {
  const found = findPlace(doc, concrete);
  const present = found ? valueAt(found) : undefined;
  if (onlyPresent && present === undefined) return;
  const next = change(present, doc, concrete.join('.'));
  if (next !== undefined) write(found ?? makePlace(doc, concrete), next);
}

function compileRename(path: string, parts: string[], operand: unknown): Step[] {
  if (typeof operand !== 'string') throw badValue(`The 'to' field for $rename must be a string: ${path}: ${String(operand)}`);
  const target = splitPath(operand);
  if (path === operand) throw badValue(`The source and target field for $rename must differ: ${path}: "${operand}"`);
  if ([...parts, ...target].some((part) => part.startsWith('$'))) throw badValue(`The source and target field for $rename may not be dynamic: ${path}`);
  return [
    { path, parts, dynamic: false, run: () => undefined },
    { path: operand, parts: target, dynamic: false, run: (doc) => {
      const from = findPlace(doc, parts);
      if (Array.isArray(from?.container)) throw badValue(`The source field cannot be an array element, '${path}' in doc with _id: ${String(doc['_id'])} has an array field`);
      const value = from ? valueAt(from) : undefined;
      if (!from || value === undefined) return;
      erase(from);
      const to = makePlace(doc, target);
      if (Array.isArray(to.container)) throw badValue(`The destination field cannot be an array element, '${operand}' in doc with _id: ${String(doc['_id'])} has an array field`);
      delete to.container[to.key];
      write(to, value);
    } },
  ];
}

function refuseConflicts(steps: readonly Step[]): void {
  const seen = new Set<string>();
  for (const { path, parts } of steps.some((step) => step.parts.length > 1) ? steps.toSorted((a, b) => (a.path < b.path ? -1 : 1)) : steps) {
    if (seen.has(path)) throw conflict(path, path);
    for (let i = 1; i < parts.length; i++) {
      const prefix = parts.slice(0, i).join('.');
      if (seen.has(prefix)) throw conflict(path, prefix);
    }
    seen.add(path);
  }
}

function conflict(path: string, at: string): CommandError {
  return new CommandError(40, `Updating the path '${path}' would create a conflict at '${at}'`);
}

/** New fields are added in this order: numbers by value, names by their text. */
function compareSteps({ parts: left }: Step, { parts: right }: Step): number {
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const [x, y] = [left[i]!, right[i]!];
    if (x === y) continue;
    return isNumeric(x) && isNumeric(y) ? Number(x) - Number(y) : x < y ? -1 : 1;
  }
  return left.length - right.length;
}

function isNumeric(part: string): boolean {
  const first = part.charCodeAt(0);
  return first >= 48 && first <= 57 && /^\d+$/.test(part);
}

function parseArrayFilters(value: unknown, context: MatchContext): Map<string, (item: unknown) => boolean> {
  const filters = new Map<string, (item: unknown) => boolean>();
  if (value === undefined || value === null) return filters;
  if (!Array.isArray(value)) throw new CommandError(14, 'arrayFilters must be an array');
  for (const filter of value) {
    if (!isObject(filter)) throw new CommandError(14, 'each array filter must be an object');
    const name = identifierOf(filter);
    if (name === null) throw failedToParse('Cannot use an expression without a top-level field name in arrayFilters');
    if (!/^[a-z][a-zA-Z0-9]*$/.test(name)) throw badValue(`Error parsing array filter :: caused by :: The top-level field name must be an alphanumeric string beginning with a lowercase letter, found '${name}'`);
    if (filters.has(name)) throw failedToParse(`Found multiple array filters with the same top-level field name ${name}`);
    const match = compileFilter(filter, context);
    filters.set(name, (item) => match({ [name]: item }));
  }
  return filters;
}

function identifierOf(filter: Doc): string | null {
  let name: string | null = null;
  for (const [key, operand] of Object.entries(filter)) {
    const found = key.startsWith('$') ? (Array.isArray(operand) ? (operand as Doc[]).map(identifierOf) : [null]) : [key.split('.', 1)[0]!];
    for (const one of found) {
      if (one === null) return null;
      if (name !== null && name !== one) throw failedToParse(`Error parsing array filter :: caused by :: Expected a single top-level field name, found '${name}' and '${one}'`);
      name = one;
    }
  }
  return name;
}

function checkArrayFilters(steps: readonly Step[], filters: ReadonlyMap<string, unknown>): void {
  const used = new Set<string>();
  for (const step of steps) if (step.path.includes('$[')) for (const found of step.path.matchAll(/\$\[([^\]]+)\]/g)) used.add(found[1]!);
  for (const name of filters.keys()) {
    if (!used.has(name)) throw failedToParse(`The array filter for identifier '${name}' was not used in the update`);
  }
  for (const name of used) if (!filters.has(name)) throw badValue(`No array filter found for identifier '${name}'`);
}
