import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { MongoClient } from 'mongodb';
import { startEmbeddedMongodb } from '../../src/embedded-mongodb/start.js';
import { newDataDir } from './with-server.js';

/**
 * A server whose files may not grow beyond a few megabytes: to it the disk looks full. (It sees no end of the disk come near, so its documents are to be
 * small here: LMDB's text about a refused write with large ones overruns its buffer.)
 */
async function startLimited(dataDir: string): Promise<{ uri: string; stop(): Promise<void> }> {
  const script = fileURLToPath(new URL('./lifecycle-parent.js', import.meta.url));
  const parent = spawn('sh', ['-c', 'ulimit -f 8192; exec "$0" "$@"', process.execPath, script, dataDir], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
  const { uri } = await new Promise<{ uri: string }>((resolve) => parent.once('message', (message) => resolve(message as { uri: string })));
  const ended = new Promise<void>((resolve) => parent.once('exit', () => resolve()));
  return { uri, stop: async () => {
    parent.kill();
    await ended;
  } };
}

test('when the disk is full writes fail, reads go on, and nothing is damaged', { skip: process.platform === 'win32' }, async () => {
  const dataDir = newDataDir();
  const limited = await startLimited(dataDir);
  const client = await new MongoClient(limited.uri).connect();
  const posts = client.db('a').collection<{ _id: number; k: number; body: string }>('posts');
  await posts.createIndex({ k: 1 }, { unique: true });
  let acknowledged = 0;
  const fill = async (): Promise<void> => {
    for (let i = 0; i < 5000; i++) {
      await posts.insertOne({ _id: i, k: i, body: 'x'.repeat(4000) });
      acknowledged++;
    }
  };
  await assert.rejects(fill(), (error: { code: number; message: string }) => [8, 14031].includes(error.code) && /could not be stored|disk/.test(error.message));
  assert.ok(acknowledged > 100);
  assert.equal(await posts.countDocuments({ k: { $gte: 0 } }), acknowledged);
  assert.equal((await posts.findOne({ _id: 7 }))?.k, 7);
  let trying = true;
  const refused: unknown[] = [];
  const others = Promise.all([1, 2, 3].map(async (n) => {
    const many = Array.from({ length: 400 }, (_, i) => ({ _id: -(1_000 * n + i), k: -(1_000 * n + i), body: 'x'.repeat(3_900) }));
    while (trying) await posts.insertMany(many).catch((error: unknown) => refused.push(error));
  }));
  for (let i = 0; i < 3; i++) assert.equal((await posts.find({ k: { $gte: 0 } }, { projection: { body: 0 } }).sort({ body: 1, k: -1 }).toArray()).length, acknowledged, 'reads do not fail with the writes beside them');
  trying = false;
  await others;
  assert.ok(refused.length > 0);
  assert.equal((await client.db('a').command({ validate: 'posts' }))['valid'], true);
  await client.close();
  await limited.stop();
  const server = await startEmbeddedMongodb({ dataDir });
  const again = await new MongoClient(server.uri).connect();
  assert.equal(await again.db('a').collection('posts').countDocuments({ k: { $gte: 0 } }), acknowledged);
  await again.db('a').collection('posts').insertOne({ k: -1 });
  assert.equal((await again.db('a').command({ validate: 'posts' }))['valid'], true);
  await again.close();
  await server.stop();
});
