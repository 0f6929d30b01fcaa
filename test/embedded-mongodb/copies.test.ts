import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, readdirSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Binary, Decimal128, Double, Long, MongoClient, Timestamp } from 'mongodb';
import { backup, restore } from '../../src/embedded-mongodb/backup.js';
import { migrate } from '../../src/embedded-mongodb/migrate.js';
import { startEmbeddedMongodb } from '../../src/embedded-mongodb/start.js';
import { FILE_NAME, openStore } from '../../src/embedded-mongodb/store.js';
import { newDataDir } from './with-server.js';

async function withServer<T>(dataDir: string, use: (client: MongoClient, uri: string) => Promise<T>): Promise<T> {
  const server = await startEmbeddedMongodb({ dataDir });
  const client = await new MongoClient(server.uri).connect();
  try {
    return await use(client, server.uri);
  } finally {
    await client.close();
    await server.stop();
  }
}

test('a backup taken under load is consistent, and a restore brings exactly it back', async () => {
  const dataDir = newDataDir();
  const file = join(newDataDir(), 'copy.mdb');
  let acknowledged = 0;
  await withServer(dataDir, async (client) => {
    const pairs = client.db('a').collection('pairs');
    await pairs.createIndex({ n: 1 }, { unique: true });
    let writing = true;
    const writer = (async () => {
      for (let n = 0; writing; n++) {
        await pairs.insertOne({ n, twin: n });
        acknowledged = n + 1;
      }
    })();
    while (acknowledged < 50) await new Promise((resolve) => setTimeout(resolve, 5));
    const before = acknowledged;
    const result = await backup({ dataDir, file });
    assert.ok(result.documents >= before);
    assert.equal(result.collections, 1);
    while (acknowledged < before + 50) await new Promise((resolve) => setTimeout(resolve, 5));
    writing = false;
    await writer;
    await assert.rejects(backup({ dataDir, file }), /exists already/);
    await assert.rejects(restore({ file, dataDir }), { code: 'DATA_DIR_IN_USE' });
    acknowledged = result.documents;
  });
  const { kept, documents } = await restore({ file, dataDir });
  assert.equal(documents, acknowledged);
  assert.ok(kept && statSync(kept).size > 0);
  await withServer(dataDir, async (client) => {
    const pairs = client.db('a').collection('pairs');
    assert.equal(await pairs.countDocuments(), acknowledged);
    assert.equal((await client.db('a').command({ validate: 'pairs' }))['valid'], true);
    await assert.rejects(pairs.insertOne({ n: 0 }), { code: 11000 });
  });
});

test('a restore refuses what is no backup and leaves the database as it was', async () => {
  const dataDir = newDataDir();
  await withServer(dataDir, (client) => client.db('a').collection('c').insertOne({ x: 1 }));
  const file = join(newDataDir(), 'noise');
  writeFileSync(file, Buffer.alloc(50_000, 7));
  await assert.rejects(restore({ file, dataDir }), (error: { code?: string; message: string }) => error.code === 'DATA_FILE_UNUSABLE' && error.message.includes(file));
  assert.deepEqual(readdirSync(dataDir).filter((name) => name.includes('restor')), []);
  assert.equal(await withServer(dataDir, (client) => client.db('a').collection('c').countDocuments()), 1);
});

test('migrate copies collections with their indexes and every BSON type, and verifies them', async () => {
  const [left, right] = [newDataDir(), newDataDir()];
  await withServer(left, (from, fromUri) =>
    withServer(right, async (to, toUri) => {
      const things = from.db('a').collection('things');
      await things.createIndex({ 'tags.name': 1, at: -1 }, { name: 'by tag', partialFilterExpression: { at: { $exists: true } } });
      await things.createIndex({ at: 1 }, { expireAfterSeconds: 1e6 });
      await things.insertMany([
        { _id: 1 as never, double: new Double(3), long: Long.fromNumber(7), decimal: Decimal128.fromString('1.10'), bytes: new Binary(Buffer.from('abc'), 4), at: new Date(), stamp: new Timestamp({ t: 1, i: 2 }) },
        ...Array.from({ length: 2500 }, (_, i) => ({ i, tags: [{ name: `t${i}` }], nothing: null, pattern: /x/i })),
      ]);
      await from.db('b').collection('other').insertOne({ x: 1 });
      const results = await migrate({ fromUri, toUri });
      assert.deepEqual(results.map(({ namespace, documents, indexes }) => ({ namespace, documents, indexes })).toSorted((a, b) => a.namespace.localeCompare(b.namespace)), [
        { namespace: 'a.things', documents: 2501, indexes: 3 },
        { namespace: 'b.other', documents: 1, indexes: 1 },
      ]);
      const raw = { raw: true, sort: { _id: 1 as const } };
      assert.deepEqual(await to.db('a').collection('things').findOne({ _id: 1 as never }, raw), await things.findOne({ _id: 1 as never }, raw));
      assert.deepEqual(await to.db('a').collection('things').indexes(), await things.indexes());
      await assert.rejects(migrate({ fromUri, toUri }), /has documents in the target already: nothing was copied/);
    }),
  );
});

