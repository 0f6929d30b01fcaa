import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { Decimal128, Double, Int32, Long, type Collection, type Db, type Document } from 'mongodb';
import { openDatabase } from './with-server.js';

let db: Db;
let sales: Collection;

before(async () => {
  db = await openDatabase();
  sales = db.collection('sales');
  await sales.insertMany([
    { _id: 1 as never, item: 'a', price: 10, quantity: 2, at: new Date('2024-03-01T08:00:00Z'), tags: ['x', 'y'] },
    { _id: 2 as never, item: 'b', price: 20, quantity: 1, at: new Date('2024-03-01T09:00:00Z'), tags: [] },
    { _id: 3 as never, item: 'a', price: 5, quantity: 10, at: new Date('2024-03-15T09:00:00Z') },
    { _id: 4 as never, item: null, price: 5.5, quantity: 4, at: new Date('2025-01-01T09:00:00Z'), tags: ['y'] },
  ]);
  await db.collection('items').insertMany([{ _id: 'a' as never, name: 'Apple' }, { _id: 'b' as never, name: 'Berry' }]);
});

const run = (...pipeline: Document[]): Promise<Document[]> => sales.aggregate(pipeline).toArray();

test('$group sums, averages, collects and finds extremes', async () => {
  assert.deepEqual(await run({ $group: { _id: '$item', total: { $sum: { $multiply: ['$price', '$quantity'] } }, avg: { $avg: '$price' }, low: { $min: '$price' }, high: { $max: '$price' }, ids: { $push: '$_id' }, n: { $count: {} } } }, { $sort: { _id: 1 } }), [
    { _id: null, total: 22, avg: 5.5, low: 5.5, high: 5.5, ids: [4], n: 1 },
    { _id: 'a', total: 70, avg: 7.5, low: 5, high: 10, ids: [1, 3], n: 2 },
    { _id: 'b', total: 20, avg: 20, low: 20, high: 20, ids: [2], n: 1 },
  ]);
});

test('$group by a document, with first, last, sets and merged objects', async () => {
  const [one] = await run({ $sort: { _id: 1 } }, { $match: { item: 'a' } }, { $group: { _id: { item: '$item', year: { $year: '$at' } }, first: { $first: '$price' }, last: { $last: '$price' }, set: { $addToSet: '$item' }, merged: { $mergeObjects: { q: '$quantity' } } } });
  assert.deepEqual(one, { _id: { item: 'a', year: 2024 }, first: 10, last: 5, set: ['a'], merged: { q: 10 } });
});

test('$unwind opens arrays, keeps empty ones on request and numbers elements', async () => {
  assert.deepEqual((await run({ $unwind: '$tags' }, { $project: { tags: 1 } }, { $sort: { _id: 1, tags: 1 } })), [{ _id: 1, tags: 'x' }, { _id: 1, tags: 'y' }, { _id: 4, tags: 'y' }]);
  const kept = await run({ $unwind: { path: '$tags', preserveNullAndEmptyArrays: true, includeArrayIndex: 'i' } }, { $sort: { _id: 1, i: 1 } }, { $project: { tags: 1, i: 1 } });
  assert.deepEqual(kept, [{ _id: 1, tags: 'x', i: 0 }, { _id: 1, tags: 'y', i: 1 }, { _id: 2, i: null }, { _id: 3, i: null }, { _id: 4, tags: 'y', i: 0 }]);
});

test('$lookup joins by field and by pipeline', async () => {
  const joined = await run({ $match: { _id: { $lte: 2 } } }, { $lookup: { from: 'items', localField: 'item', foreignField: '_id', as: 'info' } }, { $project: { 'info.name': 1 } }, { $sort: { _id: 1 } });
  assert.deepEqual(joined, [{ _id: 1, info: [{ name: 'Apple' }] }, { _id: 2, info: [{ name: 'Berry' }] }]);
  const piped = await run({ $match: { _id: 1 } }, { $lookup: { from: 'items', let: { wanted: '$item' }, pipeline: [{ $match: { $expr: { $eq: ['$_id', '$$wanted'] } } }, { $project: { _id: 0 } }], as: 'info' } }, { $project: { info: 1 } });
  assert.deepEqual(piped, [{ _id: 1, info: [{ name: 'Apple' }] }]);
});

