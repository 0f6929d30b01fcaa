/** Which collections and indexes exist, kept in memory and written in the transaction that changes them. */
import { randomUUID } from 'node:crypto';
import { Binary } from 'bson';
import { decode, type Doc } from './bson-decode.js';
import { encode } from './bson-encode.js';
import { CommandError } from './command-error.js';
import { storedForm, toIndex, type Index } from './index-definition.js';
import { clearRange, indexBounds } from './records.js';
import { collectionBounds, idPrefix, type Store } from './store.js';

export interface Collection {
  id: number;
  db: string;
  name: string;
  ns: string;
  options: Doc;
  uuid: Binary;
  indexes: Index[];
  nextRecord: number;
  count: number;
  bytes: number;
  /** Its counts are to be written at the end of the transaction. */
  changed: boolean;
  dropped: boolean;
}

export interface Catalog {
  collections: Map<string, Collection>;
  find(ns: string): Collection | undefined;
  create(db: string, name: string, options: Doc): Collection;
  getOrCreate(db: string, name: string): Collection;
  drop(collection: Collection): void;
  rename(collection: Collection, db: string, name: string): void;
  addIndex(collection: Collection, spec: Doc, ready: boolean): Index;
  dropIndex(collection: Collection, index: Index): void;
  save(collection: Collection): void;
  saveCounts(): void;
  newId(): number;
  /** Ids of dropped collections and indexes whose entries are still to be removed. */
  garbage: { kind: 'docs' | 'index'; id: number }[];
  sweepGarbage(limit: number): boolean;
  /** Reads everything again after a transaction was thrown away; collections keep their identity. */
  reload(): void;
}

const META_KEY = Buffer.from('!meta');

function catalogKey(ns: string): Buffer {
  return Buffer.from(`c:${ns}`);
}

/** Reads the catalog; the catalog in memory is thrown away and read again when a transaction failed. */
export function loadCatalog(store: Store): Catalog {
  const collections = new Map<string, Collection>();
  const garbage: Catalog['garbage'] = [];
  let nextId = 1;
  const reload = (): void => {
    const known = new Map([...collections.values()].map((collection) => [collection.id, collection]));
    const stored = store.catalog.get(META_KEY);
    const meta = stored ? decode(stored) : { nextId: 1, garbage: [] };
    nextId = meta['nextId'] as number;
    garbage.splice(0, garbage.length, ...(meta['garbage'] as Catalog['garbage']));
    collections.clear();
    for (const { value } of store.catalog.getRange({ start: Buffer.from('c:'), end: Buffer.from('c;') })) {
      const read = readCollection(store, decode(value));
      const collection = Object.assign(known.get(read.id) ?? {}, read);
      collections.set(collection.ns, collection);
      known.delete(read.id);
    }
    for (const gone of known.values()) gone.dropped = true;
  };
  reload();
  const saveMeta = (): void => store.catalog.putSync(META_KEY, encode({ nextId, garbage }));
  const newId = (): number => {
    nextId++;
    saveMeta();
    return nextId - 1;
  };
  const save = (collection: Collection): void => {
    const { id, db, name, options, uuid, indexes } = collection;
    store.catalog.putSync(catalogKey(collection.ns), encode({ id, db, name, options, uuid, indexes: indexes.map(storedForm) }));
  };
  const addIndex = (collection: Collection, spec: Doc, ready: boolean): Index => {
    const index = toIndex({ id: newId(), spec, ready, multikey: false, longKeys: false });
    collection.indexes.push(index);
    save(collection);
    return index;
  };
  const create = (db: string, name: string, options: Doc): Collection => {
    checkName(db, name);
    const collection: Collection = {
      id: newId(), db, name, ns: `${db}.${name}`, options, uuid: new Binary(Buffer.from(randomUUID().replaceAll('-', ''), 'hex'), 4),
      indexes: [], nextRecord: 1, count: 0, bytes: 0, changed: true, dropped: false,
    };
    collections.set(collection.ns, collection);
    addIndex(collection, { v: 2, key: { _id: 1 }, name: '_id_' }, true);
    return collection;
  };
  const discard = (kind: 'docs' | 'index', id: number): void => {
    garbage.push({ kind, id });
    saveMeta();
  };
  return {
    collections,
    garbage,
    newId,
    save,
    addIndex,
    create,
    reload,
    find: (ns) => collections.get(ns),
    getOrCreate: (db, name) => collections.get(`${db}.${name}`) ?? create(db, name, {}),
    drop: (collection) => {
      collection.dropped = true;
      collections.delete(collection.ns);
      store.catalog.removeSync(catalogKey(collection.ns));
      store.stats.removeSync(idPrefix(collection.id));
      discard('docs', collection.id);
      for (const index of collection.indexes) discard('index', index.id);
    },
    rename: (collection, db, name) => {
      checkName(db, name);
      store.catalog.removeSync(catalogKey(collection.ns));
      collections.delete(collection.ns);
      Object.assign(collection, { db, name, ns: `${db}.${name}` });
      collections.set(collection.ns, collection);
      save(collection);
    },
    dropIndex: (collection, index) => {
      collection.indexes = collection.indexes.filter((other) => other !== index);
      save(collection);
      discard('index', index.id);
    },
    saveCounts: () => {
      for (const collection of collections.values()) if (collection.changed) saveCounts(store, collection, save);
    },
    sweepGarbage: (limit) => {
      const next = garbage[0];
      if (!next) return false;
      const bounds = next.kind === 'docs' ? collectionBounds(next.id) : indexBounds(next.id);
      if (clearRange(next.kind === 'docs' ? store.docs : store.index, bounds.start, bounds.end, limit) < limit) {
        garbage.shift();
        saveMeta();
      }
      return true;
    },
  };
}

