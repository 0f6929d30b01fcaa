import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { Decimal128, Long, type Collection, type Document, type IndexSpecification, type CreateIndexesOptions } from 'mongodb';
import { openDatabase } from './with-server.js';

let things: Collection;

before(async () => {
  things = (await openDatabase()).collection('things');
});

/** The stages of a winning plan, outermost first. */
function stages(plan: Document): Document[] {
  const own = (plan['queryPlan'] as Document | undefined) ?? plan;
  const inner = [own['inputStage'], ...((own['inputStages'] as Document[] | undefined) ?? [])].filter((stage) => stage !== undefined) as Document[];
  return [own, ...inner.flatMap(stages)];
}

async function plan(filter: Document, sort: Document = {}): Promise<{ index: string | undefined; names: string[]; keys: number; docs: number; returned: number }> {
  const explained = await things.find(filter).sort(sort).explain('executionStats');
  const found = stages(explained['queryPlanner'].winningPlan as Document);
  const { totalKeysExamined, totalDocsExamined, nReturned } = explained['executionStats'];
  return { index: found.find((stage) => stage['indexName'])?.['indexName'] as string | undefined, names: found.map((stage) => String(stage['stage'])), keys: totalKeysExamined, docs: totalDocsExamined, returned: nReturned };
}

async function reset(docs: Document[], ...indexes: [IndexSpecification, CreateIndexesOptions?][]): Promise<void> {
  await things.drop();
  for (const [spec, options] of indexes) await things.createIndex(spec, options ?? {});
  if (docs.length > 0) await things.insertMany(docs);
}

test('equality, ranges, order, $in and $or go by index, and explain says so', async () => {
  await reset(Array.from({ length: 1000 }, (_, i) => ({ _id: i as never, a: i % 10, b: i, c: i % 3 })), [{ a: 1, b: 1 }], [{ c: 1 }]);
  const prefix = await plan({ a: 3 });
  assert.deepEqual([prefix.index, prefix.docs, prefix.returned], ['a_1_b_1', 100, 100]);
  const range = await plan({ a: 3, b: { $gte: 500, $lt: 600 } });
  assert.deepEqual([range.index, range.docs, range.returned], ['a_1_b_1', 10, 10]);
  const ordered = await plan({ a: 3 }, { b: -1 });
  assert.ok(!ordered.names.includes('SORT'));
  const several = await plan({ a: { $in: [1, 2] }, b: { $lt: 50 } });
  assert.deepEqual([several.index, several.docs, several.returned], ['a_1_b_1', 10, 10]);
  const either = await plan({ $or: [{ a: 1, b: 1 }, { c: 7 }] });
  assert.ok(either.names.includes('OR'));
  assert.equal(either.docs, 1);
  assert.deepEqual((await plan({ zz: 1 })).names.at(-1), 'COLLSCAN');
  assert.equal((await plan({ _id: 5 as never })).docs, 1);
});

test('an index gives the order for $in on its first field without sorting everything', async () => {
  await reset(Array.from({ length: 300 }, (_, i) => ({ s: i % 3, at: 1000 - i })), [{ s: 1, at: 1 }]);
  const docs = await things.find({ s: { $in: [0, 2] } }).sort({ at: 1 }).limit(5).toArray();
  assert.deepEqual(docs.map((doc) => doc['at']), [701, 703, 704, 706, 707]);
});

test('a unique index names the key and the value of a duplicate', async () => {
  await reset([{ a: 1, b: { c: 'x' } }], [{ a: 1, 'b.c': -1 }, { unique: true, name: 'both' }]);
  await assert.rejects(things.insertOne({ a: 1, b: { c: 'x' } }), (error: Document) => {
    assert.deepEqual([error['code'], error['keyPattern'], error['keyValue']], [11000, { a: 1, 'b.c': -1 }, { a: 1, 'b.c': 'x' }]);
    assert.match(error['message'], /E11000 duplicate key error collection: .*things index: both dup key:/);
    return true;
  });
  await things.insertOne({ a: 1 });
  await assert.rejects(things.insertOne({ a: 1, b: {} }), { code: 11000 });
  await assert.rejects(things.updateOne({ b: { c: 'x' } }, { $unset: { b: '' } }), { code: 11000 });
  assert.equal(await things.countDocuments({ b: { c: 'x' } }), 1);
});

test('unique keys hold for the elements of arrays and across numeric types', async () => {
  await reset([{ a: [1, 2] }], [{ a: 1 }, { unique: true }]);
  await assert.rejects(things.insertOne({ a: 2 }), { code: 11000 });
  await assert.rejects(things.insertOne({ a: Long.fromNumber(1) }), { code: 11000 });
  await assert.rejects(things.insertOne({ a: Decimal128.fromString('2.00') }), { code: 11000 });
  await things.insertOne({ a: [3, 3] });
});

