import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Long, MongoClient, type Collection, type Db, type Document } from 'mongodb';
import { connect, openDatabase } from './with-server.js';

let db: Db;
let fifty: Collection<Document & { _id: string | number }>[];

before(async () => {
  db = await openDatabase();
  const clients = await Promise.all(Array.from({ length: 50 }, () => connect({ maxPoolSize: 1 })));
  fifty = clients.map((client) => client.db(db.databaseName).collection('shared'));
});

test('fifty clients that claim by find-and-modify never get the same document', async () => {
  const jobs = fifty[0]!;
  await jobs.insertMany(Array.from({ length: 300 }, (_, i) => ({ _id: i, state: 'due', at: i % 7 })));
  await jobs.createIndex({ state: 1, at: 1 });
  const claims = await Promise.all(fifty.map(async (mine, worker) => {
    const got: unknown[] = [];
    for (;;) {
      const claimed = await mine.findOneAndUpdate({ state: 'due' }, { $set: { state: 'claimed', worker } }, { sort: { at: 1 }, returnDocument: 'after' });
      if (!claimed) return got;
      assert.equal(claimed['worker'], worker);
      got.push(claimed._id);
    }
  }));
  assert.deepEqual(claims.flat().toSorted((a, b) => Number(a) - Number(b)), Array.from({ length: 300 }, (_, i) => i));
});

test('fifty clients that count up by $inc lose nothing', async () => {
  await Promise.all(fifty.map(async (mine) => {
    for (let i = 0; i < 10; i++) await mine.updateOne({ _id: 'counter' }, { $inc: { n: 1 } }, { upsert: true });
  }));
  assert.equal((await fifty[0]!.findOne({ _id: 'counter' }))?.['n'], 500);
});

test('fifty upserts of one unique key make one document, fifty inserts too; the rest are told that it is there', async () => {
  const shared = fifty[0]!;
  await shared.createIndex({ key: 1 }, { unique: true, partialFilterExpression: { key: { $exists: true } } });
  const upserts = await Promise.all(fifty.map((mine, i) => mine.updateOne({ key: 'one' }, { $set: { by: i } }, { upsert: true })));
  assert.equal(upserts.filter(({ upsertedCount }) => upsertedCount === 1).length, 1);
  const inserts = await Promise.allSettled(fifty.map((mine, i) => mine.insertOne({ _id: `insert-${i}`, key: 'two' })));
  const refused = inserts.flatMap((one) => (one.status === 'rejected' ? [one.reason as { code: number; keyValue: unknown }] : []));
  assert.equal(refused.length, 49);
  for (const error of refused) assert.deepEqual([error.code, error.keyValue], [11000, { key: 'two' }]);
  assert.equal(await shared.countDocuments({ key: { $in: ['one', 'two'] } }), 2);
});

test('two positional fields of one element are both changed where the query found it', async () => {
  const things = fifty[0]!;
  await things.insertOne({ _id: 'kids', list: [{ name: 'foo' }, { name: 'bar' }] });
  await things.updateOne({ _id: 'kids', 'list.name': 'bar' }, { $set: { 'list.$.name': 'Luke', 'list.$.at': 1 } });
  assert.deepEqual((await things.findOne({ _id: 'kids' }))?.['list'], [{ name: 'foo' }, { name: 'Luke', at: 1 }]);
});

test('names with dollars can be stored inside documents, and at the top only by an insert', async () => {
  const things = fifty[0]!;
  await things.updateOne({ _id: 'dollars' }, { $set: { 'a.$b': 1 } }, { upsert: true });
  await things.updateOne({ _id: 'dollars' }, { $inc: { 'a.$b': 1 } });
  assert.deepEqual(await things.findOne({ _id: 'dollars' }), { _id: 'dollars', a: { $b: 2 } });
  await assert.rejects(things.updateOne({ _id: 'dollars' }, { $set: { $top: 1 } }), { code: 52 });
});

