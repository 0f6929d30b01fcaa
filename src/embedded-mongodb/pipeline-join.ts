/** The stages that join flows: `$lookup`, `$graphLookup` and `$unionWith` with other collections, `$facet` within. */
import type { Doc } from './bson-decode.js';
import { isObject } from './bson-order.js';
import { CommandError, failedToParse } from './command-error.js';
import { compileExpression } from './expression.js';
import { valueKey } from './value-key.js';
import { fromList, turnIsOver, type Flow, type Stage } from './flow.js';
import { openAccount } from './memory-account.js';
import { readExpressionPath } from './path-walk.js';
import { setAt } from './pipeline-fields.js';
import { allOf, splitPipeline } from './pipeline-leading.js';
import { objectOperand, pipelineOperand, type PipelineScope, type StageCompiler } from './pipeline-stage.js';

/** A pipeline over another collection, with an additional filter in front. */
function openForeign(scope: PipelineScope, from: string | undefined, stages: readonly Doc[], filter: Doc): Flow {
  if (from === undefined) return scope.compile(stages, scope)([]);
  const { query, rest } = splitPipeline(stages);
  return scope.compile(rest, scope)(scope.find(from, { ...query, filter: allOf([filter, query.filter]) }, scope.variables));
}

/** Takes all of a flow, passing its pauses on. */
function* collect(flow: Flow): Generator<null, Doc[]> {
  const docs: Doc[] = [];
  for (const doc of flow) {
    if (doc) docs.push(doc);
    else yield null;
  }
  return docs;
}

interface Lookup {
  from: string | undefined;
  as: string[];
  localField: string[] | null;
  foreignField: string | null;
  let: (readonly [string, (doc: Doc) => unknown])[];
  stages: Doc[];
}

const LOOKUP_FIELDS = new Set(['from', 'as', 'localField', 'foreignField', 'let', 'pipeline']);

function readLookup(operand: unknown, scope: PipelineScope): Lookup {
  const spec = objectOperand('$lookup', operand, 9);
  for (const name in spec) if (!LOOKUP_FIELDS.has(name)) throw failedToParse(`unknown argument to $lookup: ${name}`);
  const { from, as, localField, foreignField, pipeline } = spec;
  if (typeof as !== 'string') throw failedToParse("must specify 'as' field for a $lookup");
  if (isObject(from)) throw failedToParse("$lookup with a 'from' of another database is not supported by this server");
  if (from !== undefined && typeof from !== 'string') throw failedToParse("$lookup argument 'from' must be a string");
  const joined = typeof localField === 'string' && typeof foreignField === 'string';
  if (!joined && (localField !== undefined || foreignField !== undefined)) throw failedToParse('$lookup requires both or neither of \'localField\' and \'foreignField\' to be specified');
  if (pipeline === undefined && !joined) throw failedToParse("$lookup requires either 'pipeline' or both 'localField' and 'foreignField' to be specified");
  const stages = pipeline === undefined ? [] : pipelineOperand('$lookup', pipeline);
  if (from === undefined && !(stages[0] && '$documents' in stages[0])) throw failedToParse("must specify 'pipeline' when 'from' is empty");
  const variables = Object.entries((spec['let'] as Doc | undefined) ?? {}).map(([name, value]) => [name, compileExpression(value, scope.variables)] as const);
  const known = Object.fromEntries(variables.map(([name]) => [name, null]));
  scope.compile(splitPipeline(stages).rest, { ...scope, variables: { ...scope.variables, ...known } });
  return { from, as: as.split('.'), localField: joined ? localField.split('.') : null, foreignField: joined ? foreignField : null, let: variables, stages };
}

export const lookup: StageCompiler = (operand, scope) => {
  const spec = readLookup(operand, scope);
  return function* joined(input) {
    const account = openAccount();
    // The same for every document: what neither its fields nor its variables decide is read once.
    let always: Doc[] | null = null;
    try {
      for (const doc of input) {
        if (!doc) {
          yield null;
          continue;
        }
        const found: Doc[] = always ?? (yield* collect(matches(spec, scope, doc)));
        if (!always && !spec.foreignField && spec.let.length === 0) {
          always = found;
          account.hold(found);
        }
        yield setAt(doc, spec.as, found);
        if (turnIsOver(scope.turn)) yield null;
      }
    } finally {
      account.close();
    }
  };
};

function matches(spec: Lookup, scope: PipelineScope, doc: Doc): Flow {
  const inner = spec.let.length === 0 ? scope : { ...scope, variables: { ...scope.variables, ...Object.fromEntries(spec.let.map(([name, value]) => [name, value(doc)])) } };
  const filter = spec.localField ? equalTo(spec.foreignField!, readExpressionPath(doc, spec.localField)) : {};
  return openForeign(inner, spec.from, spec.stages, filter);
}

/** The elements of an array are looked up one by one; a missing value finds null and missing ones. */
function equalTo(path: string, value: unknown): Doc {
  if (!Array.isArray(value)) return { [path]: { $eq: value ?? null } };
  return { $or: [{ [path]: { $in: value.filter((item) => !isRegex(item)) } }, ...value.filter(isRegex).map((item) => ({ [path]: { $eq: item } }))] };
}

function isRegex(value: unknown): boolean {
  return (value as { _bsontype?: string } | null)?._bsontype === 'BSONRegExp';
}

const GRAPH_FIELDS = new Set(['from', 'as', 'startWith', 'connectFromField', 'connectToField', 'maxDepth', 'depthField', 'restrictSearchWithMatch']);

