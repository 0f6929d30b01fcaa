import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { Binary, BSON, BSONRegExp, Code, Decimal128, Double, Int32, Long, MaxKey, MinKey, MongoBulkWriteError, ObjectId, Timestamp, type Collection, type Document } from 'mongodb';
import { openDatabase } from './with-server.js';

const { EJSON } = BSON;
let things: Collection;

before(async () => {
  things = (await openDatabase()).collection('things');
});

interface Case {
  name: string;
  doc: Document;
  update: Document | Document[];
  /** What the document is afterwards, without `_id`; or the code of the error. */
  gives: Document | number;
  filter?: Document;
  arrayFilters?: Document[];
}

const CASES: Case[] = [
  { name: '$set makes the documents on the way', doc: {}, update: { $set: { 'a.b.c': 1 } }, gives: { a: { b: { c: 1 } } } },
  { name: '$set of a number makes a field, not an array', doc: {}, update: { $set: { 'a.0': 1 } }, gives: { a: { 0: 1 } } },
  { name: '$set pads an array with null', doc: { a: [1] }, update: { $set: { 'a.3': 4 } }, gives: { a: [1, null, null, 4] } },
  { name: '$set refuses to make a field in a scalar', doc: { a: 1 }, update: { $set: { 'a.b': 1 } }, gives: 28 },
  { name: '$set refuses to make a field in an array', doc: { a: [] }, update: { $set: { 'a.b': 1 } }, gives: 28 },
  { name: '$set refuses to make a field in null', doc: { a: null }, update: { $set: { 'a.b': 1 } }, gives: 28 },
  { name: 'new fields come in the order of their names', doc: { z: 1 }, update: { $set: { c: 1, b: 1, a: 1 } }, gives: { z: 1, a: 1, b: 1, c: 1 } },
  { name: '$unset removes, and nulls an element', doc: { a: { b: 1, c: 2 }, l: [1, 2, 3] }, update: { $unset: { 'a.b': '', 'l.1': '', none: '' } }, gives: { a: { c: 2 }, l: [1, null, 3] } },
  { name: '$inc and $mul on present and missing fields', doc: { a: 2, b: 3 }, update: { $inc: { a: 5, n: 1 }, $mul: { b: 2, m: 7 } }, gives: { a: 7, b: 6, m: 0, n: 1 } },
  { name: '$inc refuses text', doc: { a: 'x' }, update: { $inc: { a: 1 } }, gives: 14 },
  { name: '$inc refuses null', doc: { a: null }, update: { $inc: { a: 1 } }, gives: 14 },
  { name: '$inc by text is refused', doc: { a: 1 }, update: { $inc: { a: 'x' } }, gives: 14 },
  { name: '$min and $max across types', doc: { a: 5, b: 5, c: 5 }, update: { $min: { a: 3, d: 1 }, $max: { b: 9, c: 'text' } }, gives: { a: 3, b: 9, c: 'text', d: 1 } },
  { name: '$rename moves, also into a document', doc: { a: 1, b: { c: 2 } }, update: { $rename: { a: 'b.d', missing: 'x' } }, gives: { b: { c: 2, d: 1 } } },
  { name: '$setOnInsert does nothing to what exists', doc: { a: 1 }, update: { $setOnInsert: { b: 1 }, $set: { c: 1 } }, gives: { a: 1, c: 1 } },
  { name: '$push to a missing field and with $each', doc: { b: [1] }, update: { $push: { a: 1, b: { $each: [2, 3] } } }, gives: { b: [1, 2, 3], a: [1] } },
  { name: '$push with position, sort and slice', doc: { a: [3, 1], b: [1, 2], c: [{ n: 2 }] }, update: { $push: { a: { $each: [2], $sort: -1 }, b: { $each: [9], $position: 0, $slice: 2 }, c: { $each: [{ n: 1 }, { n: 3 }], $sort: { n: 1 }, $slice: -2 } } }, gives: { a: [3, 2, 1], b: [9, 1], c: [{ n: 2 }, { n: 3 }] } },
  { name: '$push at a negative position', doc: { a: [1, 2, 3] }, update: { $push: { a: { $each: [9], $position: -1 } } }, gives: { a: [1, 2, 9, 3] } },
  { name: '$push to a scalar is refused', doc: { a: 1 }, update: { $push: { a: 1 } }, gives: 2 },
  { name: '$addToSet compares by value', doc: { a: [1, { x: 1 }] }, update: { $addToSet: { a: { $each: [new Double(1), { x: 1 }, 2, 2] } } }, gives: { a: [1, { x: 1 }, 2] } },
  { name: '$pop from both ends', doc: { a: [1, 2, 3], b: [1, 2, 3], c: [] }, update: { $pop: { a: 1, b: -1, c: 1 } }, gives: { a: [1, 2], b: [2, 3], c: [] } },
  { name: '$pull by value, condition and document', doc: { a: [1, 2, 1], b: [1, 5, 9], c: [{ x: 1, y: 1 }, { x: 2 }], d: ['p', 'q'] }, update: { $pull: { a: 1, b: { $gte: 5 }, c: { x: 1 }, d: { $in: ['q'] } } }, gives: { a: [2], b: [1], c: [{ x: 2 }], d: ['p'] } },
  { name: '$pullAll', doc: { a: [1, 2, 3, 2] }, update: { $pullAll: { a: [2, 3] } }, gives: { a: [1] } },
  { name: '$bit', doc: { a: 12, b: 1 }, update: { $bit: { a: { and: 10 }, b: { or: 6 } } }, gives: { a: 8, b: 7 } },
  { name: 'the positional operator changes the element that matched', doc: { a: [{ k: 1, n: 0 }, { k: 2, n: 0 }] }, filter: { 'a.k': 2 }, update: { $set: { 'a.$.n': 5 } }, gives: { a: [{ k: 1, n: 0 }, { k: 2, n: 5 }] } },
  { name: 'the positional operator with $elemMatch', doc: { a: [{ k: 1, n: 1 }, { k: 1, n: 2 }] }, filter: { a: { $elemMatch: { k: 1, n: { $gt: 1 } } } }, update: { $inc: { 'a.$.n': 10 } }, gives: { a: [{ k: 1, n: 1 }, { k: 1, n: 12 }] } },
  { name: 'the positional operator without an array in the filter is refused', doc: { a: [1] }, update: { $set: { 'a.$': 5 } }, gives: 2 },
  { name: '$[] changes every element', doc: { a: [1, 2] }, update: { $inc: { 'a.$[]': 1 } }, gives: { a: [2, 3] } },
  { name: '$[] on a missing array is refused', doc: {}, update: { $inc: { 'a.$[]': 1 } }, gives: 2 },
  { name: 'array filters', doc: { a: [{ n: 1, l: [1, 5] }, { n: 2, l: [5, 6] }] }, update: { $set: { 'a.$[x].l.$[y]': 0 } }, arrayFilters: [{ 'x.n': 2 }, { y: { $gt: 5 } }], gives: { a: [{ n: 1, l: [1, 5] }, { n: 2, l: [5, 0] }] } },
  { name: 'an array filter that is not used is refused', doc: {}, update: { $set: { b: 1 } }, arrayFilters: [{ x: 1 }], gives: 9 },
  { name: 'a name without an array filter is refused', doc: { a: [1] }, update: { $set: { 'a.$[x]': 1 } }, gives: 2 },
  { name: 'two operators on one path conflict', doc: {}, update: { $set: { a: 1 }, $inc: { a: 1 } }, gives: 40 },
  { name: 'a path and its parent conflict', doc: {}, update: { $set: { a: {} , 'a.b': 1 } }, gives: 40 },
  { name: 'the _id cannot change', doc: { a: 1 }, update: { $set: { _id: 7 } }, gives: 66 },
  { name: 'an unknown operator is refused', doc: {}, update: { $nope: { a: 1 } }, gives: 9 },
  { name: 'an empty field name is refused', doc: {}, update: { $set: { 'a..b': 1 } }, gives: 56 },
  { name: 'a pipeline computes from the document', doc: { a: 2, b: 3 }, update: [{ $set: { sum: { $add: ['$a', '$b'] } } }, { $unset: 'a' }], gives: { b: 3, sum: 5 } },
  { name: 'a pipeline may replace the document', doc: { a: { x: 1 } }, update: [{ $replaceWith: { $mergeObjects: ['$a', { y: 2 }] } }], gives: { x: 1, y: 2 } },
  { name: 'a pipeline refuses other stages', doc: {}, update: [{ $group: { _id: null } }], gives: 72 },
];

