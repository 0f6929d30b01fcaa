/** The stages that change each document's fields: `$addFields`, `$unset`, `$unwind`, `$replaceRoot`, `$redact`, `$project`. */
import type { Doc } from './bson-decode.js';
import { isObject } from './bson-order.js';
import { CommandError } from './command-error.js';
import { compile, compileExpression, type Evaluate, type Frame } from './expression.js';
import { eachDocument, eachToMany, type Stage } from './flow.js';
import { readExpressionPath } from './path-walk.js';
import { objectOperand, type StageCompiler } from './pipeline-stage.js';
import { compileProjection } from './project.js';

export const project: StageCompiler = (operand, scope) => {
  const spec = objectOperand('$project', operand, 15969);
  if (Object.keys(spec).length === 0) throw new CommandError(51272, 'projection specification must have at least one field');
  const projection = compileProjection(spec, (expression) => compileExpression(expression, scope.variables), {}, true);
  return eachDocument((doc) => (projection ? projection(doc, {}) : doc));
};

export const unset: StageCompiler = (operand, scope) => {
  if (!Array.isArray(operand) && typeof operand !== 'string') throw new CommandError(31002, '$unset specification must be a string or an array');
  const paths: unknown[] = Array.isArray(operand) ? operand : [operand];
  if (paths.length === 0) throw new CommandError(31119, '$unset specification must be a string or an array with at least one field');
  if (paths.some((path) => typeof path !== 'string')) throw new CommandError(31120, '$unset specification must be a string or an array containing only string values');
  return project(Object.fromEntries(paths.map((path) => [path as string, 0])), scope);
};

interface FieldNode {
  evaluate: Evaluate | null;
  children: Map<string, FieldNode>;
}

export const addFields: StageCompiler = (operand, scope) => {
  const root: FieldNode = { evaluate: null, children: new Map() };
  const spec = objectOperand('$addFields', operand, 40272);
  if (Object.keys(spec).length === 0) throw new CommandError(40177, '$addFields specification must have at least one field');
  for (const [path, value] of Object.entries(spec)) addField(root, path.split('.'), value);
  return eachDocument((doc) => setFields(doc, root, { root: doc, variables: { ...scope.variables, ROOT: doc } }));
};

function addField(node: FieldNode, parts: string[], value: unknown): void {
  const [name, ...rest] = parts as [string, ...string[]];
  if (name === '') throw new CommandError(40353, 'FieldPath must not be empty or contain empty parts');
  if (name.startsWith('$')) throw new CommandError(16410, `FieldPath field names may not start with '$': '${parts.join('.')}'. Consider using $getField or $setField.`);
  let child = node.children.get(name);
  if (!child) node.children.set(name, (child = { evaluate: null, children: new Map() }));
  else if (rest.length === 0 || child.evaluate) throw new CommandError(40176, `specification contains two conflicting paths: '${parts.join('.')}'`);
  const nested = isObject(value) && Object.keys(value).length > 0 && !Object.keys(value)[0]!.startsWith('$');
  if (rest.length > 0) addField(child, rest, value);
  else if (nested) for (const [inner, innerValue] of Object.entries(value)) addField(child, inner.split('.'), innerValue);
  else child.evaluate = compile(value);
}

function setFields(value: unknown, node: FieldNode, frame: Frame): Doc {
  const result: Doc = isObject(value) ? { ...value } : {};
  for (const [name, child] of node.children) {
    const present = result[name];
    const next = child.evaluate ? child.evaluate(frame) : Array.isArray(present) ? present.map((item) => setFieldsDeep(item, child, frame)) : setFields(present, child, frame);
    if (next === undefined) delete result[name];
    else result[name] = next;
  }
  return result;
}

function setFieldsDeep(item: unknown, node: FieldNode, frame: Frame): unknown {
  return Array.isArray(item) ? item.map((inner) => setFieldsDeep(inner, node, frame)) : setFields(item, node, frame);
}

const UNWIND_FIELDS = new Set(['path', 'preserveNullAndEmptyArrays', 'includeArrayIndex']);

