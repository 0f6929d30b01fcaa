import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { Binary, BSONRegExp, Code, Decimal128, Double, Int32, Long, MaxKey, MinKey, ObjectId, Timestamp, type Collection, type Document } from 'mongodb';
import { openDatabase } from './with-server.js';

let things: Collection;

before(async () => {
  things = (await openDatabase()).collection('things');
});

/** Which of the documents (numbered by `_id` from 0) a filter finds. */
async function found(docs: Document[], filter: Document): Promise<number[]> {
  await things.deleteMany({});
  await things.insertMany(docs.map((doc, i) => ({ _id: i as never, ...doc })));
  return (await things.find(filter).sort({ _id: 1 }).toArray()).map((doc) => doc._id as unknown as number);
}

const CASES: [string, Document[], Document, number[]][] = [
  ['null matches null and missing', [{ a: null }, {}, { a: 0 }, { a: [] }, { a: [null] }], { a: null }, [0, 1, 4]],
  ['$exists tells null from missing', [{ a: null }, {}], { a: { $exists: true } }, [0]],
  ['$exists false', [{ a: null }, {}, { b: 1 }], { a: { $exists: false } }, [1, 2]],
  ['$ne null leaves missing out', [{ a: null }, {}, { a: 1 }], { a: { $ne: null } }, [2]],
  ['$ne looks at every element', [{ a: [1, 2] }, { a: 2 }, { a: 1 }, {}], { a: { $ne: 1 } }, [1, 3]],
  ['numbers are equal across types', [{ a: new Int32(1) }, { a: new Double(1) }, { a: Long.fromNumber(1) }, { a: Decimal128.fromString('1.0') }, { a: '1' }, { a: true }], { a: 1 }, [0, 1, 2, 3]],
  ['comparison keeps to the type', [{ a: 5 }, { a: '5' }, { a: new Date(5) }, { a: null }, {}], { a: { $gt: 1 } }, [0]],
  ['dates compare with dates only', [{ a: new Date(5) }, { a: 5 }], { a: { $gte: new Date(1) } }, [0]],
  ['strings compare by bytes', [{ a: 'a' }, { a: 'B' }, { a: 'é' }, { a: 'z' }], { a: { $gt: 'Z' } }, [0, 2, 3]],
  ['int64 beyond 2^53 is exact', [{ a: Long.fromString('9007199254740993') }, { a: Long.fromString('9007199254740992') }], { a: Long.fromString('9007199254740993') }, [0]],
  ['$gte null matches null and missing', [{ a: null }, {}, { a: 1 }], { a: { $gte: null } }, [0, 1]],
  ['NaN equals itself only', [{ a: NaN }, { a: 1 }], { a: NaN }, [0]],
  ['NaN is outside of ranges', [{ a: NaN }, { a: 1 }], { a: { $lt: 5 } }, [1]],
  ['an array matches by element', [{ a: [1, 2, 3] }, { a: [4] }], { a: 2 }, [0]],
  ['an array matches as a whole', [{ a: [1, 2] }, { a: [2, 1] }, { a: [[1, 2]] }], { a: [1, 2] }, [0, 2]],
  ['an empty array', [{ a: [] }, { a: [[]] }, { a: null }], { a: [] }, [0, 1]],
  ['ranges on arrays may use different elements', [{ a: [1, 10] }, { a: [5] }, { a: [1] }], { a: { $gt: 4, $lt: 6 } }, [0, 1]],
  ['$elemMatch needs one element', [{ a: [1, 10] }, { a: [5] }], { a: { $elemMatch: { $gt: 4, $lt: 6 } } }, [1]],
  ['$elemMatch on documents', [{ a: [{ b: 1, c: 2 }] }, { a: [{ b: 1 }, { c: 2 }] }, { a: { b: 1, c: 2 } }], { a: { $elemMatch: { b: 1, c: 2 } } }, [0]],
  ['dotted paths walk arrays', [{ a: [{ b: 1 }, { b: 2 }] }, { a: { b: 2 } }, { a: [{ b: [2, 3] }] }], { 'a.b': 2 }, [0, 1, 2]],
  ['dotted paths take indexes', [{ a: [5, 6] }, { a: [6, 5] }, { a: { 0: 5 } }], { 'a.0': 5 }, [0, 2]],
  ['an index into documents', [{ a: [{ b: 1 }, { b: 2 }] }, { a: [{ b: 2 }, { b: 1 }] }], { 'a.1.b': 2 }, [0]],
  ['null on a path through an array', [{ a: [{ b: 1 }, {}] }, { a: [{ b: 1 }] }, { a: [1] }, { a: 1 }, {}], { 'a.b': null }, [0, 3, 4]],
  ['embedded documents match exactly, in order', [{ a: { x: 1, y: 2 } }, { a: { y: 2, x: 1 } }, { a: { x: 1 } }], { a: { x: 1, y: 2 } }, [0]],
  ['$in with null, values and patterns', [{ a: 'abc' }, { a: 2 }, {}, { a: [7, 2] }, { a: 'b' }], { a: { $in: [/^a/, 2, null] } }, [0, 1, 2, 3]],
  ['$nin', [{ a: 1 }, { a: [1, 2] }, { a: 3 }, {}], { a: { $nin: [1] } }, [2, 3]],
  ['$all', [{ a: [1, 2, 3] }, { a: [1] }, { a: 1 }], { a: { $all: [1, 2] } }, [0]],
  ['$all with one value on a scalar', [{ a: 1 }, { a: [1] }], { a: { $all: [1] } }, [0, 1]],
  ['$all with $elemMatch', [{ a: [{ x: 1 }, { x: 5 }] }, { a: [{ x: 1 }] }], { a: { $all: [{ $elemMatch: { x: 1 } }, { $elemMatch: { x: { $gt: 4 } } }] } }, [0]],
  ['$size', [{ a: [1, 2] }, { a: [] }, { a: 2 }], { a: { $size: 2 } }, [0]],
  ['$size of an empty array', [{ a: [] }, {}], { a: { $size: 0 } }, [0]],
  ['$not with a range takes missing in', [{ a: 1 }, { a: 9 }, {}, { a: 'x' }], { a: { $not: { $gt: 5 } } }, [0, 2, 3]],
  ['$not with a pattern', [{ a: 'abc' }, { a: 'x' }, {}], { a: { $not: /^a/ } }, [1, 2]],
  ['$or, $and, $nor', [{ a: 1, b: 1 }, { a: 1, b: 2 }, { a: 2, b: 1 }], { $or: [{ a: 2 }, { $and: [{ a: 1 }, { b: 2 }] }], $nor: [{ b: 9 }] }, [1, 2]],
  ['$type by name and number', [{ a: 1 }, { a: 'x' }, { a: [1] }, { a: null }, { a: new Double(1.5) }], { a: { $type: ['string', 1] } }, [1, 4]],
  ['$type number', [{ a: 1 }, { a: Long.fromNumber(1) }, { a: 'x' }], { a: { $type: 'number' } }, [0, 1]],
  ['$type array', [{ a: [] }, { a: 1 }, { a: [[1]] }], { a: { $type: 'array' } }, [0, 2]],
  ['$type looks into arrays', [{ a: ['x', 1] }, { a: [1] }], { a: { $type: 'string' } }, [0]],
  ['$mod', [{ a: 4 }, { a: 5 }, { a: -4 }, { a: 4.7 }, { a: 'x' }], { a: { $mod: [4, 0] } }, [0, 2, 3]],
  ['$regex with options', [{ a: 'Hello' }, { a: 'say\nhello' }, { a: 5 }], { a: { $regex: '^hello', $options: 'im' } }, [0, 1]],
  ['a pattern in an array', [{ a: ['x', 'abc'] }, { a: ['x'] }], { a: /b/ }, [0]],
  ['$bitsAllSet and $bitsAnyClear', [{ a: 7 }, { a: 5 }, { a: 2 }], { a: { $bitsAllSet: [0, 2], $bitsAnyClear: 2 } }, [1]],
  ['$expr compares two fields', [{ a: 1, b: 2 }, { a: 3, b: 2 }, { b: 1 }], { $expr: { $gt: ['$a', '$b'] } }, [1]],
  ['MinKey and MaxKey compare with everything', [{ a: 1 }, { a: 'x' }, { a: new MaxKey() }], { a: { $lt: new MaxKey() } }, [0, 1]],
  ['an ObjectId is not its text', [{ a: new ObjectId('5f0000000000000000000001') }, { a: '5f0000000000000000000001' }], { a: new ObjectId('5f0000000000000000000001') }, [0]],
  ['binary data by length, subtype and bytes', [{ a: new Binary(Buffer.from('ab'), 0) }, { a: new Binary(Buffer.from('ab'), 4) }], { a: new Binary(Buffer.from('ab'), 0) }, [0]],
  ['a stored pattern equals itself', [{ a: new BSONRegExp('x', 'i') }, { a: 'x' }], { a: { $eq: new BSONRegExp('x', 'i') } }, [0]],
  ['field names from the prototype are nothing special', [{ constructor: 1 }, {}], { constructor: { $exists: true } }, [0]],
  ['two conditions on a path through $and', [{ a: [1, 2] }, { a: [1] }], { $and: [{ a: 1 }, { a: 2 }] }, [0]],
  ['$comment changes nothing', [{ a: 1 }], { a: 1, $comment: 'why' }, [0]],
  ['nested arrays open one level', [{ a: [[1, 2], [3]] }, { a: [1] }], { a: 1 }, [1]],
  ['$elemMatch on nested arrays', [{ a: [[1, 2], [3]] }, { a: [[3]] }], { a: { $elemMatch: { $elemMatch: { $eq: 1 } } } }, [0]],
  ['$in on a path of documents', [{ a: [{ b: 'x' }] }, { a: [{ b: 'y' }] }], { 'a.b': { $in: ['x', 'z'] } }, [0]],
  ['a numeric field name in a document', [{ a: { 1: 'x' } }, { a: ['y', 'x'] }, { a: ['x'] }], { 'a.1': 'x' }, [0, 1]],
  ['code and timestamps', [{ a: new Code('x') }, { a: new Timestamp({ t: 5, i: 1 }) }], { a: { $gt: new Timestamp({ t: 4, i: 9 }) } }, [1]],
];

