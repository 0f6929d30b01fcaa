/** Connects to MongoDB and keeps every index that the stores declare. */
import { MongoBulkWriteError, MongoClient, MongoServerError, type Db, type IndexDescription, type WriteError } from 'mongodb';
import { startProblem } from '../lib/start-problem.js';
import { failOnClosedSockets } from './closed-sockets.js';

export interface Database {
  client: MongoClient;
  db: Db;
  close(): Promise<void>;
}

/** MongoDB's code for a write that a unique index refused. */
export const DUPLICATE_KEY = 11000;

/** Did a unique index refuse this write? */
export function isDuplicateKey(error: unknown): boolean {
  return error instanceof MongoServerError && error.code === DUPLICATE_KEY;
}

/**
 * What was refused of a bulk write, part by part: all else of it was done.
 * @throws the error itself when it is about the whole: a full disk, a server that steps down, a lost connection. The driver throws the same class for
 *   these, without any part; then nothing was done, or nobody knows what.
 */
export function refusedParts(error: unknown): WriteError[] {
  if (!(error instanceof MongoBulkWriteError)) throw error;
  const refused = [error.writeErrors].flat();
  if (refused.length === 0 || error.result.getWriteConcernError() !== undefined) throw error;
  return refused;
}

/** A store's collection and the indexes it relies on; created at start, named so that a change is noticed. */
export interface CollectionIndexes {
  collection: string;
  indexes: IndexDescription[];
}

/** What the embedded database always holds. */
export const DEFAULT_DATABASE = 'signpost';

/**
 * @param uri a MongoDB connection string; its database name is used, `signpost` when it names none
 * @throws Error with a plain message when the address is wrong, or the server can't be reached within 10 s or refuses us
 */
export async function connectDatabase(uri: string, databaseName?: string): Promise<Database> {
  const client = openClient(uri);
  await client.connect().catch((error: unknown) => {
    throw startProblem(`MongoDB at ${client.options.hosts.join(', ')} can't be used: ${error instanceof Error ? error.message : String(error)}. Check MONGODB_URI and that the server runs.`, error);
  });
  const db = client.db(databaseName ?? databaseNameIn(uri, client));
  return { client, db, close: () => client.close() };
}

/** Without a name in the address the driver would take `test`. */
function databaseNameIn(uri: string, client: MongoClient): string {
  const isNamed = /^mongodb(?:\+srv)?:\/\/[^/?]+\/[^?]/.test(uri);
  return isNamed ? client.options.dbName : DEFAULT_DATABASE;
}

/** @throws Error with a plain message when it is no address */
export function databaseNameOf(uri: string): string {
  return databaseNameIn(uri, openClient(uri));
}

function openClient(uri: string): MongoClient {
  failOnClosedSockets();
  const patience = /[?&]serverSelectionTimeoutMS=/i.test(uri) ? {} : { serverSelectionTimeoutMS: 10_000 };
  try {
    return new MongoClient(uri, { ...patience, appName: 'signpost' });
  } catch (error) {
    // The driver's words may repeat the address with its password.
    throw startProblem('MONGODB_URI is not an address that MongoDB\'s driver understands.', error);
  }
}

/** MongoDB's codes for an index that exists with other options, and for one that doesn't exist. */
const OTHER_OPTIONS: readonly unknown[] = [85, 86];
const NO_INDEX = 27;

/** Creates what is missing. Of one that exists only its time to live is changed; with other options it is reported by MongoDB (85, 86) and stops the start. */
export async function ensureIndexes(db: Db, all: CollectionIndexes[]): Promise<void> {
  for (const { collection, indexes } of all) {
    if (indexes.length === 0) continue;
    await db.collection(collection).createIndexes(indexes).catch(async (error: unknown) => {
      if (!(error instanceof MongoServerError) || !OTHER_OPTIONS.includes(error.code)) throw error;
      await changeTimesToLive(db, collection, indexes);
      await db.collection(collection).createIndexes(indexes);
    });
  }
}

async function changeTimesToLive(db: Db, collection: string, indexes: IndexDescription[]): Promise<void> {
  for (const { name, expireAfterSeconds } of indexes) {
    if (name === undefined || expireAfterSeconds === undefined) continue;
    await db.command({ collMod: collection, index: { name, expireAfterSeconds } }).catch((error: unknown) => {
      if (!(error instanceof MongoServerError) || error.code !== NO_INDEX) throw error;
    });
  }
}
