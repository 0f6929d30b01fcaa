/**
 * What happens to posts that wait when a plan changes: over a downgrade the oldest are kept as far as the new plan reaches and the rest is held;
 * held posts go on, oldest first, as soon as there is room: after an upgrade, or when the month turns.
 */
import type { Clock } from '../lib/clock.js';
import type { Logger } from '../lib/logger.js';
import type { Hold, HoldStore } from './hold-store.js';
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
  /** `hold` and `release` answer with those that were not changed meanwhile. */
  posts: { waiting(accountId: string): Promise<P[]>; held(accountId: string): Promise<P[]>; hold(posts: P[], notice: string): Promise<P[]>; release(posts: P[]): Promise<P[]> };
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
  /** Notes that the plan changed, and fits the posts that wait to it soon after, whatever happens to this process. May be repeated. */
  follow(accountId: string): Promise<void>;
  /** Fits what a dead process left, and lets held posts go on, for every account that has some. */
  sweep(): Promise<void>;
  /** The same, often: only accounts whose count shows room are looked at. */
  releaseIntoRoom(): Promise<void>;
  /** How many waiting posts a plan would hold, for the preview of a change. */
  wouldHold(accountId: string, plan: Plan): Promise<number>;
  /** Ends soon; what is left to do is noted. */
  stop(): Promise<void>;
}

/** Posts that are held or let go together. */
const AT_ONCE = 50;
const ACCOUNTS_AT_ONCE = 200;

export function createDowngrade<P extends WaitingPost>(deps: DowngradeDeps<P>): Downgrade {
  const { usage, store, posts, holds, clock } = deps;
  /** What is being done, by account: one thing after the other. */
  const underWay = new Map<string, Promise<void>>();
  let stopping = false;

  /** Waiting posts, oldest first, and how many of them the limit reaches for. */
  async function split(accountId: string, limit: number): Promise<{ kept: P[]; rest: P[]; month: string }> {
    const month = monthOf(clock.now(), await deps.timeZoneOf(accountId));
    const waiting = await posts.waiting(accountId);
    const [used, counted] = await Promise.all([store.count(accountId, month), store.countedOf(accountId, month, waiting.map(({ id }) => id))]);
    const room = Math.max(0, limit - (used - counted.size));
    return { kept: waiting.slice(0, room), rest: waiting.slice(room), month };
  }

  /** @returns whether all that is too much is held */
  async function hold(accountId: string): Promise<boolean> {
    const plan = await deps.planOf(accountId);
    const limit = plan.limits.postsPerMonth;
    if (limit === null) return true;
    const notice = `Held: your plan ${plan.name} allows ${limit} posts a month, and older ones come first. It goes on by itself when there is room (with another plan, or next month), if it is not over ${hoursText(deps.lateLimitMs)} late by then.`;
    // Waiting posts come in portions: another look shows whether there are more.
    for (let held = -1; held !== 0;) {
      const { kept, rest, month } = await split(accountId, limit);
      if (rest.length === 0) return true;
      // Remembered first, so that the sweep lets them go again whatever happens to this process.
      await holds.note(accountId);
      held = 0;
      for (let i = 0; i < rest.length; i += AT_ONCE) {
        if (stopping) return false;
        const done = await posts.hold(rest.slice(i, i + AT_ONCE), notice);
        await Promise.all(done.map((post) => usage.giveBack({ accountId, postId: post.id, createdAt: post.createdAt, beforeSequence: post.sequence })));
        held += done.length;
      }
      // And noted again: whoever released at the same moment may have found none of them yet.
      if (held > 0) await holds.note(accountId);
      for (const { id, sequence } of kept) await store.take({ accountId, month, limit, postId: id, sequence, at: clock.now() });
      deps.changed(accountId);
    }
    return true;
  }

  /** Lets held posts go on as far as there is room. @returns whether it was done to the end */
  async function release(accountId: string): Promise<boolean> {
    const version = await holds.versionOf(accountId);
    const held = await posts.held(accountId);
    let released = 0;
    for (let i = 0; i < held.length && !stopping;) {
      const { used, limit } = await usage.usageOf(accountId);
      const some = held.slice(i, i + (limit === null ? AT_ONCE : Math.max(1, Math.min(AT_ONCE, limit - used))));
      i += some.length;
      const hasRoom = await Promise.all(some.map((post) => usage.hasRoom({ accountId, postId: post.id, createdAt: post.createdAt, sequence: post.sequence, isNew: false })));
      const withRoom = some.filter((_post, at) => hasRoom[at]);
      const gone = new Set((await posts.release(withRoom)).map(({ id }) => id));
      released += gone.size;
      // Changed meanwhile, perhaps cancelled: it is looked at again if it is still held.
      const others = withRoom.filter(({ id }) => !gone.has(id));
      await Promise.all(others.map((post) => usage.giveBack({ accountId, postId: post.id, createdAt: post.createdAt, beforeSequence: post.sequence + 1 })));
      if (withRoom.length < some.length) break;
    }
    if (version !== null && (await posts.held(accountId)).length === 0) await holds.remove(accountId, version);
    else if (released > 0) await holds.note(accountId);
    if (released > 0) deps.changed(accountId);
    return !stopping;
  }

  async function fit(accountId: string): Promise<void> {
    const toFit = (await holds.find(accountId))?.toFit ?? null;
    const isDone = (await hold(accountId)) && (await release(accountId));
    if (toFit !== null && isDone) await holds.fitted(accountId, toFit);
  }

  /** One thing after the other for an account; what fails is done by the next sweep. */
  function afterOthers(accountId: string, work: () => Promise<unknown>): Promise<void> {
    const mine = (underWay.get(accountId) ?? Promise.resolve())
      .then(() => (stopping ? undefined : work()))
      .then(() => undefined, (error: unknown) => deps.log.error({ err: error, accountId }, 'posts could not be fitted to the plan; the next sweep tries again'))
      .finally(() => {
        if (underWay.get(accountId) === mine) underWay.delete(accountId);
      });
    underWay.set(accountId, mine);
    return mine;
  }

  async function forAll(work: (hold: Hold) => Promise<unknown>): Promise<void> {
    for (let after = ''; !stopping;) {
      const some = await holds.list(after, ACCOUNTS_AT_ONCE);
      for (const one of some) if (!underWay.has(one.accountId)) await afterOthers(one.accountId, () => work(one));
      if (some.length < ACCOUNTS_AT_ONCE) return;
      after = some.at(-1)!.accountId;
    }
  }

  return {
    async follow(accountId) {
      await holds.noteChange(accountId);
      // Not waited for: thousands of one account's posts must not keep others' changes from being told.
      void afterOthers(accountId, () => fit(accountId));
    },

    sweep: () => forAll(({ accountId, toFit }) => (toFit === null ? release(accountId) : fit(accountId))),

    releaseIntoRoom: () => forAll(async ({ accountId, toFit }) => {
      if (toFit !== null) return fit(accountId);
      const { used, limit } = await usage.usageOf(accountId);
      if (limit === null || used < limit) await release(accountId);
    }),

    async wouldHold(accountId, plan) {
      return plan.limits.postsPerMonth === null ? 0 : (await split(accountId, plan.limits.postsPerMonth)).rest.length;
    },

    async stop() {
      stopping = true;
      await Promise.all(underWay.values());
    },
  };
}

function hoursText(ms: number): string {
  const hours = Math.round(ms / 360_000) / 10;
  return `${hours} hour${hours === 1 ? '' : 's'}`;
}
