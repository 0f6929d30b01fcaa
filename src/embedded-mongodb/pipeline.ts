/** Aggregation stages on documents in memory: a pipeline is compiled as a whole, then run. */
import { Aggregator } from 'mingo/aggregator';
import type { Doc } from './bson-decode.js';
import { isObject } from './bson-order.js';
import { badValue, CommandError } from './command-error.js';
import { compileCondition, compileExpression, compile, type Evaluate } from './expression.js';
import { MINGO_CONTEXT, toMingo } from './expression-mingo.js';
import { valueKey } from './expression-values.js';
import { compileGroup } from './pipeline-group.js';
import { compileFilter } from './match.js';
import { wholeNumber } from './match-leaf.js';
import { keyValues, readExpressionPath } from './path-walk.js';
import { compileProjection } from './project.js';
import { compareSortKeys, parseSort, sortKey } from './sort.js';

export interface PipelineScope {
  /** All documents of another collection of the same database. */
  read: (collection: string) => Doc[];
  variables: Doc;
  /** The session that asked, for `$listLocalSessions`. */
  session?: unknown;
}

/** All documents in, all documents out. */
export interface Stage {
  (docs: Doc[]): Doc[];
  /** For stages that can take their input piece by piece: `add` gives what is ready, `end` what is left. */
  open?: () => { add(docs: Doc[]): Doc[]; end(): Doc[] };
}

/** A stage that treats each document by itself. */
function eachDocument(stage: (docs: Doc[]) => Doc[]): Stage {
  return Object.assign(stage, { open: () => ({ add: stage, end: () => [] }) });
}

type StageCompiler = (operand: unknown, scope: PipelineScope) => Stage;

/** @throws CommandError when a stage is not valid */
export function compileStages(stages: readonly Doc[], scope: PipelineScope): Stage[] {
  return stages.map((stage, at) => {
    const [name, ...others] = Object.keys(stage);
    if (name === undefined || others.length > 0) throw new CommandError(40323, 'A pipeline stage specification object must contain exactly one field.');
    if (name === '$documents' && at > 0) throw new CommandError(40602, '$documents is only valid as the first stage in a pipeline');
    const make = STAGES[name];
    if (make) return make(stage[name], scope);
    if (MINGO_STAGES.has(name)) return mingoStage(stage, scope);
    if (name === '$out' || name === '$merge') throw new CommandError(40601, `${name} can only be the final stage in the pipeline`);
    throw new CommandError(40324, `Unrecognized pipeline stage name: '${name}'`);
  });
}

/** Compiles stages into one function. @throws CommandError when a stage is not valid */
export function compilePipeline(stages: readonly Doc[], scope: PipelineScope): Stage {
  const compiled = compileStages(stages, scope);
  return (docs) => compiled.reduce((input, stage) => stage(input), docs);
}

export interface Chain {
  feed(docs: Doc[]): void;
  /** How many documents are held in memory between the stages. */
  held(): number;
  finish(): Doc[];
}

/** A pipeline that is fed piece by piece: its first stages work as documents come, the others when all are there. */
export function openChain(stages: readonly Doc[], scope: PipelineScope): Chain {
  const compiled = compileStages(stages, scope);
  const whole = compiled.findIndex((stage) => !stage.open);
  const streaming = compiled.slice(0, whole < 0 ? compiled.length : whole).map((stage) => stage.open!());
  const rest = compiled.slice(streaming.length);
  const out: Doc[] = [];
  const pass = (docs: Doc[], from: number): void => {
    let current = docs;
    for (let i = from; i < streaming.length && current.length > 0; i++) current = streaming[i]!.add(current);
    for (const doc of current) out.push(doc);
  };
  return {
    feed: (docs) => pass(docs, 0),
    held: () => out.length,
    finish: () => {
      streaming.forEach((stage, i) => pass(stage.end(), i + 1));
      return rest.reduce((input, stage) => stage(input), out);
    },
  };
}

export function runPipeline(docs: Doc[], stages: readonly Doc[], scope: PipelineScope): Doc[] {
  return compilePipeline(stages, scope)(docs);
}

/** Stages left to mingo; their numbers lose the difference between int64, double and decimal. */
const MINGO_STAGES = new Set(['$bucket', '$bucketAuto', '$densify', '$fill', '$graphLookup', '$redact', '$setWindowFields']);

