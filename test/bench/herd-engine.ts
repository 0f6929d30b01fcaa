/** The publishing engine alone, with the clock that starts it: claims, intents and outcomes as in the program, and a network that is a timer. */
import type { Db } from 'mongodb';
import { ensureIndexes } from '../../src/db/database.js';
import { createAgendaJobs, wakeupIndexes } from '../../src/jobs/agenda-jobs.js';
import { systemClock } from '../../src/lib/clock.js';
import { newId, newPostId, newRefId } from '../../src/lib/ids.js';
import { createLogger } from '../../src/lib/logger.js';
import type { PlatformLimits } from '../../src/platforms/platform-limits.js';
import type { Platform } from '../../src/platforms/platform.js';
import type { Post } from '../../src/posts/post.js';
import type { PostDoc } from '../../src/posts/post-doc.js';
import { createPostStore, postIndexes, toDoc } from '../../src/posts/post-store.js';
import { createPublisher } from '../../src/publishing/publisher.js';
import { defaultRetryPolicy } from '../../src/publishing/retry-policy.js';
import { createTurnStore, turnIndexes } from '../../src/publishing/turn-store.js';
import { waitUntil } from '../support/wait-until.js';
import { measureHerd, type HerdFigures, type HerdMeasure } from './herd-measure.js';
import { AT_ONCE, callNetwork, WARM_UP, type HerdOrder } from './herd-references.js';

const LIMITS: PlatformLimits = { text: { max: 500, counting: 'characters', required: true }, media: { min: 0, max: 0, kinds: [], maxVideos: 0, mixed: false } };

export async function engineHerd(db: Db, { posts: count, accounts, callMs, serverPid }: HerdOrder): Promise<HerdFigures> {
  await ensureIndexes(db, [...postIndexes, ...turnIndexes, ...wakeupIndexes]);
  const posts = createPostStore(db);
  const write = async (herd: number, due: Date): Promise<void> => {
    for (let i = 0; i < herd; i += 500) await Promise.all(Array.from({ length: Math.min(500, herd - i) }, (_, k) => posts.insert(newPost(i + k, (i + k) % accounts, due), [])));
  };
  let measure: HerdMeasure | null = null;
  let done = 0;
  const place = places(AT_ONCE);
  const platform = {
    id: 'bench', name: 'Bench', publishTimeoutMs: 10_000, limits: LIMITS,
    publish: async () => {
      await place.enter();
      measure?.started();
      await callNetwork(callMs);
      place.leave();
      return { state: 'published', remoteId: 'r', url: null };
    },
  } as unknown as Platform;
  const log = createLogger('warn');
  const jobs = createAgendaJobs({ db, clock: systemClock, log });
  const publisher = createPublisher({
    posts, turnStore: createTurnStore(db), owner: 'bench', policy: defaultRetryPolicy, now: () => new Date(), random: Math.random, log,
    session: async () => ({ platform, credentials: {}, io: {} as never }), markSignedOut: async () => 'signed-out', wakeAt: (at) => jobs.wakeAt('publish', '', at),
    onSaved: (post) => { if (post.status === 'success') done += 1; },
  });
  jobs.handle('publish', async () => publisher.nudge());
  jobs.sweep('due posts', 5_000, () => publisher.sweep());
  await jobs.start();
  await write(WARM_UP, new Date());
  publisher.nudge();
  await waitUntil('the warm-up to be published', () => done === WARM_UP, { timeoutMs: 120_000 });
  const due = new Date(Math.ceil((Date.now() + 4_500 + count / 2) / 1_000) * 1_000);
  await write(count, due);
  measure = measureHerd(count, due, serverPid);
  await waitUntil('the herd to be published', () => done === WARM_UP + count, { timeoutMs: 240_000 });
  return measure.finish();
}

const DAY_MS = 86_400_000;

/** Stores posts of the same accounts for the months to come, as fast as the database takes them. */
export async function fill(db: Db, others: number, accounts: number): Promise<void> {
  await ensureIndexes(db, [...postIndexes, ...turnIndexes, ...wakeupIndexes]);
  const posts = db.collection<PostDoc>('posts');
  const first = Date.now() + 7 * DAY_MS;
  let storing: Promise<unknown> = Promise.resolve();
  for (let i = 0; i < others; i += 2_000) {
    const docs = Array.from({ length: Math.min(2_000, others - i) }, (_, k) => toDoc(newPost(i + k, (i + k) % accounts, new Date(first + ((i + k) % 7_776_000) * 1_000)), []));
    // The next ones are made while these are stored.
    await storing;
    storing = posts.insertMany(docs, { ordered: false });
  }
  await storing;
}

/** The network takes so many calls at once; the others wait before it. */
function places(count: number): { enter(): Promise<void>; leave(): void } {
  const waiting: (() => void)[] = [];
  let free = count;
  return {
    async enter() {
      if (free > 0) free -= 1;
      else await new Promise<void>((resolve) => waiting.push(resolve));
    },
    leave() {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    },
  };
}

export function newPost(i: number, account: number, due: Date): Post {
  const now = new Date();
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
