/** Runs the publishing engine on the test database with a network that does as it is told. */
import { randomUUID } from 'node:crypto';
import { MongoClient } from 'mongodb';
import { createLogger } from '../../src/lib/logger.js';
import { newId, newPostId, newRefId } from '../../src/lib/ids.js';
import { ensureIndexes } from '../../src/db/database.js';
import type { Platform, PlatformContent, PlatformIo, PublishResult, ThreadPlace } from '../../src/platforms/platform.js';
import type { Post, Publication } from '../../src/posts/post.js';
import { createPostStore, postIndexes, type PostStore } from '../../src/posts/post-store.js';
import { createTurnStore, turnIndexes } from '../../src/publishing/turn-store.js';
import { createPublisher, type Publisher } from '../../src/publishing/publisher.js';
import { defaultRetryPolicy, type RetryPolicy } from '../../src/publishing/retry-policy.js';
import type { ChannelSession } from '../../src/publishing/task.js';

export interface Network {
  /** Its adapter's longest call; 1 s. */
  timeoutMs?: number;
  /** What the network takes from one channel. */
  limits?: { max: number; windowMs: number }[];
  publish(content: PlatformContent, channelId: string, io: PlatformIo): Promise<PublishResult>;
  /** Answers the requests that an adapter makes through `io.http`. */
  request?(): Promise<unknown>;
  /** The clock of the worker that uses it. */
  now?(): Date;
  reply?(content: PlatformContent, after: ThreadPlace): Promise<PublishResult>;
  comment?(content: PlatformContent, remoteId: string): Promise<PublishResult>;
  poll?(handle: string): Promise<PublishResult>;
  find?(content: PlatformContent): Promise<PublishResult | null>;
  /** Replaces the channel's session; throws or returns null as a channel would. */
  session?(): Promise<ChannelSession | null>;
}

export interface Engine {
  publisher: Publisher;
  store: PostStore;
  signedOut: string[];
  /** What the channel is after the network refused its credentials. */
  renewal: { outcome: 'renewed' | 'signed-out' };
  /** Stores a post with these publications (defaults: one, due now) and tells the publisher. */
  post(overrides?: Partial<Post>, publications?: Partial<Publication>[]): Promise<Post>;
  /** Reads the post until the condition holds. */
  until(id: string, condition: (post: Post) => boolean, timeoutMs?: number): Promise<Post>;
  /** The same for many, with one question for all: asking for each would be most of the database's work. */
  untilAll(ids: string[], condition: (post: Post) => boolean, timeoutMs?: number): Promise<Post[]>;
  /** Another worker on the same documents. */
  anotherWorker(network: Network, clock?: WorkerClock): Publisher;
  /** Makes every lease look run out, as after a crash and a long wait. */
  expireLeases(): Promise<void>;
  /** Makes a profile another worker's for that long. */
  takeTurn(profileId: string, ms: number): Promise<void>;
  outbox(id: string): Promise<string[]>;
  close(): Promise<void>;
}

export interface WorkerClock {
  /** How far it is ahead of the others'. */
  aheadMs?: number;
  /** Before a wake-up is stored. */
  beforeWakeUp?(at: Date): Promise<void>;
}