for (const [name, docs, filter, expected] of CASES) {
  test(`filter: ${name}`, async () => assert.deepEqual(await found(docs, filter), expected));
}

test('sorting puts types in MongoDB\'s order, and missing with null', async () => {
  const values = [new MinKey(), null, 3, Long.fromString('9007199254740993'), 'text', { x: 1 }, [0.5], new Binary(Buffer.from('x')), new ObjectId(), true, new Date(1), new Timestamp({ t: 1, i: 1 }), new BSONRegExp('x'), new MaxKey()];
  await things.deleteMany({});
  await things.insertMany(values.map((a, i) => ({ _id: i as never, a })).toReversed());
  await things.insertOne({ _id: 99 as never });
  const order = (await things.find({}, { projection: { _id: 1 } }).sort({ a: 1, _id: 1 }).toArray()).map((doc) => doc._id as unknown as number);
  assert.deepEqual(order, [0, 1, 99, 6, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13]);
  const reversed = (await things.find({}, { projection: { _id: 1 } }).sort({ a: -1, _id: -1 }).toArray()).map((doc) => doc._id as unknown as number);
  assert.deepEqual(reversed, order.toReversed());
});

test('arrays sort by their least element upwards and by their greatest downwards', async () => {
  await things.deleteMany({});
  await things.insertMany([{ _id: 0, a: [5, 1] }, { _id: 1, a: 3 }, { _id: 2, a: [2, 9] }, { _id: 3, a: [] }] as never);
  const ids = async (direction: 1 | -1): Promise<unknown[]> => (await things.find().sort({ a: direction }).toArray()).map((doc) => doc._id);
  assert.deepEqual(await ids(1), [3, 0, 2, 1]);
  assert.deepEqual(await ids(-1), [2, 0, 1, 3]);
});

