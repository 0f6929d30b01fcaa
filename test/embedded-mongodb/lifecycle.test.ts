import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { writeFileSync, mkdirSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MongoClient } from 'mongodb';
import { findEmbeddedMongodb, startEmbeddedMongodb } from '../../src/embedded-mongodb/start.js';
import { newDataDir } from './with-server.js';

async function withClient<T>(uri: string, use: (client: MongoClient) => Promise<T>): Promise<T> {
  const client = await new MongoClient(uri).connect();
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error('the condition did not come true in 10 s');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test('it starts on an empty directory, keeps what was written over a restart, and can be found meanwhile', async () => {
  const dataDir = newDataDir();
  const first = await startEmbeddedMongodb({ dataDir });
  assert.deepEqual(await findEmbeddedMongodb(dataDir), { uri: first.uri, port: first.port, pid: first.pid });
  await withClient(first.uri, (client) => client.db('a').collection('c').insertOne({ _id: 1 as never, x: 'kept' }));
  await first.stop();
  assert.equal(isAlive(first.pid), false);
  assert.equal(await findEmbeddedMongodb(dataDir), null);
  const second = await startEmbeddedMongodb({ dataDir });
  assert.deepEqual(await withClient(second.uri, (client) => client.db('a').collection('c').find().toArray()), [{ _id: 1, x: 'kept' }]);
  await second.stop();
});

test('where the machine cannot be told from its last start every commit goes to the disk: all else is the same', async () => {
  const dataDir = newDataDir();
  const first = await startEmbeddedMongodb({ dataDir });
  await withClient(first.uri, (client) => client.db('a').collection('c').insertOne({ _id: 1 as never }));
  await first.stop();
  const second = await startEmbeddedMongodb({ dataDir, flushEachCommit: true });
  const written = await withClient(second.uri, async (client) => {
    const things = client.db('a').collection('c');
    await things.createIndex({ n: 1 });
    await things.insertMany(Array.from({ length: 50 }, (_, n) => ({ n })), { writeConcern: { w: 'majority', journal: true } });
    await things.updateMany({ n: { $gte: 40 } }, { $set: { late: true } });
    const count = await things.countDocuments();
    process.kill(second.pid, 'SIGKILL');
    return count;
  });
  assert.equal(written, 51);
  await until(() => !isAlive(second.pid));
  assert.equal(existsSync(join(dataDir, 'embedded.mdb-sync')), false);
  const third = await startEmbeddedMongodb({ dataDir });
  await withClient(third.uri, async (client) => {
    const things = client.db('a').collection('c');
    assert.deepEqual([await things.countDocuments(), await things.countDocuments({ late: true })], [51, 10]);
    assert.equal((await client.db('a').command({ validate: 'c' }))['valid'], true);
  });
  await third.stop();
});

test('a second server on the directory is refused by name and pid', async () => {
  const dataDir = newDataDir();
  const first = await startEmbeddedMongodb({ dataDir });
  await assert.rejects(startEmbeddedMongodb({ dataDir }), (error: NodeJS.ErrnoException) => {
    assert.equal(error.code, 'DATA_DIR_IN_USE');
    assert.match(error.message, new RegExp(`${dataDir}.*${first.pid}`));
    return true;
  });
  await first.stop();
});

test('of many that start at once exactly one gets the directory', async () => {
  const dataDir = newDataDir();
  const results = await Promise.allSettled(Array.from({ length: 4 }, () => startEmbeddedMongodb({ dataDir })));
  const started = results.filter((result) => result.status === 'fulfilled');
  assert.equal(started.length, 1);
  await started[0]!.value.stop();
});

test('a lock of a dead process, of another process with its pid, or without sense is taken over', async () => {
  const leftovers = [
    JSON.stringify({ pid: 2 ** 22 + 12345, born: null, port: 1 }),
    JSON.stringify({ pid: process.pid, born: 'another boot:1', port: 1 }),
    '{"pid": "nonsense',
  ];
  for (const leftover of leftovers) {
    const dataDir = newDataDir();
    mkdirSync(dataDir, { recursive: true });
    writeFileSync(join(dataDir, 'embedded.lock'), leftover);
    const server = await startEmbeddedMongodb({ dataDir });
    await server.stop();
    assert.equal(existsSync(join(dataDir, 'embedded.lock')), false);
  }
});

test('it ends by itself when its parent is killed, and the next start waits for that', async () => {
  const dataDir = newDataDir();
  const parent = fork(new URL('./lifecycle-parent.js', import.meta.url), [dataDir], { execArgv: [] });
  const { pid, uri } = await new Promise<{ pid: number; uri: string }>((resolve) => parent.once('message', (message) => resolve(message as { pid: number; uri: string })));
  await withClient(uri, (client) => client.db('a').collection('c').insertOne({ x: 1 }, { writeConcern: { w: 'majority', j: true } }));
  parent.kill('SIGKILL');
  const next = await startEmbeddedMongodb({ dataDir });
  await until(() => !isAlive(pid));
  assert.equal(await withClient(next.uri, (client) => client.db('a').collection('c').countDocuments()), 1);
  await next.stop();
});

test('a signal from the terminal does not end it, a killed server is reported', async () => {
  const dataDir = newDataDir();
  let ended: string | null | undefined;
  const server = await startEmbeddedMongodb({ dataDir, onExit: (_code, signal) => (ended = signal) });
  process.kill(server.pid, 'SIGINT');
  process.kill(server.pid, 'SIGTERM');
  await withClient(server.uri, (client) => client.db('a').command({ ping: 1 }));
  process.kill(server.pid, 'SIGKILL');
  await until(() => ended !== undefined);
  assert.equal(ended, 'SIGKILL');
});
