/** Deliveries per second beside the bare HTTP client, what one dead endpoint does to the others, and how a backlog drains. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { MongoClient, type Db } from 'mongodb';
import { composeWebhooks, webhookIndexes, type Webhooks } from '../../src/compose-webhooks.js';
import { ensureIndexes } from '../../src/db/database.js';
import { startEmbeddedMongodb } from '../../src/embedded-mongodb/start.js';
import type { Actor } from '../../src/lib/actor.js';
import { createHttpClient } from '../../src/lib/http-client.js';
import { newId } from '../../src/lib/ids.js';
import { createLogger } from '../../src/lib/logger.js';
import { createNotifier } from '../../src/lib/notifier.js';
import { createSeal } from '../../src/lib/seal.js';
import type { PostEventInput } from '../../src/webhooks/event.js';
import { WORKER_LIMITS } from '../../src/webhooks/delivery-worker.js';
import { newSecret, signatureHeaders } from '../../src/webhooks/signing.js';
import { temporaryFolder } from '../support/program.js';
import { postEvent } from '../webhooks/rig.js';
import { atLeast, atMost, type Bench, type BenchResult } from './bench.js';
import type { ReceiverOrder, ReceiverReport } from './webhook-receiver.js';

const EVENTS = 20_000;
/** Delivered and posted barely in so many turns. */
const PARTS = 5;
const BARE_IN_FLIGHT = 50;
/** Events arrive in batches, as the posts' outbox relays them. */
const BATCH = 200;
/** At most this many events are recorded and not yet delivered. */
const AHEAD = 2_000;
const BACKLOG = 10_000;
const ENDPOINTS = 20;
const STEADY_PER_SECOND = 200;
/** With and without traffic to the dead endpoint in turns, so that what else the machine does meets both. */
const STEADY_SECONDS = 5;
const TURNS = 3;

export const bench: Bench = {
  name: 'webhooks',
  description: `${EVENTS} events delivered to 1 and to 200 endpoints, beside the bare HTTP client; goals: 30 % of it, healthy endpoints undisturbed by a dead one, caps held and probes spread in a backlog`,
  run,
};

interface World extends Running {
  db: Db;
  receiver: Receiver;
}

interface Running {
  webhooks: Webhooks;
  sweep(): Promise<void>;
  /** Moves the clock that the webhooks go by. */
  advance(ms: number): void;
}

async function run(): Promise<BenchResult> {
  const folder = await temporaryFolder();
  const database = process.env.MONGODB_URI ? null : await startEmbeddedMongodb({ dataDir: `${folder.path}/mongodb` });
  const client = await MongoClient.connect(database?.uri ?? process.env.MONGODB_URI ?? '');
  const db = client.db(`signpost_bench_${process.pid}`);
  const receiver = await startReceiver();
  const running = await start(db);
  const { webhooks } = running;
  const world = { db, receiver, ...running };
  try {
    const say = (what: string, value: number): number => {
      console.log(`  ${what} ${value.toFixed(1)}`);
      return value;
    };
    // Both sides warm: what counts is how a process goes that runs for months.
    await ceiling(receiver, EVENTS / 4);
    await deliver(world, await actorsWithEndpoints(webhooks, 20, (i) => `${receiver.url}/warm/${i}`), EVENTS / 4);
    const one = await compare(world, 1);
    say('the bare client, per second:', one.bare);
    say('delivered to 1 endpoint, per second:', one.delivered);
    const many = await compare(world, 200);
    say('the bare client again, per second:', many.bare);
    say('delivered to 200 endpoints, per second:', many.delivered);
    const stored = await storedCompletely(db);
    const starvation = await starve(world);
    say('p99 of healthy endpoints without a dead one, ms:', starvation.without);
    say('and with one:', starvation.with);
    const backlog = await drain(world);
    return {
      figures: {
        bareClientPerSecond: one.bare, oneEndpointPerSecond: one.delivered, bareClientPerSecondAgain: many.bare, manyEndpointsPerSecond: many.delivered,
        healthyP99MsWithoutDead: starvation.without, healthyP99MsWithDead: starvation.with, backlogPerSecond: backlog.perSecond, probesOverSeconds: backlog.probesOverMs / 1_000,
      },
      goals: {
        shareOfBareClientOneEndpoint: atLeast(0.3, one.delivered / one.bare), shareOfBareClientManyEndpoints: atLeast(0.3, many.delivered / many.bare), everyAttemptStored: atLeast(1, stored / (2 * EVENTS + EVENTS / 4)),
        healthyP99Ratio: atMost(1.2, starvation.with / starvation.without),
        backlogMostAtOncePerEndpoint: atMost(2 * WORKER_LIMITS.perEndpoint, backlog.mostAtOnce), backlogMostAtOncePerHost: atMost(WORKER_LIMITS.perHost, backlog.mostInAll), backlogRequestsWhileDown: atMost(ENDPOINTS * WORKER_LIMITS.perEndpoint * 2, backlog.whileDown),
        backlogProbesOverSeconds: atLeast(3, backlog.probesOverMs / 1_000),
      },
    };
  } finally {
    await webhooks.stop(1_000);
    await receiver.stop();
    await db.dropDatabase();
    await client.close();
    await database?.stop();
    await folder.remove();
  }
}

