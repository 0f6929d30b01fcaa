import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { serialize } from 'bson';
import type { Db } from 'mongodb';
import { connect, openDatabase } from './with-server.js';

let db: Db;

before(async () => {
  db = await openDatabase();
});

test('collections are created, listed, renamed and dropped', async () => {
  await db.createCollection('a');
  await assert.rejects(db.createCollection('a'), { code: 48, codeName: 'NamespaceExists' });
  await db.collection('b').insertOne({ x: 1 });
  assert.deepEqual((await db.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name).toSorted(), ['a', 'b']);
  const [info] = await db.listCollections({ name: 'b' }).toArray();
  assert.equal(info!.type, 'collection');
  await assert.rejects(db.collection('b').rename('a'), { code: 48 });
  await db.collection('b').rename('a', { dropTarget: true });
  assert.equal(await db.collection('a').countDocuments(), 1);
  assert.equal(await db.collection('a').drop(), true);
  assert.deepEqual(await db.listCollections().toArray(), []);
});

test('bad names are refused', async () => {
  await assert.rejects(db.command({ insert: 'a$b', documents: [{ x: 1 }] }), { code: 73 });
  await assert.rejects(db.command({ find: '' }), { code: 73 });
  await assert.rejects(db.command({ insert: 5, documents: [{}] }), { code: 73 });
});

test('databases are listed with their sizes and dropped', async () => {
  await db.collection('c').insertOne({ x: 1 });
  const client = await connect();
  const names = (await client.db('admin').admin().listDatabases()).databases.map(({ name }) => name);
  assert.ok(names.includes(db.databaseName));
  await db.dropDatabase();
  assert.deepEqual(await db.listCollections().toArray(), []);
});

test('the commands that clients ask first are answered', async () => {
  for (const command of ['ping', 'hello', 'isMaster', 'buildInfo', 'connectionStatus', 'hostInfo', 'serverStatus', 'dbStats']) {
    assert.equal((await db.admin().command({ [command]: 1 }))['ok'], 1, command);
  }
  const { version, maxBsonObjectSize } = await db.admin().command({ buildInfo: 1 });
  assert.match(version, /^\d+\.\d+\.\d+/);
  assert.equal(maxBsonObjectSize, 16777216);
  assert.ok((await db.admin().command({ getParameter: 1, featureCompatibilityVersion: 1 }))['featureCompatibilityVersion']);
});

test('statistics count documents and indexes', async () => {
  const stats = db.collection('stats');
  await stats.insertMany([{ a: 1 }, { a: 2 }]);
  await stats.createIndex({ a: 1 });
  const answer = await db.command({ collStats: 'stats' });
  assert.deepEqual([answer['count'], answer['nindexes']], [2, 2]);
  assert.equal(await stats.estimatedDocumentCount(), 2);
});

test('distinct gives each value once, elements of arrays too', async () => {
  const values = db.collection('values');
  await values.insertMany([{ a: [1, 2] }, { a: 2.0 }, { a: 'x' }, { a: null }, {}, { b: 1 }]);
  assert.deepEqual(await values.distinct('a'), [null, 1, 2, 'x']);
  assert.deepEqual(await values.distinct('a', { a: { $gt: 1 } }), [1, 2]);
});

test('counts honour skip, limit and hint', async () => {
  const counts = db.collection('counts');
  await counts.insertMany(Array.from({ length: 20 }, (_, i) => ({ i })));
  assert.equal(await counts.countDocuments({}, { skip: 5, limit: 10 }), 10);
  assert.equal(await counts.countDocuments({ i: { $lt: 5 } }), 5);
  assert.equal(await counts.countDocuments({ i: -1 }), 0);
  await assert.rejects(counts.countDocuments({ i: 1 }, { hint: 'nope' }), { code: 2 });
});

test('a document is stored byte for byte as it came, but for its _id, which goes to the front', async () => {
  const fields = [['b', 1], ['10', 'ten'], ['9', { z: 1, a: [1, 2] }]] as const;
  const id = ['_id', 'x'] as const;
  await db.command({ insert: 'bytes', documents: [new Map<string, unknown>([...fields, id])] });
  const [stored] = await db.collection('bytes').find({}, { raw: true }).toArray();
  assert.equal(Buffer.from(stored as unknown as Uint8Array).toString('hex'), Buffer.from(serialize(new Map<string, unknown>([id, ...fields]))).toString('hex'));
  await db.command({ insert: 'bytes', documents: [new Map<string, unknown>(fields)] });
  const [without] = await db.collection('bytes').find({ _id: { $ne: 'x' } as never }, { raw: true }).toArray();
  assert.equal(Buffer.from(without as unknown as Uint8Array).subarray(21).toString('hex'), Buffer.from(serialize(new Map<string, unknown>(fields))).subarray(4).toString('hex'));
  assert.equal((await db.command({ validate: 'bytes' }))['valid'], true);
});

test('the sign of success is a double, as some clients expect', async () => {
  const reply = await db.command({ ping: 1 }, { promoteValues: false });
  assert.equal((reply['ok'] as { _bsontype: string })._bsontype, 'Double');
});

test('write concerns that a single server meets are accepted, sessions too', async () => {
  const writes = db.collection('writes');
  for (const writeConcern of [{ w: 1 }, { w: 'majority' as const }, { j: true }, { w: 'majority' as const, j: true, wtimeoutMS: 1000 }]) await writes.insertOne({ x: 1 }, { writeConcern });
  await db.client.withSession(async (session) => {
    await writes.insertOne({ x: 2 }, { session });
    assert.equal(await writes.countDocuments({}, { session }), 5);
  });
  await writes.insertOne({ x: 3 }, { writeConcern: { w: 0 } });
  while ((await writes.countDocuments({ x: 3 })) === 0) await new Promise((resolve) => setTimeout(resolve, 10));
});

test('expired documents go away by themselves', { timeout: 90_000 }, async () => {
  const sessions = db.collection('sessions');
  await sessions.createIndex({ at: 1 }, { expireAfterSeconds: 1 });
  await sessions.insertMany([{ at: new Date(Date.now() - 60_000) }, { at: [new Date(Date.now() - 60_000), new Date(Date.now() + 1e6)] }, { at: new Date(Date.now() + 1e6) }, { at: 'never' }, {}]);
  while ((await sessions.countDocuments()) > 3) await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(await sessions.countDocuments(), 3);
});
