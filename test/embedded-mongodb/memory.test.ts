import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { MongoClient } from 'mongodb';
import { startEmbeddedMongodb } from '../../src/embedded-mongodb/start.js';
import { newDataDir } from './with-server.js';

const MIB = 1024 * 1024;

function mappedMib(pid: number): number {
  return Number(/^RssFile:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
}

test('it lets go of the pages that it has read, while clients read and write', { skip: process.platform !== 'linux' }, async () => {
  const dataDir = newDataDir();
  let server = await startEmbeddedMongodb({ dataDir, maxMappedBytes: 70 * MIB });
  let client = await new MongoClient(server.uri).connect();
  let posts = client.db('a').collection('posts');
  for (let from = 0; from < 20_000; from += 2000) await posts.insertMany(Array.from({ length: 2000 }, (_, i) => ({ _id: (from + i) as never, n: from + i, body: 'x'.repeat(4000) })));
  let reading = true;
  let written = 0;
  const writer = (async () => {
    for (; reading; written++) await posts.updateOne({ _id: (written % 20_000) as never }, { $set: { seen: written } }, { writeConcern: { w: 1, j: written % 10 === 0 } });
  })();
  const cursor = posts.find({ n: { $gte: 0 } }, { projection: { n: 1 } }).batchSize(1000);
  let seen = 0;
  let highest = 0;
  for await (const doc of cursor) {
    assert.equal(doc['n'], seen++);
    if (seen % 1000 === 0) highest = Math.max(highest, mappedMib(server.pid));
  }
  assert.equal(seen, 20_000);
  const until = Date.now() + 5000;
  while (mappedMib(server.pid) > 70) {
    assert.ok(Date.now() < until, `${mappedMib(server.pid)} MiB are still mapped, the most were ${highest}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  reading = false;
  await writer;
  assert.equal((await client.db('a').command({ validate: 'posts' }))['valid'], true);
  await client.close();
  await server.stop();
  server = await startEmbeddedMongodb({ dataDir });
  client = await new MongoClient(server.uri).connect();
  posts = client.db('a').collection('posts');
  assert.equal((await posts.findOne({ _id: (written - 1) as never }))?.['seen'], written - 1);
  await client.close();
  await server.stop();
});