test('a file that is something else is left alone, with a message that names it', async () => {
  for (const content of [Buffer.from('# notes\n'.repeat(100)), Buffer.alloc(200_000, 0xab), Buffer.from('x')]) {
    const dataDir = newDataDir();
    const path = join(dataDir, FILE_NAME);
    writeFileSync(path, content);
    await assert.rejects(startEmbeddedMongodb({ dataDir }), (error: NodeJS.ErrnoException) => error.code === 'DATA_FILE_UNUSABLE' && error.message.includes(path));
    assert.deepEqual(readFileSync(path), content);
  }
});

test('a damaged or cut data file is reported at start and not written to', async () => {
  const dataDir = newDataDir();
  const path = join(dataDir, FILE_NAME);
  await withServer(dataDir, (client) => client.db('a').collection('c').insertMany(Array.from({ length: 2000 }, (_, i) => ({ i, text: 'x'.repeat(500) }))));
  const whole = readFileSync(path);
  truncateSync(path, Math.floor(whole.length / 3 / 4096) * 4096);
  const cut = readFileSync(path);
  await assert.rejects(startEmbeddedMongodb({ dataDir }), { code: 'DATA_FILE_UNUSABLE' });
  assert.deepEqual(readFileSync(path), cut);
  writeFileSync(path, whole);
  const handle = openSync(path, 'r+');
  writeSync(handle, Buffer.alloc(100, 0xff), 0, 100, 0);
  closeSync(handle);
  await assert.rejects(startEmbeddedMongodb({ dataDir }), { code: 'DATA_FILE_UNUSABLE' });
  writeFileSync(path, whole);
  assert.equal(await withServer(dataDir, (client) => client.db('a').collection('c').countDocuments({ i: { $gte: 0 } })), 2000);
});

test('a file of an older format is upgraded after a copy was kept; one of a newer program is refused', async () => {
  const dataDir = newDataDir();
  await withServer(dataDir, (client) => client.db('a').collection('c').insertMany([{ x: 1 }, { x: 2 }]));
  const formatKey = Buffer.from('!format');
  const edit = async (change: (catalog: ReturnType<typeof openStore>['catalog']) => void): Promise<void> => {
    const store = openStore(dataDir);
    store.transaction(() => change(store.catalog));
    await store.close();
  };
  await edit((catalog) => catalog.removeSync(formatKey));
  assert.equal(await withServer(dataDir, (client) => client.db('a').collection('c').estimatedDocumentCount()), 2);
  assert.ok(readdirSync(dataDir).includes(`${FILE_NAME}.format-0`));
  const { serialize } = await import('bson');
  await withServer(dataDir, async (client) => {
    await client.db('a').collection('c').createIndex({ 'list.n': 1 }, { sparse: true });
    await client.db('a').collection('c').insertOne({ list: [{ n: 1 }, {}] });
  });
  const stale = openStore(dataDir);
  const [entry] = [...stale.index.getKeys({ reverse: true, limit: 1 })];
  stale.transaction(() => {
    stale.index.putSync(Buffer.concat([entry!, Buffer.from([0])]), Buffer.alloc(0));
    stale.catalog.putSync(formatKey, Buffer.from(serialize({ version: 1 })));
  });
  await stale.close();
  await withServer(dataDir, async (client) => {
    const things = client.db('a').collection('c');
    await things.createIndex({ 'list.n': 1 }, { sparse: true });
    assert.equal((await client.db('a').command({ validate: 'c' }))['valid'], true, 'sparse indexes of lists are built anew');
    assert.equal(await things.countDocuments({ 'list.n': 1 }, { hint: 'list.n_1' }), 1);
  });
  await edit((catalog) => catalog.putSync(formatKey, Buffer.from(serialize({ version: 99 }))));
  await assert.rejects(startEmbeddedMongodb({ dataDir }), /newer version of this program \(format 99/);
});