test('$project and $addFields compute, nest, remove and keep arrays apart', async () => {
  const [doc] = await run({ $match: { _id: 1 } }, { $addFields: { 'deep.sum': { $add: ['$price', 1] }, tags: { $concatArrays: ['$tags', ['z']] }, item: '$$REMOVE' } }, { $project: { deep: 1, tags: 1, label: { $concat: ['#', { $toString: '$_id' }] }, nested: { a: '$price', b: { $literal: 1 } } } });
  assert.deepEqual(doc, { _id: 1, deep: { sum: 11 }, tags: ['x', 'y', 'z'], label: '#1', nested: { a: 10, b: 1 } });
});

test('$facet, $count, $sortByCount, $bucket and $sample', async () => {
  const [facets] = await run({ $facet: { count: [{ $match: { price: { $gt: 5 } } }, { $count: 'n' }], top: [{ $sort: { price: -1 } }, { $limit: 1 }, { $project: { _id: 1 } }] } });
  assert.deepEqual(facets, { count: [{ n: 3 }], top: [{ _id: 2 }] });
  assert.deepEqual((await run({ $sortByCount: '$item' }))[0], { _id: 'a', count: 2 });
  assert.deepEqual(await run({ $bucket: { groupBy: '$price', boundaries: [0, 6, 100], default: 'other', output: { n: { $sum: 1 } } } }), [{ _id: 0, n: 2 }, { _id: 6, n: 2 }]);
  assert.equal((await run({ $sample: { size: 2 } })).length, 2);
  assert.deepEqual(await run({ $match: { _id: 99 } }, { $count: 'n' }), []);
});

test('$replaceRoot, $unionWith, $unset, $documents', async () => {
  assert.deepEqual(await run({ $match: { _id: 2 } }, { $replaceRoot: { newRoot: { p: '$price' } } }), [{ p: 20 }]);
  assert.equal((await run({ $unionWith: 'items' }, { $count: 'n' }))[0]!['n'], 6);
  assert.deepEqual(await run({ $match: { _id: 2 } }, { $unset: ['at', 'tags', 'item'] }), [{ _id: 2, price: 20, quantity: 1 }]);
  assert.deepEqual(await db.aggregate([{ $documents: [{ a: 1 }, { a: 2 }] }, { $match: { a: { $gt: 1 } } }]).toArray(), [{ a: 2 }]);
});

test('$out replaces a collection, $merge adds to one', async () => {
  const out = db.collection('out');
  await out.insertOne({ _id: 'old' as never });
  await run({ $match: { item: 'a' } }, { $project: { price: 1 } }, { $out: 'out' });
  assert.deepEqual(await out.find().sort({ _id: 1 }).toArray(), [{ _id: 1, price: 10 }, { _id: 3, price: 5 }]);
  await run({ $match: { _id: { $in: [2, 3] } } }, { $project: { quantity: 1 } }, { $merge: { into: 'out', whenMatched: 'merge', whenNotMatched: 'insert' } });
  assert.deepEqual(await out.find().sort({ _id: 1 }).toArray(), [{ _id: 1, price: 10 }, { _id: 2, quantity: 1 }, { _id: 3, price: 5, quantity: 10 }]);
});

