/** Many posts due in one second: the engine with an adapter that answers at once or in 20 ms, beside one Agenda job per post on the same database. */
import { MongoBackend } from '@agendajs/mongo-backend';
import { Agenda } from 'agenda';
import { MongoClient, type Db } from 'mongodb';
import { ensureIndexes } from '../../src/db/database.js';
import { startEmbeddedMongodb } from '../../src/embedded-mongodb/start.js';
import { newId, newPostId, newRefId } from '../../src/lib/ids.js';
import { createLogger } from '../../src/lib/logger.js';
import type { Platform } from '../../src/platforms/platform.js';
import type { Post } from '../../src/posts/post.js';
import { createPostStore, postIndexes } from '../../src/posts/post-store.js';
import { createPublisher } from '../../src/publishing/publisher.js';
import { defaultRetryPolicy } from '../../src/publishing/retry-policy.js';
import { createTurnStore, turnIndexes } from '../../src/publishing/turn-store.js';
import { temporaryFolder } from '../support/program.js';
import { waitUntil } from '../support/wait-until.js';
import { atLeast, type Bench, type BenchResult } from './bench.js';

const POSTS = Number(process.env['POSTS'] ?? 10_000);
const ACCOUNTS = Math.min(1_000, POSTS);

export const bench: Bench = {
  name: 'herd',
  description: `${POSTS} posts due in one second over ${ACCOUNTS} accounts, beside one Agenda job per post; goal: 5 times its posts per second and its p99 lag`,
  run,
};

interface Figures {
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
  cpuSecondsPer1000: number;
}

async function run(): Promise<BenchResult> {
  const folder = await temporaryFolder();
  const database = await startEmbeddedMongodb({ dataDir: `${folder.path}/mongodb` });
  const client = await MongoClient.connect(database.uri);
  try {
    console.log('  BullMQ on Redis is not part of this run: it is not among the project\'s libraries.');
    const atOnce = await engine(client.db('at_once'), 0);
    const in20 = await engine(client.db('in_20_ms'), 20);
    const agenda = await oneJobPerPost(client.db('agenda'));
    return {
      figures: { ...named('engine0ms', atOnce), ...named('engine20ms', in20), ...named('agenda', agenda) },
      goals: {
        postsPerSecondBesideAgenda: atLeast(5, atOnce.perSecond / agenda.perSecond),
        p99LagBesideAgenda: atLeast(5, agenda.p99Ms / Math.max(1, atOnce.p99Ms)),
      },
    };
  } finally {
    await client.close();
    await database.stop();
    await folder.remove();
  }
}

async function engine(db: Db, callMs: number): Promise<Figures> {
  await ensureIndexes(db, [...postIndexes, ...turnIndexes]);
  const posts = createPostStore(db);
  const due = new Date(Date.now() + 6_000);
  for (let i = 0; i < POSTS; i += 500) await Promise.all(Array.from({ length: Math.min(500, POSTS - i) }, (_, k) => posts.insert(newPost(i + k, due), [])));
  const lags: number[] = [];
  let done = 0;
  const platform = {
    id: 'bench', name: 'Bench', publishTimeoutMs: 10_000, limits: {},
    publish: async () => {
      lags.push(Date.now() - due.getTime());
      if (callMs > 0) await new Promise((resolve) => setTimeout(resolve, callMs));
      return { state: 'published', remoteId: 'r', url: null };
    },
  } as unknown as Platform;
  const publisher = createPublisher({
    posts, turnStore: createTurnStore(db), owner: 'bench', policy: defaultRetryPolicy, now: () => new Date(), random: Math.random, log: createLogger('warn'),
    session: async () => ({ platform, credentials: {}, io: {} as never }), markSignedOut: async () => 'signed-out', wakeAt: async () => undefined,
    onSaved: (post) => { if (post.status === 'success') done += 1; },
  });
  await waitUntil('the herd to be near', () => Date.now() >= due.getTime() - 900, { timeoutMs: 60_000 });
  const before = process.cpuUsage();
  publisher.nudge();
  await waitUntil('the herd to be published', () => done === POSTS, { timeoutMs: 240_000 });
  const figures = figuresOf(lags, Date.now() - due.getTime(), process.cpuUsage(before));
  await publisher.stop(1_000);
  await db.dropDatabase();
  return figures;
}

/** The obvious way: the same write of an outcome per post, each in a job of its own. */
async function oneJobPerPost(db: Db): Promise<Figures> {
  const agenda = new Agenda({ backend: new MongoBackend({ mongo: db, collection: 'jobs' }), maxConcurrency: 100, defaultConcurrency: 100 });
  await agenda.ready;
  const due = new Date(Date.now() + 15_000);
  const lags: number[] = [];
  let done = 0;
  // oxlint-disable-next-line typescript/no-misused-promises -- Agenda's other overload takes callbacks; this one awaits the promise
  agenda.define<{ i: number }>('publish', async (job) => {
    lags.push(Date.now() - due.getTime());
    await db.collection<{ _id: string }>('outcomes').insertOne({ _id: `${job.attrs.data.i}` });
    done += 1;
  });
  for (let i = 0; i < POSTS; i += 200) await Promise.all(Array.from({ length: Math.min(200, POSTS - i) }, (_, k) => agenda.schedule(due, 'publish', { i: i + k })));
  const before = process.cpuUsage();
  await agenda.start();
  await waitUntil('the jobs to be done', () => done === POSTS, { timeoutMs: 240_000 });
  const figures = figuresOf(lags, Date.now() - due.getTime(), process.cpuUsage(before));
  await agenda.stop(false);
  return figures;
}

function figuresOf(lags: number[], tookMs: number, cpu: NodeJS.CpuUsage): Figures {
  const sorted = lags.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { perSecond: POSTS / (Math.max(1, tookMs) / 1_000), p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1), cpuSecondsPer1000: (cpu.user + cpu.system) / 1_000 / POSTS };
}

function named(name: string, figures: Figures): Record<string, number> {
  return Object.fromEntries(Object.entries(figures).map(([key, value]) => [`${name}.${key}`, value as number]));
}

function newPost(i: number, due: Date): Post {
  const now = new Date();
  const account = i % ACCOUNTS;
  return {
    id: newPostId(), accountId: `acc_${account}`, profileId: `prf_${account}`, refId: newRefId(), text: `Herd ${i}`, media: [], options: {}, notes: null, type: 'scheduled',
    scheduledAt: due, timeZone: 'UTC', status: 'scheduled', dueAt: due, lease: null, version: 1, sequence: 0, history: [], idempotencyKey: null, requestDigest: null,
    createdAt: now, updatedAt: now, deletedAt: null,
    publications: [{
      id: newId('pub'), channelId: `chn_${account}`, platform: 'bench', channelName: 'me', state: 'pending', dueAt: due, tries: 0, attempts: [], handle: null,
      processingSince: null, remoteId: null, url: null, publishedAt: null, failure: null,
    }],
  };
}
