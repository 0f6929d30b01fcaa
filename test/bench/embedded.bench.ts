/** The embedded database's speed: beside a server that stores nothing, over a small and a large collection, and at start. */
import { fork } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MongoClient, type Collection } from 'mongodb';
import { startEmbeddedMongodb } from '../../src/embedded-mongodb/start.js';
import { atLeast, atMost, type Bench } from './bench.js';

const CLIENTS = 50;
const LARGE = Number(process.env['BENCH_LARGE'] ?? 1_000_000);

async function rate(seconds: number, one: (i: number) => Promise<unknown>): Promise<number> {
  let done = 0;
  const until = performance.now() + seconds * 1000;
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      while (performance.now() < until) await one(done++);
    }),
  );
  return done / ((performance.now() - startedAt) / 1000);
}

async function connect(uri: string): Promise<MongoClient> {
  return new MongoClient(uri, { maxPoolSize: CLIENTS, minPoolSize: CLIENTS }).connect();
}

const claim = (claims: Collection): Promise<unknown> =>
  claims.findOneAndUpdate({ state: 'scheduled', dueAt: { $lte: new Date() } }, { $set: { state: 'claimed', by: 'x' } }, { sort: { dueAt: 1 } });

async function singles(uri: string, seed: boolean): Promise<{ inserts: number; claims: number }> {
  const client = await connect(uri);
  const db = client.db('bench');
  const posts = db.collection('singles');
  const claims = db.collection('claims');
  if (seed) {
    await claims.createIndex({ dueAt: 1 }, { partialFilterExpression: { state: 'scheduled' } });
    await claims.insertMany(Array.from({ length: 60_000 }, (_, i) => ({ state: 'scheduled', dueAt: new Date(Date.now() - 1e6 + i), text: 'x'.repeat(200) })));
  }
  const insertOne = (i: number): Promise<unknown> => posts.insertOne({ n: i, text: 'A post of ordinary length, with some words in it', at: new Date(), state: 'scheduled' });
  await rate(1, insertOne);
  const inserts = await rate(4, insertOne);
  await rate(0.5, () => claim(claims));
  const result = { inserts, claims: await rate(4, () => claim(claims)) };
  await client.close();
  return result;
}

async function toy(): Promise<{ inserts: number; claims: number }> {
  const child = fork(new URL('./embedded-toy-server.js', import.meta.url), [], { execArgv: [] });
  const { port } = await new Promise<{ port: number }>((resolve) => child.once('message', (message) => resolve(message as { port: number })));
  const result = await singles(`mongodb://127.0.0.1:${port}/?directConnection=true`, false);
  child.disconnect();
  return result;
}

const scheduled = (i: number, n: number): Record<string, unknown> => ({ state: 'scheduled', dueAt: new Date(Date.now() - 1000 + ((i * 7919) % n)), account: `a${i % 1000}`, text: 'x'.repeat(300) });

async function fill(posts: Collection, n: number): Promise<void> {
  await posts.createIndex({ dueAt: 1 }, { partialFilterExpression: { state: 'scheduled' } });
  for (let i = 0; i < n; i += 10_000) await posts.insertMany(Array.from({ length: Math.min(10_000, n - i) }, (_, j) => scheduled(i + j, n)));
}

/** Claims the 100 earliest due and gives them back; milliseconds per round. */
async function claimHundred(posts: Collection): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < 60; round++) {
    const startedAt = performance.now();
    const due = await posts.find({ state: 'scheduled', dueAt: { $lte: new Date(Date.now() + 1e7) } }, { projection: { _id: 1 } }).sort({ dueAt: 1 }).limit(100).toArray();
    const ids = due.map((doc) => doc._id);
    await posts.updateMany({ _id: { $in: ids }, state: 'scheduled' }, { $set: { state: 'publishing', claim: round } });
    times.push(performance.now() - startedAt);
    await posts.updateMany({ _id: { $in: ids } }, { $set: { state: 'scheduled' }, $unset: { claim: '' } });
  }
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)]!;
}

function memoryMb(pid: number, field: string): number {
  const line = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1] ?? 0) / 1024;
}

/** The longest a ping waits while an index over everything is built. */
async function longestStall(posts: Collection): Promise<number> {
  let longest = 0;
  let building = true;
  const pinging = (async () => {
    while (building) {
      const startedAt = performance.now();
      await posts.findOne({ _id: 1 as never });
      longest = Math.max(longest, performance.now() - startedAt);
    }
  })();
  await posts.createIndex({ account: 1, dueAt: 1 });
  building = false;
  await pinging;
  return longest;
}

export const bench: Bench = {
  name: 'embedded',
  description: 'the embedded database beside a server that stores nothing; claims out of 1,000 and 1,000,000; bulk inserts; start; memory',
  async run() {
    const ceiling = await toy();
    const dataDir = mkdtempSync(join(tmpdir(), 'bench-embedded-'));
    let server = await startEmbeddedMongodb({ dataDir });
    const own = await singles(server.uri, true);
    let client = await connect(server.uri);
    const db = client.db('bench');
    const bulk = Array.from({ length: 10_000 }, (_, i) => ({ n: i, text: 'x'.repeat(460) }));
    await db.collection('bulk').insertMany(bulk.slice(0, 1000).map((doc) => ({ ...doc })));
    const bulkAt = performance.now();
    await db.collection('bulk').insertMany(bulk);
    const bulkPerSecond = 10_000 / ((performance.now() - bulkAt) / 1000);
    await fill(db.collection('small'), 1000);
    await fill(db.collection('large'), LARGE);
    const small = await claimHundred(db.collection('small'));
    const large = await claimHundred(db.collection('large'));
    const stall = await longestStall(db.collection('large'));
    await client.close();
    await server.stop();
    const startAt = performance.now();
    server = await startEmbeddedMongodb({ dataDir });
    client = await connect(server.uri);
    await client.db('bench').collection('large').findOne({ dueAt: { $gt: new Date(0) } });
    const startMs = performance.now() - startAt;
    await claimHundred(client.db('bench').collection('large'));
    const figures = {
      toyInsertsPerSecond: ceiling.inserts, insertsPerSecond: own.inserts, toyClaimsPerSecond: ceiling.claims, claimsPerSecond: own.claims, bulkInsertsPerSecond: bulkPerSecond,
      claim100OfThousandMs: small, claim100OfLargeMs: large, largeDocuments: LARGE, indexBuildStallMs: stall, startMs,
      memoryMb: memoryMb(server.pid, 'VmRSS'), privateMemoryMb: memoryMb(server.pid, 'RssAnon'),
    };
    await client.close();
    await server.stop();
    rmSync(dataDir, { recursive: true, force: true });
    return {
      figures,
      goals: {
        insertsBesideToy: atLeast(0.6, own.inserts / ceiling.inserts),
        claimsBesideToy: atLeast(0.6, own.claims / ceiling.claims),
        bulkInserts: atLeast(15_000, bulkPerSecond),
        claimOfMillionBesideThousand: atMost(1.5, large / small),
        startMs: atMost(2000, startMs),
        memoryMb: atMost(300, figures.memoryMb),
        indexBuildStallMs: atMost(100, stall),
      },
    };
  },
};