export const unwind: StageCompiler = (operand, scope) => {
  if (typeof operand !== 'string' && !isObject(operand)) throw new CommandError(15981, 'expected either a string or an object as specification for $unwind stage');
  const spec: Doc = isObject(operand) ? operand : { path: operand };
  for (const name in spec) if (!UNWIND_FIELDS.has(name)) throw new CommandError(28811, `unrecognized option to $unwind stage: ${name}`);
  const path = spec['path'];
  if (path === undefined) throw new CommandError(28812, 'no path specified to $unwind stage');
  if (typeof path !== 'string') throw new CommandError(28808, 'expected a string as the path for $unwind stage');
  if (!path.startsWith('$')) throw new CommandError(28818, `path option to $unwind stage should be prefixed with a '$': ${path}`);
  if (path.split('.').includes('') || path === '$') throw new CommandError(40353, 'FieldPath must not be empty or contain empty parts');
  const keepEmpty = spec['preserveNullAndEmptyArrays'] ?? false;
  if (typeof keepEmpty !== 'boolean') throw new CommandError(28809, 'expected a boolean for the preserveNullAndEmptyArrays option to $unwind stage');
  const indexField = spec['includeArrayIndex'];
  if (indexField !== undefined && (typeof indexField !== 'string' || indexField === '')) throw new CommandError(28810, 'expected a non-empty string for the includeArrayIndex option to $unwind stage');
  if (indexField?.startsWith('$')) throw new CommandError(28822, `includeArrayIndex option to $unwind stage should not be prefixed with a '$': ${indexField}`);
  const parts = path.slice(1).split('.');
  return eachToMany(scope.turn, (doc) => unwindOne(doc, parts, keepEmpty, indexField));
};

function* unwindOne(doc: Doc, parts: string[], keepEmpty: boolean, indexField: string | undefined): Iterable<Doc> {
  const value = readExpressionPath(doc, parts);
  const numbered = (one: Doc, index: bigint | null): Doc => (indexField === undefined ? one : setAt(one, indexField.split('.'), index));
  if (Array.isArray(value) && value.length > 0) for (let i = 0; i < value.length; i++) yield numbered(setAt(doc, parts, value[i]), BigInt(i));
  else if (value !== null && value !== undefined && !Array.isArray(value)) yield numbered(doc, null);
  else if (keepEmpty) yield numbered(Array.isArray(value) ? setAt(doc, parts, undefined) : doc, null);
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

/** `$replaceWith`, and `$replaceRoot` with its `newRoot`. */
export const replaceWith: StageCompiler = (expression, scope) => {
  const evaluate = compileExpression(expression, scope.variables);
  return eachDocument((doc) => {
    const next = evaluate(doc);
    if (!isObject(next)) throw new CommandError(40228, "'replacement document' expression must evaluate to an object");
    return next;
  });
};

export const redact: StageCompiler = (operand, scope): Stage => {
  const decide = compile(operand);
  const redacted = (doc: Doc, root: Doc): Doc | null => {
    const verdict = decide({ root: doc, variables: { ...scope.variables, ROOT: root } });
    if (verdict === KEEP) return doc;
    if (verdict === PRUNE) return null;
    if (verdict !== DESCEND) throw new CommandError(17053, '$redact should evaluate to one of $$DESCEND, $$PRUNE, or $$KEEP');
    const result: Doc = {};
    for (const [name, value] of Object.entries(doc)) {
      const kept = inside(value, root);
      if (kept !== undefined) result[name] = kept;
    }
    return result;
  };
  const inside = (value: unknown, root: Doc): unknown => {
    if (Array.isArray(value)) return value.map((item) => inside(item, root)).filter((item) => item !== undefined);
    return isObject(value) ? (redacted(value, root) ?? undefined) : value;
  };
  return eachToMany(scope.turn, (doc) => {
    const kept = redacted(doc, doc);
    return kept ? [kept] : [];
  });
};

/** What `$$KEEP`, `$$PRUNE` and `$$DESCEND` evaluate to. */
const [KEEP, PRUNE, DESCEND] = ['KEEP', 'PRUNE', 'DESCEND'];

