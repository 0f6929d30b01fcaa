/** Compiles a query filter into a function on documents, by MongoDB's matching rules. */
import { BSONRegExp } from 'bson';
import type { Doc } from './bson-decode.js';
import { equals, isObject, typeRank, RANK } from './bson-order.js';
import { badValue, CommandError } from './command-error.js';
import { anyAtPath } from './path-walk.js';
import { bitTest, comparison, modTest, regexTest, sizeTest, typeTest, type Test } from './match-leaf.js';

export type Matcher = (doc: Doc) => boolean;
/** Compiles the operand of `$expr`; given by the caller, so that this file does not depend on the aggregation. */
export type ExpressionCompiler = (expression: unknown, variables: Doc) => (doc: Doc) => boolean;

export interface MatchContext {
  compileExpression?: ExpressionCompiler;
  variables?: Doc;
}

/** @throws CommandError with MongoDB's code when the filter is not valid. */
export function compileFilter(filter: Doc, context: MatchContext = {}): Matcher {
  const clauses: Matcher[] = [];
  for (const name in filter) clauses.push(name.startsWith('$') && !isReferenceField(name) ? topLevel(name, filter[name], context) : fieldClause(name, filter[name], context));
  return allOf(clauses);
}

function allOf(clauses: readonly Matcher[]): Matcher {
  if (clauses.length === 0) return () => true;
  if (clauses.length === 1) return clauses[0]!;
  return (doc) => {
    for (const clause of clauses) if (!clause(doc)) return false;
    return true;
  };
}

function subFilters(name: string, operand: unknown, context: MatchContext): Matcher[] {
  if (!Array.isArray(operand)) throw badValue(`${name} argument must be an array`);
  if (operand.length === 0) throw badValue(`${name} argument must be a nonempty array`);
  return operand.map((filter) => {
    if (!isObject(filter)) throw badValue(`${name} argument's entries must be objects`);
    return compileFilter(filter, context);
  });
}

function topLevel(name: string, operand: unknown, context: MatchContext): Matcher {
  switch (name) {
    case '$and':
      return allOf(subFilters(name, operand, context));
    case '$or': {
      const any = subFilters(name, operand, context);
      return (doc) => any.some((clause) => clause(doc));
    }
    case '$nor': {
      const none = subFilters(name, operand, context);
      return (doc) => !none.some((clause) => clause(doc));
    }
    case '$expr':
      if (!context.compileExpression) throw badValue('$expr is not supported in this context');
      return context.compileExpression(operand, context.variables ?? {});
    case '$comment':
      return () => true;
    case '$alwaysTrue':
      return () => true;
    case '$alwaysFalse':
      return () => false;
    case '$sampleRate': {
      const rate = Number(operand);
      if (!(rate >= 0 && rate <= 1)) throw badValue('numeric argument to $sampleRate must be in [0, 1]');
      return () => Math.random() < rate;
    }
    case '$where':
    case '$jsonSchema':
      throw new CommandError(name === '$where' ? 2 : 238, `${name} is not supported by this server`);
    case '$text':
      throw new CommandError(27, 'text index required for $text query');
    default:
      throw badValue(`unknown top level operator: ${name}. If you have a field name that starts with a '$' symbol, consider using $getField or $setField.`);
  }
}

/** The fields of a DBRef have names like operators. */
function isReferenceField(name: string): boolean {
  return name === '$ref' || name === '$id' || name === '$db' || name.startsWith('$id.');
}

export function isOperatorObject(value: unknown): value is Doc {
  if (!isObject(value)) return false;
  for (const name in value) return name.startsWith('$') && !isReferenceField(name);
  return false;
}

function fieldClause(path: string, operand: unknown, context: MatchContext): Matcher {
  const test = isOperatorObject(operand) ? operators(operand, context) : leafMatch(comparison('$eq', operand));
  return onPath(path, test);
}

/** What one path's value must pass; `test` gets the value at the end of the path before arrays are opened. */
type PathTest = (doc: unknown, parts: readonly string[]) => boolean;

function onPath(path: string, test: PathTest): Matcher {
  const parts = path.split('.');
  return (doc) => test(doc, parts);
}

/** The leaf's value or, if that is an array, any of its elements. */
function leafMatch(test: Test): PathTest {
  const open = (value: unknown): boolean => test(value) || (Array.isArray(value) && value.some(test));
  return (doc, parts) => anyAtPath(doc, parts, 0, open);
}

function wholeMatch(test: Test): PathTest {
  return (doc, parts) => anyAtPath(doc, parts, 0, test);
}

function negate(test: PathTest): PathTest {
  return (doc, parts) => !test(doc, parts);
}

/** The conjunction of the operators in one operator object; with `single` an array is a value of its own and not opened. */
function operators(spec: Doc, context: MatchContext, single = false): PathTest {
  const tests: PathTest[] = [];
  for (const name in spec) {
    if (name === '$options') {
      if (!('$regex' in spec)) throw badValue('$options needs a $regex');
      continue;
    }
    tests.push(operator(name, spec[name], spec, context, single ? wholeMatch : leafMatch));
  }
  if (tests.length === 1) return tests[0]!;
  return (doc, parts) => tests.every((test) => test(doc, parts));
}

