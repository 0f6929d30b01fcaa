/** `signpost backup`, `restore` and `migrate`: copies of the embedded database, and the way from it to a MongoDB. */
import path from 'node:path';
import { readConfig, type Config } from '../config.js';
import { DEFAULT_DATABASE, databaseNameOf } from '../db/database.js';
import { backup, restore } from '../embedded-mongodb/backup.js';
import { migrate } from '../embedded-mongodb/migrate.js';
import { findEmbeddedMongodb, startEmbeddedMongodb } from '../embedded-mongodb/start.js';
import { startProblem } from '../lib/start-problem.js';

const KEY_REMINDER = 'Keep the file secret.key of the data directory (or SECRET_KEY) with it: without the key, credentials and secrets in it can not be read.';

export async function backupCommand(args: string[]): Promise<number> {
  const file = only(args, 'backup FILE');
  const { documents, collections, bytes } = await backup({ dataDir: databaseFolder(readConfig(process.env)), file });
  console.log(`Copied ${documents} documents of ${collections} collections to ${file} (${size(bytes)}).\n${KEY_REMINDER}`);
  return 0;
}

export async function restoreCommand(args: string[]): Promise<number> {
  const file = only(args, 'restore FILE');
  const { documents, collections, kept } = await restore({ dataDir: databaseFolder(readConfig(process.env)), file });
  console.log(`Restored ${documents} documents of ${collections} collections from ${file}.`);
  if (kept !== null) console.log(`What was there before is kept as ${kept}.`);
  console.log('Publications that were sent after the backup was made are not known to it: look at scheduled posts before you start.');
  return 0;
}

/** Copies the embedded database to a MongoDB and compares the two; the embedded one stays as it is. */
export async function migrateCommand(args: string[]): Promise<number> {
  const [flag, toUri, ...more] = args;
  if (flag !== '--to' || toUri === undefined || more.length > 0) throw startProblem('Usage: npx signpost migrate --to MONGODB_URI');
  const dataDir = databaseFolder(readConfig(process.env));
  if ((await findEmbeddedMongodb(dataDir)) !== null) throw startProblem('Signpost is running on this data directory. Stop it first, so that nothing changes while it is copied.');
  const source = await startEmbeddedMongodb({ dataDir });
  try {
    const copied = await migrate({ fromUri: source.uri, toUri, databases: [DEFAULT_DATABASE], renamed: { [DEFAULT_DATABASE]: databaseNameOf(toUri) } });
    for (const { namespace, documents, indexes } of copied) console.log(`${namespace}: ${documents} documents, ${indexes} indexes, compared`);
    console.log(`Done. Start Signpost with MONGODB_URI set to that address.\n${KEY_REMINDER}`);
    return 0;
  } finally {
    await source.stop();
  }
}

function databaseFolder(config: Config): string {
  if (config.mongodbUri !== null) throw startProblem('MONGODB_URI is set: this command is about the embedded database. For a MongoDB of your own use its tools, such as mongodump.');
  return path.join(config.dataDir, 'mongodb');
}

function only(args: string[], usage: string): string {
  const [file, ...more] = args;
  if (file === undefined || more.length > 0) throw startProblem(`Usage: npx signpost ${usage}`);
  return file;
}

function size(bytes: number): string {
  return bytes < 1_048_576 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 1_048_576).toFixed(1)} MiB`;
}