function mingoStage(stage: Doc, scope: PipelineScope): Stage {
  return (docs) => {
    try {
      const aggregator = new Aggregator([toMingo(stage)] as never, {
        context: MINGO_CONTEXT,
        collectionResolver: (name: string) => scope.read(name).map(toMingo),
        variables: toMingo(scope.variables),
      } as never);
      return aggregator.run(docs.map(toMingo) as never);
    } catch (error) {
      throw error instanceof CommandError ? error : badValue((error as Error).message);
    }
  };
}

function objectOperand(name: string, operand: unknown, code = 40228): Doc {
  if (!isObject(operand)) throw new CommandError(code, `the ${name} stage specification must be an object`);
  return operand;
}

const match: StageCompiler = (operand, scope) => {
  const test = compileFilter(objectOperand('$match', operand, 15959), { compileExpression: compileCondition, variables: scope.variables });
  return eachDocument((docs) => docs.filter(test));
};

const project: StageCompiler = (operand, scope) => {
  const spec = objectOperand('$project', operand, 15969);
  if (Object.keys(spec).length === 0) throw new CommandError(51272, 'projection specification must have at least one field');
  const projection = compileProjection(spec, (expression) => compileExpression(expression, scope.variables), {}, true);
  return eachDocument((docs) => (projection ? docs.map((doc) => projection(doc, {})) : docs));
};

interface FieldNode {
  evaluate: Evaluate | null;
  children: Map<string, FieldNode>;
}

const addFields: StageCompiler = (operand, scope) => {
  const root: FieldNode = { evaluate: null, children: new Map() };
  const spec = objectOperand('$addFields', operand, 40272);
  if (Object.keys(spec).length === 0) throw new CommandError(40177, '$addFields specification must have at least one field');
  for (const [path, value] of Object.entries(spec)) addField(root, path.split('.'), value);
  return eachDocument((docs) => docs.map((doc) => setFields(doc, root, { root: doc, variables: { ...scope.variables, ROOT: doc } })));
};

function addField(node: FieldNode, parts: string[], value: unknown): void {
  const [name, ...rest] = parts as [string, ...string[]];
  if (name === '' || name.startsWith('$')) throw new CommandError(16410, `FieldPath field names may not start with '$' or be empty: '${parts.join('.')}'`);
  let child = node.children.get(name);
  if (!child) node.children.set(name, (child = { evaluate: null, children: new Map() }));
  else if (rest.length === 0 || child.evaluate) throw new CommandError(40176, `specification contains two conflicting paths: '${parts.join('.')}'`);
  const nested = isObject(value) && Object.keys(value).length > 0 && !Object.keys(value)[0]!.startsWith('$');
  if (rest.length > 0) addField(child, rest, value);
  else if (nested) for (const [inner, innerValue] of Object.entries(value)) addField(child, inner.split('.'), innerValue);
  else child.evaluate = compile(value);
}

function setFields(value: unknown, node: FieldNode, frame: Parameters<Evaluate>[0]): Doc {
  const result: Doc = isObject(value) ? { ...value } : {};
  for (const [name, child] of node.children) {
    const present = result[name];
    const next = child.evaluate ? child.evaluate(frame) : Array.isArray(present) ? present.map((item) => setFields(item, child, frame)) : setFields(present, child, frame);
    if (next === undefined) delete result[name];
    else result[name] = next;
  }
  return result;
}

const unset: StageCompiler = (operand, scope) => {
  const paths = Array.isArray(operand) ? operand : [operand];
  if (paths.length === 0 || paths.some((path) => typeof path !== 'string')) throw new CommandError(31002, '$unset specification must be a string or an array of strings');
  return project(Object.fromEntries(paths.map((path) => [path as string, 0])), scope);
};

const sort: StageCompiler = (operand) => {
  const spec = objectOperand('$sort', operand, 15973);
  const parts = parseSort(spec);
  if (parts.length === 0) throw new CommandError(15976, '$sort stage must have at least one sort key');
  return (docs) => {
    const keyed = docs.map((doc) => ({ doc, key: sortKey(doc, parts) }));
    return keyed.sort((a, b) => compareSortKeys(a.key, b.key, parts)).map(({ doc }) => doc);
  };
};

