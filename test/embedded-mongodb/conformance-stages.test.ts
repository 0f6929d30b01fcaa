import assert from 'node:assert/strict';
import { before, beforeEach, test } from 'node:test';
import { EJSON } from 'bson';
import { Decimal128, Double, Int32, Long, type Collection, type Db, type Document } from 'mongodb';
import { openDatabase } from './with-server.js';

let db: Db;
let things: Collection<Document & { _id: number }>;

before(async () => {
  db = await openDatabase();
  things = db.collection('things');
});

beforeEach(async () => {
  await things.deleteMany({});
});

const I = (n: number): Int32 => new Int32(n);
const L = (n: number): Long => Long.fromNumber(n);
const D = (n: number): Double => new Double(n);
const Q = (digits: string): Decimal128 => Decimal128.fromString(digits);

/** What a pipeline gives, with the type of every number. */
async function same(pipeline: Document[], expected: unknown): Promise<void> {
  const found = await things.aggregate(pipeline, { promoteValues: false }).toArray();
  assert.deepEqual(JSON.parse(EJSON.stringify(found, { relaxed: false })), JSON.parse(EJSON.stringify(expected, { relaxed: false })));
}

const NUMBERS = [{ _id: 1, k: 'a', v: L(1) }, { _id: 2, k: 'a', v: L(5) }, { _id: 3, k: 'b', v: Q('2.5') }, { _id: 4, k: 'b', v: D(2) }, { _id: 5, v: I(7) }];

test('groups and buckets keep the types of numbers', async () => {
  await things.insertMany(NUMBERS);
  await same([{ $match: { k: 'a' } }, { $group: { _id: '$k', s: { $sum: '$v' }, m: { $max: '$v' }, p: { $push: '$v' }, n: { $count: {} } } }], [{ _id: 'a', s: L(6), m: L(5), p: [L(1), L(5)], n: I(2) }]);
  await same([{ $bucket: { groupBy: '$v', boundaries: [I(0), L(3), I(10)], output: { p: { $push: '$v' } } } }], [{ _id: I(0), p: [L(1), Q('2.5'), D(2)] }, { _id: L(3), p: [L(5), I(7)] }]);
  await same([{ $bucketAuto: { groupBy: '$_id', buckets: 2 } }], [{ _id: { min: I(1), max: I(4) }, count: I(3) }, { _id: { min: I(4), max: I(5) }, count: I(2) }]);
});

test('windows count, rank, shift and sum over neighbours', async () => {
  await things.insertMany(NUMBERS);
  await same([{ $setWindowFields: { sortBy: { _id: 1 }, output: { t: { $sum: '$v', window: { documents: ['unbounded', 'current'] } } } } }, { $limit: 3 }, { $project: { t: 1 } }], [{ _id: I(1), t: L(1) }, { _id: I(2), t: L(6) }, { _id: I(3), t: Q('8.5') }]);
  await same([{ $setWindowFields: { partitionBy: '$k', sortBy: { v: -1 }, output: { r: { $rank: {} }, before: { $shift: { output: '$_id', by: -1, default: 'none' } } } } }, { $project: { r: 1, before: 1 } }], [
    { _id: I(5), r: I(1), before: 'none' }, { _id: I(2), r: I(1), before: 'none' }, { _id: I(1), r: I(2), before: I(2) }, { _id: I(3), r: I(1), before: 'none' }, { _id: I(4), r: I(2), before: I(3) },
  ]);
  await same([{ $setWindowFields: { sortBy: { _id: 1 }, output: { near: { $count: {}, window: { range: [-1, 1] } } } } }, { $group: { _id: '$near', n: { $sum: 1 } } }, { $sort: { _id: 1 } }], [{ _id: I(2), n: I(2) }, { _id: I(3), n: I(3) }]);
  await assert.rejects(things.aggregate([{ $setWindowFields: { output: { r: { $rank: {} } } } }]).toArray());
});

test('an aggregation that fails gives back what it held', async () => {
  const large = db.collection('large');
  await large.insertOne({ _id: 1 as never, body: 'x'.repeat(5_000_000) });
  await db.collection('taken').insertOne({ _id: 1 as never });
  const group = [{ $set: { n: { $range: [0, 18] } } }, { $unwind: '$n' }, { $group: { _id: null, all: { $push: '$body' } } }, { $set: { _id: 1, n: { $size: '$all' } } }];
  for (let i = 0; i < 10; i++) {
    await assert.rejects(large.aggregate(group).toArray());
    await assert.rejects(large.aggregate([...group, { $unset: 'all' }, { $merge: { into: 'taken', whenMatched: 'fail' } }]).toArray(), { code: 11000 });
  }
  assert.deepEqual(await large.aggregate([...group, { $unset: 'all' }]).toArray(), [{ _id: 1, n: 18 }]);
});