const markers = new WeakMap<Index, string>();

/** Writes count and size, and the index flags when a document has changed them. */
function saveCounts(store: Store, collection: Collection, save: (collection: Collection) => void): void {
  collection.changed = false;
  const bytes = Buffer.allocUnsafe(16);
  bytes.writeDoubleBE(collection.count, 0);
  bytes.writeDoubleBE(collection.bytes, 8);
  store.stats.putSync(idPrefix(collection.id), bytes);
  let flagged = false;
  for (const index of collection.indexes) {
    const marker = `${index.multikey}${index.longKeys}`;
    if ((markers.get(index) ?? 'falsefalse') !== marker) flagged = true;
    markers.set(index, marker);
  }
  if (flagged) save(collection);
}

function readCollection(store: Store, stored: Doc): Collection {
  const id = stored['id'] as number;
  const [db, name] = [stored['db'] as string, stored['name'] as string];
  const counts = store.stats.get(idPrefix(id));
  const { start, end } = collectionBounds(id);
  const last = [...store.docs.getKeys({ start: end, end: start, reverse: true, limit: 1 })][0];
  const indexes = (stored['indexes'] as Doc[]).map(toIndex);
  for (const index of indexes) markers.set(index, `${index.multikey}${index.longKeys}`);
  return {
    id, db, name, ns: `${db}.${name}`, options: stored['options'] as Doc, uuid: stored['uuid'] as Binary, indexes,
    nextRecord: last ? last.readUIntBE(4, 6) + 1 : 1,
    count: counts ? counts.readDoubleBE(0) : 0,
    bytes: counts ? counts.readDoubleBE(8) : 0,
    changed: false,
    dropped: false,
  };
}

/** @throws CommandError 73 when MongoDB would not take the name. */
export function checkName(db: string, name: string): void {
  if (db === '' || /[/\\. "$*<>:|?\0]/.test(db) || Buffer.byteLength(db) > 63) throw new CommandError(73, `Invalid database name: '${db}'`);
  if (name === '' || name.startsWith('.') || name.endsWith('.') || name.includes('\0') || name.includes('..') || name.includes('$') || Buffer.byteLength(`${db}.${name}`) > 255) {
    throw new CommandError(73, `Invalid namespace specified '${db}.${name}'`);
  }
  if (name.startsWith('system.') && name !== 'system.js' && name !== 'system.buckets') throw new CommandError(73, `cannot write to '${db}.${name}'`);
}