test('a sparse index leaves missing fields out, also of uniqueness', async () => {
  await reset([{}, {}, { a: 1 }, { a: null }], [{ a: 1 }, { unique: true, sparse: true }]);
  assert.equal(await things.countDocuments({ a: null }), 3);
  assert.equal((await things.find({}).sort({ a: 1 }).toArray()).length, 4);
  await assert.rejects(things.insertOne({ a: null }), { code: 11000 });
});

test('a partial index holds what its filter takes, and is used only where that is implied', async () => {
  await reset(Array.from({ length: 100 }, (_, i) => ({ state: i % 10 === 0 ? 'open' : 'done', at: i })), [{ at: 1 }, { partialFilterExpression: { state: 'open' }, name: 'open' }]);
  const used = await plan({ state: 'open', at: { $lt: 50 } }, { at: 1 });
  assert.deepEqual([used.index, used.docs], ['open', 5]);
  assert.equal((await plan({ at: { $lt: 50 } })).index, undefined);
  await things.updateMany({ state: 'done', at: { $lt: 5 } }, { $set: { state: 'open' } });
  assert.equal(await things.countDocuments({ state: 'open', at: { $lt: 50 } }), 9);
  await things.updateMany({ at: 0 }, { $set: { state: 'done' } });
  assert.equal(await things.countDocuments({ state: 'open', at: { $lt: 50 } }), 8);
});

test('a unique partial index allows duplicates outside of its filter', async () => {
  await reset([], [{ key: 1 }, { unique: true, partialFilterExpression: { live: true } }]);
  await things.insertMany([{ key: 'a', live: true }, { key: 'a', live: false }, { key: 'a' }]);
  await assert.rejects(things.updateOne({ live: false }, { $set: { live: true } }), { code: 11000 });
});

test('definitions that clash are refused, repeated ones are not', async () => {
  await reset([{ a: 1 }, { a: 1 }, { t: 'x' }], [{ b: 1 }]);
  assert.equal(await things.createIndex({ b: 1 }), 'b_1');
  await assert.rejects(things.createIndex({ b: 1 }, { unique: true }), { code: 86 });
  await assert.rejects(things.createIndex({ c: 1 }, { name: 'b_1' }), { code: 86 });
  await assert.rejects(things.createIndex({ b: 1 }, { name: 'other' }), { code: 85 });
  await assert.rejects(things.createIndex({ a: 1 }, { unique: true }), { code: 11000 });
  assert.deepEqual((await things.indexes()).map((index) => index.name), ['_id_', 'b_1']);
  await assert.rejects(things.dropIndex('nope'), { code: 27 });
  await assert.rejects(things.dropIndex('_id_'), { code: 72 });
  await assert.rejects(things.db.collection('missing').listIndexes().toArray(), { code: 26 });
  await things.createIndex({ c: 1 }, { background: false });
  assert.deepEqual((await things.indexes()).at(-1), { v: 2, key: { c: 1 }, name: 'c_1', background: false });
  await things.dropIndex('c_1');
  await assert.rejects(things.createIndex({ a: 1, b: 1 }, { expireAfterSeconds: 5 }), { code: 67 });
});

test('parallel arrays cannot be indexed together', async () => {
  await reset([], [{ a: 1, b: 1 }]);
  await things.insertMany([{ a: [1, 2], b: 1 }, { a: 1, b: [1, 2] }]);
  await assert.rejects(things.insertOne({ a: [1, 2], b: [1, 2] }), { code: 171 });
});

test('an index made on stored documents finds them all, very long keys too', async () => {
  await reset(Array.from({ length: 3000 }, (_, i) => ({ n: i, text: `${'long '.repeat(600)}${i}` })));
  await things.createIndex({ text: 1 });
  await things.createIndex({ n: -1 });
  assert.equal(await things.countDocuments({ text: `${'long '.repeat(600)}77` }), 1);
  assert.equal(await things.countDocuments({ text: { $gte: 'long' } }), 3000);
  assert.deepEqual((await things.find({ n: { $gt: 2990 } }, { projection: { n: 1, _id: 0 } }).sort({ n: 1 }).limit(2).toArray()), [{ n: 2991 }, { n: 2992 }]);
});

/** A small generator with a seed, so that a failure can be repeated. */
function randomFrom(seed: number): <T>(choices: readonly T[]) => T {
  let state = seed;
  return (choices) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return choices[(state >>> 8) % choices.length]!;
  };
}

const SCALARS = [null, 0, 1, 2, 2.5, -1, 'a', 'ab', 'b', true, false, new Date(0), new Date(1000), Long.fromNumber(2), Decimal128.fromString('2.5'), { x: 1 }, { x: 2 }, [], [1], NaN];