test('projections include, exclude, slice, match elements and compute', async () => {
  await things.deleteMany({});
  await things.insertOne({ _id: 1 as never, a: 1, b: { c: 2, d: 3 }, list: [1, 2, 3, 4], items: [{ k: 'x', n: 1 }, { k: 'y', n: 2 }, { k: 'y', n: 3 }] });
  const project = (projection: Document, filter: Document = {}): Promise<Document | null> => things.findOne(filter, { projection });
  assert.deepEqual(await project({ a: 1 }), { _id: 1, a: 1 });
  assert.deepEqual(await project({ a: 1, _id: 0 }), { a: 1 });
  assert.deepEqual(await project({ 'b.c': 1 }), { _id: 1, b: { c: 2 } });
  assert.deepEqual(await project({ b: { c: 1 } }), { _id: 1, b: { c: 2 } });
  assert.deepEqual(await project({ list: 0, items: 0, 'b.d': 0 }), { _id: 1, a: 1, b: { c: 2 } });
  assert.deepEqual(await project({ 'items.k': 1, _id: 0 }), { items: [{ k: 'x' }, { k: 'y' }, { k: 'y' }] });
  assert.deepEqual(await project({ list: { $slice: 2 }, items: 0, b: 0 }), { _id: 1, a: 1, list: [1, 2] });
  assert.deepEqual(await project({ list: { $slice: [-3, 2] }, _id: 0, a: 1 }), { a: 1, list: [2, 3] });
  assert.deepEqual(await project({ items: { $elemMatch: { k: 'y' } } }), { _id: 1, items: [{ k: 'y', n: 2 }] });
  assert.deepEqual(await project({ 'items.$': 1 }, { 'items.n': 3 }), { _id: 1, items: [{ k: 'y', n: 3 }] });
  assert.deepEqual(await project({ sum: { $add: ['$a', '$b.c'] }, _id: 0 }), { sum: 3 });
  assert.deepEqual(await project({ copy: '$b.d', a: 1, _id: 0 }), { a: 1, copy: 3 });
  await assert.rejects(project({ a: 1, b: 0 }), { code: 31254 });
  await assert.rejects(project({ a: 0, b: 1 }), { code: 31253 });
  await assert.rejects(project({ b: 1, 'b.c': 1 }), { code: 31249 });
});