function wholeOperand(name: string, operand: unknown, least: number, code: number): number {
  const number = wholeNumber(operand);
  if (number === null || number < least) throw new CommandError(code, `invalid argument to ${name} stage: Expected a ${least > 0 ? 'positive' : 'non-negative'} number in: ${name}: ${String(operand)}`);
  return number;
}

const count: StageCompiler = (operand) => {
  if (typeof operand !== 'string' || operand === '') throw new CommandError(40156, 'the count field must be a non-empty string');
  if (operand.startsWith('$')) throw new CommandError(40158, 'the count field cannot be a $-prefixed path');
  if (operand.includes('.')) throw new CommandError(40160, "the count field cannot contain '.'");
  const stage = (docs: Doc[]): Doc[] => (docs.length > 0 ? [{ [operand]: docs.length }] : []);
  const open = (): ReturnType<NonNullable<Stage['open']>> => {
    let n = 0;
    return {
      add: (docs) => {
        n += docs.length;
        return [];
      },
      end: () => (n > 0 ? [{ [operand]: n }] : []),
    };
  };
  return Object.assign(stage, { open });
};

const unwind: StageCompiler = (operand) => {
  const spec = isObject(operand) ? operand : { path: operand };
  const path = spec['path'];
  if (typeof path !== 'string' || !path.startsWith('$')) throw new CommandError(28818, `path option to $unwind stage should be prefixed with a '$': ${String(path)}`);
  const parts = path.slice(1).split('.');
  const keepEmpty = spec['preserveNullAndEmptyArrays'] === true;
  const indexField = spec['includeArrayIndex'] as string | undefined;
  return eachDocument((docs) => docs.flatMap((doc) => unwindOne(doc, parts, keepEmpty, indexField)));
};

function unwindOne(doc: Doc, parts: string[], keepEmpty: boolean, indexField: string | undefined): Doc[] {
  const value = readExpressionPath(doc, parts);
  const numbered = (one: Doc, index: bigint | null): Doc => (indexField === undefined ? one : setAt(one, indexField.split('.'), index));
  if (Array.isArray(value) && value.length > 0) return value.map((item, i) => numbered(setAt(doc, parts, item), BigInt(i)));
  if (value === null || value === undefined || Array.isArray(value)) return keepEmpty ? [numbered(Array.isArray(value) ? setAt(doc, parts, undefined) : doc, null)] : [];
  return [numbered(doc, null)];
}

/** A copy with the path set, or removed when the value is undefined. */
export function setAt(doc: Doc, parts: readonly string[], value: unknown): Doc {
  const [name, ...rest] = parts as [string, ...string[]];
  const copy = { ...doc };
  if (rest.length > 0) copy[name] = setAt(isObject(copy[name]) ? copy[name] : {}, rest, value);
  else if (value === undefined) delete copy[name];
  else copy[name] = value;
  return copy;
}

function replaceWith(expression: unknown, scope: PipelineScope): Stage {
  const evaluate = compileExpression(expression, scope.variables);
  return eachDocument((docs) => docs.map((doc) => {
    const next = evaluate(doc);
    if (!isObject(next)) throw new CommandError(40228, "'replacement document' expression must evaluate to an object");
    return next;
  }));
}

const lookup: StageCompiler = (operand, scope) => {
  const spec = objectOperand('$lookup', operand, 40319);
  const { from, as, localField, foreignField, pipeline } = spec;
  if (typeof as !== 'string') throw new CommandError(9, 'must specify \'as\' field for a $lookup');
  if (from !== undefined && typeof from !== 'string') throw new CommandError(9, '$lookup argument \'from\' must be a string');
  if (pipeline === undefined && (typeof localField !== 'string' || typeof foreignField !== 'string')) throw new CommandError(9, '$lookup requires either \'pipeline\' or both \'localField\' and \'foreignField\' to be specified');
  const letVars = Object.entries((spec['let'] as Doc | undefined) ?? {}).map(([name, value]) => [name, compileExpression(value, scope.variables)] as const);
  const target = as.split('.');
  return (docs) => {
    const foreign = from === undefined ? [] : scope.read(from);
    const join = typeof localField === 'string' && typeof foreignField === 'string' ? equalityJoin(foreign, localField, foreignField) : () => foreign;
    return docs.map((doc) => {
      const joined = join(doc);
      if (!Array.isArray(pipeline)) return setAt(doc, target, joined);
      const variables = { ...scope.variables, ...Object.fromEntries(letVars.map(([name, value]) => [name, value(doc)])) };
      return setAt(doc, target, runPipeline([...joined], pipeline as Doc[], { ...scope, variables }));
    });
  };
};