for (const { name, doc, update, gives, filter = {}, arrayFilters } of CASES) {
  test(`update: ${name}`, async () => {
    await things.deleteMany({});
    await things.insertOne({ _id: 1 as never, ...doc });
    const run = things.updateOne({ _id: 1 as never, ...filter }, update, arrayFilters ? { arrayFilters } : {});
    if (typeof gives === 'number') {
      await assert.rejects(run, { code: gives });
      assert.deepEqual(await things.findOne(), { _id: 1, ...doc });
      return;
    }
    await run;
    const after = await things.findOne();
    assert.deepEqual(after, { _id: 1, ...gives });
    assert.equal(JSON.stringify(Object.keys(after)), JSON.stringify(['_id', ...Object.keys(gives)]));
  });
}

test('$inc keeps and widens numeric types', async () => {
  await things.deleteMany({});
  await things.insertOne({ _id: 1 as never, i: new Int32(2147483647), l: Long.fromNumber(1), d: new Double(1), m: Decimal128.fromString('0.1') });
  await things.updateOne({}, { $inc: { i: new Int32(1), l: new Int32(1), d: new Int32(1), m: Decimal128.fromString('0.2') } });
  const doc = (await things.findOne({}, { promoteValues: false })) as Document;
  assert.equal(doc['i']._bsontype, 'Long');
  assert.equal(String(doc['i']), '2147483648');
  assert.equal(doc['l']._bsontype, 'Long');
  assert.equal(doc['d']._bsontype, 'Double');
  assert.equal(String(doc['m']), '0.3');
});

