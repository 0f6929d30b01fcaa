/** MongoDB's rules for reading a dotted path: arrays on the way are walked, and a number may be an index or a field. */
import type { Doc } from './bson-decode.js';
import { isObject } from './bson-order.js';

const INDEX = /^(0|[1-9]\d*)$/;

export function isArrayIndex(part: string): boolean {
  return INDEX.test(part);
}

/** Own property only, so that a path such as `constructor` reads nothing from the prototype. */
export function readField(doc: Doc, name: string): unknown {
  const value = doc[name];
  return value === undefined || Object.hasOwn(doc, name) ? value : undefined;
}

/**
 * Calls `test` with each value at the end of the path until it answers true. A field that is missing is given as undefined;
 * scalars in an array on the way give nothing at all.
 */
export function anyAtPath(value: unknown, parts: readonly string[], at: number, test: (value: unknown) => boolean): boolean {
  if (at === parts.length) return test(value);
  const part = parts[at]!;
  if (isObject(value)) return anyAtPath(readField(value, part), parts, at + 1, test);
  if (!Array.isArray(value)) return test(undefined);
  if (isArrayIndex(part) && Number(part) < value.length && anyAtPath(value[Number(part)], parts, at + 1, test)) return true;
  for (const item of value) {
    if (isObject(item) && anyAtPath(readField(item, part), parts, at + 1, test)) return true;
  }
  return false;
}

/** The value of a path where arrays on the way give an array of what their elements have (aggregation's rule). */
export function readExpressionPath(value: unknown, parts: readonly string[], at = 0): unknown {
  if (at === parts.length) return value;
  if (Array.isArray(value)) {
    const list: unknown[] = [];
    for (const item of value) {
      const found = isObject(item) || Array.isArray(item) ? readExpressionPath(item, parts, at) : undefined;
      if (found !== undefined) list.push(found);
    }
    return list;
  }
  if (!isObject(value)) return undefined;
  return readExpressionPath(readField(value, parts[at]!), parts, at + 1);
}

/**
 * All values that an index or a sort sees for a path: the elements of arrays one by one, undefined where the field is missing, `empty` for
 * an array without elements at the path's end.
 */
export function keyValues(value: unknown, parts: readonly string[], at: number, into: unknown[], empty?: unknown): boolean {
  if (at === parts.length) {
    if (!Array.isArray(value)) {
      into.push(value);
      return false;
    }
    if (value.length === 0) into.push(empty);
    for (const item of value) into.push(item);
    return true;
  }
  const part = parts[at]!;
  if (isObject(value)) return keyValues(readField(value, part), parts, at + 1, into, empty);
  if (!Array.isArray(value)) {
    into.push(undefined);
    return false;
  }
  if (isArrayIndex(part)) {
    keyValues(value[Number(part)], parts, at + 1, into, empty);
    return true;
  }
  for (const item of value) {
    if (isObject(item)) keyValues(readField(item, part), parts, at + 1, into, empty);
    else into.push(undefined);
  }
  if (value.length === 0) into.push(undefined);
  return true;
}