test('with and without an index every filter finds the same', async () => {
  const pick = randomFrom(Number(process.env['SEED'] ?? 20260101));
  const value = (): unknown => pick([() => pick(SCALARS), () => pick(SCALARS), () => [pick(SCALARS), pick(SCALARS)], () => ({ x: pick(SCALARS) }), () => [{ x: pick(SCALARS) }, { x: pick(SCALARS) }], () => undefined])();
  const makeDoc = (): Document => Object.fromEntries(['a', 'b', 'c'].map((name) => [name, value()] as const).filter(([, one]) => one !== undefined).map(([name, one]) => [name, name === 'b' ? ([one].flat(3)[0] ?? null) : one]));
  const docs = Array.from({ length: 400 }, (_, i) => ({ _id: i as never, ...makeDoc() }));
  await reset(docs, [{ a: 1 }], [{ b: -1, c: 1 }], [{ 'a.x': 1, b: 1 }], [{ c: 1, b: -1 }, { sparse: true }], [{ b: 1 }, { partialFilterExpression: { c: { $exists: true } }, name: 'partial' }]);
  const condition = (): unknown => pick([
    () => pick(SCALARS), () => ({ $eq: pick(SCALARS) }), () => ({ $in: [pick(SCALARS), pick(SCALARS)] }), () => ({ $gt: pick(SCALARS) }), () => ({ $gte: pick(SCALARS), $lt: pick(SCALARS) }),
    () => ({ $lte: pick(SCALARS) }), () => ({ $ne: pick(SCALARS) }), () => ({ $exists: pick([true, false]) }), () => ({ $not: { $gt: pick(SCALARS) } }), () => ({ $all: [pick(SCALARS)] }),
    () => ({ $nin: [pick(SCALARS)] }), () => ({ $type: pick(['number', 'string', 'null', 'array']) }), () => ({ $size: 1 }), () => ({ $elemMatch: { x: pick(SCALARS) } }), () => ({ $elemMatch: { $gte: pick(SCALARS), $lt: 3 } }),
  ])();
  const simple = (): Document => ({ [pick(['a', 'b', 'c', 'a.x'])]: condition(), [pick(['a', 'b', 'c', 'c.x'])]: condition() });
  const filter = (): Document => pick([simple, simple, () => ({ $or: [simple(), simple()] }), () => ({ ...simple(), $or: [simple(), simple()] }), () => ({ $and: [simple(), simple()] })])();
  const sorts: Document[] = [{ _id: 1 }, { a: 1, _id: 1 }, { b: -1, c: 1, _id: 1 }, { c: 1, b: -1, _id: 1 }, { b: 1, _id: 1 }];
  for (let round = 0; round < Number(process.env['ROUNDS'] ?? 500); round++) {
    const query = filter();
    const sort = pick(sorts);
    const ids = async (hint: Document | undefined): Promise<unknown[]> => (await things.find(query, { projection: { _id: 1 }, ...(hint ? { hint } : {}) }).sort(sort as never).toArray()).map((doc) => doc._id);
    const [fast, slow] = [await ids(undefined), await ids({ $natural: 1 })];
    assert.deepEqual(fast, slow, `round ${round}: ${JSON.stringify(query)} sorted by ${JSON.stringify(sort)}`);
    assert.equal(await things.countDocuments(query), slow.length, `count, round ${round}: ${JSON.stringify(query)}`);
  }
});

test('a hint must name an index, also where nothing is asked for; a sparse one counts what it holds', async () => {
  await things.drop();
  await things.createIndex({ a: 1 }, { sparse: true, name: 'sparse' });
  await things.insertMany([{ a: 1 }, { b: 1 }, { a: [] }]);
  for (const hint of ['missing', { zz: 1 }]) await assert.rejects(things.countDocuments({}, { hint }), { code: 2 });
  assert.equal(await things.countDocuments({}, { hint: 'sparse' }), 2);
  assert.equal(await things.countDocuments({}, { hint: '_id_' }), 3);
});

test('a sparse unique index leaves out lists, and elements of lists, that lack the field', async () => {
  await things.drop();
  await things.createIndex({ 'list.n': 1 }, { sparse: true, unique: true });
  await things.insertMany([{ list: [] }, { list: [] }, { list: [{}] }, { list: [{ m: 1 }, { n: 1 }] }, { list: [{ n: 2 }, {}] }, { list: [5] }]);
  await assert.rejects(things.insertOne({ list: [{ n: 3 }, { n: 2 }] }), { code: 11000 });
  assert.equal(await things.countDocuments({ 'list.n': { $gte: 1 } }, { hint: { 'list.n': 1 } }), 2);
  assert.equal(await things.countDocuments({ 'list.n': null }), 3);
  assert.equal((await things.db.command({ validate: things.collectionName })).valid, true);
});

test('the index of _id takes no options', async () => {
  await assert.rejects(things.createIndex({ _id: 1 }, { unique: true }), { code: 197 });
  await assert.rejects(things.createIndex({ _id: 1 }, { sparse: true }), { code: 197 });
  await things.createIndex({ _id: 1 });
  assert.deepEqual((await things.indexes()).filter(({ key }) => '_id' in key).map(({ name }) => name), ['_id_']);
});
