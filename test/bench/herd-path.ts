/** The whole path of a herd over HTTP: simulated network, outcome, and a signed webhook for each post; by the program's own rooms, and by Agenda jobs. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { MongoBackend } from '@agendajs/mongo-backend';
import { Agenda } from 'agenda';
import type { Db } from 'mongodb';
import { channelIndexes, createChannelStore } from '../../src/channels/channel-store.js';
import { createChannelService, type ChannelService } from '../../src/channels/channel-service.js';
import { connectAttemptIndexes, createConnectAttemptStore } from '../../src/channels/connect-attempt-store.js';
import { composePublishing } from '../../src/compose-publishing.js';
import { composeWebhooks, webhookIndexes, type Webhooks } from '../../src/compose-webhooks.js';
import { ensureIndexes } from '../../src/db/database.js';
import { createAgendaJobs, wakeupIndexes } from '../../src/jobs/agenda-jobs.js';
import type { Actor } from '../../src/lib/actor.js';
import { systemClock } from '../../src/lib/clock.js';
import { createHttpClient } from '../../src/lib/http-client.js';
import { createLogger } from '../../src/lib/logger.js';
import { createNotifier } from '../../src/lib/notifier.js';
import { createSeal } from '../../src/lib/seal.js';
import type { Post } from '../../src/posts/post.js';
import { createPostStore, postIndexes, type PostStore } from '../../src/posts/post-store.js';
import { turnIndexes } from '../../src/publishing/turn-store.js';
import { newSecret, signatureHeaders } from '../../src/webhooks/signing.js';
import { newPost } from './herd-engine.js';
import { measureHerd, percentile, type HerdFigures, type HerdMeasure } from './herd-measure.js';
import { AT_ONCE, type HerdOrder } from './herd-references.js';
import type { ReceiverReport } from './webhook-receiver.js';

export interface PathFigures extends HerdFigures {
  /** From the network's acceptance to the webhook's arrival. */
  webhookLagP50Ms: number;
  webhookLagP99Ms: number;
}

export interface PathOrder extends HerdOrder {
  simulatorUrl: string;
}

const PLATFORM = 'mastodon';
const CALLBACK = 'http://127.0.0.1:9/channels/callback';
const log = createLogger('error');
const http = createHttpClient({ userAgent: 'Signpost/bench' });
const seal = createSeal(Buffer.alloc(32, 1));

interface World {
  db: Db;
  order: PathOrder;
  channels: ChannelService;
  store: PostStore;
  receiver: Receiver;
  actors: Actor[];
  /** Of the actor with the same number. */
  channelIds: string[];
}

export async function programPath(db: Db, order: PathOrder): Promise<PathFigures> {
  const world = await settleIn(db, order);
  const jobs = createAgendaJobs({ db, clock: systemClock, log });
  const notifier = createNotifier();
  const webhooks: Webhooks = composeWebhooks({
    db, seal, clock: systemClock, log, jobs, notifier, userAgent: 'Signpost/bench', publicUrl: () => CALLBACK, localUrl: () => CALLBACK, loopbackOnly: true, refId: async () => '', owner: 'bench',
  });
  for (const actor of world.actors) await webhooks.endpoints.create(actor, { name: '', url: `${world.receiver.url}/herd`, style: 'signpost', events: ['post.published'] });
  const acceptedAt = new Map<string, number>();
  composePublishing({
    db, clock: systemClock, log, jobs, notifier, owner: 'bench', publishes: true, requireRoom: async () => undefined,
    channels: { session: async (channelId) => watched(await world.channels.session(channelId), () => measure.started()), markSignedOut: (channelId, problem, refused) => world.channels.markSignedOut(channelId, problem, refused) },
    record: async (events) => {
      for (const event of events) if (event.type === 'post.published') acceptedAt.set(event.id, event.at.getTime());
      await webhooks.record(events);
    },
  });
  const { due, measure } = await writeHerd(world);
  await jobs.start();
  return finish(world, due, measure, acceptedAt);
}

