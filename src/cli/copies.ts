/** `signpost backup`, `restore` and `migrate`: copies of the embedded database, and the way from it to a MongoDB. */
import path from 'node:path';
import { readConfig, type Config } from '../config.js';
import { DEFAULT_DATABASE, databaseNameOf } from '../db/database.js';
import { backup, restore, type CopyProgress } from '../embedded-mongodb/backup.js';
import { migrate, type MigrateProgress } from '../embedded-mongodb/migrate.js';
import { findEmbeddedMongodb, startEmbeddedMongodb } from '../embedded-mongodb/start.js';
import { startProblem } from '../lib/start-problem.js';

const KEY_REMINDER = 'Keep the file secret.key of the data directory (or SECRET_KEY) with it: without the key, credentials and secrets in it can not be read.';

export async function backupCommand(args: string[]): Promise<number> {
  const file = only(args, 'backup FILE');
  const { documents, collections, bytes } = await backup({ dataDir: databaseFolder(readConfig(process.env)), file, onProgress: showCopying });
  console.log(`Copied ${documents} documents of ${collections} collections to ${file} (${size(bytes)}).\n${KEY_REMINDER}`);
  return 0;
}

export async function restoreCommand(args: string[]): Promise<number> {
  const file = only(args, 'restore FILE');
  const { documents, collections, kept } = await restore({ dataDir: databaseFolder(readConfig(process.env)), file, onProgress: showCopying });
  console.log(`Restored ${documents} documents of ${collections} collections from ${file}.`);
  if (kept !== null) console.log(`What was there before is kept as ${kept}.`);
  console.log('Publications that were sent after the backup was made are not known to it: look at scheduled posts before you start.');
  return 0;
}

const MIGRATE_USAGE = 'Usage: npx signpost migrate --to MONGODB_URI, or --from MONGODB_URI';

/** Copies the embedded database to a MongoDB, or a MongoDB into an empty embedded one, and compares the two; the source stays as it is. */
export async function migrateCommand(args: string[]): Promise<number> {
  const [flag, uri, ...more] = args;
  if ((flag !== '--to' && flag !== '--from') || uri === undefined || more.length > 0) throw startProblem(MIGRATE_USAGE);
  const dataDir = databaseFolder(readConfig(process.env));
  if ((await findEmbeddedMongodb(dataDir)) !== null) throw startProblem('Signpost is running on this data directory. Stop it first, so that nothing changes while it is copied.');
  const there = databaseNameOf(uri);
  const embedded = await startEmbeddedMongodb({ dataDir });
  try {
    const copied = flag === '--to'
      ? await migrate({ fromUri: embedded.uri, toUri: uri, databases: [DEFAULT_DATABASE], renamed: { [DEFAULT_DATABASE]: there }, onProgress: showProgress() })
      : await migrate({ fromUri: uri, toUri: embedded.uri, databases: [there], renamed: { [there]: DEFAULT_DATABASE }, onProgress: showProgress() });
    for (const { namespace, documents, indexes } of copied) console.log(`${namespace}: ${documents} documents, ${indexes} indexes, compared`);
    console.log(`Done. Start Signpost with MONGODB_URI ${flag === '--to' ? 'set to that address' : 'unset'}.\n${KEY_REMINDER}`);
    return 0;
  } finally {
    await embedded.stop();
  }
}

/** One line per step of each collection, and one every second while a step takes long. */
function showProgress(): (progress: MigrateProgress) => void {
  let last = '';
  let shownAt = 0;
  return ({ phase, namespace, documents, totalDocuments }) => {
    const step = `${phase} ${namespace}`;
    if (phase === 'done' || (step === last && Date.now() - shownAt < 1000)) return;
    last = step;
    shownAt = Date.now();
    console.error(`${step}: ${documents} of ${totalDocuments}`);
  };
}

function showCopying({ phase, bytes, totalBytes }: CopyProgress): void {
  if (phase !== 'done') console.error(`${phase}: ${size(bytes)} of ${size(totalBytes)}`);
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
