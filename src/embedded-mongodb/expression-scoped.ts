/** The operators that decide what is evaluated, or that bind variables: conditions, `$let`, `$map`, `$filter`, `$reduce`. */
import type { Doc } from './bson-decode.js';
import { countStep } from './budget.js';
import { compare, isObject } from './bson-order.js';
import { CommandError } from './command-error.js';
import type { Compile, Evaluate, Frame } from './expression.js';
import { convert } from './expression-convert.js';
import { truthy } from './match.js';
import { wholeNumber } from './match-leaf.js';
import { compileSort } from './sort.js';

type Scoped = (operand: unknown, compile: Compile) => Evaluate;

function fields(name: string, operand: unknown, required: string[], optional: string[] = []): Doc {
  if (!isObject(operand)) throw new CommandError(16878, `${name} only supports an object as its argument`);
  for (const key of Object.keys(operand)) if (!required.includes(key) && !optional.includes(key)) throw new CommandError(16879, `Unrecognized parameter to ${name}: ${key}`);
  for (const key of required) if (!(key in operand)) throw new CommandError(16880, `Missing '${key}' parameter to ${name}`);
  return operand;
}

function bind(frame: Frame, variables: Doc): Frame {
  countStep();
  return { root: frame.root, variables: Object.assign(Object.create(frame.variables) as Doc, variables) };
}

function listOf(operand: unknown): unknown[] {
  return Array.isArray(operand) ? operand : [operand];
}

function arrayInput(name: string, value: unknown): unknown[] | null {
  if (value === null || value === undefined) return null;
  if (!Array.isArray(value)) throw new CommandError(16883, `input to ${name} must be an array`);
  return value;
}

const cond: Scoped = (operand, compile) => {
  const parts = Array.isArray(operand) ? operand : [fields('$cond', operand, ['if', 'then', 'else'])].flatMap((spec) => [spec['if'], spec['then'], spec['else']]);
  if (parts.length !== 3) throw new CommandError(16020, `Expression $cond takes exactly 3 arguments. ${parts.length} were passed in.`);
  const [test, yes, no] = parts.map(compile) as [Evaluate, Evaluate, Evaluate];
  return (frame) => (truthy(test(frame)) ? yes(frame) : no(frame));
};

const switchOver: Scoped = (operand, compile) => {
  const spec = fields('$switch', operand, ['branches'], ['default']);
  if (!Array.isArray(spec['branches']) || spec['branches'].length === 0) throw new CommandError(40068, '$switch requires at least one branch.');
  const branches = spec['branches'].map((branch) => {
    const { case: test, then } = fields('$switch', branch, ['case', 'then']);
    return [compile(test), compile(then)] as const;
  });
  const otherwise = 'default' in spec ? compile(spec['default']) : null;
  return (frame) => {
    for (const [test, value] of branches) if (truthy(test(frame))) return value(frame);
    if (!otherwise) throw new CommandError(40066, '$switch could not find a matching branch for an input, and no default was specified.');
    return otherwise(frame);
  };
};

const letIn: Scoped = (operand, compile) => {
  const spec = fields('$let', operand, ['vars', 'in']);
  if (!isObject(spec['vars'])) throw new CommandError(10065, 'invalid parameter: expected an object (vars)');
  const vars = Object.entries(spec['vars']).map(([name, value]) => [name, compile(value)] as const);
  const inner = compile(spec['in']);
  return (frame) => inner(bind(frame, Object.fromEntries(vars.map(([name, value]) => [name, value(frame)]))));
};

const map: Scoped = (operand, compile) => {
  const spec = fields('$map', operand, ['input', 'in'], ['as']);
  const [input, inner] = [compile(spec['input']), compile(spec['in'])];
  const name = typeof spec['as'] === 'string' ? spec['as'] : 'this';
  return (frame) => arrayInput('$map', input(frame))?.map((item) => inner(bind(frame, { [name]: item })) ?? null) ?? null;
};

const filter: Scoped = (operand, compile) => {
  const spec = fields('$filter', operand, ['input', 'cond'], ['as', 'limit']);
  const [input, test, limit] = [compile(spec['input']), compile(spec['cond']), spec['limit'] === undefined ? null : compile(spec['limit'])];
  const name = typeof spec['as'] === 'string' ? spec['as'] : 'this';
  return (frame) => {
    const found = arrayInput('$filter', input(frame))?.filter((item) => truthy(test(bind(frame, { [name]: item }))));
    const most = limit ? wholeNumber(limit(frame)) : null;
    return found ? (most === null ? found : found.slice(0, most)) : null;
  };
};