test('gaps of a series are filled with documents, and those with values', async () => {
  await things.insertMany([{ _id: 1, t: new Date('2021-05-18T00:00:00Z'), v: 1 }, { _id: 2, t: new Date('2021-05-18T03:00:00Z'), v: 4 }]);
  await same([{ $densify: { field: 't', range: { step: 1, unit: 'hour', bounds: 'full' } } }, { $fill: { sortBy: { t: 1 }, output: { v: { method: 'linear' } } } }, { $project: { _id: 0, v: 1 } }], [{ v: I(1) }, { v: D(2) }, { v: D(3) }, { v: I(4) }]);
  await same([{ $densify: { field: 't', range: { step: 2, unit: 'hour', bounds: 'full' } } }, { $fill: { sortBy: { t: 1 }, output: { v: { method: 'locf' } } } }, { $project: { _id: 0, v: 1 } }], [{ v: I(1) }, { v: I(1) }, { v: I(4) }]);
});

test('a graph is walked once through each document, with depths', async () => {
  await things.insertMany([{ _id: 1, name: 'Ann', boss: 'Cid', n: L(1) }, { _id: 2, name: 'Ben', boss: 'Ann', n: L(2) }, { _id: 3, name: 'Cid', boss: 'Ben' }]);
  await same([{ $match: { _id: 3 } }, { $graphLookup: { from: 'things', startWith: '$boss', connectFromField: 'boss', connectToField: 'name', as: 'up', depthField: 'depth', maxDepth: 1 } }, { $project: { up: { name: 1, n: 1, depth: 1 } } }], [
    { _id: I(3), up: [{ name: 'Ben', n: L(2), depth: L(0) }, { name: 'Ann', n: L(1), depth: L(1) }] },
  ]);
});

test('a join looks up elements of arrays and takes a missing field for null', async () => {
  await things.insertMany([{ _id: 1, refs: [2, 3] }, { _id: 2, key: null }, { _id: 3 }]);
  const join = { $lookup: { from: 'things', localField: 'refs', foreignField: '_id', as: 'found' } };
  await same([{ $match: { _id: 1 } }, join, { $project: { 'found._id': 1 } }], [{ _id: I(1), found: [{ _id: I(2) }, { _id: I(3) }] }]);
  await same([{ $match: { _id: 3 } }, { $lookup: { from: 'things', localField: 'none', foreignField: 'key', as: 'found' } }, { $project: { 'found._id': 1 } }], [{ _id: I(3), found: [{ _id: I(1) }, { _id: I(2) }, { _id: I(3) }] }]);
  await things.createIndex({ key: 1 });
  await same([{ $match: { _id: 3 } }, { $lookup: { from: 'things', localField: 'none', foreignField: 'key', as: 'found' } }, { $project: { n: { $size: '$found' } } }], [{ _id: I(3), n: I(3) }]);
  await things.dropIndexes();
});

test('pipelines end in collections: merged by key, or put in the place of another', async () => {
  await things.insertMany([{ _id: 1, n: 1 }, { _id: 2, n: 2 }]);
  await things.aggregate([{ $set: { n: { $add: ['$n', 10] } } }, { $merge: { into: 'things', whenMatched: 'replace' } }]).toArray();
  assert.deepEqual(await things.find().sort({ _id: 1 }).toArray(), [{ _id: 1, n: 11 }, { _id: 2, n: 12 }]);
  await things.aggregate([{ $match: { _id: 2 } }, { $out: 'result' }]).toArray();
  assert.deepEqual(await db.collection('result').find().toArray(), [{ _id: 2, n: 12 }]);
  await assert.rejects(things.aggregate([{ $merge: { into: 'result', whenMatched: 'guess' } }]).toArray(), { code: 2 });
});

test('a sort of many documents without an index gives them all in order, also with a limit', async () => {
  const many = Array.from({ length: 12_000 }, (_, i) => ({ _id: i, n: (i * 7919) % 10_007 }));
  await things.insertMany(many);
  const order = (a: { n: number; _id: number }, b: { n: number; _id: number }): number => a.n - b.n || a._id - b._id;
  const expected = many.toSorted(order).map(({ _id }) => _id);
  assert.deepEqual((await things.find().sort({ n: 1, _id: 1 }).toArray()).map(({ _id }) => _id), expected);
  assert.deepEqual((await things.aggregate([{ $set: { m: '$n' } }, { $sort: { m: 1, _id: 1 } }]).toArray()).map(({ _id }) => _id), expected);
  assert.deepEqual((await things.find().sort({ n: 1, _id: 1 }).skip(20).limit(5000).toArray()).map(({ _id }) => _id), expected.slice(20, 5020));
});

test('a batch ends where it is full, and the next one may be empty', async () => {
  await things.insertMany([{ _id: 1 }, { _id: 2 }]);
  const { cursor } = await db.command({ find: 'things', batchSize: 2 });
  assert.equal(cursor.firstBatch.length, 2);
  assert.notEqual(Number(cursor.id), 0);
  const more = await db.command({ getMore: Long.fromString(String(cursor.id)), collection: 'things' });
  assert.deepEqual([more['cursor'].nextBatch, Number(more['cursor'].id)], [[], 0]);
  assert.equal(Number((await db.command({ find: 'things', batchSize: 2, limit: 2 }))['cursor'].id), 0);
});
