/** Changes to documents together with their index entries. Every unique index is checked before anything is written. */
import { decode, decodeRaw, RawValue, type Doc } from './bson-decode.js';
import { encode } from './bson-encode.js';
import type { Collection } from './catalog.js';
import { CommandError } from './command-error.js';
import { keysOf, keyValueOf, type Index } from './index-definition.js';
import { shown } from './update-fields.js';
import { idPrefix, recordKey, type Store } from './store.js';

export const MAX_DOCUMENT_BYTES = 16 * 1024 * 1024;

export interface Entries {
  index: Index;
  keys: Buffer[];
}

const NOTHING = Buffer.alloc(0);

/** The LMDB key of an index entry: a unique index has one record per key, others carry the record in the key. */
export function entryKey(index: Index, key: Buffer, record: number): Buffer {
  const bytes = Buffer.allocUnsafe(4 + key.length + (index.unique ? 0 : 6));
  bytes.writeUInt32BE(index.id, 0);
  key.copy(bytes, 4);
  if (!index.unique) bytes.writeUIntBE(record, 4 + key.length, 6);
  return bytes;
}

function recordBytes(record: number): Buffer {
  const bytes = Buffer.allocUnsafe(6);
  bytes.writeUIntBE(record, 0, 6);
  return bytes;
}

/** The record under a key of a unique index, or null. */
export function findUnique(store: Store, index: Index, key: Buffer): number | null {
  const found = store.index.getBinaryFast(entryKey(index, key, 0));
  return found ? found.readUIntBE(0, 6) : null;
}

/** A stored document's bytes; they are overwritten by the next read from the store. */
export function readRecord(store: Store, collection: Collection, record: number): Buffer | undefined {
  return store.docs.getBinaryFast(recordKey(collection.id, record));
}

/** A copy that is the caller's to keep (the store's own buffer is longer than the document in it). */
export function copyBytes(volatile: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(volatile.readInt32LE(0));
  bytes.set(volatile.subarray(0, bytes.length));
  return bytes;
}

/** Stores a new document. @throws CommandError 11000, 10334 or 171; then nothing was written. */
export function insertRecord(store: Store, collection: Collection, doc: Doc, bytes: Buffer): number {
  refuseDropped(collection);
  if (bytes.length > MAX_DOCUMENT_BYTES) throw new CommandError(10334, `BSONObj size: ${bytes.length} is invalid. Size must be between 0 and ${MAX_DOCUMENT_BYTES}(16MB)`);
  const entries: Entries[] = [];
  for (const index of collection.indexes) {
    const keys = keysOf(index, doc);
    if (index.unique) for (const key of keys) refuseTaken(store, collection, index, key, doc, -1);
    entries.push({ index, keys });
  }
  const record = collection.nextRecord++;
  for (const { index, keys } of entries) for (const key of keys) addEntry(store, index, key, record);
  store.docs.putSync(recordKey(collection.id, record), bytes);
  collection.count++;
  collection.bytes += bytes.length;
  collection.changed = true;
  return record;
}

/** A command that let others have their turn may find its collection gone. */
function refuseDropped(collection: Collection): void {
  if (collection.dropped) throw new CommandError(175, `the collection ${collection.ns} was dropped meanwhile`);
}

function addEntry(store: Store, index: Index, key: Buffer, record: number): void {
  store.index.putSync(entryKey(index, key, record), index.unique ? recordBytes(record) : NOTHING);
}

function refuseTaken(store: Store, collection: Collection, index: Index, key: Buffer, doc: Doc, self: number): void {
  const holder = findUnique(store, index, key);
  if (holder === null || holder === self) return;
  throw duplicateKey(collection, index, doc);
}

export function duplicateKey(collection: Collection, index: Index, doc: Doc): CommandError {
  const keyValue = keyValueOf(index, doc);
  const text = Object.entries(keyValue).map(([name, value]) => `${name}: ${shown(value)}`).join(', ');
  return new CommandError(11000, `E11000 duplicate key error collection: ${collection.ns} index: ${index.name} dup key: { ${text} }`, { keyPattern: index.key, keyValue });
}

/** What a document has in these indexes. */
export function entriesOf(indexes: readonly Index[], doc: Doc): Entries[] {
  return indexes.map((index) => ({ index, keys: keysOf(index, doc) }));
}

