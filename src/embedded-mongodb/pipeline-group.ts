/** The stages that put documents into groups: `$group`, `$sortByCount`, `$bucket`, `$count`. */
import type { Doc } from './bson-decode.js';
import { compare, isObject, typeRank } from './bson-order.js';
import { CommandError } from './command-error.js';
import { compileAccumulator, type AccumulatorField } from './accumulator-fields.js';
import type { Accumulator } from './accumulators.js';
import { compileExpression } from './expression.js';
import { valueKey } from './value-key.js';
import { turnIsOver, type Stage } from './flow.js';
import { openAccount } from './memory-account.js';
import { objectOperand, type PipelineScope, type StageCompiler } from './pipeline-stage.js';
import { createSorter } from './sorter.js';

const GROUP_BYTES = 150;

/** @throws CommandError when the specification is not valid */
export const group: StageCompiler = (operand, scope) => {
  const spec = objectOperand('$group', operand, 15947);
  if (!('_id' in spec)) throw new CommandError(15955, 'a group specification must include an _id');
  const fields = Object.entries(spec).filter(([name]) => name !== '_id').map(([name, accumulator]) => compileField(name, accumulator, scope.variables));
  return grouping(compileExpression(spec['_id'], scope.variables), fields, scope);
};

/** Takes all documents in, then gives one per group. */
function grouping(key: (doc: Doc) => unknown, fields: readonly AccumulatorField[], scope: PipelineScope): Stage {
  return function* grouped(input) {
    const account = openAccount();
    const groups = new Map<string, { id: unknown; states: Accumulator[] }>();
    try {
      for (const doc of input) {
        if (!doc) {
          yield null;
          continue;
        }
        const id = key(doc) ?? null;
        const text = valueKey(id);
        let found = groups.get(text);
        if (!found) {
          account.holdBytes(text.length + GROUP_BYTES);
          groups.set(text, (found = { id, states: fields.map((field) => field.make(account)) }));
        }
        for (let i = 0; i < fields.length; i++) found.states[i]!.add(fields[i]!.value(doc));
      }
      for (const { id, states } of groups.values()) {
        const result: Doc = { _id: id };
        for (let i = 0; i < fields.length; i++) result[fields[i]!.name] = states[i]!.result() ?? null;
        yield result;
        if (turnIsOver(scope.turn)) yield null;
      }
    } finally {
      account.close();
    }
  };
}

export function compileField(name: string, operand: unknown, variables: Doc): AccumulatorField {
  if (name.includes('.')) throw new CommandError(40235, `The field name '${name}' cannot contain '.'`);
  if (name.startsWith('$')) throw new CommandError(40236, `The field name '${name}' cannot be an operator name`);
  if (!isObject(operand)) throw new CommandError(40234, `The field '${name}' must be an accumulator object`);
  const [operator, ...others] = Object.keys(operand);
  if (operator === undefined || others.length > 0) throw new CommandError(40238, `The field '${name}' must specify one accumulator`);
  return compileAccumulator(name, operator, operand[operator], variables);
}

export const sortByCount: StageCompiler = (operand, scope) => {
  if (!(typeof operand === 'string' && operand.startsWith('$')) && !(isObject(operand) && Object.keys(operand)[0]?.startsWith('$'))) {
    throw new CommandError(40149, 'the sortByCount field must be defined as a $-prefixed path or an expression inside an object');
  }
  const counted = group({ _id: operand, count: { $sum: 1 } }, scope);
  return function* sorted(input) {
    const sorter = createSorter<Doc>((a, b) => compare(b['count'], a['count']));
    for (const doc of counted(input)) {
      if (doc) sorter.add(doc);
      else yield null;
    }
    yield* sorter.sorted();
  };
};

export const count: StageCompiler = (operand) => {
  if (typeof operand !== 'string') throw new CommandError(40156, 'the count field must be a non-empty string');
  if (operand === '') throw new CommandError(40157, 'the count field must be a non-empty string');
  if (operand.startsWith('$')) throw new CommandError(40158, 'the count field cannot be a $-prefixed path');
  if (operand.includes('.')) throw new CommandError(40160, "the count field cannot contain '.'");
  return function* counted(input) {
    let n = 0;
    for (const doc of input) {
      if (doc) n++;
      else yield null;
    }
    if (n > 0) yield { [operand]: n };
  };
};