test('$currentDate sets dates and timestamps', async () => {
  await things.deleteMany({});
  await things.insertOne({ _id: 1 as never });
  await things.updateOne({}, { $currentDate: { at: { $type: 'date' }, stamp: { $type: 'timestamp' } } });
  const doc = (await things.findOne()) as Document;
  assert.ok(Math.abs(doc['at'].getTime() - Date.now()) < 60_000);
  assert.ok(doc['stamp'] instanceof Timestamp);
});

test('an upsert starts from what the filter says by equality', async () => {
  const upsert = async (filter: Document, update: Document | Document[]): Promise<Document | null> => {
    await things.deleteMany({});
    const result = await things.updateOne(filter, update, { upsert: true });
    assert.equal(result.upsertedCount, 1);
    return things.findOne({ _id: result.upsertedId as never });
  };
  const { _id, ...rest } = (await upsert({ a: 1, 'b.c': 2, d: { $gt: 5 }, e: { $eq: 3 }, f: { $in: [4] } }, { $set: { x: 1 }, $setOnInsert: { y: 2 } })) as Document;
  assert.ok(_id instanceof ObjectId);
  assert.deepEqual(rest, { a: 1, b: { c: 2 }, e: 3, f: 4, x: 1, y: 2 });
  assert.deepEqual(await upsert({ _id: 'own' as never, $and: [{ g: 1 }] }, { $inc: { n: 5 } }), { _id: 'own', g: 1, n: 5 });
  assert.deepEqual(await upsert({ _id: 'p' as never }, [{ $set: { n: { $add: [1, 1] } } }]), { _id: 'p', n: 2 });
  await things.deleteMany({});
  await things.replaceOne({ _id: 'r' as never, a: 1 }, { b: 2 }, { upsert: true });
  assert.deepEqual(await things.findOne(), { _id: 'r', b: 2 });
});

