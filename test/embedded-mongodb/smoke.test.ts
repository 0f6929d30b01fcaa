import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ObjectId } from 'mongodb';
import { openDatabase } from './with-server.js';

test('the driver inserts, finds, updates, counts and deletes', async () => {
  const db = await openDatabase();
  const posts = db.collection('posts');
  const { insertedId } = await posts.insertOne({ text: 'hello', n: 1, at: new Date(5) });
  assert.ok(insertedId instanceof ObjectId);
  assert.deepEqual(await posts.findOne({ text: 'hello' }), { _id: insertedId, text: 'hello', n: 1, at: new Date(5) });
  assert.equal((await posts.updateOne({ _id: insertedId }, { $inc: { n: 2 }, $push: { tags: 'x' } as never })).modifiedCount, 1);
  assert.deepEqual(await posts.findOneAndUpdate({ n: 3 }, { $set: { done: true } }, { returnDocument: 'after', projection: { _id: 0, n: 1, done: 1, tags: 1 } }), { n: 3, done: true, tags: ['x'] });
  assert.equal(await posts.countDocuments({ done: true }), 1);
  await posts.createIndex({ text: 1 }, { unique: true });
  await assert.rejects(posts.insertOne({ text: 'hello' }), { code: 11000, keyPattern: { text: 1 }, keyValue: { text: 'hello' } });
  await posts.insertMany(Array.from({ length: 250 }, (_, i) => ({ text: `t${i}`, i })));
  assert.equal((await posts.find({ i: { $gte: 0 } }).sort({ i: -1 }).toArray()).length, 250);
  assert.deepEqual((await posts.find({ text: { $in: ['t3', 't1'] } }).sort({ text: -1 }).toArray()).map((doc) => doc['i']), [3, 1]);
  assert.equal((await posts.deleteMany({ i: { $lt: 100 } })).deletedCount, 100);
  assert.deepEqual(await posts.aggregate([{ $match: { i: { $gte: 200 } } }, { $group: { _id: null, n: { $sum: 1 } } }]).toArray(), [{ _id: null, n: 50 }]);
});
