/** `$group`: documents by key, and the accumulators over each group. */
import type { Doc } from './bson-decode.js';
import { compare, isObject } from './bson-order.js';
import { CommandError } from './command-error.js';
import { ACCUMULATORS, type Accumulator } from './accumulators.js';
import { compile, compileExpression } from './expression.js';
import { valueKey } from './expression-values.js';
import { wholeNumber } from './match-leaf.js';
import type { PipelineScope, Stage } from './pipeline.js';
import { compileSort } from './sort.js';

interface Field {
  name: string;
  make: () => Accumulator;
  value: (doc: Doc) => unknown;
}

/** @throws CommandError when the specification is not valid */
export function compileGroup(spec: Doc, scope: PipelineScope): Stage {
  if (!('_id' in spec)) throw new CommandError(15955, 'a group specification must include an _id');
  const key = compileExpression(spec['_id'], scope.variables);
  const fields = Object.entries(spec).filter(([name]) => name !== '_id').map(([name, operand]) => compileField(name, operand, scope));
  const open = (): ReturnType<NonNullable<Stage['open']>> => {
    const groups = new Map<string, { id: unknown; states: Accumulator[] }>();
    const take = (doc: Doc): void => {
      const id = key(doc) ?? null;
      const text = valueKey(id);
      let group = groups.get(text);
      if (!group) groups.set(text, (group = { id, states: fields.map((field) => field.make()) }));
      for (let i = 0; i < fields.length; i++) group.states[i]!.add(fields[i]!.value(doc));
    };
    const results = (): Doc[] => [...groups.values()].map(({ id, states }) => {
      const result: Doc = { _id: id };
      fields.forEach((field, i) => (result[field.name] = states[i]!.result() ?? null));
      return result;
    });
    return {
      add: (docs) => {
        for (const doc of docs) take(doc);
        return [];
      },
      end: results,
    };
  };
  const stage = (docs: Doc[]): Doc[] => {
    const group = open();
    group.add(docs);
    return group.end();
  };
  return Object.assign(stage, { open });
}

function compileField(name: string, operand: unknown, scope: PipelineScope): Field {
  if (name.includes('.')) throw new CommandError(40235, `The field name '${name}' cannot contain '.'`);
  if (name.startsWith('$')) throw new CommandError(40236, `The field name '${name}' cannot be an operator name`);
  if (!isObject(operand)) throw new CommandError(40234, `The field '${name}' must be an accumulator object`);
  const [operator, ...others] = Object.keys(operand);
  if (operator === undefined || others.length > 0) throw new CommandError(40238, `The field '${name}' must specify one accumulator`);
  const argument = operand[operator];
  if (operator === '$count') return { name, make: ACCUMULATORS['$sum']!, value: () => 1 };
  if (/^\$(first|last|min|max)N$|^\$(top|bottom)N?$/.test(operator)) return compileN(name, operator, argument, scope);
  const make = ACCUMULATORS[operator];
  if (!make) throw new CommandError(15952, `unknown group operator '${operator}'`);
  return { name, make, value: compileExpression(argument, scope.variables) };
}

/** `$firstN`, `$maxN`, `$top`, `$topN` and their like: a list that is cut at the end. */
function compileN(name: string, operator: string, argument: unknown, scope: PipelineScope): Field {
  if (!isObject(argument)) throw new CommandError(5787900, `specification must be an object; found ${operator}`);
  const sorted = operator.startsWith('$top') || operator.startsWith('$bottom');
  const single = operator === '$top' || operator === '$bottom';
  const count = single ? 1 : wholeNumber(compile(argument['n'])({ root: {}, variables: scope.variables }));
  if (count === null || count < 1) throw new CommandError(5787908, `'n' must be greater than 0, found ${String(argument['n'])}`);
  const order = sorted && isObject(argument['sortBy']) ? compileSort(argument['sortBy']) : null;
  if (sorted && !order) throw new CommandError(5788005, 'Missing value for \'sortBy\'');
  const value = compileExpression(sorted ? argument['output'] : argument['input'], scope.variables);
  const fromEnd = operator.startsWith('$last') || operator.startsWith('$bottom');
  const make = (): Accumulator => {
    const list: { doc: Doc; value: unknown }[] = [];
    return {
      add: (item) => void list.push(item as { doc: Doc; value: unknown }),
      result: () => {
        let kept = list;
        if (order) kept = kept.toSorted((a, b) => order(a.doc, b.doc));
        if (operator === '$minN' || operator === '$maxN') {
          const sign = operator === '$minN' ? 1 : -1;
          kept = kept.filter((item) => item.value !== null && item.value !== undefined).toSorted((a, b) => sign * compare(a.value, b.value));
        }
        const values = (fromEnd ? kept.slice(-count) : kept.slice(0, count)).map((item) => item.value ?? null);
        return single ? values[0] : values;
      },
    };
  };
  return { name, make, value: (doc) => ({ doc, value: value(doc) }) };
}