test('counts tell matched from modified', async () => {
  await things.deleteMany({});
  await things.insertMany([{ a: 1 }, { a: 1 }, { a: 2 }]);
  const same = await things.updateMany({ a: 1 }, { $set: { a: 1 } });
  assert.deepEqual([same.matchedCount, same.modifiedCount], [2, 0]);
  const moved = await things.updateMany({ a: { $gte: 1 } }, { $inc: { a: 1 } });
  assert.deepEqual([moved.matchedCount, moved.modifiedCount], [3, 3]);
});

test('an update that moves documents along the index it reads changes each once', async () => {
  await things.deleteMany({});
  await things.createIndex({ n: 1 });
  await things.insertMany(Array.from({ length: 500 }, (_, n) => ({ n })));
  await things.updateMany({ n: { $gte: 0 } }, { $inc: { n: 100_000 } });
  assert.equal(await things.countDocuments({ n: { $gte: 100_000, $lt: 200_000 } }), 500);
  await things.dropIndex('n_1');
});

test('replacement keeps the _id and refuses another', async () => {
  await things.deleteMany({});
  await things.insertOne({ _id: 1 as never, a: 1 });
  await things.replaceOne({ a: 1 }, { b: 2 });
  assert.deepEqual(await things.findOne(), { _id: 1, b: 2 });
  await assert.rejects(things.replaceOne({ b: 2 }, { _id: 2 as never, c: 1 }), { code: 66 });
});

test('findAndModify returns before or after, sorts, upserts and removes', async () => {
  await things.deleteMany({});
  await things.insertMany([{ _id: 1 as never, n: 2 }, { _id: 2 as never, n: 1 }]);
  assert.deepEqual(await things.findOneAndUpdate({}, { $inc: { n: 10 } }, { sort: { n: 1 } }), { _id: 2, n: 1 });
  assert.deepEqual(await things.findOneAndUpdate({ _id: 2 as never }, { $inc: { n: 1 } }, { returnDocument: 'after', projection: { n: 1, _id: 0 } }), { n: 12 });
  assert.equal(await things.findOneAndUpdate({ _id: 9 as never }, { $set: { n: 1 } }), null);
  assert.deepEqual(await things.findOneAndReplace({ _id: 9 as never }, { m: 1 }, { upsert: true, returnDocument: 'after' }), { _id: 9, m: 1 });
  const meta = await things.findOneAndUpdate({ _id: 10 as never }, { $set: { n: 1 } }, { upsert: true, includeResultMetadata: true });
  assert.deepEqual(meta.lastErrorObject, { n: 1, updatedExisting: false, upserted: 10 });
  assert.deepEqual(await things.findOneAndDelete({}, { sort: { _id: -1 } }), { _id: 10, n: 1 });
  assert.equal(await things.findOneAndDelete({ _id: 77 as never }), null);
});

test('an unordered bulk write goes on after errors and names each', async () => {
  await things.drop();
  await things.createIndex({ k: 1 }, { unique: true });
  const run = things.bulkWrite(
    [
      { insertOne: { document: { k: 1 } } }, { insertOne: { document: { k: 1 } } }, { updateOne: { filter: { k: 1 }, update: { $set: { seen: true } } } },
      { insertOne: { document: { k: 2 } } }, { updateOne: { filter: { k: 3 }, update: { $set: { x: 1 } }, upsert: true } }, { deleteOne: { filter: { k: 2 } } },
      { updateOne: { filter: { k: 3 }, update: { $set: { k: 1 } } } },
    ],
    { ordered: false },
  );
  await assert.rejects(run, (error: unknown) => {
    assert.ok(error instanceof MongoBulkWriteError);
    assert.deepEqual([error.insertedCount, error.upsertedCount, error.matchedCount], [2, 1, 1]);
    const errors = error.writeErrors as unknown as { code: number; index: number }[];
    assert.deepEqual(errors.map(({ code, index }) => [code, index]).toSorted((a, b) => a[1]! - b[1]!), [[11000, 1], [11000, 6]]);
    return true;
  });
});

