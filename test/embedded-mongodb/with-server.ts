/** A MongoDB for these tests: the one that MONGODB_URI names, or an embedded server of the test's own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { MongoClient, type Db, type MongoClientOptions } from 'mongodb';
import { startEmbeddedMongodb, type EmbeddedMongodb } from '../../src/embedded-mongodb/start.js';

export function newDataDir(): string {
  return mkdtempSync(join(tmpdir(), 'embedded-'));
}

let shared: Promise<string> | null = null;
let own: EmbeddedMongodb | null = null;
const clients: MongoClient[] = [];
const databases: Db[] = [];

async function uri(): Promise<string> {
  if (process.env['MONGODB_URI']) return process.env['MONGODB_URI'];
  const dataDir = newDataDir();
  own = await startEmbeddedMongodb({ dataDir });
  own.stop = ((stop) => async () => {
    await stop();
    rmSync(dataDir, { recursive: true, force: true });
  })(own.stop);
  return own.uri;
}

/** A connected client with the driver's own defaults. */
export async function connect(options: MongoClientOptions = {}): Promise<MongoClient> {
  const client = new MongoClient(await (shared ??= uri()), options);
  clients.push(client);
  return client.connect();
}

/** A database of this test file's own, dropped at the end. */
export async function openDatabase(options: MongoClientOptions = {}): Promise<Db> {
  const db = (await connect(options)).db(`conformance_${process.pid}_${Math.random().toString(36).slice(2, 8)}`);
  databases.push(db);
  return db;
}

after(async () => {
  for (const db of databases) await db.dropDatabase();
  for (const client of clients) await client.close();
  await own?.stop();
});