async function start(db: Db): Promise<Running> {
  await ensureIndexes(db, webhookIndexes);
  const sweeps: (() => Promise<void>)[] = [];
  let offsetMs = 0;
  const webhooks = composeWebhooks({
    db, seal: createSeal(Buffer.alloc(32, 1)), clock: { now: () => new Date(Date.now() + offsetMs) }, log: createLogger('silent'), notifier: createNotifier(), userAgent: 'Signpost/bench',
    publicUrl: () => 'http://127.0.0.1:9', localUrl: () => 'http://127.0.0.1:9', loopbackOnly: true, refId: async () => '',
    jobs: { handle: () => undefined, sweep: (_name, _everyMs, handler) => void sweeps.push(handler), wakeAt: async () => undefined },
  });
  return { webhooks, sweep: async () => void (await Promise.all(sweeps.map((handler) => handler()))), advance: (ms) => void (offsetMs += ms) };
}

/** The bare client and Signpost in turns, so that what else the machine does meets both. */
async function compare(world: World, endpoints: number): Promise<{ bare: number; delivered: number }> {
  const actors = await actorsWithEndpoints(world.webhooks, endpoints, (i) => `${world.receiver.url}/many/${i}`);
  let bareMs = 0;
  let deliveredMs = 0;
  for (let part = 0; part < PARTS; part++) {
    bareMs += await ceiling(world.receiver, EVENTS / PARTS);
    deliveredMs += await deliver(world, actors, EVENTS / PARTS);
  }
  return { bare: EVENTS / (bareMs / 1_000), delivered: EVENTS / (deliveredMs / 1_000) };
}

/** The same client posting the same signed body, no database. @returns ms */
async function ceiling(receiver: Receiver, count: number): Promise<number> {
  const http = createHttpClient({ userAgent: 'Signpost/bench' });
  const body = Buffer.from(JSON.stringify({ action: 'scheduled', id: 'x'.repeat(400) }));
  const secrets = [newSecret()];
  const send = async (i: number): Promise<void> => {
    const headers = { 'content-type': 'application/json', ...signatureHeaders({ body, id: `evt_${i}`, timestamp: 1, secrets, deliveryId: `dlv_${i}`, attempt: 1 }) };
    await http.post(`${receiver.url}/ceiling`, body, { headers, timeout: 15_000, sample: { keepBytes: 4_096, readBytes: 16_384 }, validateStatus: null, transformRequest: [(data: unknown) => data], transformResponse: [(data: unknown) => data] });
  };
  // Its connections are made before the clock starts.
  await Promise.all(Array.from({ length: BARE_IN_FLIGHT }, (_, i) => send(i)));
  let next = 0;
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: BARE_IN_FLIGHT }, async () => {
    while (next < count) await send(next++);
  }));
  const tookMs = performance.now() - startedAt;
  await http.close();
  await receiver.ask('report');
  return tookMs;
}

async function actorsWithEndpoints(webhooks: Webhooks, count: number, urlOf: (i: number) => string): Promise<Actor[]> {
  const actors = Array.from({ length: count }, (): Actor => ({ accountId: newId('acc'), profileId: newId('prf'), userId: null, isAdministrator: false, timeZone: 'UTC', via: 'api' }));
  for (const [i, actor] of actors.entries()) await webhooks.endpoints.create(actor, { name: '', url: urlOf(i), style: 'ayrshare', events: ['scheduled'] });
  return actors;
}

/** @returns ms until the last outcome is stored */
async function deliver({ db, webhooks, receiver }: World, actors: Actor[], count: number): Promise<number> {
  const events = Array.from({ length: count }, (_, i) => postEvent(actors[i % actors.length]!));
  const startedAt = performance.now();
  for (let i = 0; i < count; i += BATCH) {
    await webhooks.record(events.slice(i, i + BATCH));
    while (i + BATCH - (await receiver.count()) > AHEAD) await pause(5);
  }
  while ((await receiver.count()) < count) await pause(10);
  // What has no outcome yet is leased or due.
  const deliveries = db.collection('webhook_deliveries');
  while ((await deliveries.findOne({ $or: [{ 'lease.until': { $exists: true } }, { dueAt: { $exists: true } }] }, { projection: { _id: 1 } })) !== null) await pause(10);
  const tookMs = performance.now() - startedAt;
  const { requests } = await receiver.ask('report');
  if (requests !== count) throw new Error(`${count} deliveries were due, ${requests} came`);
  return tookMs;
}

/** @returns how many deliveries have their one attempt stored, with its answer */
async function storedCompletely(db: Db): Promise<number> {
  return db.collection('webhook_deliveries').countDocuments({ state: 'delivered', attemptCount: 1, 'attempts.0.status': 200, 'attempts.0.responseBody': 'ok' });
}

