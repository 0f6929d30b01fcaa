/** `$densify`: documents are added where a sequence of numbers or dates has gaps. */
import type { Doc } from './bson-decode.js';
import { compare, isObject } from './bson-order.js';
import { add, isNumber, toNumber } from './arithmetic.js';
import { addUnits, unitOf } from './calendar.js';
import { CommandError, failedToParse } from './command-error.js';
import { valueKey } from './value-key.js';
import { turnIsOver } from './flow.js';
import { openAccount } from './memory-account.js';
import { readExpressionPath } from './path-walk.js';
import { setAt } from './pipeline-fields.js';
import { objectOperand, type PipelineScope, type StageCompiler } from './pipeline-stage.js';

interface Densify {
  field: string[];
  partitions: string[][];
  /** The value `n` steps after `from`. */
  step: (from: unknown, n: number) => unknown;
  bounds: [unknown, unknown] | 'full' | 'partition';
  ofDates: boolean;
}

const MAX_ADDED = 500_000;

function readSpec(operand: unknown): Densify {
  const spec = objectOperand('$densify', operand, 9);
  const { field, partitionByFields, range } = spec;
  if (typeof field !== 'string' || field === '') throw new CommandError(40414, "BSON field '$densify.field' is missing but a required field");
  if (!isObject(range)) throw new CommandError(40414, "BSON field '$densify.range' is missing but a required field");
  const { step, unit, bounds } = range;
  if (!isNumber(step) || toNumber(step) <= 0) throw new CommandError(5733401, 'the step parameter in a range statement must be a strictly positive numeric value');
  const pair = Array.isArray(bounds) && bounds.length === 2;
  if (!pair && bounds !== 'full' && bounds !== 'partition') throw failedToParse("the bounds in a range statement must be the string 'full' or 'partition', or an ascending array of two numbers or two dates");
  if (pair && compare(bounds[0], bounds[1]) > 0) throw new CommandError(5733402, "the bounds in a range statement must be the string 'full' or 'partition', or an ascending array of two numbers or two dates");
  if (pair && bounds.some((bound) => (unit === undefined ? !isNumber(bound) : !(bound instanceof Date)))) throw new CommandError(5733406, 'numeric bounds may not have unit parameter, and dates must have one');
  if (bounds === 'partition' && partitionByFields === undefined) throw new CommandError(5733408, "one may not specify the bounds as 'partition' without specifying a non-empty array of partitionByFields.");
  return {
    field: field.split('.'), partitions: ((partitionByFields as string[] | undefined) ?? []).map((path) => path.split('.')), step: stepper(step, unit),
    bounds: pair ? [bounds[0], bounds[1]] : (bounds as 'full' | 'partition'), ofDates: unit !== undefined,
  };
}

function stepper(step: unknown, unit: unknown): Densify['step'] {
  if (unit === undefined) {
    return (from, n) => {
      let value = from;
      for (let i = 0; i < n; i++) value = add(value, step);
      return value;
    };
  }
  const known = unitOf(unit, '$densify');
  const amount = toNumber(step);
  return (from, n) => new Date(addUnits((from as Date).getTime(), known, n * amount));
}

export const densify: StageCompiler = (operand, scope) => {
  const spec = readSpec(operand);
  return function* densified(input) {
    const account = openAccount();
    try {
      const groups = new Map<string, { keep: Doc; docs: { at: unknown; doc: Doc }[] }>();
      for (const doc of input) {
        if (!doc) {
          yield null;
          continue;
        }
        const at = readExpressionPath(doc, spec.field) ?? null;
        if (at === null) {
          yield doc;
          continue;
        }
        if (spec.ofDates ? !(at instanceof Date) : !isNumber(at)) throw new CommandError(5733201, `Densify field type must be ${spec.ofDates ? 'a date with a unit' : 'numeric'}`);
        account.hold(doc);
        let keep: Doc = {};
        for (const path of spec.partitions) keep = setAt(keep, path, readExpressionPath(doc, path));
        const key = valueKey(keep);
        const group = groups.get(key) ?? { keep, docs: [] };
        groups.set(key, group);
        group.docs.push({ at, doc });
      }
      yield* fillGaps(spec, [...groups.values()], scope);
    } finally {
      account.close();
    }
  };
};

function* fillGaps(spec: Densify, groups: { keep: Doc; docs: { at: unknown; doc: Doc }[] }[], scope: PipelineScope): Iterable<Doc | null> {
  if (groups.length === 0 && Array.isArray(spec.bounds)) groups.push({ keep: {}, docs: [] });
  for (const group of groups) group.docs.sort((a, b) => compare(a.at, b.at));
  const all = groups.flatMap(({ docs }) => (docs.length > 0 ? [docs[0]!.at, docs.at(-1)!.at] : [])).sort(compare);
  let added = 0;
  for (const { keep, docs } of groups) {
    const [low, high] = Array.isArray(spec.bounds) ? spec.bounds : spec.bounds === 'full' ? [all[0], all.at(-1)] : [docs[0]!.at, docs.at(-1)!.at];
    // 'full' and 'partition' take in the upper bound, an explicit one leaves it out.
    const inRange = (value: unknown): boolean => compare(value, high) < (Array.isArray(spec.bounds) ? 0 : 1);
    let next = 0;
    for (let n = 0, value = low; inRange(value); value = spec.ofDates ? spec.step(low, ++n) : spec.step(value, 1)) {
      while (next < docs.length && compare(docs[next]!.at, value) < 0) yield docs[next++]!.doc;
      if (next < docs.length && compare(docs[next]!.at, value) === 0) continue;
      if (++added > MAX_ADDED) throw new CommandError(5897900, `Generated ${added} documents in $densify, which is over the limit of ${MAX_ADDED}.`);
      yield setAt(keep, spec.field, value);
      if (turnIsOver(scope.turn)) yield null;
    }
    while (next < docs.length) yield docs[next++]!.doc;
  }
}
