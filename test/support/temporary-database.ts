/** A database of its own for one test, on the server that MONGODB_URI names, gone at the end. */
import { randomBytes } from 'node:crypto';
import { after } from 'node:test';
import { connectDatabase, type Database } from '../../src/db/database.js';

/** The address of the server that the runner started (`npm test`), or of the MongoDB it was given. */
export function mongodbUri(): string {
  const uri = process.env.MONGODB_URI;
  if (uri === undefined || uri === '') throw new Error('MONGODB_URI is not set: run tests with `npm test` (or `npm test -- NAME`), which starts a database for them.');
  return uri;
}

/** A name that no other test uses. */
export function temporaryDatabaseName(): string {
  return `signpost_test_${randomBytes(6).toString('hex')}`;
}

/** `mongodbUri()` with the database's name in it, for a program of its own. */
export function uriOfDatabase(databaseName: string): string {
  const uri = new URL(mongodbUri());
  // Users live in the database of the connection string unless it says otherwise.
  if (uri.username !== '' && !uri.searchParams.has('authSource')) uri.searchParams.set('authSource', uri.pathname.slice(1) || 'admin');
  uri.pathname = `/${databaseName}`;
  return uri.href;
}

/** Connects to a fresh database and drops it when the tests of this file (or suite) are over. */
export async function temporaryDatabase(): Promise<Database & { name: string }> {
  const name = temporaryDatabaseName();
  const database = await connectDatabase(mongodbUri(), name);
  after(async () => {
    await database.db.dropDatabase();
    await database.close();
  });
  return { ...database, name };
}

export async function dropDatabase(name: string): Promise<void> {
  const database = await connectDatabase(mongodbUri(), name);
  await database.db.dropDatabase();
  await database.close();
}