function operator(name: string, operand: unknown, spec: Doc, context: MatchContext, leaf: (test: Test) => PathTest): PathTest {
  switch (name) {
    case '$eq':
    case '$gt':
    case '$gte':
    case '$lt':
    case '$lte':
      if (name !== '$eq' && isRegex(operand)) throw badValue(`Can't have RegEx as arg to predicate over field with ${name}.`);
      return leaf(comparison(name, operand, name === '$eq'));
    case '$ne':
      if (isRegex(operand)) throw badValue("Can't have regex as arg to $ne.");
      return negate(leaf(comparison('$eq', operand, true)));
    case '$in':
      return leaf(inTest(name, operand));
    case '$nin':
      return negate(leaf(inTest(name, operand)));
    case '$exists':
      return truthy(operand) ? wholeMatch((value) => value !== undefined) : negate(wholeMatch((value) => value !== undefined));
    case '$type':
      return leaf(typeTest(operand));
    case '$size':
      return wholeMatch(sizeTest(operand));
    case '$mod':
      return leaf(modTest(operand));
    case '$regex':
      return leaf(regexTest(operand, spec['$options']));
    case '$not':
      return notTest(operand, context, leaf);
    case '$all':
      return allTest(operand, context, leaf);
    case '$elemMatch':
      return wholeMatch(elemMatchTest(operand, context));
    case '$bitsAllSet':
    case '$bitsAllClear':
    case '$bitsAnySet':
    case '$bitsAnyClear':
      return leaf(bitTest(name, operand));
    case '$near':
    case '$nearSphere':
    case '$geoWithin':
    case '$geoIntersects':
      throw new CommandError(291, `${name} is not supported: this server has no geospatial indexes`);
    default:
      throw badValue(`unknown operator: ${name}`);
  }
}

export function truthy(value: unknown): boolean {
  if (value === null || value === undefined || value === false) return false;
  return typeRank(value) !== RANK.number || !equals(value, 0);
}

function isRegex(value: unknown): boolean {
  return value instanceof BSONRegExp || value instanceof RegExp;
}

function inTest(name: string, operand: unknown): Test {
  if (!Array.isArray(operand)) throw badValue(`${name} needs an array`);
  const regexes = operand.filter(isRegex).map((item) => regexTest(item, undefined));
  const values = operand.filter((item) => !isRegex(item));
  for (const value of values) if (isOperatorObject(value)) throw badValue(`cannot nest $ under ${name}`);
  const strings = new Set(values.filter((value) => typeof value === 'string'));
  const others = values.filter((value) => typeof value !== 'string').map((value) => comparison('$eq', value, true));
  return (value) => (typeof value === 'string' && strings.has(value)) || others.some((test) => test(value)) || regexes.some((test) => test(value));
}

function notTest(operand: unknown, context: MatchContext, leaf: (test: Test) => PathTest): PathTest {
  if (isRegex(operand)) return negate(leaf(regexTest(operand, undefined)));
  if (!isObject(operand)) throw badValue('$not needs a regex or a document');
  if (Object.keys(operand).length === 0) throw badValue('$not cannot be empty');
  if (!isOperatorObject(operand)) throw badValue(`unknown operator: ${Object.keys(operand)[0]}`);
  return negate(operators(operand, context, leaf === wholeMatch));
}

function allTest(operand: unknown, context: MatchContext, leaf: (test: Test) => PathTest): PathTest {
  if (!Array.isArray(operand)) throw badValue('$all needs an array');
  const tests = operand.map((item): PathTest => {
    if (isObject(item) && '$elemMatch' in item) return wholeMatch(elemMatchTest(item['$elemMatch'], context));
    if (isOperatorObject(item)) throw badValue('no $ expressions in $all');
    return leaf(isRegex(item) ? regexTest(item, undefined) : comparison('$eq', item));
  });
  return (doc, parts) => tests.length > 0 && tests.every((test) => test(doc, parts));
}

const LOGICAL = new Set(['$and', '$or', '$nor', '$expr', '$where']);

/** One element of the array satisfies the whole condition: operators on the element itself, or a filter on its fields. */
export function elemMatchTest(operand: unknown, context: MatchContext): Test {
  if (!isObject(operand)) throw badValue('$elemMatch needs an Object');
  const onValue = isOperatorObject(operand) && !LOGICAL.has(Object.keys(operand)[0]!);
  if (onValue) {
    const test = operators(operand, context, true);
    return (value) => Array.isArray(value) && value.some((item) => test({ v: item }, ['v']));
  }
  const match = compileFilter(operand, context);
  return (value) => Array.isArray(value) && value.some((item) => (isObject(item) || Array.isArray(item)) && match(item as Doc));
}

/** The top-level fields a filter reads, or null when it may read anything (`$expr`). */
export function fieldsOf(filter: Doc, into = new Set<string>()): Set<string> | null {
  for (const name in filter) {
    if (!name.startsWith('$') || isReferenceField(name)) into.add(name.includes('.') ? name.slice(0, name.indexOf('.')) : name);
    else if (name === '$and' || name === '$or' || name === '$nor') {
      for (const part of filter[name] as Doc[]) if (!fieldsOf(part, into)) return null;
    } else if (name === '$expr') return null;
  }
  return into;
}
