/** Copies every collection and index from one MongoDB to another (either may be the embedded one) and compares counts and hashes. */
import { createHash } from 'node:crypto';
import { MongoClient, type Collection, type Db, type Document } from 'mongodb';

export interface MigrateProgress {
  phase: 'copying' | 'indexes' | 'verifying' | 'done';
  namespace: string;
  documents: number;
  totalDocuments: number;
}

export interface MigrateOptions {
  fromUri: string;
  toUri: string;
  /** Only these databases; all but MongoDB's own when left out. */
  databases?: string[];
  /** Names in the target, by name in the source; the same when left out. */
  renamed?: Record<string, string>;
  onProgress?: (progress: MigrateProgress) => void;
}

export interface MigratedCollection {
  namespace: string;
  documents: number;
  indexes: number;
  /** SHA-256 over all documents in the order of their ids; the same on both sides. */
  hash: string;
}

const SYSTEM_DATABASES = new Set(['admin', 'local', 'config']);
const BATCH_DOCUMENTS = 1000;
const BATCH_BYTES = 8 * 1024 * 1024;
const REACH_MS = 10_000;
/** Every value keeps its BSON type on its way through this process. */
const EXACT = { promoteValues: false, promoteLongs: false, promoteBuffers: false, bsonRegExp: true, ignoreUndefined: false, serverSelectionTimeoutMS: REACH_MS } as const;

/**
 * @returns one entry per collection, all of them verified
 * @throws Error when a target collection has documents already, or when a count or hash differs afterwards
 */
export async function migrate(options: MigrateOptions): Promise<MigratedCollection[]> {
  const from = new MongoClient(options.fromUri, EXACT);
  const to = new MongoClient(options.toUri, EXACT);
  try {
    await Promise.all([reach('source', from), reach('target', to)]);
    const namespaces = await listNamespaces(from, options.databases);
    const target = (db: string): Db => to.db(options.renamed?.[db] ?? db);
    for (const { db, name } of namespaces) {
      const there = target(db).collection(name);
      if ((await there.findOne({}, { projection: { _id: 1 } })) !== null) throw new Error(`${there.namespace} has documents in the target already: nothing was copied. Empty it, or choose another target.`);
    }
    const results: MigratedCollection[] = [];
    for (const { db, name } of namespaces) results.push(await migrateCollection(from.db(db), target(db), name, options.onProgress));
    return results;
  } finally {
    await Promise.all([from.close(), to.close()]);
  }
}

async function reach(which: string, client: MongoClient): Promise<void> {
  try {
    await client.connect();
  } catch (error) {
    throw new Error(`The ${which} at ${client.options.hosts.join(', ') || 'that address'} cannot be reached: ${(error as Error).message}`, { cause: error });
  }
}

async function listNamespaces(client: MongoClient, only: string[] | undefined): Promise<{ db: string; name: string }[]> {
  const names = only ?? (await client.db('admin').admin().listDatabases({ nameOnly: true })).databases.map((database) => database.name).filter((name) => !SYSTEM_DATABASES.has(name));
  const found: { db: string; name: string }[] = [];
  for (const db of names) {
    for (const info of await client.db(db).listCollections({}, { nameOnly: true }).toArray()) {
      if (info.type !== 'view' && !info.name.startsWith('system.')) found.push({ db, name: info.name });
    }
  }
  return found;
}

async function migrateCollection(from: Db, to: Db, name: string, onProgress: MigrateOptions['onProgress']): Promise<MigratedCollection> {
  const namespace = `${from.databaseName}.${name}`;
  const source = from.collection(name);
  const target = to.collection(name);
  const totalDocuments = await source.estimatedDocumentCount();
  const report = (phase: MigrateProgress['phase'], documents: number): void => onProgress?.({ phase, namespace, documents, totalDocuments });
  await to.createCollection(name).catch((error: { code?: number }) => {
    if (error.code !== 48) throw error;
  });
  await copyDocuments(source, target, (documents) => report('copying', documents));
  report('indexes', totalDocuments);
  const indexes = await copyIndexes(source, target);
  const [left, right] = [await digest(source, (documents) => report('verifying', documents)), await digest(target, () => undefined)];
  if (left.count !== right.count) throw new Error(`${namespace} has ${left.count} documents in the source but ${right.count} in the target.`);
  if (left.hash !== right.hash) throw new Error(`${namespace} differs between source and target: the hashes of its documents are not the same. Was somebody writing to it?`);
  report('done', left.count);
  return { namespace, documents: left.count, indexes, hash: left.hash };
}

async function copyDocuments(source: Collection, target: Collection, report: (documents: number) => void): Promise<void> {
  let batch: Document[] = [];
  let bytes = 0;
  let done = 0;
  const flush = async (): Promise<void> => {
    if (batch.length === 0) return;
    await target.insertMany(batch, { ordered: true, writeConcern: { w: 'majority' } });
    done += batch.length;
    batch = [];
    bytes = 0;
    report(done);
  };
  for await (const doc of source.find({}, { batchSize: BATCH_DOCUMENTS })) {
    batch.push(doc);
    bytes += approximateSize(doc);
    if (batch.length >= BATCH_DOCUMENTS || bytes > BATCH_BYTES) await flush();
  }
  await flush();
}

/** Only to bound a batch: strings and bytes make documents large. */
function approximateSize(value: unknown): number {
  if (typeof value === 'string') return value.length;
  if (value === null || typeof value !== 'object') return 8;
  if ('buffer' in value) return (value as { buffer: Uint8Array }).buffer.length;
  return Object.values(value).reduce<number>((sum, inner) => sum + 8 + approximateSize(inner), 16);
}

async function copyIndexes(source: Collection, target: Collection): Promise<number> {
  const specs = (await source.listIndexes().toArray()).filter((spec) => spec['name'] !== '_id_').map(({ v: _v, ns: _ns, ...spec }) => spec);
  if (specs.length > 0) await target.db.command({ createIndexes: target.collectionName, indexes: specs });
  const present = new Set((await target.listIndexes().toArray()).map((spec) => String(spec['name'])));
  for (const spec of specs) if (!present.has(String(spec['name']))) throw new Error(`The index ${String(spec['name'])} of ${target.namespace} is missing in the target.`);
  return specs.length + 1;
}

async function digest(collection: Collection, report: (documents: number) => void): Promise<{ count: number; hash: string }> {
  const hash = createHash('sha256');
  let count = 0;
  for await (const bytes of collection.find({}, { raw: true, allowDiskUse: true, batchSize: BATCH_DOCUMENTS }).sort({ _id: 1 })) {
    hash.update(bytes as unknown as Buffer);
    count++;
    if (count % 10_000 === 0) report(count);
  }
  return { count, hash: hash.digest('hex') };
}