/** 20 endpoints at a steady rate, the last with 40 % of the traffic: in turns one that answers and one that never does. */
async function starve({ webhooks, receiver }: World): Promise<{ without: number; with: number }> {
  const actors = await actorsWithEndpoints(webhooks, ENDPOINTS - 1, (i) => `${receiver.url}/healthy/${i}`);
  const [alive, dead] = await actorsWithEndpoints(webhooks, 2, (i) => `${receiver.url}/${i === 0 ? 'alive' : 'dead'}`);
  const steady = async (last: Actor): Promise<number[]> => {
    const recordedAt = new Map<string, number>();
    const begun = performance.now();
    for (let i = 0; i < STEADY_PER_SECOND * STEADY_SECONDS; i++) {
      const due = begun + (i * 1_000) / STEADY_PER_SECOND;
      if (performance.now() < due) await pause(due - performance.now());
      const toLast = i % 10 < 4;
      const event: PostEventInput = postEvent(toLast ? last : actors[i % actors.length]!);
      if (!toLast) recordedAt.set(event.id, performance.timeOrigin + performance.now());
      void webhooks.record([event]);
    }
    await pause(1_500);
    const { arrivals } = await receiver.ask('report');
    const waits = arrivals.flatMap(([id, at]) => (recordedAt.has(id) ? [at - recordedAt.get(id)!] : []));
    if (waits.length < recordedAt.size) throw new Error(`${recordedAt.size - waits.length} webhooks to healthy endpoints did not come in time`);
    return waits;
  };
  await steady(alive!);
  const without: number[] = [];
  const withDead: number[] = [];
  for (let turn = 0; turn < TURNS; turn++) {
    without.push(...(await steady(alive!)));
    withDead.push(...(await steady(dead!)));
  }
  return { without: p99(without), with: p99(withDead) };
}

function p99(waits: number[]): number {
  return waits.sort((a, b) => a - b)[Math.floor(waits.length * 0.99)]!;
}

/** 10,000 deliveries of 20 endpoints are due at once: first their receiver is down, then it is back. */
async function drain({ db, webhooks, receiver, sweep, advance }: World): Promise<{ perSecond: number; mostAtOnce: number; mostInAll: number; whileDown: number; probesOverMs: number }> {
  const actors = await actorsWithEndpoints(webhooks, ENDPOINTS, (i) => `${receiver.url}/backlog/${i}`);
  const endpoints = async () => (await Promise.all(actors.map((actor) => webhooks.endpoints.list(actor)))).flat();
  const there = await endpoints();
  const deliveries = db.collection('webhook_deliveries');
  const template = await deliveries.findOne({ state: 'delivered' });
  const due = new Date();
  const docs = Array.from({ length: BACKLOG }, (_, i) => {
    const endpoint = there[i % ENDPOINTS]!;
    return { ...template, _id: newId('dlv') as never, accountId: endpoint.accountId, endpointId: endpoint.id, endpointUrl: endpoint.url, eventId: newId('evt'), state: 'waiting', dueFor: endpoint.id, dueAt: due, tries: 1, attemptCount: 1, attempts: [] };
  });
  await deliveries.insertMany(docs);
  await receiver.order('down');
  await receiver.ask('report');
  await sweep();
  while ((await endpoints()).some(({ parkedUntil }) => parkedUntil === null)) await pause(50);
  const probes = (await endpoints()).map(({ parkedUntil }) => parkedUntil!.getTime()).sort((a, b) => a - b);
  const { requests: whileDown } = await receiver.ask('report');

  await receiver.order('up');
  const startedAt = performance.now();
  // All parked times are over, and so are the waits of what failed in the outage.
  advance(10 * 60_000);
  while ((await receiver.count()) < BACKLOG) {
    await sweep();
    for (let i = 0; i < 50 && (await receiver.count()) < BACKLOG; i++) await pause(20);
  }
  const perSecond = BACKLOG / ((performance.now() - startedAt) / 1_000);
  const { mostAtOnce, mostInAll } = await receiver.ask('report');
  return { perSecond, mostAtOnce, mostInAll, whileDown, probesOverMs: probes.at(-1)! - probes[0]! };
}

interface Receiver {
  url: string;
  ask(order: 'report'): Promise<ReceiverReport>;
  order(order: 'down' | 'up'): Promise<void>;
  /** Requests since the last report; cheap. */
  count(): Promise<number>;
  stop(): Promise<void>;
}

async function startReceiver(): Promise<Receiver> {
  const child: ChildProcess = fork(path.join(import.meta.dirname, 'webhook-receiver.js'), { stdio: 'inherit', execArgv: [] });
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  const talk = async <T>(order: ReceiverOrder): Promise<T> => {
    const answered = once(child, 'message');
    child.send(order);
    return ((await answered) as [T])[0];
  };
  return {
    url: `http://127.0.0.1:${port}`,
    ask: async (order) => (await talk<{ report: ReceiverReport }>(order)).report,
    order: async (order) => void (await talk(order)),
    count: async () => (await talk<{ count: number }>('count')).count,
    async stop() {
      child.disconnect();
      await once(child, 'exit');
    },
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