test('min and max cut a part out of an index; keys and record numbers are shown on request', async () => {
  const things = db.collection<Document & { _id: number }>('cut');
  await things.insertMany([1, 2, 3, 4, 5].map((n) => ({ _id: n, n })));
  await things.createIndex({ n: 1 });
  const ids = async (options: object): Promise<unknown[]> => (await things.find({}, { hint: { n: 1 }, ...options }).toArray()).map(({ _id }) => _id);
  assert.deepEqual(await ids({ min: { n: 2 }, max: { n: 4 } }), [2, 3]);
  assert.deepEqual(await ids({ min: { n: 4 }, sort: { n: -1 } }), [5, 4]);
  await assert.rejects(things.find({}, { min: { n: 1 } }).toArray(), { code: 51173 });
  assert.deepEqual(await things.find({ n: 3 }, { returnKey: true, hint: { n: 1 } }).toArray(), [{ n: 3 }]);
  assert.ok('$recordId' in (await things.findOne({ n: 3 }, { showRecordId: true }))!);
});

test('the strict Stable API refuses what is not in it', async () => {
  const client = await connect({ serverApi: { version: '1', strict: true, deprecationErrors: true } });
  const strict = client.db(db.databaseName);
  assert.equal(await strict.collection('cut').countDocuments({}), 5);
  await assert.rejects(strict.collection('cut').distinct('n'), { code: 323, codeName: 'APIStrictError' });
  await assert.rejects(db.command({ ping: 1, apiVersion: '2' }), { code: 322 });
});

test('explain checks how much is asked for, and shows the stages behind the query', async () => {
  const things = db.collection('cut');
  await assert.rejects(things.find().explain('everything'), { code: 2 });
  const { stages } = (await things.aggregate([{ $match: { n: 3 } }, { $group: { _id: '$n' } }, { $project: { n: 1 } }]).explain('queryPlanner')) as Document;
  if (stages) assert.ok('$cursor' in stages[0]);
});

test('a hashed index finds equal values, and refuses arrays', async () => {
  const things = db.collection<Document & { _id: number }>('hashed');
  await things.insertMany([{ _id: 1, k: 'a' }, { _id: 2, k: 'b' }]);
  await things.createIndex({ k: 'hashed' });
  assert.deepEqual(await things.find({ k: 'b' }).hint({ k: 'hashed' }).toArray(), [{ _id: 2, k: 'b' }]);
  await assert.rejects(things.insertOne({ _id: 3, k: [1, 2] }), { code: 16766 });
});

test('cursors that are killed or given up are gone', async () => {
  const { cursor } = await db.command({ find: 'cut', batchSize: 1 });
  const id = Long.fromString(String(cursor.id));
  const killed = await db.command({ killCursors: 'cut', cursors: [id] });
  assert.deepEqual(killed['cursorsKilled'].map(String), [String(id)]);
  await assert.rejects(db.command({ getMore: id, collection: 'cut' }), { code: 43, codeName: 'CursorNotFound' });
});

test('maxTimeMS ends a cursor that is read from later, too', async () => {
  const things = db.collection('cut');
  await assert.rejects(things.find({ $expr: { $gt: [{ $reduce: { input: { $range: [0, 3_000_000] }, initialValue: 0, in: { $add: ['$$value', { $multiply: ['$$this', '$n'] }] } } }, -1] } }).maxTimeMS(50).toArray(), { code: 50 });
  await sleep(1);
  assert.equal((await things.find().toArray()).length, 5);
});

test('a client that signs in where there are no users is told so', { skip: process.env['MONGODB_URI']?.includes('@') === true }, async () => {
  const uri = new URL((await connect()).options.srvHost ?? `mongodb://${(await connect()).options.hosts[0]!.toString()}/`);
  uri.username = 'somebody';
  uri.password = 'secret';
  const client = new MongoClient(uri.toString(), { serverSelectionTimeoutMS: 3000 });
  await assert.rejects(client.connect(), /Authentication failed/);
  await client.close();
});
