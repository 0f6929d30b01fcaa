/**
 * The files: one LMDB environment with documents by (collection, record), index entries by (index, key), the catalog and the
 * counts. Every change runs inside `transaction`.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { open, type Database, type RootDatabase } from 'lmdb';
import { requireFreeDisk } from './storage-failure.js';

type BinaryDatabase = Database<Buffer, Buffer>;

export const FILE_NAME = 'embedded.mdb';
export const FORMAT_VERSION = 2;

export interface Store {
  env: RootDatabase<Buffer, Buffer>;
  docs: BinaryDatabase;
  index: BinaryDatabase;
  catalog: BinaryDatabase;
  stats: BinaryDatabase;
  path: string;
  /** Closes the environment and opens it again, which gives back the memory of the pages that were read. */
  reopen(): Promise<void>;
  /** Runs `work` in one write transaction; throws (and changes nothing) when the work or the commit fails. */
  transaction<T>(work: () => T): T;
  close(): Promise<void>;
}

const BINARY = { keyEncoding: 'binary', encoding: 'binary' } as const;

export interface OpenOptions {
  file?: string;
  readOnly?: boolean;
  /** LMDB does not wait for the disk: somebody else flushes (`durability.ts`). */
  noSync?: boolean;
}

/** Opens the data file in `dir`, making it when it is missing (unless it is only to be read). */
export function openStore(dir: string, { file = FILE_NAME, readOnly = false, noSync = false }: OpenOptions = {}): Store {
  mkdirSync(dir, { recursive: true });
  const path = join(dir, file);
  const store: Store = {
    ...openEnvironment(path, readOnly, noSync),
    path,
    transaction: (work) => store.env.transactionSync(() => {
      const result = work();
      // Before the commit: what was done is thrown away with the transaction.
      requireFreeDisk(path);
      return result;
    }),
    reopen: async () => {
      await store.env.close();
      Object.assign(store, openEnvironment(path, readOnly, noSync));
    },
    close: async () => {
      await store.env.close();
    },
  };
  return store;
}

function openEnvironment(path: string, readOnly: boolean, noSync: boolean): Pick<Store, 'env' | 'docs' | 'index' | 'catalog' | 'stats'> {
  const env = open<Buffer, Buffer>({ path, noSubdir: true, overlappingSync: false, maxDbs: 8, maxReaders: 64, mapSize: 2 ** 36, readOnly, noSync, ...BINARY });
  const openOne = (name: string): BinaryDatabase => env.openDB<Buffer, Buffer>({ name, ...BINARY });
  return { env, docs: openOne('docs'), index: openOne('index'), catalog: openOne('catalog'), stats: openOne('stats') };
}

/** The key of a document: collection id and record id, both so that byte order is number order. */
export function recordKey(collection: number, record: number): Buffer {
  const key = Buffer.allocUnsafe(10);
  key.writeUInt32BE(collection, 0);
  key.writeUIntBE(record, 4, 6);
  return key;
}

export function collectionBounds(collection: number): { start: Buffer; end: Buffer } {
  return { start: recordKey(collection, 0), end: recordKey(collection + 1, 0) };
}

export function idPrefix(id: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(id, 0);
  return bytes;
}
