/**
 * Counts posts against the plan. A post counts once, in the calendar month (of the account's zone) in which Signpost accepts it; one that never
 * goes out anywhere (cancelled before its time, failed or missed on every channel) is given back, one that was published counts even when it is
 * deleted later.
 */
import { formatTime, zoneName } from '../http/time-text.js';
import { AppError, ErrorCode } from '../lib/app-error.js';
import type { Clock } from '../lib/clock.js';
import { newId } from '../lib/ids.js';
import type { Logger } from '../lib/logger.js';
import type { Notifier } from '../lib/notifier.js';
import { monthOf, nextMonth, zoneOr } from './month.js';
import type { Plan } from './plan.js';
import type { UsageStore } from './usage-store.js';

export interface UsageServiceDeps {
  store: UsageStore;
  clock: Clock;
  log: Logger;
  notifier: Notifier;
  planOf(accountId: string): Promise<Plan>;
  timeZoneOf(accountId: string): Promise<string>;
  /** Which of these posts are stored. */
  existingPosts(ids: string[]): Promise<Set<string>>;
  /** Address of the page where the plan can be changed. */
  billingUrl(): string;
  /** Hands it to the webhooks; idempotent by the event's id. */
  recordReached(reached: LimitReached): Promise<void>;
}

/** The plan's posts of a month are used up. */
export interface LimitReached {
  /** Of the event. */
  id: string;
  at: Date;
  accountId: string;
  plan: Plan;
  limit: number;
  month: string;
  resetsAt: Date;
}

export interface PostToCount {
  accountId: string;
  postId: string;
  createdAt: Date;
  /** The post's event sequence at this moment. */
  sequence: number;
  /** True for a post that nobody has counted yet. */
  isNew: boolean;
}

/** What a post's event says about whether it went out. */
export interface PostFate {
  accountId: string;
  at: Date;
  sequence: number;
  data: { postId: string; publications: readonly { state: string }[] };
}

export interface PostUsage {
  used: number;
  limit: number | null;
  month: string;
  timeZone: string;
  resetsAt: Date;
}

/** Counted posts whose document isn't there after this long were never stored: the process died in between. */
const UNSTORED_AFTER_MS = 5 * 60_000;
/** A post is looked for in this many months back: longer than it may be scheduled ahead. */
const MOST_MONTHS = 30;
const NEVER_WENT_OUT = new Set(['failed', 'missed', 'cancelled']);

export type UsageService = ReturnType<typeof createUsageService>;