test('numbers come back with the types they were stored with', async () => {
  await things.deleteMany({});
  const doc = { _id: 1 as never, i: new Int32(5), d: new Double(5), l: Long.fromNumber(5), m: Decimal128.fromString('5.50'), huge: new Double(1e20), negative: new Double(-0), f: new Double(1.5) };
  await things.insertOne(doc);
  await things.updateOne({ _id: 1 as never }, { $set: { touched: true }, $unset: { missing: '' } });
  const raw = (await things.findOne({}, { promoteValues: false })) as Document;
  assert.deepEqual(Object.fromEntries(Object.entries(raw).map(([name, value]) => [name, (value as { _bsontype?: string })._bsontype])), {
    _id: 'Int32', i: 'Int32', d: 'Double', l: 'Long', m: 'Decimal128', huge: 'Double', negative: 'Double', f: 'Double', touched: undefined,
  });
  assert.equal(String(raw['m']), '5.50');
});

test('skip, limit and batches give each document once and in order', async () => {
  await things.deleteMany({});
  await things.insertMany(Array.from({ length: 1000 }, (_, i) => ({ _id: i as never, n: i % 7 })));
  assert.deepEqual((await things.find().sort({ _id: 1 }).skip(10).limit(5).toArray()).map((doc) => doc._id), [10, 11, 12, 13, 14]);
  const seen = new Set<unknown>();
  const cursor = things.find({ n: { $in: [1, 2] } }).batchSize(10);
  for await (const doc of cursor) {
    assert.ok(!seen.has(doc._id));
    seen.add(doc._id);
  }
  assert.equal(seen.size, 286);
  assert.equal((await things.find().limit(-3).toArray()).length, 3);
});

