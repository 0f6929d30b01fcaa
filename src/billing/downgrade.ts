/**
 * What happens to posts that wait when a plan changes: over a downgrade the oldest are kept as far as the new plan reaches and the rest is held;
 * held posts go on, oldest first, as soon as there is room: after an upgrade, or when the month turns.
 */
import type { Clock } from '../lib/clock.js';
import type { Logger } from '../lib/logger.js';
import type { HoldStore } from './hold-store.js';
import { monthOf } from './month.js';
import type { Plan } from './plan.js';
import type { UsageService } from './usage-service.js';
import type { UsageStore } from './usage-store.js';

export interface WaitingPost {
  id: string;
  accountId: string;
  createdAt: Date;
  sequence: number;
}

export interface DowngradeDeps<P extends WaitingPost> {
  usage: UsageService;
  store: Pick<UsageStore, 'count' | 'countedOf' | 'take'>;
  holds: HoldStore;
  posts: { waiting(accountId: string): Promise<P[]>; held(accountId: string): Promise<P[]>; hold(posts: P[], notice: string): Promise<P[]>; release(post: P): Promise<boolean> };
  planOf(accountId: string): Promise<Plan>;
  timeZoneOf(accountId: string): Promise<string>;
  /** Called when posts were held or let go. */
  changed(accountId: string): void;
  /** How late posts are sent. */
  lateLimitMs: number;
  clock: Clock;
  log: Logger;
}

export interface Downgrade {
  /** Holds what the plan has no room for. May be repeated. */
  hold(accountId: string): Promise<void>;
  /** Lets held posts go on as far as there is room. */
  release(accountId: string): Promise<void>;
  /** The same for every account that has held posts. */
  sweep(): Promise<void>;
  /** The same, often: only accounts whose count shows room are looked at. */
  releaseIntoRoom(): Promise<void>;
  /** How many waiting posts a plan would hold, for the preview of a change. */
  wouldHold(accountId: string, plan: Plan): Promise<number>;
}

export function createDowngrade<P extends WaitingPost>(deps: DowngradeDeps<P>): Downgrade {
  const { usage, store, posts, holds, clock } = deps;

  /** Waiting posts, oldest first, and how many of them the limit reaches for. */
  async function split(accountId: string, limit: number): Promise<{ kept: P[]; rest: P[]; month: string }> {
    const month = monthOf(clock.now(), await deps.timeZoneOf(accountId));
    const waiting = await posts.waiting(accountId);
    const [used, counted] = await Promise.all([store.count(accountId, month), store.countedOf(accountId, month, waiting.map(({ id }) => id))]);
    const room = Math.max(0, limit - (used - counted.size));
    return { kept: waiting.slice(0, room), rest: waiting.slice(room), month };
  }

  async function release(accountId: string): Promise<void> {
    const version = await holds.versionOf(accountId);
    let released = 0;
    for (const post of await posts.held(accountId)) {
      if (!(await usage.hasRoom({ accountId, postId: post.id, createdAt: post.createdAt, sequence: post.sequence, isNew: false }))) break;
      if (await posts.release(post)) released += 1;
      // Changed meanwhile, perhaps cancelled: it is looked at again if it is still held.
      else await usage.giveBack({ accountId, postId: post.id, createdAt: post.createdAt, beforeSequence: post.sequence + 1 });
    }
    if (version !== null && (await posts.held(accountId)).length === 0) await holds.remove(accountId, version);
    else if (released > 0) await holds.note(accountId);
    if (released > 0) deps.changed(accountId);
  }

  async function forAll(work: (accountId: string) => Promise<void>): Promise<void> {
    for (const accountId of await holds.list(200)) {
      await work(accountId).catch((error: unknown) => deps.log.error({ err: error, accountId }, 'held posts could not be released; the next sweep tries again'));
    }
  }

  return {
    async hold(accountId) {
      const plan = await deps.planOf(accountId);
      const limit = plan.limits.postsPerMonth;
      if (limit === null) return;
      const notice = `Held: your plan ${plan.name} allows ${limit} posts a month, and older ones come first. It goes on by itself when there is room (with another plan, or next month), if it is not over ${hoursText(deps.lateLimitMs)} late by then.`;
      for (let held = -1; held !== 0;) {
        const { kept, rest, month } = await split(accountId, limit);
        if (rest.length === 0) return;
        // Remembered first, so that the sweep lets them go again whatever happens to this process.
        await holds.note(accountId);
        const done = await posts.hold(rest, notice);
        // And noted again: whoever released at the same moment may have found none of them yet.
        if (done.length > 0) await holds.note(accountId);
        for (const post of done) await usage.giveBack({ accountId, postId: post.id, createdAt: post.createdAt, beforeSequence: post.sequence });
        for (const { id, sequence } of kept) await store.take({ accountId, month, limit, postId: id, sequence, at: clock.now() });
        // Waiting posts come in portions: another look shows whether there are more.
        held = done.length;
        deps.changed(accountId);
      }
    },

    release,

    sweep: () => forAll(release),

    releaseIntoRoom: () => forAll(async (accountId) => {
      const { used, limit } = await usage.usageOf(accountId);
      if (limit === null || used < limit) await release(accountId);
    }),

    async wouldHold(accountId, plan) {
      return plan.limits.postsPerMonth === null ? 0 : (await split(accountId, plan.limits.postsPerMonth)).rest.length;
    },
  };
}

function hoursText(ms: number): string {
  const hours = Math.round(ms / 360_000) / 10;
  return `${hours} hour${hours === 1 ? '' : 's'}`;
}
