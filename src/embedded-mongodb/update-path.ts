/** Concrete paths of an update: positional parts resolved, containers found or made, by MongoDB's dotted-path rules. */
import type { Doc } from './bson-decode.js';
import { isObject } from './bson-order.js';
import { badValue, CommandError } from './command-error.js';
import { bsonTypeName } from './match-leaf.js';
import { isArrayIndex } from './path-walk.js';

export interface PathScope {
  /** The index that the query matched in the array at `path`, or null. */
  positional: (path: string) => number | null;
  arrayFilters: ReadonlyMap<string, (item: unknown) => boolean>;
}

/** @throws CommandError when a path is empty or has empty parts. */
export function splitPath(path: string): string[] {
  if (path === '') throw new CommandError(56, 'An empty update path is not valid.');
  if (!path.includes('.')) return [path];
  const parts = path.split('.');
  if (parts.includes('')) throw new CommandError(56, `The update path '${path}' contains an empty field name, which is not allowed.`);
  return parts;
}

/** Whether a part of a path stands for elements of an array: `$`, `$[]` or `$[name]`. */
export function isPositional(part: string): boolean {
  return part === '$' || (part.startsWith('$[') && part.endsWith(']'));
}

/** All concrete paths that a path with `$`, `$[]` and `$[name]` stands for in this document. */
export function expandPath(doc: Doc, parts: readonly string[], scope: PathScope): string[][] {
  const found: string[][] = [];
  expandFrom(doc, parts, 0, [], scope, found);
  return found;
}

function expandFrom(value: unknown, parts: readonly string[], at: number, done: string[], scope: PathScope, found: string[][]): void {
  if (at === parts.length) {
    found.push(done);
    return;
  }
  const part = parts[at]!;
  if (!isPositional(part)) {
    const next = Array.isArray(value) ? (isArrayIndex(part) ? value[Number(part)] : undefined) : isObject(value) ? value[part] : undefined;
    return expandFrom(next, parts, at + 1, [...done, part], scope, found);
  }
  for (const index of indexesFor(part, value, done, scope)) {
    expandFrom((value as unknown[])[index], parts, at + 1, [...done, String(index)], scope, found);
  }
}

function indexesFor(part: string, value: unknown, done: string[], scope: PathScope): number[] {
  const path = done.join('.');
  if (part === '$') {
    const index = scope.positional(path);
    if (index === null) throw badValue('The positional operator did not find the match needed from the query.');
    return [index];
  }
  const name = part.slice(2, -1);
  if (value === undefined) throw badValue(`The path '${path}' must exist in the document in order to apply array updates.`);
  if (!Array.isArray(value)) throw badValue(`Cannot apply array updates to non-array element ${done.at(-1) ?? ''}: ${JSON.stringify(value)}`);
  if (name === '') return value.map((_, index) => index);
  const filter = scope.arrayFilters.get(name);
  if (!filter) throw badValue(`No array filter found for identifier '${name}' in path '${[...done, part].join('.')}'`);
  return value.flatMap((item, index) => (filter(item) ? [index] : []));
}

/** A place in a document: where the value is or would be. */
export interface Place {
  container: Doc | unknown[];
  key: string;
}

export function valueAt(place: Place): unknown {
  return Array.isArray(place.container) ? place.container[Number(place.key)] : Object.hasOwn(place.container, place.key) ? place.container[place.key] : undefined;
}

/** The place of a path without making anything; null when a container is missing or is no container. */
export function findPlace(doc: Doc, parts: readonly string[]): Place | null {
  let container: unknown = doc;
  for (let i = 0; i < parts.length - 1; i++) {
    container = step(container, parts[i]!);
    if (container === undefined) return null;
  }
  const key = parts.at(-1)!;
  if (Array.isArray(container)) return isArrayIndex(key) ? { container, key } : null;
  return isObject(container) ? { container, key } : null;
}

function step(container: unknown, part: string): unknown {
  if (Array.isArray(container)) return isArrayIndex(part) ? container[Number(part)] : undefined;
  return isObject(container) && Object.hasOwn(container, part) ? container[part] : undefined;
}

const MAX_PADDING = 1_500_000;

/** The place of a path, with the documents on the way made where they are missing. */
export function makePlace(doc: Doc, parts: readonly string[]): Place {
  let container: Doc | unknown[] = doc;
  for (let i = 0; i < parts.length; i++) {
    const key = parts[i]!;
    if (Array.isArray(container) && !isArrayIndex(key)) throw notViable(key, parts[i - 1]!, container);
    if (i === parts.length - 1) return { container, key };
    const next = valueAt({ container, key });
    if (next === undefined) {
      const made: Doc = {};
      write({ container, key }, made);
      container = made;
    } else if (isObject(next) || Array.isArray(next)) container = next;
    else throw notViable(parts[i + 1]!, key, next);
  }
  throw new CommandError(56, 'An empty update path is not valid.');
}

function notViable(field: string, parent: string, value: unknown): CommandError {
  const shown = Array.isArray(value) ? '[...]' : typeof value === 'string' ? JSON.stringify(value) : String(value);
  return new CommandError(28, `Cannot create field '${field}' in element {${parent}: ${shown}}`);
}

export function write(place: Place, value: unknown): void {
  const { container, key } = place;
  if (Array.isArray(container)) {
    const index = Number(key);
    if (index - container.length > MAX_PADDING) throw badValue(`can't backfill more than ${MAX_PADDING} elements`);
    while (container.length < index) container.push(null);
    container[index] = value;
  } else if (key === '__proto__') Object.defineProperty(container, key, { value, enumerable: true, configurable: true, writable: true });
  else container[key] = value;
}

/** Removes a field; an array element becomes null, so that the others keep their places. */
export function erase(place: Place): void {
  const { container, key } = place;
  if (Array.isArray(container)) {
    if (Number(key) < container.length) container[Number(key)] = null;
  } else delete container[key];
}

export function typeOf(value: unknown): string {
  return bsonTypeName(value);
}