export const bucket: StageCompiler = (operand, scope) => {
  const spec = objectOperand('$bucket', operand, 40201);
  const { groupBy, boundaries, output, default: otherwise } = spec;
  for (const name in spec) if (!['groupBy', 'boundaries', 'output', 'default'].includes(name)) throw new CommandError(40197, `Unrecognized option to $bucket: ${name}.`);
  if (groupBy === undefined || boundaries === undefined) throw new CommandError(40198, "$bucket requires 'groupBy' and 'boundaries' to be specified.");
  if (!Array.isArray(boundaries)) throw new CommandError(40200, "The $bucket 'boundaries' field must be an array");
  if (boundaries.length < 2) throw new CommandError(40192, `The $bucket 'boundaries' field must have at least 2 values, but found ${boundaries.length} value(s).`);
  const limits = boundaries.map((limit) => compileExpression(limit, scope.variables)({}));
  for (let i = 1; i < limits.length; i++) {
    if (typeRank(limits[i]) !== typeRank(limits[0])) throw new CommandError(40193, "All values in the 'boundaries' option to $bucket must have the same type.");
    if (compare(limits[i - 1], limits[i]) >= 0) throw new CommandError(40194, "The 'boundaries' option to $bucket must be sorted in ascending order.");
  }
  const rest = 'default' in spec ? compileExpression(otherwise, scope.variables)({}) : undefined;
  if (rest !== undefined && compare(rest, limits[0]) >= 0 && compare(rest, limits.at(-1)) < 0) throw new CommandError(40199, "The $bucket 'default' field must be less than the lowest boundary or greater than or equal to the highest boundary.");
  const value = compileExpression(groupBy, scope.variables);
  const fields = Object.entries((output as Doc | undefined) ?? { count: { $sum: 1 } }).map(([name, accumulator]) => compileField(name, accumulator, scope.variables));
  const key = (doc: Doc): unknown => {
    const wanted = value(doc) ?? null;
    if (compare(wanted, limits[0]) >= 0) for (let i = 1; i < limits.length; i++) if (compare(wanted, limits[i]) < 0) return limits[i - 1];
    if (rest === undefined) throw new CommandError(40066, '$switch could not find a matching branch for an input, and no default was specified.');
    return rest;
  };
  return byId(grouping(key, fields, scope));
};

/** The groups in the order of their ids. */
function byId(stage: Stage): Stage {
  return function* ordered(input) {
    const sorter = createSorter<Doc>((a, b) => compare(a['_id'], b['_id']));
    for (const doc of stage(input)) {
      if (doc) sorter.add(doc);
      else yield null;
    }
    yield* sorter.sorted();
  };
}

export const bucketAuto: StageCompiler = (operand, scope) => {
  const spec = objectOperand('$bucketAuto', operand, 40240);
  for (const name in spec) if (!['groupBy', 'buckets', 'output', 'granularity'].includes(name)) throw new CommandError(40245, `Unrecognized option to $bucketAuto: ${name}.`);
  if (spec['granularity'] !== undefined) throw new CommandError(238, 'the granularity of $bucketAuto is not supported by this server');
  const buckets = spec['buckets'];
  if (spec['groupBy'] === undefined || buckets === undefined) throw new CommandError(40246, "$bucketAuto requires 'groupBy' and 'buckets' to be specified");
  if (typeof buckets !== 'number' || !Number.isInteger(buckets)) throw new CommandError(40241, "The $bucketAuto 'buckets' field must be representable as a 32-bit integer");
  if (buckets <= 0) throw new CommandError(40243, "The $bucketAuto 'buckets' field must be greater than 0");
  const value = compileExpression(spec['groupBy'], scope.variables);
  const fields = Object.entries((spec['output'] as Doc | undefined) ?? { count: { $sum: 1 } }).map(([name, accumulator]) => compileField(name, accumulator, scope.variables));
  return function* bucketed(input) {
    const account = openAccount();
    const sorter = createSorter<{ by: unknown; doc: Doc }>((a, b) => compare(a.by, b.by));
    let total = 0;
    try {
      for (const doc of input) {
        if (doc) {
          account.hold(doc);
          sorter.add({ by: value(doc) ?? null, doc });
          total++;
        } else yield null;
      }
      yield* cutIntoBuckets(sorter.sorted(), total, buckets, fields, scope);
    } finally {
      account.close();
    }
  };
};

/** Buckets of about the same size; equal values stay together. A bucket ends where the next begins, the last one at its greatest value. */
function* cutIntoBuckets(sorted: Iterable<{ by: unknown; doc: Doc }>, total: number, buckets: number, fields: readonly AccumulatorField[], scope: PipelineScope): Iterable<Doc | null> {
  const size = Math.max(1, Math.round(total / buckets));
  let open: { min: unknown; max: unknown; count: number; states: Accumulator[] } | null = null;
  let made = 0;
  const close = (bucketOf: NonNullable<typeof open>, max: unknown): Doc => {
    const result: Doc = { _id: { min: bucketOf.min, max } };
    fields.forEach((field, i) => (result[field.name] = bucketOf.states[i]!.result() ?? null));
    return result;
  };
  for (const { by, doc } of sorted) {
    if (open && open.count >= size && made < buckets - 1 && compare(by, open.max) !== 0) {
      yield close(open, by);
      made++;
      open = null;
    }
    open ??= { min: by, max: by, count: 0, states: fields.map((field) => field.make()) };
    fields.forEach((field, i) => open!.states[i]!.add(field.value(doc)));
    open.max = by;
    open.count++;
    if (turnIsOver(scope.turn)) yield null;
  }
  if (open) yield close(open, open.max);
}