/** A job per post that publishes, stores what came of it and asks for a job that sends the webhook; with the program's own adapters, client and signature. */
export async function agendaPath(db: Db, order: PathOrder): Promise<PathFigures> {
  const world = await settleIn(db, order);
  const secrets = [newSecret()];
  const acceptedAt = new Map<string, number>();
  const posts = db.collection<{ _id: string }>('posts');
  const agenda = new Agenda({ backend: new MongoBackend({ mongo: db, collection: 'jobs' }), maxConcurrency: 2 * AT_ONCE, defaultConcurrency: AT_ONCE });
  await agenda.ready;
  // oxlint-disable-next-line typescript/no-misused-promises -- Agenda's other overload takes callbacks; this one awaits the promise
  agenda.define<{ id: string }>('publish', async (job) => {
    const post = (await world.store.find(job.attrs.data.id))!;
    const session = watched(await world.channels.session(post.publications[0]!.channelId), () => measure.started())!;
    const result = await session.platform.publish({ text: post.text, media: [], options: {}, idempotencyKey: post.id, scheduledAt: post.scheduledAt }, session.credentials, session.io);
    await posts.updateOne({ _id: post.id }, { $set: { status: 'success', result } });
    acceptedAt.set(post.id, Date.now());
    await agenda.now('webhook', { id: post.id });
  });
  // oxlint-disable-next-line typescript/no-misused-promises -- as above
  agenda.define<{ id: string }>('webhook', async (job) => {
    const post = (await world.store.find(job.attrs.data.id))!;
    const body = Buffer.from(JSON.stringify({ type: 'post.published', data: post }));
    const headers = { 'content-type': 'application/json', ...signatureHeaders({ body, id: post.id, timestamp: Math.floor(Date.now() / 1_000), secrets, deliveryId: post.id, attempt: 1 }) };
    const { status } = await http.post(`${world.receiver.url}/herd`, body, { headers, timeout: 15_000, transformRequest: [(data: unknown) => data] });
    await db.collection<{ _id: string; status: number }>('attempts').insertOne({ _id: post.id, status });
  });
  const { due, measure, ids } = await writeHerd(world);
  for (let i = 0; i < ids.length; i += 200) await Promise.all(ids.slice(i, i + 200).map((id) => agenda.schedule(due, 'publish', { id })));
  await agenda.start();
  return finish(world, due, measure, acceptedAt);
}

/** Accounts with a channel each, connected through the simulated network's consent. */
async function settleIn(db: Db, order: PathOrder): Promise<World> {
  await ensureIndexes(db, [...postIndexes, ...turnIndexes, ...wakeupIndexes, ...channelIndexes, ...connectAttemptIndexes, ...webhookIndexes]);
  const nothing = async (): Promise<void> => undefined;
  const channels = createChannelService({
    store: createChannelStore(db), attempts: createConnectAttemptStore(db), seal, http, clock: systemClock, log, simulator: () => ({ callUrl: order.simulatorUrl, browserUrl: order.simulatorUrl }),
    callbackUrl: () => CALLBACK, onConnected: nothing, eventsWritten: () => undefined, profileOf: async () => ({ refId: '', title: '' }),
  });
  const actors = Array.from({ length: order.accounts }, (_, i): Actor => ({ accountId: `acc_${i}`, profileId: `prf_${i}`, userId: `usr_${i}`, isAdministrator: false, timeZone: 'UTC', via: 'page' }));
  const channelIds: string[] = [];
  for (let i = 0; i < actors.length; i += 20) channelIds.push(...await Promise.all(actors.slice(i, i + 20).map((actor, k) => connect(channels, actor, `herd${i + k}`))));
  return { db, order, channels, store: createPostStore(db), receiver: await startReceiver(), actors, channelIds };
}