test('a batch holds at most 16 MiB, and a cursor can be killed', async () => {
  await things.deleteMany({});
  await things.insertMany(Array.from({ length: 5 }, (_, i) => ({ _id: i as never, body: 'x'.repeat(6 * 1024 * 1024) })));
  const first = await things.db.command({ find: 'things', filter: {} });
  assert.equal(first['cursor'].firstBatch.length, 2);
  const next = await things.db.command({ getMore: Long.fromValue(first['cursor'].id), collection: 'things' });
  assert.equal(next['cursor'].nextBatch.length, 2);
  await things.db.command({ killCursors: 'things', cursors: [Long.fromValue(first['cursor'].id)] });
  await assert.rejects(things.db.command({ getMore: Long.fromValue(first['cursor'].id), collection: 'things' }), { code: 43, codeName: 'CursorNotFound' });
});

const REFUSED: [string, Document, number][] = [
  ['an unknown operator', { a: { $near_by: 1 } }, 2],
  ['an unknown top-level operator', { $nope: 1 }, 2],
  ['$in without an array', { a: { $in: 1 } }, 2],
  ['an empty $or', { $or: [] }, 2],
  ['$or without an array', { $or: { a: 1 } }, 2],
  ['a bad $mod', { a: { $mod: [0, 1] } }, 2],
  ['a bad pattern', { a: { $regex: '(' } }, 51091],
  ['a negative $size', { a: { $size: -1 } }, 2],
  ['$text without a text index', { $text: { $search: 'x' } }, 27],
  ['an unknown type', { a: { $type: 'nope' } }, 2],
];

for (const [name, filter, code] of REFUSED) {
  test(`refused: ${name}`, async () => {
    await assert.rejects(things.find(filter).toArray(), (error: { code?: number }) => {
      assert.ok(error.code === code || (name === 'a negative $size' && error.code === 9), `${error.code}`);
      return true;
    });
  });
}

test('unknown commands and options are refused', async () => {
  await assert.rejects(things.db.command({ find: 'things', nonsense: 1 }), { code: 40415 });
  await assert.rejects(things.db.command({ noSuchCommand: 1 }), { code: 59, codeName: 'CommandNotFound' });
});

test('what the embedded server does not support it refuses by code', async (t) => {
  if ((await things.db.admin().command({ buildInfo: 1 }))['gitVersion'] !== 'embedded') {
    t.skip('another MongoDB');
    return;
  }
  await things.insertOne({});
  await assert.rejects(things.find({}, { collation: { locale: 'de' } }).toArray(), { code: 238 });
  await assert.rejects(things.watch().next(), { code: 40573 });
  await assert.rejects(things.find({ $where: 'true' }).toArray(), { code: 2 });
  await assert.rejects(things.db.command({ insert: 'things', documents: [{}], txnNumber: Long.fromNumber(1), lsid: { id: new Binary(Buffer.alloc(16), 4) } }), { code: 20 });
  await assert.rejects(things.insertOne({}, { writeConcern: { w: 2 } }), { code: 2 });
  const endless = { $reduce: { input: { $range: [0, 4_000_000] }, initialValue: 0, in: { $add: ['$$value', 1] } } };
  await assert.rejects(things.find({ $expr: { $lt: [{ $map: { input: { $range: [0, 1000] }, in: endless } }, 0] } }, { maxTimeMS: 100 }).toArray(), { code: 50 });
});

test('maxTimeMS ends a long query', async () => {
  await things.deleteMany({});
  await things.insertMany(Array.from({ length: 20_000 }, (_, i) => ({ i, text: `some text ${i}` })));
  await assert.rejects(things.find({ $expr: { $gt: [{ $reduce: { input: { $range: [0, 300] }, initialValue: 0, in: { $add: ['$$value', '$$this'] } } }, 1e9] } }, { maxTimeMS: 30 }).toArray(), { code: 50, codeName: 'MaxTimeMSExpired' });
});