/** The top-level fields that a change of `touched` has to know: those, and what the indexes on them are made of; null when it may be any. */
export function fieldsToKnow(indexes: readonly Index[], touched: ReadonlySet<string>): ReadonlySet<string> | null {
  const known = new Set(touched).add('_id');
  for (const index of indexes) {
    if (!index.fields) return null;
    for (const name of index.fields) known.add(name);
  }
  return known;
}

/**
 * Replaces a stored document of `lengthBefore` bytes, whose indexes held `before` where they may change.
 * @throws CommandError 11000, 17419 or 171; then nothing was written.
 */
export function replaceRecord(store: Store, collection: Collection, record: number, before: readonly Entries[], lengthBefore: number, after: Doc, bytes: Buffer): void {
  refuseDropped(collection);
  if (bytes.length > MAX_DOCUMENT_BYTES) throw new CommandError(17419, `Resulting document after update is larger than ${MAX_DOCUMENT_BYTES}`);
  const moves: { index: Index; gone: Buffer[]; added: Buffer[] }[] = [];
  for (const { index, keys: keysBefore } of before) {
    look(index, after);
    const keysAfter = keysOf(index, after);
    const added = without(keysAfter, keysBefore);
    if (index.unique) for (const key of added) refuseTaken(store, collection, index, key, after, record);
    moves.push({ index, gone: without(keysBefore, keysAfter), added });
  }
  for (const { index, gone, added } of moves) {
    for (const key of gone) removeEntry(store, index, key, record);
    for (const key of added) addEntry(store, index, key, record);
  }
  store.docs.putSync(recordKey(collection.id, record), bytes);
  collection.bytes += bytes.length - lengthBefore;
  collection.changed = true;
}

/** An index has to look into what a change put in place unseen. */
function look({ fields }: Index, doc: Doc): void {
  for (const name of fields ?? Object.keys(doc)) {
    const value = doc[name];
    if (value instanceof RawValue) doc[name] = decodeRaw(value);
    else if (Array.isArray(value)) doc[name] = value.map((item: unknown) => (item instanceof RawValue ? decodeRaw(item) : item));
  }
}

/** The indexes whose entries may change with the `touched` top-level fields (null: any field). */
export function affectedIndexes(collection: Collection, touched: ReadonlySet<string> | null): Index[] {
  return collection.indexes.filter((index) => affects(index, touched));
}

function affects(index: Index, touched: ReadonlySet<string> | null): boolean {
  if (!touched || !index.fields) return true;
  for (const name of touched) if (index.fields.has(name)) return true;
  return false;
}

function without(keys: Buffer[], others: Buffer[]): Buffer[] {
  if (keys.length === 1 && others.length === 1) return keys[0]!.equals(others[0]!) ? [] : keys;
  const known = new Set(others.map((key) => key.latin1Slice(0, key.length)));
  return keys.filter((key) => !known.has(key.latin1Slice(0, key.length)));
}

function removeEntry(store: Store, index: Index, key: Buffer, record: number): void {
  if (index.unique && findUnique(store, index, key) !== record) return;
  store.index.removeSync(entryKey(index, key, record));
}

export function deleteRecord(store: Store, collection: Collection, record: number, before: Buffer): void {
  refuseDropped(collection);
  const doc = decode(before);
  for (const index of collection.indexes) for (const key of keysOf(index, doc)) removeEntry(store, index, key, record);
  store.docs.removeSync(recordKey(collection.id, record));
  collection.count--;
  collection.bytes -= before.length;
  collection.changed = true;
}

/** Adds one existing document to an index that is being built. @throws CommandError 11000 */
export function indexRecord(store: Store, collection: Collection, index: Index, record: number, bytes: Buffer): void {
  const doc = decode(bytes);
  for (const key of keysOf(index, doc)) {
    if (index.unique) refuseTaken(store, collection, index, key, doc, record);
    addEntry(store, index, key, record);
  }
}

/** Removes every entry of `[start, end)` from a database, at most `limit` of them; returns how many. */
export function clearRange(database: Store['docs'], start: Buffer, end: Buffer, limit: number): number {
  const keys = [...database.getKeys({ start, end, limit })];
  for (const key of keys) database.removeSync(key);
  return keys.length;
}

export function indexBounds(index: Index | number): { start: Buffer; end: Buffer } {
  const id = typeof index === 'number' ? index : index.id;
  return { start: idPrefix(id), end: idPrefix(id + 1) };
}

export function encodeDocument(doc: Doc): Buffer {
  return encode(doc);
}