const EXPRESSIONS: [string, unknown, unknown][] = [
  ['$cond', { $cond: [{ $gt: [2, 1] }, 'yes', 'no'] }, 'yes'],
  // oxlint-disable-next-line unicorn/no-thenable -- the operator's own word
  ['$switch', { $switch: { branches: [{ case: { $eq: [1, 2] }, then: 'a' }], default: 'b' } }, 'b'],
  ['$ifNull', { $ifNull: ['$missing', null, 7] }, 7],
  ['$let', { $let: { vars: { a: 2, b: 3 }, in: { $multiply: ['$$a', '$$b'] } } }, 6],
  ['$map', { $map: { input: [1, 2], as: 'n', in: { $add: ['$$n', 1] } } }, [2, 3]],
  ['$filter', { $filter: { input: [1, 2, 3], as: 'n', cond: { $gte: ['$$n', 2] }, limit: 1 } }, [2]],
  ['$reduce', { $reduce: { input: ['a', 'b'], initialValue: '', in: { $concat: ['$$value', '$$this'] } } }, 'ab'],
  ['$arrayElemAt from the end', { $arrayElemAt: [[1, 2, 3], -1] }, 3],
  ['$slice', { $slice: [[1, 2, 3, 4], 1, 2] }, [2, 3]],
  ['$size, $in and $isArray', [{ $size: [[1, 2]] }, { $in: [2, [1, 2]] }, { $isArray: [[1]] }], [2, true, true]],
  ['$indexOfArray', { $indexOfArray: [['a', 'b'], 'b'] }, 1],
  ['$range', { $range: [0, 10, 4] }, [0, 4, 8]],
  ['$reverseArray and $concatArrays', { $reverseArray: { $concatArrays: [[1], [2, 3]] } }, [3, 2, 1]],
  ['$zip', { $zip: { inputs: [[1, 2], ['a', 'b']] } }, [[1, 'a'], [2, 'b']]],
  ['$sortArray', { $sortArray: { input: [{ a: 2 }, { a: 1 }], sortBy: { a: 1 } } }, [{ a: 1 }, { a: 2 }]],
  ['$objectToArray', { $objectToArray: { a: 1 } }, [{ k: 'a', v: 1 }]],
  ['$arrayToObject', { $arrayToObject: [[['a', 1], ['b', 2]]] }, { a: 1, b: 2 }],
  ['$mergeObjects', { $mergeObjects: [{ a: 1 }, null, { b: 2 }] }, { a: 1, b: 2 }],
  ['$getField and $setField', { $getField: { field: 'x.y', input: { $setField: { field: 'x.y', input: {}, value: 5 } } } }, 5],
  ['sets', [{ $setIsSubset: [[1], [1, 2]] }, { $setEquals: [[1, 2], [2, 1, 1]] }, { $setDifference: [[1, 2], [2]] }], [true, true, [1]]],
  ['text', [{ $toUpper: 'abc' }, { $toLower: 'ABC' }, { $substrCP: ['hello', 1, 3] }, { $strLenCP: 'né' }, { $strLenBytes: 'né' }], ['ABC', 'abc', 'ell', 2, 3]],
  ['$split, $trim and $replaceAll', [{ $split: ['a-b', '-'] }, { $trim: { input: '  a ' } }, { $replaceAll: { input: 'aa', find: 'a', replacement: 'b' } }], [['a', 'b'], 'a', 'bb']],
  ['$regexMatch', { $regexMatch: { input: 'Hello', regex: '^h', options: 'i' } }, true],
  ['$indexOfCP', { $indexOfCP: ['hello', 'l'] }, 2],
  ['arithmetic', [{ $add: [1, 2] }, { $subtract: [5, 3] }, { $divide: [7, 2] }, { $mod: [7, 4] }, { $abs: -3 }, { $pow: [2, 10] }], [3, 2, 3.5, 3, 3, 1024]],
  ['rounding', [{ $ceil: 1.2 }, { $floor: -1.2 }, { $round: [2.5] }, { $round: [5.4567, 2] }, { $trunc: -1.7 }], [2, -2, 2, 5.46, -1]],
  ['arithmetic with null', [{ $add: [1, null] }, { $multiply: ['$missing', 2] }], [null, null]],
  ['dates', [{ $subtract: [new Date(5000), new Date(2000)] }, { $add: [new Date(0), 1000] }], [3000, new Date(1000)]],
  ['date parts', [{ $year: new Date('2024-02-29T12:34:56.789Z') }, { $month: new Date('2024-02-29T12:34:56.789Z') }, { $dayOfMonth: new Date('2024-02-29T12:34:56.789Z') }, { $hour: new Date('2024-02-29T12:34:56.789Z') }, { $millisecond: new Date('2024-02-29T12:34:56.789Z') }], [2024, 2, 29, 12, 789]],
  ['$dateToString', { $dateToString: { date: new Date('2024-02-29T12:34:56.789Z'), format: '%Y-%m-%dT%H:%M' } }, '2024-02-29T12:34'],
  ['$dateTrunc and $dateAdd', [{ $dateTrunc: { date: new Date('2024-02-29T12:34:56Z'), unit: 'hour' } }, { $dateAdd: { startDate: new Date('2024-02-28T00:00:00Z'), unit: 'day', amount: 1 } }], [new Date('2024-02-29T12:00:00Z'), new Date('2024-02-29T00:00:00Z')]],
  ['conversions', [{ $toInt: '12' }, { $toDouble: '1.5' }, { $toString: true }, { $toBool: 0 }, { $toDate: '2024-01-01T00:00:00Z' }], [12, 1.5, 'true', false, new Date('2024-01-01T00:00:00Z')]],
  ['$convert with a way out', { $convert: { input: 'x', to: 'int', onError: -1 } }, -1],
  ['$type', [{ $type: 'x' }, { $type: '$missing' }, { $type: [[1]] }], ['string', 'missing', 'array']],
  ['comparisons across types', [{ $gt: ['a', 1] }, { $lt: [null, 0] }, { $eq: [1, '1'] }, { $cmp: [2, 1] }], [true, true, false, 1]],
  ['$and, $or, $not', [{ $and: [1, 'x'] }, { $or: [0, null] }, { $not: [0] }], [true, false, true]],
  ['accumulators as expressions', [{ $sum: [1, 2, 'x'] }, { $avg: [[1, 2]] }, { $max: [1, 5] }, { $min: [null, 2] }], [3, 1.5, 5, 2]],
  ['a path through an array', '$tags', ['x', 'y']],
];