test('an ordered insert stops at the first error', async () => {
  await things.drop();
  await assert.rejects(things.insertMany([{ _id: 1 as never }, { _id: 1 as never }, { _id: 2 as never }]), { code: 11000 });
  assert.equal(await things.countDocuments(), 1);
  await assert.rejects(things.insertMany([{ _id: 1 as never }, { _id: 2 as never }, { _id: 1 as never }, { _id: 3 as never }], { ordered: false }), { code: 11000 });
  assert.equal(await things.countDocuments(), 3);
});

test('a pipeline with a stage that does not exist fails the whole command, one with a stage of another place only its statement', async () => {
  const run = (stage: Document): Promise<Document> => things.db.command({ update: things.collectionName, updates: [{ q: {}, u: [stage] }] });
  await assert.rejects(run({ $nonsense: 1 }), { code: 40324 });
  assert.equal((await run({ $group: { _id: 1 } }))['writeErrors'][0].code, 72);
});

test('documents that MongoDB would not store are refused', async () => {
  await assert.rejects(things.insertOne({ _id: [1] as never }), { code: 53 });
  await assert.rejects(things.insertOne({ _id: /x/ as never }), { code: 53 });
  await things.deleteMany({});
  await things.insertOne({ _id: 1 as never, body: 'x'.repeat(16_000_000), list: [] });
  await assert.rejects(things.updateOne({}, { $set: { more: 'x'.repeat(1_000_000) } }), { code: 17419 });
  await things.deleteMany({});
});

test('what an update does not name keeps its bytes, whatever it is, and indexes over both follow', async () => {
  await things.drop();
  await things.createIndex({ state: 1, owner: 1 });
  await things.createIndex({ 'list.k': 1, 'list.v': 1 });
  const others = {
    double: new Double(1), int: new Int32(1), long: Long.fromNumber(1), decimal: Decimal128.fromString('1.50'), text: 'ä\u0000b', doc: { a: { b: [1, { c: null }] } }, none: null,
    list: [{ k: 1, v: 'x' }, { k: 2, v: 'y' }], bytes: new Binary(Buffer.from([1, 2, 3]), 4), id: new ObjectId('0123456789abcdef01234567'), yes: true, at: new Date(0), pattern: new BSONRegExp('a.b', 'i'),
    code: new Code('f()'), scoped: new Code('f()', { x: 1 }), stamp: new Timestamp({ t: 5, i: 6 }), least: new MinKey(), most: new MaxKey(),
  };
  const raw = { raw: true, promoteValues: false } as const;
  const owner = 'ada';
  await things.insertOne({ _id: 1 as never, state: 'free', owner, log: [1], ...others });
  const rest = async (): Promise<string> => Buffer.from(await things.findOne({}, { ...raw, projection: { state: 0, log: 0, n: 0 } }) as unknown as Uint8Array).toString('hex');
  const before = await rest();
  await things.updateOne({ _id: 1 as never }, { $set: { state: 'taken' }, $push: { log: 2 as never }, $inc: { n: 1 } });
  assert.equal(await rest(), before);
  const byIndex = (filter: Document): Promise<number> => things.countDocuments(filter, { hint: 'state_1_owner_1' });
  assert.deepEqual([await byIndex({ state: 'free' }), await byIndex({ state: 'taken', owner })], [0, 1]);
  await things.updateOne({ _id: 1 as never }, { $set: { list: [{ k: 3, v: 'z' }] } });
  assert.equal(await things.countDocuments({ 'list.k': 2 }, { hint: 'list.k_1_list.v_1' }), 0);
  assert.equal((await things.findOne({ 'list.k': 3, 'list.v': 'z' }, { hint: 'list.k_1_list.v_1' }))?.['owner'], owner);
  await things.drop();
});