function equalityJoin(foreign: Doc[], localField: string, foreignField: string): (doc: Doc) => Doc[] {
  const byKey = new Map<string, Set<number>>();
  const valuesOf = (doc: Doc, path: string): unknown[] => {
    const values: unknown[] = [];
    keyValues(doc, path.split('.'), 0, values);
    return values;
  };
  foreign.forEach((doc, i) => {
    for (const value of valuesOf(doc, foreignField)) {
      const key = valueKey(value);
      const known = byKey.get(key);
      if (known) known.add(i);
      else byKey.set(key, new Set([i]));
    }
  });
  return (doc) => {
    const found = new Set<number>();
    for (const value of valuesOf(doc, localField)) for (const i of byKey.get(valueKey(value)) ?? []) found.add(i);
    return [...found].sort((a, b) => a - b).map((i) => foreign[i]!);
  };
}

const facet: StageCompiler = (operand, scope) => {
  const branches = Object.entries(objectOperand('$facet', operand, 40169)).map(([name, stages]) => {
    if (!Array.isArray(stages)) throw new CommandError(40170, `arguments to $facet must be arrays, ${name} is not`);
    return [name, compilePipeline(stages as Doc[], scope)] as const;
  });
  return (docs) => [Object.fromEntries(branches.map(([name, run]) => [name, run([...docs])]))];
};

const unionWith: StageCompiler = (operand, scope) => {
  const spec: Doc = typeof operand === 'string' ? { coll: operand } : objectOperand('$unionWith', operand);
  const run = compilePipeline((spec['pipeline'] as Doc[] | undefined) ?? [], scope);
  return (docs) => [...docs, ...run(typeof spec['coll'] === 'string' ? scope.read(spec['coll']) : [])];
};

const sample: StageCompiler = (operand) => {
  const size = wholeOperand('$sample', objectOperand('$sample', operand, 28745)['size'], 1, 28747);
  return (docs) => {
    const pool = [...docs];
    for (let i = 0; i < Math.min(size, pool.length); i++) {
      const j = i + Math.floor(Math.random() * (pool.length - i));
      [pool[i], pool[j]] = [pool[j]!, pool[i]!];
    }
    return pool.slice(0, size);
  };
};

const documents: StageCompiler = (operand, scope) => {
  const evaluate = compileExpression(operand, scope.variables);
  return () => {
    const list = evaluate({});
    if (!Array.isArray(list) || !list.every(isObject)) throw new CommandError(5858203, 'the $documents stage must evaluate to an array of objects');
    return list;
  };
};

const STAGES: Record<string, StageCompiler> = {
  $match: match, $project: project, $addFields: addFields, $set: addFields, $unset: unset, $sort: sort, $count: count, $unwind: unwind, $lookup: lookup, $facet: facet,
  $unionWith: unionWith, $sample: sample, $documents: documents,
  $limit: (operand) => {
    const limit = wholeOperand('$limit', operand, 1, 15958);
    return (docs) => docs.slice(0, limit);
  },
  $skip: (operand) => {
    const skip = wholeOperand('$skip', operand, 0, 15956);
    return (docs) => docs.slice(skip);
  },
  $listLocalSessions: (_operand, scope) => () => (isObject(scope.session) ? [{ _id: scope.session, lastUse: new Date() }] : []),
  $group: (operand, scope) => compileGroup(objectOperand('$group', operand, 15947), scope),
  $sortByCount: (operand, scope) => {
    const group = compileGroup({ _id: operand, count: { $sum: 1 } }, scope);
    const order = sort({ count: -1 }, scope);
    return (docs) => order(group(docs));
  },
  $replaceRoot: (operand, scope) => replaceWith(objectOperand('$replaceRoot', operand)['newRoot'], scope),
  $replaceWith: (operand, scope) => replaceWith(operand, scope),
};

