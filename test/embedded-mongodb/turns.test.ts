import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Db } from 'mongodb';
import { connect, openDatabase } from './with-server.js';

const MANY = 6_000;

/** How many small commands of another client were answered while one client's work went on. */
async function othersDuring(db: Db, work: () => Promise<unknown>): Promise<number> {
  const small = (await connect()).db(db.databaseName).collection<{ _id: number; n: number }>('small');
  await small.updateOne({ _id: 1 }, { $set: { n: 0 } }, { upsert: true });
  let busy = true;
  let answered = 0;
  const others = (async () => {
    while (busy) {
      await small.updateOne({ _id: 1 }, { $inc: { n: 1 } });
      answered++;
    }
  })();
  await work();
  busy = false;
  await others;
  return answered;
}

test('while one client merges, buckets and goes over windows of many documents, another is answered all the time', async () => {
  const db = await openDatabase();
  const many = db.collection('many');
  await many.insertMany(Array.from({ length: MANY }, (_, n) => ({ n, r: (n * 7919) % MANY, text: 'x'.repeat(200) })));
  const works: [string, () => Promise<unknown>][] = [
    ['$merge into itself', () => many.aggregate([{ $set: { z: 1 } }, { $merge: { into: 'many' } }]).toArray()],
    ['$bucketAuto', () => many.aggregate([{ $bucketAuto: { groupBy: '$r', buckets: 5 } }]).toArray()],
    ['$setWindowFields', () => many.aggregate([{ $setWindowFields: { sortBy: { r: 1 }, output: { rank: { $rank: {} }, sum: { $sum: '$n' }, near: { $avg: '$n', window: { documents: [-3, 3] } } } } }, { $match: { n: -1 } }]).toArray()],
  ];
  for (const [name, work] of works) {
    const answered = await othersDuring(db, work);
    assert.ok(answered >= 4, `${name}: the other client was answered ${answered} times`);
  }
});
