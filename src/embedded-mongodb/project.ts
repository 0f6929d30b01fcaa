/** Compiles a projection: fields taken in or left out, `$slice`, `$elemMatch`, the positional `.$`, and computed fields. */
import type { Doc } from './bson-decode.js';
import { isObject, RANK, typeRank } from './bson-order.js';
import { badValue, CommandError } from './command-error.js';
import { elemMatchTest, truthy, type MatchContext } from './match.js';
import { wholeNumber } from './match-leaf.js';
import { positionalIndex } from './positional.js';

export interface Projection {
  (doc: Doc, filter: Doc): Doc;
  /** The top-level fields it reads, or null when it may read any. */
  fields: ReadonlySet<string> | null;
}
/** Compiles an aggregation expression; given by the caller. */
export type ExpressionValue = (expression: unknown) => (doc: Doc) => unknown;

type Action =
  | { kind: 'include' | 'exclude' | 'positional' }
  | { kind: 'slice'; skip: number | null; count: number }
  | { kind: 'elemMatch'; test: (value: unknown) => boolean }
  | { kind: 'compute'; value: (doc: Doc) => unknown };

interface Node {
  children: Map<string, Node>;
  action: Action | null;
}

const newNode = (): Node => ({ children: new Map(), action: null });

/** @throws CommandError when inclusion and exclusion are mixed or paths collide; null when everything is kept. */
export function compileProjection(spec: Doc, expression: ExpressionValue, context: MatchContext = {}, aggregation = false): Projection | null {
  const root = newNode();
  let including: boolean | null = null;
  let idAction: Action | null = null;
  let neutral = true;
  for (const [path, value] of leaves(spec)) {
    const action = toAction(path, value, expression, context, aggregation);
    if (path === '_id' && (action.kind === 'include' || action.kind === 'exclude')) {
      idAction = action;
      continue;
    }
    const mode = action.kind === 'include' || action.kind === 'positional' || action.kind === 'compute' ? true : action.kind === 'exclude' ? false : null;
    if (mode !== null) {
      if (including !== null && including !== mode) throw mixed(path, including);
      including = mode;
    }
    neutral = false;
    place(root, path, action);
  }
  if (idAction === null && neutral) return null;
  const inclusive = including ?? (neutral ? idAction?.kind === 'include' : [...root.children.values()].some((node) => node.action?.kind === 'elemMatch'));
  if (inclusive ? idAction?.kind !== 'exclude' && !root.children.has('_id') : idAction?.kind === 'exclude') root.children.set('_id', { children: new Map(), action: { kind: inclusive ? 'include' : 'exclude' } });
  const project = (doc: Doc, filter: Doc): Doc => {
    const result = (inclusive ? pick : drop)(doc, root, doc, filter, '');
    return inclusive && '_id' in result && Object.keys(result)[0] !== '_id' ? { _id: result['_id'], ...result } : result;
  };
  return Object.assign(project, { fields: inclusive && readsOnlyItsPaths(root) ? new Set(root.children.keys()) : null });
}

function readsOnlyItsPaths(node: Node): boolean {
  return [...node.children.values()].every((child) => (child.action ? child.action.kind !== 'compute' && child.action.kind !== 'positional' : readsOnlyItsPaths(child)));
}

function mixed(path: string, including: boolean): CommandError {
  return including
    ? new CommandError(31254, `Cannot do exclusion on field ${path} in inclusion projection`)
    : new CommandError(31253, `Cannot do inclusion on field ${path} in exclusion projection`);
}

function* leaves(spec: Doc, prefix = ''): Generator<[string, unknown]> {
  for (const [name, value] of Object.entries(spec)) {
    const path = prefix + name;
    const nested = isObject(value) && Object.keys(value).length > 0 && !Object.keys(value)[0]!.startsWith('$');
    if (nested) yield* leaves(value, `${path}.`);
    else yield [path, value];
  }
}

function toAction(path: string, value: unknown, expression: ExpressionValue, context: MatchContext, aggregation: boolean): Action {
  if (path === '' || path.split('.').includes('')) throw new CommandError(40353, 'FieldPath must not end with a \'.\' or be empty.');
  if (path.endsWith('.$') && !aggregation) {
    if (!truthy(value)) throw new CommandError(31395, 'positional projection cannot be used with exclusion');
    return { kind: 'positional' };
  }
  if (path.startsWith('$')) throw new CommandError(16410, `FieldPath field names may not start with '$'. Consider using $getField or $setField.`);
  if (typeof value === 'boolean' || typeRank(value) === RANK.number) return { kind: truthy(value) ? 'include' : 'exclude' };
  if (isObject(value)) {
    if (Object.keys(value).length === 0) throw new CommandError(51270, `An empty sub-projection is not a valid value. Found empty object at path`);
    if (aggregation) return { kind: 'compute', value: compute(value, expression) };
    if ('$slice' in value && !isExpressionSlice(value['$slice'])) return sliceAction(value['$slice']);
    if ('$elemMatch' in value) return { kind: 'elemMatch', test: elemMatchTest([value['$elemMatch']][0], context) };
    if ('$meta' in value) throw new CommandError(238, '$meta projections are not supported by this server');
  }
  return { kind: 'compute', value: compute(value, expression) };
}

