/** What the data file is: whether it is ours at all, whole, and of which format; older formats are upgraded after a copy was kept. */
import { copyFileSync, closeSync, constants, existsSync, fsyncSync, fstatSync, openSync, readSync } from 'node:fs';
import { decode, type Doc } from './bson-decode.js';
import { encode } from './bson-encode.js';
import { clearRange, indexBounds } from './records.js';
import { collectionBounds, FORMAT_VERSION, idPrefix, type Store } from './store.js';

const LMDB_MAGIC = 0xbeefc0de;
const FORMAT_KEY = Buffer.from('!format');
const CATALOG_START = Buffer.from('c:');
const CATALOG_END = Buffer.from('c;');

export function dataFileError(path: string, what: string): Error {
  return Object.assign(new Error(`The data file ${path} ${what} Nothing was changed.`), { code: 'DATA_FILE_UNUSABLE' });
}

/**
 * Looks at a file before it is opened. Answers `short` when pages at its end may be missing, so that all of it is to be read once.
 * @throws Error with code DATA_FILE_UNUSABLE when it is some other file or its head is damaged
 */
export function inspectFile(path: string): 'absent' | 'whole' | 'short' {
  if (!existsSync(path)) return 'absent';
  const handle = openSync(path, 'r');
  try {
    const { size } = fstatSync(handle);
    if (size === 0) return 'absent';
    const head = Buffer.alloc(160);
    if (readSync(handle, head, 0, 160, 0) < 160 || head.readUInt32LE(24) !== LMDB_MAGIC) {
      throw dataFileError(path, 'is not a database of this program, or its beginning is damaged. Move it away, or restore a backup.');
    }
    const pageSize = head.readUInt32LE(48);
    const second = Buffer.alloc(160);
    if (pageSize < 256 || pageSize > 65536 || readSync(handle, second, 0, 160, pageSize) < 160 || second.readUInt32LE(24) !== LMDB_MAGIC) {
      throw dataFileError(path, 'is damaged: its second page is not readable. Restore a backup.');
    }
    const latest = head.readBigUInt64LE(152) > second.readBigUInt64LE(152) ? head : second;
    return BigInt(size) < (latest.readBigUInt64LE(144) + 1n) * BigInt(pageSize) ? 'short' : 'whole';
  } finally {
    closeSync(handle);
  }
}

/** Reads every entry of the store; a file whose pages are missing ends the process here, before anything is served. */
export function readEverything(store: Store): void {
  let bytes = 0;
  for (const database of [store.catalog, store.stats, store.index, store.docs]) {
    for (const { value } of database.getRange({})) bytes += value.length;
  }
  if (!Number.isFinite(bytes)) throw dataFileError(store.path, 'is damaged.');
}

/** The format the file was written in: 0 for the first one, which did not say. */
export function formatOf(store: Store): number {
  const stored = store.catalog.get(FORMAT_KEY);
  return stored ? Number(decode(stored)['version']) : 0;
}

/** From each format to the next. */
const UPGRADES: ((store: Store) => void)[] = [
  // Format 0 had no version; its counts are taken anew.
  (store) => recount(store),
  // Format 1 kept keys of array elements without the field in sparse indexes.
  (store) => rebuildSparse(store),
];

/**
 * Brings an opened store to the present format; the file as it was is kept beside it.
 * @returns the path of the kept copy, or null when nothing was to be done
 * @throws Error with code DATA_FILE_UNUSABLE for a format of a newer program
 */
export function upgradeFormat(store: Store, isNew: boolean): string | null {
  const found = isNew ? FORMAT_VERSION : formatOf(store);
  if (found > FORMAT_VERSION) throw dataFileError(store.path, `was written by a newer version of this program (format ${found}; this one knows ${FORMAT_VERSION}). Use that version.`);
  if (found === FORMAT_VERSION && !isNew) return null;
  const copy = isNew ? null : keepCopy(store.path, found);
  store.transaction(() => {
    for (let version = found; version < FORMAT_VERSION; version++) UPGRADES[version]!(store);
    store.catalog.putSync(FORMAT_KEY, encode({ version: FORMAT_VERSION }));
  });
  return copy;
}

function keepCopy(path: string, version: number): string {
  const copy = `${path}.format-${version}`;
  if (existsSync(copy)) return copy;
  copyFileSync(path, copy, constants.COPYFILE_EXCL);
  const handle = openSync(copy, 'r');
  fsyncSync(handle);
  closeSync(handle);
  return copy;
}

/** Empties the sparse indexes over fields within arrays; they are built anew while the server runs. */
function rebuildSparse(store: Store): void {
  for (const { key, value } of Array.from(store.catalog.getRange({ start: CATALOG_START, end: CATALOG_END }))) {
    const collection = decode(value);
    const stale = (collection['indexes'] as Doc[]).filter(({ spec }) => (spec as Doc)['sparse'] === true && Object.keys((spec as Doc)['key'] as Doc).some((path) => path.includes('.')));
    for (const index of stale) {
      const { start, end } = indexBounds(index['id'] as number);
      clearRange(store.index, start, end, Infinity);
      index['ready'] = false;
    }
    if (stale.length > 0) store.catalog.putSync(Buffer.from(key), encode(collection));
  }
}

function recount(store: Store): void {
  for (const { value } of Array.from(store.catalog.getRange({ start: CATALOG_START, end: CATALOG_END }))) {
    const { id } = decode(value) as Doc & { id: number };
    const { start, end } = collectionBounds(id);
    let count = 0;
    let size = 0;
    for (const { value: bytes } of store.docs.getRange({ start, end })) {
      count++;
      size += bytes.length;
    }
    const counts = Buffer.alloc(16);
    counts.writeDoubleBE(count, 0);
    counts.writeDoubleBE(size, 8);
    store.stats.putSync(idPrefix(id), counts);
  }
}