async function connect(channels: ChannelService, actor: Actor, handle: string): Promise<string> {
  const consent = new URL((await channels.begin(actor, PLATFORM, 'simulated'))!);
  const body = new URLSearchParams([...consent.searchParams, ['newHandle', handle], ['decision', 'allow']]);
  const answer = await fetch(new URL(consent.pathname, consent), { method: 'POST', body, redirect: 'manual' });
  const back = new URL(answer.headers.get('location') ?? 'missing:').searchParams;
  const { channel, problem } = await channels.finish(actor, { state: back.get('state') ?? '', code: back.get('code'), error: back.get('error') });
  if (channel === null) throw new Error(`a channel could not be connected: ${problem}`);
  return channel.id;
}

/** Tells when the network is called. */
function watched<T extends Awaited<ReturnType<ChannelService['session']>>>(session: T, called: () => void): T {
  if (session === null) return session;
  const { platform } = session;
  return { ...session, platform: { ...platform, publish: (...args: Parameters<typeof platform.publish>) => { called(); return platform.publish(...args); } } };
}

async function writeHerd({ order, channelIds, store }: World): Promise<{ due: Date; measure: HerdMeasure; ids: string[] }> {
  const due = new Date(Math.ceil((Date.now() + 5_000 + order.posts) / 1_000) * 1_000);
  const herd = Array.from({ length: order.posts }, (_, i): Post => {
    const post = newPost(i, i % order.accounts, due);
    return { ...post, publications: post.publications.map((publication) => ({ ...publication, platform: PLATFORM, channelId: channelIds[i % order.accounts]! })) };
  });
  for (let i = 0; i < herd.length; i += 500) await Promise.all(herd.slice(i, i + 500).map((post) => store.insert(post, [])));
  return { due, measure: measureHerd(order.posts, due, order.serverPid), ids: herd.map(({ id }) => id) };
}

const MOST_MS = 120_000;

/**
 * Measured from the due time to the last webhook's arrival. One that isn't done after two minutes is measured by what it did until then, which flatters
 * it: the more jobs are done, the longer Agenda searches for the next one.
 */
async function finish({ order, receiver }: World, due: Date, measure: HerdMeasure, acceptedAt: ReadonlyMap<string, number>): Promise<PathFigures> {
  const deadline = due.getTime() + MOST_MS;
  while ((await receiver.count()) < order.posts && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50));
  const figures = measure.finish();
  const { arrivals } = await receiver.report();
  if (arrivals.length < order.posts) console.log(`  after ${MOST_MS / 1_000} s ${arrivals.length} of ${order.posts} webhooks had come: its speed is that of these`);
  const lastMs = Math.max(...arrivals.map(([, at]) => at)) - due.getTime();
  const lags = arrivals.flatMap(([id, at]) => (acceptedAt.has(id) ? [at - acceptedAt.get(id)!] : []));
  if (lags.length < arrivals.length) throw new Error(`${arrivals.length - lags.length} webhooks can't be told apart`);
  return { ...figures, perSecond: (arrivals.length * 1_000) / lastMs, webhookLagP50Ms: percentile(lags, 0.5), webhookLagP99Ms: percentile(lags, 0.99) };
}

interface Receiver {
  url: string;
  count(): Promise<number>;
  report(): Promise<ReceiverReport>;
}

async function startReceiver(): Promise<Receiver> {
  const child = fork(path.join(import.meta.dirname, 'webhook-receiver.js'), { stdio: 'inherit', execArgv: [] });
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  const ask = async (order: 'count' | 'report'): Promise<{ count: number; report: ReceiverReport }> => {
    const answered = once(child, 'message') as Promise<[{ count: number; report: ReceiverReport }]>;
    child.send(order);
    return (await answered)[0];
  };
  return { url: `http://127.0.0.1:${port}`, count: async () => (await ask('count')).count, report: async () => (await ask('report')).report };
}