/** Within a projection MongoDB has a code of its own for an operator it does not know. */
function compute(value: unknown, expression: ExpressionValue): (doc: Doc) => unknown {
  try {
    return expression(value);
  } catch (error) {
    if (error instanceof CommandError && error.code === 168 && isObject(value)) throw new CommandError(31325, `Unknown expression ${Object.keys(value)[0]}`);
    throw error;
  }
}

function isExpressionSlice(value: unknown): boolean {
  return Array.isArray(value) && (value.length === 3 || wholeNumber(value[0]) === null);
}

function sliceAction(value: unknown): Action {
  const numbers = (Array.isArray(value) ? value : [value]).map(wholeNumber);
  if (numbers.some((number) => number === null) || numbers.length === 0 || numbers.length > 2) throw new CommandError(28667, 'Invalid $slice syntax. The given syntax did not match the find() syntax');
  if (numbers.length === 2) {
    if (numbers[1]! <= 0) throw new CommandError(28724, 'Third argument to $slice must be positive');
    return { kind: 'slice', skip: numbers[0]!, count: numbers[1]! };
  }
  return { kind: 'slice', skip: null, count: numbers[0]! };
}

function place(root: Node, path: string, action: Action): void {
  const parts = (action.kind === 'positional' ? path.slice(0, -2) : path).split('.');
  let node = root;
  for (const part of parts) {
    if (node.action) throw new CommandError(31249, `Path collision at ${path}`);
    let next = node.children.get(part);
    if (!next) node.children.set(part, (next = newNode()));
    node = next;
  }
  if (node.children.size > 0 || node.action) throw new CommandError(31250, `Path collision at ${path}`);
  node.action = action;
}

function pick(value: Doc, node: Node, root: Doc, filter: Doc, prefix: string): Doc {
  const result: Doc = {};
  for (const name in value) {
    const child = node.children.get(name);
    if (!child || child.action?.kind === 'compute') continue;
    const kept = pickValue(value[name], child, root, filter, prefix + name);
    if (kept !== undefined) result[name] = kept;
  }
  for (const [name, child] of node.children) {
    if (child.action?.kind === 'compute') {
      const computed = child.action.value(root);
      if (computed !== undefined) result[name] = computed;
    } else if (!child.action && !(name in result) && hasCompute(child)) result[name] = pick({}, child, root, filter, `${prefix}${name}.`);
  }
  return result;
}

function hasCompute(node: Node): boolean {
  return [...node.children.values()].some((child) => child.action?.kind === 'compute' || hasCompute(child));
}

function pickValue(value: unknown, node: Node, root: Doc, filter: Doc, path: string): unknown {
  if (node.action) return act(value, node.action, root, filter, path);
  if (Array.isArray(value)) {
    const list: unknown[] = [];
    for (const item of value) {
      if (isObject(item) || Array.isArray(item)) list.push(pickValue(item, node, root, filter, path));
    }
    return list;
  }
  return isObject(value) ? pick(value, node, root, filter, `${path}.`) : undefined;
}

function drop(value: Doc, node: Node, root: Doc, filter: Doc, prefix: string): Doc {
  const result: Doc = {};
  for (const name in value) {
    const child = node.children.get(name);
    const kept = child ? dropValue(value[name], child, root, filter, prefix + name) : value[name];
    if (kept !== undefined) result[name] = kept;
  }
  return result;
}

function dropValue(value: unknown, node: Node, root: Doc, filter: Doc, path: string): unknown {
  if (node.action) return act(value, node.action, root, filter, path);
  if (Array.isArray(value)) return value.map((item) => dropValue(item, node, root, filter, path));
  return isObject(value) ? drop(value, node, root, filter, `${path}.`) : value;
}

function act(value: unknown, action: Action, root: Doc, filter: Doc, path: string): unknown {
  switch (action.kind) {
    case 'include':
      return value;
    case 'exclude':
      return undefined;
    case 'slice':
      return Array.isArray(value) ? slice(value, action.skip, action.count) : value;
    case 'elemMatch': {
      if (!Array.isArray(value)) return undefined;
      const found = value.find((item) => action.test([item]));
      return found === undefined ? undefined : [found];
    }
    case 'positional': {
      if (!Array.isArray(value)) return value;
      const index = positionalIndex(root, filter, path);
      if (index === null) throw new CommandError(51246, 'Executor error during find command :: caused by :: positional operator \'.$\' couldn\'t find a matching element in the array');
      return [value[index]];
    }
    default:
      throw badValue('a computed field cannot be combined with this projection');
  }
}

function slice(list: unknown[], skip: number | null, count: number): unknown[] {
  if (skip === null) return count >= 0 ? list.slice(0, count) : list.slice(count);
  const start = skip < 0 ? Math.max(0, list.length + skip) : skip;
  return list.slice(start, start + count);
}