test('documents and lists that are put in place whole keep their types, are found by their indexes, and leave the order of fields as it was', async () => {
  await things.deleteMany({});
  await things.createIndexes([{ key: { 'inner.k': 1 } }, { key: { 'list.n': 1 } }]);
  await things.insertMany([{ _id: 1 as never, inner: { k: 1 }, plain: 1, list: [{ n: 1 }], last: 'z' }, { _id: 2 as never }]);
  const inner = { k: new Long(5), d: new Double(2), deep: [{ x: new Decimal128('1.50') }, [], {}] };
  const list = [{ n: 7 }, { n: new Long(8) }, null, new Date(5), new Binary(Buffer.from('ab'), 4)];
  const whole = { $set: { list, inner, other: { free: [1, { a: null }] } } };
  const { matchedCount, upsertedCount } = await things.bulkWrite([
    { updateMany: { filter: {}, update: whole } },
    { updateOne: { filter: { _id: 3 as never }, update: whole, upsert: true } },
    { updateOne: { filter: { _id: 1 as never }, update: { $unset: { plain: '' }, $push: { 'other.free': 2 as never } } } },
    { updateOne: { filter: { _id: 2 as never }, update: { $rename: { inner: 'list' } } } },
  ]);
  assert.deepEqual([matchedCount, upsertedCount], [4, 1]);
  const docs = await things.find({}, { sort: { _id: 1 }, promoteValues: false }).toArray();
  assert.deepEqual(docs.map((doc) => Object.keys(doc)), [['_id', 'inner', 'list', 'last', 'other'], ['_id', 'other', 'list'], ['_id', 'inner', 'list', 'other']]);
  const plain = { promoteValues: false, promoteLongs: false } as const;
  assert.deepEqual(EJSON.stringify(docs[0]!['inner'], { relaxed: false }), EJSON.stringify(inner, { relaxed: false }));
  assert.deepEqual(EJSON.stringify(docs[2]!['list'], { relaxed: false }), EJSON.stringify(list, { relaxed: false }));
  const found = async (filter: Document, hint: string): Promise<unknown[]> => (await things.find(filter, { hint, sort: { _id: 1 } }).toArray()).map((doc) => doc._id);
  assert.deepEqual(await found({ 'inner.k': 5 }, 'inner.k_1'), [1, 3]);
  assert.deepEqual(await found({ 'list.n': 8 }, 'list.n_1'), [1, 3]);
  assert.deepEqual([await found({ 'inner.k': 1 }, 'inner.k_1'), await found({ 'list.n': 1 }, 'list.n_1')], [[], []]);
  assert.deepEqual((await things.findOne({ _id: 1 as never }, plain))?.['other'], { free: [new Int32(1), { a: null }, new Int32(2)] });
  assert.equal((await things.db.command({ validate: 'things', full: true }))['valid'], true);
  const same = await things.bulkWrite([{ updateOne: { filter: { _id: 3 as never }, update: { $set: { inner } } } }]);
  assert.deepEqual([same.matchedCount, same.modifiedCount], [1, 0]);
  await things.drop();
});

test('fifty clients incrementing lose nothing, fifty upserts make one document, no claim is given twice', async () => {
  await things.deleteMany({});
  const fifty = Array.from({ length: 50 }, (_, i) => i);
  await Promise.all(fifty.map(() => things.updateOne({ k: 'counter' }, { $inc: { n: 1 } }, { upsert: true }).catch((error: { code: number }) => {
    assert.equal(error.code, 11000);
    return things.updateOne({ k: 'counter' }, { $inc: { n: 1 } });
  })));
  assert.deepEqual((await things.find({ k: 'counter' }).toArray()).map((doc) => doc['n']), [50]);
  await things.insertMany(fifty.map((i) => ({ k: `job${i}`, state: 'free' })));
  const claimed = await Promise.all([...fifty, ...fifty].map((by) => things.findOneAndUpdate({ state: 'free' }, { $set: { state: 'taken', by } })));
  const names = claimed.flatMap((doc) => (doc ? [String(doc['k'])] : []));
  assert.equal(names.length, 50);
  assert.equal(new Set(names).size, 50);
});