export const graphLookup: StageCompiler = (operand, scope) => {
  const spec = objectOperand('$graphLookup', operand, 40327);
  for (const name in spec) if (!GRAPH_FIELDS.has(name)) throw new CommandError(40104, `Unknown argument to $graphLookup: ${name}`);
  const { from, as, connectFromField, connectToField, depthField } = spec;
  if (typeof from !== 'string' || typeof as !== 'string' || typeof connectFromField !== 'string' || typeof connectToField !== 'string' || !('startWith' in spec)) {
    throw new CommandError(40105, "$graphLookup requires 'from', 'as', 'startWith', 'connectFromField', and 'connectToField' to be specified");
  }
  const maxDepth = spec['maxDepth'] === undefined ? Infinity : Number(spec['maxDepth']);
  if (!(maxDepth >= 0) || (maxDepth !== Infinity && !Number.isInteger(maxDepth))) throw new CommandError(40101, "maxDepth requires a nonnegative argument");
  const restrict = spec['restrictSearchWithMatch'] ?? {};
  if (!isObject(restrict)) throw new CommandError(40185, '$graphLookup argument to \'restrictSearchWithMatch\' must be an object');
  const start = compileExpression(spec['startWith'], scope.variables);
  const walk = { from, connectFrom: connectFromField.split('.'), connectTo: connectToField, depthField: typeof depthField === 'string' ? depthField.split('.') : null, maxDepth, restrict };
  return function* walked(input) {
    for (const doc of input) {
      if (!doc) yield null;
      else yield setAt(doc, as.split('.'), yield* reachable(scope, walk, start(doc)));
    }
  };
};

interface Walk {
  from: string;
  connectFrom: string[];
  connectTo: string;
  depthField: string[] | null;
  maxDepth: number;
  restrict: Doc;
}

/** Every document that can be reached, each once, nearest first. */
function* reachable(scope: PipelineScope, walk: Walk, start: unknown): Generator<null, Doc[]> {
  const account = openAccount();
  const visited = new Map<string, Doc>();
  const asked = new Set<string>();
  let frontier = unseen(Array.isArray(start) ? start : [start], asked);
  try {
    for (let depth = 0; frontier.length > 0 && depth <= walk.maxDepth; depth++) {
      const next: unknown[] = [];
      for (const doc of scope.find(walk.from, { filter: allOf([{ [walk.connectTo]: { $in: frontier } }, walk.restrict]) }, scope.variables)) {
        if (!doc) {
          yield null;
          continue;
        }
        const key = valueKey(doc['_id']);
        if (visited.has(key)) continue;
        account.hold(doc);
        visited.set(key, walk.depthField ? setAt(doc, walk.depthField, BigInt(depth)) : doc);
        const onward = readExpressionPath(doc, walk.connectFrom);
        for (const value of Array.isArray(onward) ? onward : [onward]) next.push(value);
      }
      frontier = unseen(next, asked);
    }
    return [...visited.values()];
  } finally {
    account.close();
  }
}

function unseen(values: readonly unknown[], asked: Set<string>): unknown[] {
  return values.filter((value) => {
    if (value === undefined) return false;
    const key = valueKey(value);
    if (asked.has(key)) return false;
    asked.add(key);
    return true;
  });
}

export const unionWith: StageCompiler = (operand, scope): Stage => {
  const spec: Doc = typeof operand === 'string' ? { coll: operand } : objectOperand('$unionWith', operand, 9);
  for (const name in spec) if (name !== 'coll' && name !== 'pipeline') throw new CommandError(40415, `BSON field '$unionWith.${name}' is an unknown field.`);
  const from = spec['coll'];
  const stages = spec['pipeline'] === undefined ? [] : pipelineOperand('$unionWith', spec['pipeline']);
  if (typeof from !== 'string' && !(stages[0] && '$documents' in stages[0])) throw failedToParse("the $unionWith stage needs a 'coll' or a pipeline that begins with $documents");
  scope.compile(splitPipeline(stages).rest, scope);
  return function* both(input) {
    yield* input;
    yield* openForeign(scope, typeof from === 'string' ? from : undefined, stages, {});
  };
};

export const facet: StageCompiler = (operand, scope) => {
  const spec = objectOperand('$facet', operand, 40169);
  if (Object.keys(spec).length === 0) throw new CommandError(40169, 'the $facet specification must be a non-empty object');
  const branches = Object.entries(spec).map(([name, stages]) => {
    if (!Array.isArray(stages)) throw new CommandError(40170, `arguments to $facet must be arrays, ${name} is not`);
    for (const stage of stages as unknown[]) if (isObject(stage)) for (const inner of ['$facet', '$out', '$merge', '$collStats', '$indexStats', '$geoNear', '$documents']) if (inner in stage) throw new CommandError(40600, `${inner} is not allowed to be used within a $facet stage`);
    return [name, scope.compile(stages as Doc[], scope)] as const;
  });
  return function* faceted(input) {
    const account = openAccount();
    try {
      const docs: Doc[] = [];
      for (const doc of input) {
        if (doc) {
          account.hold(doc);
          docs.push(doc);
        } else yield null;
      }
      const result: Doc = {};
      for (const [name, run] of branches) {
        result[name] = yield* collect(run(fromList(docs, scope.turn)));
        if (turnIsOver(scope.turn)) yield null;
      }
      yield result;
    } finally {
      account.close();
    }
  };
};