const reduce: Scoped = (operand, compile) => {
  const spec = fields('$reduce', operand, ['input', 'initialValue', 'in']);
  const [input, initial, inner] = [compile(spec['input']), compile(spec['initialValue']), compile(spec['in'])];
  return (frame) => {
    const list = input(frame);
    if (list === null || list === undefined) return null;
    if (!Array.isArray(list)) throw new CommandError(40080, '$reduce requires that \'input\' be an array');
    return list.reduce<unknown>((value, item) => inner(bind(frame, { this: item, value })), initial(frame));
  };
};

const sortArray: Scoped = (operand, compile) => {
  const spec = fields('$sortArray', operand, ['input', 'sortBy']);
  const input = compile(spec['input']);
  const by = spec['sortBy'];
  const order = isObject(by) ? compileSort(by) : null;
  const direction = order ? 1 : wholeNumber(by);
  if (direction !== 1 && direction !== -1) throw new CommandError(2942507, 'Illegal value for sortBy');
  return (frame) => {
    const list = input(frame);
    if (list === null || list === undefined) return null;
    if (!Array.isArray(list)) throw new CommandError(2942504, 'The input argument to $sortArray must be an array');
    return list.toSorted((a, b) => (order ? order((isObject(a) ? a : {}), (isObject(b) ? b : {})) : direction * compare(a, b)));
  };
};

const getField: Scoped = (operand, compile) => {
  const spec = isObject(operand) && 'field' in operand ? operand : { field: operand };
  const name = spec['field'];
  if (typeof name === 'string' && name.startsWith('$')) throw new CommandError(5654601, "$getField requires 'field' to evaluate to a constant, but got a non-constant argument: put the name into $literal");
  const field = isObject(name) ? compile(name) : () => name;
  const input = 'input' in spec ? compile(spec['input']) : (frame: Frame) => frame.root;
  return (frame) => {
    const [doc, key] = [input(frame), field(frame)];
    if (typeof key !== 'string') throw new CommandError(5654602, "$getField requires 'field' to evaluate to type String");
    if (doc === null) return null;
    return isObject(doc) && Object.hasOwn(doc, key) ? doc[key] : undefined;
  };
};

const setField: Scoped = (operand, compile) => {
  const spec = fields('$setField', operand, ['field', 'input', 'value']);
  const [name, input, value] = [spec['field'], compile(spec['input']), compile(spec['value'])];
  const field = isObject(name) ? compile(name) : () => name;
  return (frame) => {
    const doc = input(frame);
    if (doc === null || doc === undefined) return null;
    if (!isObject(doc)) throw new CommandError(4161105, '$setField requires \'input\' to evaluate to type Object');
    const next = { ...doc };
    const [key, result] = [String(field(frame)), value(frame)];
    if (result === undefined) delete next[key];
    else next[key] = result;
    return next;
  };
};

const convertTo: Scoped = (operand, compile) => {
  const spec = fields('$convert', operand, ['input', 'to'], ['onError', 'onNull', 'format']);
  const [input, to] = [compile(spec['input']), compile(spec['to'])];
  const onNull = 'onNull' in spec ? compile(spec['onNull']) : () => null;
  const onError = 'onError' in spec ? compile(spec['onError']) : null;
  return (frame) => {
    const value = input(frame);
    if (value === null || value === undefined) return onNull(frame);
    try {
      return convert(value, to(frame));
    } catch (error) {
      if (onError && error instanceof CommandError) return onError(frame);
      throw error;
    }
  };
};

export const SCOPED_OPERATORS: Record<string, Scoped> = {
  $literal: (operand) => () => operand,
  $const: (operand) => () => operand,
  $and: (operand, compile) => {
    const tests = listOf(operand).map(compile);
    return (frame) => tests.every((test) => truthy(test(frame)));
  },
  $or: (operand, compile) => {
    const tests = listOf(operand).map(compile);
    return (frame) => tests.some((test) => truthy(test(frame)));
  },
  $ifNull: (operand, compile) => {
    const list = listOf(operand).map(compile);
    if (list.length < 2) throw new CommandError(1257300, `$ifNull needs at least two arguments, had: ${list.length}`);
    return (frame) => {
      let value: unknown;
      for (const one of list) {
        value = one(frame);
        if (value !== null && value !== undefined) return value;
      }
      return value;
    };
  },
  $cond: cond, $switch: switchOver, $let: letIn, $map: map, $filter: filter, $reduce: reduce, $sortArray: sortArray, $getField: getField, $setField: setField, $convert: convertTo,
  $unsetField: (operand, compile) => setField({ ...fields('$unsetField', operand, ['field', 'input']), value: '$$REMOVE' }, compile),
};
