/** What a herd is compared with: one Agenda job per post, and BullMQ on Redis; both run the same handler. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { MongoBackend } from '@agendajs/mongo-backend';
import { Agenda } from 'agenda';
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import type { Db } from 'mongodb';
import { waitUntil } from '../support/wait-until.js';
import { measureHerd, type HerdFigures, type HerdMeasure } from './herd-measure.js';

/** What every contestant does for a post: the call of a network that answers after `callMs`. */
export function callNetwork(callMs: number): Promise<void> {
  return callMs === 0 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, callMs));
}

export interface HerdOrder {
  posts: number;
  accounts: number;
  callMs: number;
  /** Of the database or of Redis. */
  serverPid: number;
}

/** Where all of them work. */
export const DATABASE = 'signpost_herd';

/** Handled before anything is measured: a service has been running for a while when a herd comes. After fewer of them V8 is still compiling, whoever competes. */
export const WARM_UP = 3_000;

/** Calls under way at once, of every contestant. */
export const AT_ONCE = 100;

/** The obvious way: a job per post; what came of it is written into the same database, as BullMQ keeps what a job returns. */
export async function agendaHerd(db: Db, { posts, callMs, serverPid }: HerdOrder): Promise<HerdFigures> {
  const agenda = new Agenda({ backend: new MongoBackend({ mongo: db, collection: 'jobs' }), maxConcurrency: AT_ONCE, defaultConcurrency: AT_ONCE });
  await agenda.ready;
  let measure: HerdMeasure | null = null;
  let done = 0;
  // oxlint-disable-next-line typescript/no-misused-promises -- Agenda's other overload takes callbacks; this one awaits the promise
  agenda.define<{ i: number }>('publish', async (job) => {
    measure?.started();
    await callNetwork(callMs);
    await db.collection<{ _id: string }>('outcomes').insertOne({ _id: `${job.attrs.data.i}` });
    done += 1;
  });
  const schedule = async (from: number, count: number, at: Date): Promise<void> => {
    for (let i = 0; i < count; i += 200) await Promise.all(Array.from({ length: Math.min(200, count - i) }, (_, k) => agenda.schedule(at, 'publish', { i: from + i + k })));
  };
  await agenda.start();
  await schedule(0, WARM_UP, new Date());
  await waitUntil('the warm-up to be done', () => done === WARM_UP, { timeoutMs: 120_000 });
  // Agenda keeps what is done, and would search through it for each job.
  await waitUntil('the last jobs to be written back', async () => (await db.collection('jobs').countDocuments({ lockedAt: { $ne: null } })) === 0);
  await db.collection('jobs').deleteMany({});
  const due = new Date(Date.now() + 2_000 + posts);
  await schedule(WARM_UP, posts, due);
  measure = measureHerd(posts, due, serverPid);
  await waitUntil('the jobs to be done', () => done === WARM_UP + posts, { timeoutMs: 240_000 });
  return measure.finish();
}

/** One delayed job per post; Redis writes its log to disk every second. */
export async function bullmqHerd(redisPort: number, { posts, callMs, serverPid }: HerdOrder): Promise<HerdFigures> {
  const connection = { host: '127.0.0.1', port: redisPort, maxRetriesPerRequest: null };
  const queue = new Queue('publish', { connection });
  const add = async (count: number, at: Date): Promise<void> => {
    for (let i = 0; i < count; i += 500) await queue.addBulk(Array.from({ length: Math.min(500, count - i) }, (_, k) => ({ name: 'publish', data: { i: i + k }, opts: { delay: Math.max(0, at.getTime() - Date.now()) } })));
  };
  let measure: HerdMeasure | null = null;
  let done = 0;
  const worker = new Worker('publish', async () => {
    measure?.started();
    await callNetwork(callMs);
    return { published: true };
  }, { connection, concurrency: AT_ONCE });
  worker.on('completed', () => (done += 1));
  await add(WARM_UP, new Date());
  await waitUntil('the warm-up to be done', () => done === WARM_UP, { timeoutMs: 120_000 });
  const due = new Date(Date.now() + 1_500 + posts / 5);
  await add(posts, due);
  measure = measureHerd(posts, due, serverPid);
  await waitUntil('the jobs to be done', () => done === WARM_UP + posts, { timeoutMs: 240_000 });
  return measure.finish();
}

export interface RedisServer {
  port: number;
  pid: number;
  stop(): Promise<void>;
}

/** Starts `redis-server` with a log that is written to disk every second. @returns null where there is none */
export async function startRedis(folder: string, port: number): Promise<RedisServer | null> {
  const child = spawn('redis-server', ['--bind', '127.0.0.1', '--port', String(port), '--dir', folder, '--appendonly', 'yes', '--appendfsync', 'everysec', '--save', '', '--loglevel', 'warning'], { stdio: 'ignore' });
  const failed = await Promise.race([once(child, 'error'), once(child, 'spawn').then(() => null)]).catch(() => 'absent');
  if (failed !== null) return null;
  const client = new Redis({ host: '127.0.0.1', port, lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 });
  client.on('error', () => undefined);
  await waitUntil('redis-server to answer', async () => {
    if (client.status !== 'ready') await client.connect().catch(() => undefined);
    return client.status === 'ready';
  }, { timeoutMs: 10_000, everyMs: 50 }).finally(() => client.disconnect());
  return {
    port,
    pid: child.pid ?? -1,
    async stop() {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}