export function createUsageService(deps: UsageServiceDeps) {
  const { store, clock } = deps;

  async function hasRoom(post: PostToCount): Promise<boolean> {
    const now = clock.now();
    if (!post.isNew && (await store.keep(post.accountId, monthsSince(post.createdAt, now), post.postId, post.sequence))) return true;
    const [plan, timeZone] = await Promise.all([deps.planOf(post.accountId), deps.timeZoneOf(post.accountId)]);
    const { limits: { postsPerMonth: limit } } = plan;
    const month = monthOf(now, timeZone);
    const counted = await store.take({ accountId: post.accountId, month, limit, postId: post.postId, sequence: post.sequence, at: now });
    if (counted) told(post.accountId);
    if (limit !== null) await noteReached(post.accountId, month, limit);
    return counted;
  }

  /** Told once for each limit in a month, when the last post of it is taken. */
  async function noteReached(accountId: string, month: string, limit: number): Promise<void> {
    const now = clock.now();
    if (!(await store.noteReached(accountId, month, { id: newId('evt', now), at: now, limit }))) return;
    void relayReached().catch((error: unknown) => deps.log.error({ err: error, accountId }, 'a reached limit could not be told; the sweep tries again'));
  }

  async function relayReached(): Promise<void> {
    for (const { accountId, month, reached: { id, at, limit } } of await store.listUntold(100)) {
      const [plan, timeZone] = await Promise.all([deps.planOf(accountId), deps.timeZoneOf(accountId)]);
      await deps.recordReached({ id, at, accountId, plan, limit, month, resetsAt: nextMonth(at, timeZone) });
      await store.told(accountId, month, id);
    }
  }

  function told(accountId: string): void {
    deps.notifier.notify(`account:${accountId}:billing`);
  }

  async function usageOf(accountId: string): Promise<PostUsage & { plan: Plan }> {
    const [plan, timeZone] = await Promise.all([deps.planOf(accountId), deps.timeZoneOf(accountId)]);
    const now = clock.now();
    const month = monthOf(now, timeZone);
    return { plan, used: await store.count(accountId, month), limit: plan.limits.postsPerMonth, month, timeZone: zoneOr(timeZone), resetsAt: nextMonth(now, timeZone) };
  }

  return {
    /** @returns false when the plan's posts of this month are used up; a post that is counted already has room */
    hasRoom,

    /** @throws AppError `too-many` with code 920 that says what is reached, when it resets and where the plan can be changed */
    async requireRoomForPost(post: PostToCount): Promise<void> {
      if (await hasRoom(post)) return;
      throw limitReached(await usageOf(post.accountId), deps.billingUrl());
    },

    /** Takes a post off the count, unless it was counted anew since. */
    async giveBack(post: { accountId: string; postId: string; createdAt: Date; beforeSequence: number }): Promise<void> {
      await store.giveBack(post.accountId, monthsSince(post.createdAt, clock.now()), post.postId, post.beforeSequence);
      told(post.accountId);
    },

    usageOf,

    /** Posts used this month, by account id. */
    async usageOfMany(accounts: { accountId: string; timeZone: string }[]): Promise<Map<string, number>> {
      return store.countMany(accounts.map(({ accountId, timeZone }) => ({ accountId, month: monthOf(clock.now(), timeZone) })));
    },

    /** Forgets what was counted for posts that were never stored, because the process died in between. */
    async sweep(): Promise<void> {
      await relayReached();
      const unchecked = await store.listUnchecked(new Date(clock.now().getTime() - UNSTORED_AFTER_MS), 100);
      if (unchecked.length === 0) return;
      const existing = await deps.existingPosts([...new Set(unchecked.flatMap(({ postIds }) => postIds))]);
      for (const one of unchecked) {
        await store.checked(one, one.postIds.filter((postId) => !existing.has(postId)));
        // A process that died may have taken the last post of a month without noting it.
        const { limits: { postsPerMonth: limit } } = await deps.planOf(one.accountId);
        if (limit !== null) await noteReached(one.accountId, one.month, limit);
      }
    },
  };
}

/**
 * Gives back what never went out; takes every event of posts, at least once, in any order. Apart from the rest, because whichever process tells
 * a post's events does this, whether or not it knows plans itself.
 */
export function createSettling({ store, clock, notifier }: Pick<UsageServiceDeps, 'clock' | 'notifier'> & { store: Pick<UsageStore, 'giveBack'> }): (events: readonly PostFate[]) => Promise<void> {
  return async (events) => {
    const now = clock.now();
    for (const { accountId, sequence, data, at } of events) {
      if (data.publications.length === 0 || !data.publications.every(({ state }) => NEVER_WENT_OUT.has(state))) continue;
      const oldest = new Date(at.getTime() - MOST_MONTHS * 31 * 86_400_000);
      await store.giveBack(accountId, monthsSince(oldest, now), data.postId, sequence);
      notifier.notify(`account:${accountId}:billing`);
    }
  };
}

function limitReached({ plan, used, limit, month, timeZone, resetsAt }: PostUsage & { plan: Plan }, url: string): AppError {
  const message = `Your plan ${plan.name} allows ${limit} post${limit === 1 ? '' : 's'} a month, and all of them are used. `
    + `They begin anew on ${formatTime(resetsAt, timeZone)} (${zoneName(timeZone, resetsAt)}). To post more now, change your plan: ${url}`;
  const details = { limit: { what: 'postsPerMonth', plan: plan.key, limit, used, month, resetsAt: resetsAt.toISOString(), changePlanUrl: url } };
  return new AppError('too-many', ErrorCode.planLimit, message, { details });
}

/** Months in which a post of then may be counted; a day more on each side, since zones may have changed. */
function monthsSince(since: Date, now: Date): string[] {
  const day = 86_400_000;
  const months: string[] = [];
  let at = since.getTime() - day;
  while (at <= now.getTime() + day + 31 * day && months.length < MOST_MONTHS + 4) {
    const month = monthOf(new Date(Math.min(at, now.getTime() + day)), 'UTC');
    if (months.at(-1) !== month) months.push(month);
    at += 27 * day;
  }
  return months;
}
