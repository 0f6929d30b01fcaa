/** Sessions in MongoDB, by connect-mongo, on the connection that everything shares. */
import { MongoStore } from 'connect-mongo';
import type { Store } from 'express-session';
import type { MongoClient } from 'mongodb';
import type { CollectionIndexes } from '../db/database.js';

const COLLECTION = 'sessions';

export const sessionIndexes: CollectionIndexes[] = [
  { collection: COLLECTION, indexes: [{ key: { expires: 1 }, name: 'sessions_expires', expireAfterSeconds: 0 }] },
];

export function createSessionStore(client: MongoClient, dbName: string): Store {
  return MongoStore.create({
    client,
    dbName,
    collectionName: COLLECTION,
    // The index is made with all the others, at start.
    autoRemove: 'disabled',
    // A session that is only read is written once an hour, to put its end off.
    touchAfter: 60 * 60,
    stringify: true,
  });
}