for (const [name, expression, expected] of EXPRESSIONS) {
  test(`expression: ${name}`, async () => {
    const [doc] = await run({ $match: { _id: 1 } }, { $project: { _id: 0, value: expression } });
    assert.deepEqual(doc!['value'], expected);
  });
}

test('numeric types survive stages and arithmetic', async () => {
  const typed = db.collection('typed');
  await typed.insertOne({ i: new Int32(1), d: new Double(1), l: Long.fromNumber(1), m: Decimal128.fromString('1.50') });
  const [doc] = await typed.aggregate([{ $sort: { _id: 1 } }, { $addFields: { id: { $add: ['$i', '$d'] }, il: { $add: ['$i', '$l'] }, im: { $multiply: ['$m', '$i'] }, ii: { $sum: ['$i', '$i'] } } }], { promoteValues: false }).toArray();
  const types = Object.fromEntries(Object.entries(doc!).map(([name, value]) => [name, (value as { _bsontype: string })._bsontype]));
  assert.deepEqual(types, { _id: 'ObjectId', i: 'Int32', d: 'Double', l: 'Long', m: 'Decimal128', id: 'Double', il: 'Long', im: 'Decimal128', ii: 'Int32' });
  assert.equal(String(doc!['im']), '1.50');
});

test('stages that are not known or not well formed are refused by code', async () => {
  await assert.rejects(run({ $nope: 1 }), { code: 40324 });
  await assert.rejects(run({ $match: { a: 1 }, $limit: 1 }), { code: 40323 });
  await assert.rejects(run({ $limit: 0 }), { code: 15958 });
  await assert.rejects(run({ $group: { n: { $sum: 1 } } }), { code: 15955 });
  await assert.rejects(run({ $project: { a: { $nope: 1 } } }), { code: 31325 });
  await assert.rejects(run({ $project: { a: '$$nope' } }), { code: 17276 });
  await assert.rejects(run({ $sort: {} }), { code: 15976 });
});

test('the first stages use an index', async () => {
  await sales.createIndex({ item: 1, price: 1 });
  const explained = await sales.aggregate([{ $match: { item: 'a' } }, { $sort: { price: 1 } }]).explain();
  assert.match(JSON.stringify(explained), /"indexName":"item_1_price_1"/);
});
