/** Connects to MongoDB and keeps every index that the stores declare. */
import { MongoClient, type Db, type IndexDescription } from 'mongodb';

export interface Database {
  client: MongoClient;
  db: Db;
  close(): Promise<void>;
}

/** A store's collection and the indexes it relies on; created at start, named so that a change is noticed. */
export interface CollectionIndexes {
  collection: string;
  indexes: IndexDescription[];
}

/**
 * @param uri a MongoDB connection string; its database name is used, `signpost` when it names none
 * @throws Error with a plain message when the server can't be reached within 10 s
 */
export async function connectDatabase(uri: string, databaseName?: string): Promise<Database> {
  const client = new MongoClient(uri, { serverSelectionTimeoutMS: 10_000, appName: 'signpost' });
  await client.connect();
  const named = databaseName ?? client.options.dbName;
  const db = client.db(named === undefined || named === 'test' ? 'signpost' : named);
  return { client, db, close: () => client.close() };
}

/** Creates what is missing; an index that exists with other options is reported by MongoDB (85, 86) and stops the start. */
export async function ensureIndexes(db: Db, all: CollectionIndexes[]): Promise<void> {
  for (const { collection, indexes } of all) {
    if (indexes.length > 0) await db.collection(collection).createIndexes(indexes);
  }
}