test('what is pushed is stored as it came, whatever is there, and is found by its indexes', async () => {
  await things.drop();
  await things.createIndexes([{ key: { 'list.n': 1 } }]);
  const entries: unknown[] = [{ n: 1, at: new Date(-1) }, { n: new Double(2), deep: [{ a: [null] }] }, [1, [2]], 'text', null, Long.fromBits(1, 1), { n: { $a: 1 } }];
  const pushes: Document[] = [
    { $each: entries }, { $each: [entries[0]], $position: 0 }, { $each: entries, $slice: -3 }, { $each: [{ n: 5 }, { n: 3 }], $sort: { n: 1 } }, { $each: [], $slice: 2 }, { $each: [[7], { n: 8 }], $position: -1, $slice: 4 },
    entries[1] as Document,
  ];
  const starts: Document[] = [{}, { list: [], free: [] }, { list: [{ n: 4, x: new Int32(1) }, { n: 2 }], free: ['a', { n: 9, d: new Decimal128('1.10') }, [Long.fromNumber(3)]] }];
  let id = 0;
  for (const push of pushes) {
    for (const start of starts) {
      for (const update of [{ $push: { list: push } }, { $push: { free: push }, $set: { other: [1] } }, { $push: { 'in.list': push, list: push } }] as Document[]) {
        id += 2;
        await things.insertMany([{ ...start, _id: id as never, z: 1 }, { ...start, _id: (id + 1) as never, z: 1 }]);
        assert.equal((await things.updateOne({ _id: id as never }, update)).matchedCount, (await things.findOneAndUpdate({ _id: (id + 1) as never }, update, { includeResultMetadata: true })).ok);
        const [one, other] = await things.find({ _id: { $gte: id as never } }, { promoteValues: false, sort: { _id: 1 }, projection: { _id: 0 } }).toArray();
        assert.equal(EJSON.stringify(one, { relaxed: false }), EJSON.stringify(other, { relaxed: false }), `${EJSON.stringify(update)} on ${EJSON.stringify(start)}`);
      }
    }
  }
  assert.equal(await things.countDocuments({ 'list.n': 8 }, { hint: 'list.n_1' }), (await things.find({ 'list.n': 8 }, { hint: { $natural: 1 } }).toArray()).length);
  assert.ok(await things.countDocuments({ 'list.n': 8 }) > 0);
  await assert.rejects(things.updateOne({ _id: 2 as never }, { $push: { z: { $each: [{ a: 1 }] } } } as Document), { code: 2 });
  assert.equal((await things.db.command({ validate: 'things', full: true }))['valid'], true);
  await things.drop();
});

test('updates and deletes by a list of ids reach each of them once, whatever their types, and only what else matches', async () => {
  await things.drop();
  const own = new ObjectId();
  const ids = ['a', 'b', own, 1, 'x'.repeat(3_000)];
  await things.insertMany(ids.map((_id) => ({ _id, n: 0, lease: { token: 't' } })) as never[]);
  const many = (list: unknown[], rest: Document = {}): Document => ({ _id: { $in: list }, ...rest });
  const inc = { $inc: { n: 1 } };
  assert.equal((await things.updateMany(many(['a', 'a', 'missing', own, new ObjectId(own.id)]), inc)).modifiedCount, 2);
  assert.equal((await things.updateMany(many(['b', 'b', own, new ObjectId(own.id)]), inc)).modifiedCount, 2);
  assert.equal((await things.updateMany(many([1, 'b', null]), inc)).modifiedCount, 2);
  assert.equal((await things.updateMany(many([/^a/, 'b']), inc)).matchedCount, 2);
  assert.equal((await things.updateMany(many(['x'.repeat(3_000), 'b']), inc)).modifiedCount, 2);
  assert.equal((await things.updateMany(many(['a', 'b', own], { 'lease.token': 't', n: { $lt: 4 } }), inc)).modifiedCount, 2);
  assert.equal((await things.updateMany(many([]), inc)).matchedCount, 0);
  assert.equal((await things.updateMany({ _id: { $in: ['a', 'b'], $ne: 'b' } } as never, inc)).matchedCount, 1);
  assert.equal((await things.updateOne(many(['b', own]), { $set: { first: true } })).matchedCount, 1);
  assert.equal((await things.deleteMany(many(['b', own, 'b', 'missing'], { 'lease.token': 't' }))).deletedCount, 2);
  assert.deepEqual((await things.find({}, { projection: { _id: 1 } }).toArray()).length, ids.length - 2);
  assert.equal((await things.db.command({ validate: 'things', full: true }))['valid'], true);
  await things.drop();
});
