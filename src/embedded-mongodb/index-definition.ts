/** What an index is: its fields and options, and the keys that a document has in it. */
import type { Doc } from './bson-decode.js';
import { isObject } from './bson-order.js';
import { CommandError } from './command-error.js';
import { encodeKey, limitKey, MAX_KEY_BYTES } from './index-key.js';
import { compileFilter, fieldsOf, type Matcher } from './match.js';
import { keyValues, readField } from './path-walk.js';

export interface IndexPart {
  path: string;
  parts: string[];
  descending: boolean;
}

export interface Index {
  id: number;
  name: string;
  key: Doc;
  parts: IndexPart[];
  /** Of each part. */
  descending: boolean[];
  unique: boolean;
  sparse: boolean;
  partial: Doc | null;
  partialMatch: Matcher | null;
  expireAfterSeconds: number | null;
  hidden: boolean;
  /** Some document has more than one key in it; never goes back to false. */
  multikey: boolean;
  /** Some key was cut, so that the order within the index isn't exact. */
  longKeys: boolean;
  /** False while it is being built in the background; then it is kept up but not used. */
  ready: boolean;
  /** Top-level fields on which its keys depend, null when any. */
  fields: ReadonlySet<string> | null;
  spec: Doc;
}

/** The working form of a stored index description. */
export function toIndex(stored: Doc): Index {
  const spec = stored['spec'] as Doc;
  const key = spec['key'] as Doc;
  const partial = (spec['partialFilterExpression'] as Doc | undefined) ?? null;
  const parts = Object.keys(key).map((path) => ({ path, parts: path.split('.'), descending: Number(key[path]) < 0 }));
  const fields = new Set(parts.map((part) => part.parts[0]!));
  const known = partial ? fieldsOf(partial, fields) : fields;
  const expire = spec['expireAfterSeconds'];
  return {
    id: stored['id'] as number,
    name: spec['name'] as string,
    key,
    parts,
    descending: parts.map((part) => part.descending),
    unique: spec['unique'] === true || spec['name'] === '_id_',
    sparse: spec['sparse'] === true,
    partial,
    partialMatch: partial ? compileFilter(partial) : null,
    expireAfterSeconds: expire === undefined ? null : Number(expire),
    hidden: spec['hidden'] === true,
    multikey: stored['multikey'] === true,
    longKeys: stored['longKeys'] === true,
    ready: stored['ready'] === true,
    fields: known,
    spec,
  };
}

export function storedForm(index: Index): Doc {
  return { id: index.id, spec: index.spec, multikey: index.multikey, longKeys: index.longKeys, ready: index.ready };
}

const NO_KEYS: Buffer[] = [];
/** An empty array at the end of a path: not a missing value, although its key is the same. */
const EMPTY = Symbol('empty');

/**
 * The encoded keys of a document in an index (without index id and record id), each once.
 * Marks the index as multikey or as having cut keys when this document makes it so.
 */
export function keysOf(index: Index, doc: Doc): Buffer[] {
  if (index.partialMatch && !index.partialMatch(doc)) return NO_KEYS;
  const plain = plainKey(index, doc);
  if (plain) return plain;
  const columns: unknown[][] = [];
  let arrays = 0;
  let present = false;
  for (const part of index.parts) {
    const values: unknown[] = [];
    const many = keyValues(doc, part.parts, 0, values, EMPTY);
    if (many) arrays++;
    if (arrays > 1 && many && sharedPrefix(index, part) === null) throw parallel(index);
    if (values.some((value) => value !== undefined)) present = true;
    // A sparse index leaves out the elements that lack the field, too.
    const kept = index.sparse && index.parts.length === 1 ? values.filter((value) => value !== undefined) : values;
    columns.push(kept.map((value) => (value === EMPTY ? undefined : value)));
  }
  if (index.sparse && !present) return NO_KEYS;
  const single = columns.every((values) => values.length === 1);
  if (single) return [finish(index, encodeKey(columns.map((values) => values[0]), index.descending))];
  if (Object.values(index.key).includes('hashed')) throw new CommandError(16766, `hashed indexes do not currently support array values. Found array at path: ${index.parts.map((part) => part.path).join(', ')}`);
  if (!index.multikey) index.multikey = true;
  return unique(cross(index, doc, columns).map((key) => finish(index, key)));
}

/** The same where no array is on the way, as almost always; null where one is. */
function plainKey(index: Index, doc: Doc): Buffer[] | null {
  const values: unknown[] = [];
  let present = false;
  for (const { parts } of index.parts) {
    let value: unknown = doc;
    for (const part of parts) value = isObject(value) ? readField(value, part) : Array.isArray(value) ? value : undefined;
    if (Array.isArray(value)) return null;
    if (value !== undefined) present = true;
    values.push(value);
  }
  if (index.sparse && !present) return NO_KEYS;
  return [finish(index, encodeKey(values, index.descending))];
}

function finish(index: Index, key: Buffer): Buffer {
  if (key.length <= MAX_KEY_BYTES) return key;
  index.longKeys = true;
  return limitKey(key);
}

/** Two paths through the same array are walked together; through different arrays they cannot be indexed. */
function sharedPrefix(index: Index, part: IndexPart): string | null {
  for (const other of index.parts) {
    if (other !== part && other.parts[0] === part.parts[0]) return part.parts[0]!;
  }
  return null;
}

function parallel(index: Index): CommandError {
  const names = index.parts.map((part) => `[${part.path}]`).join(' ');
  return new CommandError(171, `cannot index parallel arrays ${names}`);
}

function cross(index: Index, doc: Doc, columns: unknown[][]): Buffer[] {
  const rows = correlatedRows(index, doc) ?? cartesian(columns);
  return rows.map((row) => encodeKey(row, index.descending));
}

function cartesian(columns: unknown[][]): unknown[][] {
  let rows: unknown[][] = [[]];
  for (const values of columns) rows = rows.flatMap((row) => values.map((value) => [...row, value]));
  return rows;
}

/** For `{'a.b': 1, 'a.c': 1}` and an array `a`: one row per element, not every combination. */
function correlatedRows(index: Index, doc: Doc): unknown[][] | null {
  const root = index.parts.map((part) => part.parts[0]!).find((name, i, all) => Array.isArray(doc[name]) && all.indexOf(name) !== i);
  if (root === undefined) return null;
  const list = doc[root] as unknown[];
  return list.flatMap((item) => {
    const columns = index.parts.map((part) => {
      const values: unknown[] = [];
      keyValues(part.parts[0] === root && part.parts.length > 1 ? { [root]: item } : doc, part.parts, 0, values);
      return values;
    });
    return cartesian(columns);
  });
}

function unique(keys: Buffer[]): Buffer[] {
  const seen = new Set<string>();
  return keys.filter((key) => {
    const text = key.latin1Slice(0, key.length);
    if (seen.has(text)) return false;
    seen.add(text);
    return true;
  });
}

/** Reads the values that a duplicate key error shows. */
export function keyValueOf(index: Index, doc: Doc): Doc {
  const shown: Doc = {};
  for (const part of index.parts) {
    const values: unknown[] = [];
    keyValues(doc, part.parts, 0, values);
    shown[part.path] = values[0] ?? null;
  }
  return shown;
}
