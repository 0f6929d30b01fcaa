/** Sort specifications: MongoDB's order on documents, where an array counts by its least (or greatest) element. */
import type { Doc } from './bson-decode.js';
import { compare, isObject } from './bson-order.js';
import { badValue, CommandError } from './command-error.js';
import { wholeNumber } from './match-leaf.js';
import { keyValues } from './path-walk.js';

export interface SortPart {
  parts: string[];
  path: string;
  direction: 1 | -1;
}

/** @throws CommandError when a direction is not 1 or -1 or a path is empty. */
export function parseSort(spec: Doc): SortPart[] {
  const entries = Object.entries(spec);
  if (entries.length > 32) throw new CommandError(2, 'too many compound keys');
  return entries.map(([path, value]) => {
    if (path === '' || path.split('.').includes('')) throw new CommandError(40353, 'FieldPath must not contain empty parts');
    if (isObject(value)) throw new CommandError(17312, '$meta is the only expression supported by $sort right now, and this server does not support it');
    const direction = wholeNumber(value);
    if (direction !== 1 && direction !== -1) throw new CommandError(15975, '$sort key ordering must be 1 (for ascending) or -1 (for descending)');
    return { path, parts: path.split('.'), direction };
  });
}

/** The value by which a document sorts on one path. */
export function sortValue(doc: unknown, part: SortPart): unknown {
  if (part.parts.length === 1) {
    const value = (doc as Doc)[part.path];
    if (!Array.isArray(value)) return value ?? null;
  }
  const values: unknown[] = [];
  keyValues(doc, part.parts, 0, values);
  let best = values[0];
  for (let i = 1; i < values.length; i++) {
    if (compare(values[i], best) * part.direction < 0) best = values[i];
  }
  return best ?? null;
}

/** A comparison of whole documents; for many documents take the keys once with `sortKey`. */
export function compileSort(spec: Doc): (a: Doc, b: Doc) => number {
  const parts = parseSort(spec);
  return (a, b) => {
    for (const part of parts) {
      const order = compare(sortValue(a, part), sortValue(b, part));
      if (order !== 0) return order * part.direction;
    }
    return 0;
  };
}

export function sortKey(doc: Doc, parts: readonly SortPart[]): unknown[] {
  return parts.map((part) => sortValue(doc, part));
}

export function compareSortKeys(a: readonly unknown[], b: readonly unknown[], parts: readonly SortPart[]): number {
  for (let i = 0; i < parts.length; i++) {
    const order = compare(a[i], b[i]);
    if (order !== 0) return order * parts[i]!.direction;
  }
  return 0;
}

export function requireSortObject(value: unknown): Doc {
  if (value === undefined || value === null) return {};
  if (!isObject(value)) throw badValue('sort must be an object');
  return value;
}
