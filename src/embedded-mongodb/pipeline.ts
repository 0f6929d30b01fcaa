/** Aggregation pipelines: compiled as a whole, then pulled document by document. */
import type { Doc } from './bson-decode.js';
import { isObject } from './bson-order.js';
import { CommandError } from './command-error.js';
import { compileCondition, compileExpression } from './expression.js';
import { drain, fromList, onlyThose, type Stage } from './flow.js';
import { compileFilter } from './match.js';
import { openAccount } from './memory-account.js';
import { densify } from './pipeline-densify.js';
import { addFields, project, redact, replaceWith, unset, unwind } from './pipeline-fields.js';
import { bucket, bucketAuto, count, group, sortByCount } from './pipeline-group.js';
import { facet, graphLookup, lookup, unionWith } from './pipeline-join.js';
import { stageNumber } from './pipeline-leading.js';
import { objectOperand, type PipelineScope, type StageCompiler } from './pipeline-stage.js';
import { fill, setWindowFields } from './pipeline-window.js';
import { compareSortKeys, parseSort, sortKey } from './sort.js';
import { createSorter } from './sorter.js';

/** Compiles stages into one. @throws CommandError when one of them is not valid */
export function compilePipeline(stages: readonly Doc[], scope: PipelineScope): Stage {
  const compiled = stages.map((stage, at) => compileStage(stage, at, stages[at + 1], scope));
  return (input) => compiled.reduce((flow, stage) => stage(flow), input);
}

function compileStage(stage: Doc, at: number, next: Doc | undefined, scope: PipelineScope): Stage {
  if (!isObject(stage)) throw new CommandError(14, "Each element of the 'pipeline' array must be an object");
  const [name, ...others] = Object.keys(stage);
  if (name === undefined || others.length > 0) throw new CommandError(40323, 'A pipeline stage specification object must contain exactly one field.');
  if (FIRST_ONLY.has(name) && at > 0) throw new CommandError(40602, `${name} is only valid as the first stage in a pipeline`);
  if (name === '$sort') return sort(stage[name], next && '$limit' in next ? stageNumber('$limit', next['$limit'], 1, 15958) : Infinity);
  const make = STAGES[name];
  if (make) return make(stage[name], scope);
  if (name === '$out' || name === '$merge') throw new CommandError(40601, `${name} can only be the final stage in the pipeline`);
  if (name === '$changeStream') throw new CommandError(40573, 'The $changeStream stage is only supported on replica sets');
  if (REFUSED.has(name)) throw new CommandError(238, `${name} is not supported by this server`);
  throw new CommandError(40324, `Unrecognized pipeline stage name: '${name}'`);
}

/** @throws CommandError 40324 when MongoDB has no such stage at all */
export function requireKnownStage(stage: unknown): void {
  const name = isObject(stage) ? (Object.keys(stage)[0] ?? '') : '';
  if (!(name in STAGES) && !REFUSED.has(name) && !['$sort', '$out', '$merge', '$changeStream'].includes(name)) throw new CommandError(40324, `Unrecognized pipeline stage name: '${name}'`);
}

const FIRST_ONLY = new Set(['$documents', '$collStats', '$indexStats', '$geoNear', '$changeStream', '$currentOp', '$listLocalSessions', '$listSessions']);
const REFUSED = new Set(['$geoNear', '$search', '$searchMeta', '$vectorSearch', '$planCacheStats', '$listSessions', '$shardedDataDistribution', '$changeStreamSplitLargeEvent']);

/** A pipeline of stages that treat each document by itself, as a function (for updates). */
export function compileChange(stages: readonly Doc[], variables: Doc): (doc: Doc) => Doc {
  const stage = compilePipeline(stages, { variables, find: () => [], turn: { until: Infinity }, compile: compilePipeline });
  return (doc) => drain(stage([doc]))[0] ?? {};
}

const match: StageCompiler = (operand, scope) => onlyThose(compileFilter(objectOperand('$match', operand, 15959), { compileExpression: compileCondition, variables: scope.variables }));

/** Holds the documents until all have come; of those that a `$limit` behind it cuts off, only few. */
function sort(operand: unknown, keep: number): Stage {
  const parts = parseSort(objectOperand('$sort', operand, 15973));
  if (parts.length === 0) throw new CommandError(15976, '$sort stage must have at least one sort key');
  return function* sorted(input) {
    const account = openAccount();
    try {
      const sorter = createSorter<{ doc: Doc; key: unknown[] }>((a, b) => compareSortKeys(a.key, b.key, parts), keep);
      let held = 0;
      for (const doc of input) {
        if (!doc) yield null;
        else {
          if (held++ < keep) account.hold(doc);
          sorter.add({ doc, key: sortKey(doc, parts) });
        }
      }
      for (const { doc } of sorter.sorted()) yield doc;
    } finally {
      account.close();
    }
  };
}

function limit(most: number): Stage {
  return function* limited(input) {
    let left = most;
    for (const doc of input) {
      yield doc;
      if (doc && --left === 0) return;
    }
  };
}

function skip(least: number): Stage {
  return function* skipped(input) {
    let left = least;
    for (const doc of input) if (doc === null || --left < 0) yield doc;
  };
}

/** Each document has the same chance, however many come. */
const sample: StageCompiler = (operand) => {
  const size = stageNumber('$sample', objectOperand('$sample', operand, 28745)['size'], 1, 28747);
  return function* sampled(input) {
    const pool: Doc[] = [];
    let seen = 0;
    for (const doc of input) {
      if (!doc) {
        yield null;
        continue;
      }
      seen++;
      const at = pool.length < size ? pool.length : Math.floor(Math.random() * seen);
      if (at < size) pool[at] = doc;
    }
    for (let i = pool.length - 1; i > 0; i--) {
      const j = Math.floor(Math.random() * (i + 1));
      [pool[i], pool[j]] = [pool[j]!, pool[i]!];
    }
    yield* pool;
  };
};

const documents: StageCompiler = (operand, scope) => {
  const evaluate = compileExpression(operand, scope.variables);
  return () => {
    const list = evaluate({});
    if (!Array.isArray(list) || !list.every(isObject)) throw new CommandError(5858203, 'the $documents stage must evaluate to an array of objects');
    return fromList(list, scope.turn);
  };
};

/** The stages that tell about the server, whatever comes in. */
const about = (name: keyof NonNullable<PipelineScope['about']>): StageCompiler => (operand, scope) => {
  const tell = scope.about?.[name];
  if (!tell) throw new CommandError(40600, `${name} is not allowed to be used here`);
  return () => tell(operand);
};

const STAGES: Record<string, StageCompiler> = {
  $match: match, $project: project, $addFields: addFields, $set: addFields, $unset: unset, $count: count, $unwind: unwind, $lookup: lookup, $graphLookup: graphLookup, $facet: facet,
  $unionWith: unionWith, $sample: sample, $documents: documents, $group: group, $sortByCount: sortByCount, $bucket: bucket, $bucketAuto: bucketAuto, $redact: redact,
  $setWindowFields: setWindowFields, $fill: fill, $densify: densify, $replaceWith: replaceWith,
  $limit: (operand) => limit(stageNumber('$limit', operand, 1, 15958)),
  $skip: (operand) => skip(stageNumber('$skip', operand, 0, 15956)),
  $replaceRoot: (operand, scope) => replaceWith(objectOperand('$replaceRoot', operand, 40229)['newRoot'], scope),
  $collStats: about('$collStats'), $indexStats: about('$indexStats'), $currentOp: about('$currentOp'), $listLocalSessions: about('$listLocalSessions'),
};