export async function startEngine(network: Network, policy: Partial<RetryPolicy> = {}, clock: WorkerClock = {}): Promise<Engine> {
  const uri = process.env['MONGODB_URI'];
  if (uri === undefined) throw new Error('MONGODB_URI is not set: run the tests with npm test');
  const client = await new MongoClient(uri).connect();
  const db = client.db(`signpost_test_${randomUUID().slice(0, 8)}`);
  await ensureIndexes(db, [...postIndexes, ...turnIndexes]);
  const store = createPostStore(db);
  const signedOut: string[] = [];
  const renewal: Engine['renewal'] = { outcome: 'signed-out' };
  const publishers: Publisher[] = [];
  const fast: RetryPolicy = { ...defaultRetryPolicy, retryDelaysMs: [20], lookUpDelaysMs: [20], settleMs: 0, jitter: 0, ...policy };

  function worker(of: Network, { aheadMs = 0, beforeWakeUp }: WorkerClock = {}): Publisher {
    const publisher = createPublisher({
      posts: store,
      turnStore: createTurnStore(db),
      owner: `test-${publishers.length}`,
      session: of.session ?? (async (channelId) => sessionOn(of, channelId)),
      markSignedOut: async (channelId) => { signedOut.push(channelId); return renewal.outcome; },
      policy: fast,
      now: of.now ?? (() => new Date(Date.now() + aheadMs)),
      random: () => 0,
      // The clock of these tests: a timer instead of Agenda.
      wakeAt: async (at) => {
        await beforeWakeUp?.(at);
        setTimeout(() => publisher.nudge(), Math.max(0, at.getTime() - Date.now())).unref();
      },
      onSaved: () => undefined,
      log: createLogger('silent'),
    });
    publishers.push(publisher);
    return publisher;
  }

  const publisher = worker(network, clock);
  return {
    publisher,
    store,
    signedOut,
    renewal,
    async post(overrides = {}, publications = [{}]) {
      const post = buildPost(overrides, publications);
      if (!(await store.insert(post, []))) throw new Error('the post was not inserted');
      await publisher.posted([post]);
      return post;
    },
    async until(id, condition, timeoutMs = 20_000) {
      const deadline = Date.now() + timeoutMs;
      for (;;) {
        const post = await store.find(id);
        if (post !== null && condition(post)) return post;
        if (Date.now() > deadline) throw new Error(`the condition did not come true; the post is ${JSON.stringify([post?.lease, post?.dueAt, post?.version, post?.publications])}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
    async untilAll(ids, condition, timeoutMs = 30_000) {
      const deadline = Date.now() + timeoutMs;
      const waiting = new Set(ids);
      for (;;) {
        const docs = await db.collection<{ _id: string }>('posts').find({ _id: { $in: [...waiting] } }).toArray();
        for (const doc of docs) if (condition({ ...doc, lease: (doc as unknown as Partial<Post>).lease ?? null } as unknown as Post)) waiting.delete(doc._id);
        if (waiting.size === 0) break;
        if (Date.now() > deadline) throw new Error(`the condition did not come true for ${waiting.size} of ${ids.length}; the first is ${JSON.stringify(docs.find((doc) => waiting.has(doc._id)))}`);
        await new Promise((resolve) => setTimeout(resolve, 30));
      }
      return Promise.all(ids.map(async (id) => (await store.find(id))!));
    },
    anotherWorker: worker,
    async expireLeases() {
      for (const name of ['posts', 'profile_turns']) await db.collection(name).updateMany({ 'lease.until': { $exists: true } }, { $set: { 'lease.until': new Date(0) } });
    },
    async takeTurn(profileId, ms) {
      const lease = { owner: 'somebody', until: new Date(Date.now() + ms) };
      await db.collection<{ _id: string }>('profile_turns').updateOne({ _id: profileId }, { $set: { lease } }, { upsert: true });
    },
    async outbox(id) {
      const [entry] = await store.readOutbox(10, [id]);
      return (entry?.events ?? []).map((event) => event.type);
    },
    async close() {
      await Promise.all(publishers.map((p) => p.stop(2_000)));
      await db.dropDatabase();
      await client.close();
    },
  };
}

export function published(remoteId = 'r1'): PublishResult {
  return { state: 'published', remoteId, url: `https://network.example/${remoteId}` };
}

function sessionOn(network: Network, channelId: string): ChannelSession {
  const platform: Platform = {
    id: 'bluesky', name: 'Test network', icon: 'bluesky', optionsKey: null, publishTimeoutMs: network.timeoutMs ?? 1_000,
    urls: { api: 'http://127.0.0.1:1', auth: 'http://127.0.0.1:1', consent: 'http://127.0.0.1:1', web: 'http://127.0.0.1:1' },
    limits: { text: { max: 300, counting: 'graphemes', required: true }, media: { min: 0, max: 4, kinds: ['image'], maxVideos: 0, mixed: false }, ...(network.limits === undefined ? {} : { publish: network.limits }) },
    verify: async () => { throw new Error('not used'); },
    publish: (content, _credentials, io) => network.publish(content, channelId, io),
    ...(network.poll === undefined ? {} : { processing: { poll: network.poll, giveUpAfterMs: 60_000, announces: 'accepted' as const } }),
    ...(network.reply === undefined ? {} : { thread: { reply: network.reply } }),
    ...(network.comment === undefined ? {} : { comment: { comment: network.comment } }),
    ...(network.find === undefined ? {} : { lookUp: { find: network.find } }),
  };
  return { platform, credentials: {}, io: { http: { request: network.request } } as unknown as ChannelSession['io'] };
}

function buildPost(overrides: Partial<Post>, publications: Partial<Publication>[]): Post {
  const now = new Date();
  const scheduledAt = overrides.scheduledAt ?? now;
  return {
    id: newPostId(), accountId: 'acc_1', profileId: 'prf_1', refId: newRefId(), text: 'Hello', media: [], options: {}, notes: null,
    type: 'scheduled', scheduledAt, timeZone: 'UTC', status: 'scheduled', dueAt: scheduledAt, lease: null, version: 1, sequence: 0, history: [],
    idempotencyKey: null, createdAt: now, updatedAt: now, deletedAt: null,
    publications: publications.map((overriding, i): Publication => ({
      id: newId('pub'), channelId: `chn_${i}`, platform: 'bluesky', channelName: 'me', state: 'pending', dueAt: scheduledAt, tries: 0, attempts: [],
      handle: null, processingSince: null, remoteId: null, url: null, publishedAt: null, failure: null, ...overriding,
    })),
    ...overrides,
  } as Post;
}
