/** Claims due posts in batches, starts each at its moment, and gives them back; documents decide, this only works them off. */
import { createBatcher } from '../lib/batcher.js';
import { newToken } from '../lib/ids.js';
import { findPlatform } from '../platforms/registry.js';
import { earliestDue, type Change, type ClaimRules, type Lease, type Post, type PostEvent, type Step } from '../posts/post.js';
import { holdPost, type HeldPost, type HeldPostDeps } from './held-post.js';
import { watchLease, type LeaseWatch } from './lease-watch.js';
import { soleFresh, workOnPost, workOnSole } from './publication-work.js';
import { createMoments } from './moments.js';
import { createProfileTurns } from './profile-turns.js';
import { createRates } from './rates.js';
import type { WorkDeps } from './task.js';
import type { TurnStore } from './turn-store.js';
import { createTurns, type Turn } from './turns.js';

/** What publishing asks of the posts; `posts/post-store.ts` keeps it. */
export interface DuePosts {
  claimDue(horizon: Date, lease: Lease, limit: number, rules?: ClaimRules): Promise<Post[]>;
  claimAbandoned(now: Date, lease: Lease, limit: number, rules?: ClaimRules): Promise<Post[]>;
  renewLease(ids: string[], token: string, until: Date): Promise<void>;
  release(posts: Post[]): Promise<void>;
  giveUpLease(token: string, postId: string | null): Promise<void>;
  saveMany(changes: Change[]): Promise<(boolean | Error)[]>;
  find(id: string): Promise<Post | null>;
  dueTimes(until: Date, limit: number): Promise<Date[]>;
}

export interface PublisherDeps extends Omit<WorkDeps, 'turns' | 'rates' | 'isOurs' | 'moment'> {
  posts: DuePosts;
  turnStore: TurnStore;
  /** Names this process in leases. */
  owner: string;
  /** Asks for a wake-up at that time. */
  wakeAt(at: Date): Promise<void>;
  /** A move was stored; its events wait in the outbox. */
  onSaved(post: Post, events: PostEvent[]): void;
}

export interface Publisher {
  /** Posts may be due: claim what is. Many calls at once become one round. The wake-up's door: a large herd takes longer than a wake-up may. */
  nudge(): void;
  /** The sweep's door: abandoned posts, due posts without a wake-up, and wake-ups for the next minute. */
  sweep(): Promise<void>;
  /** Tells the clock about posts that were written: a nudge for those due now, a wake-up for later ones. */
  posted(posts: Post[]): Promise<void>;
  /** Stops claiming, gives back what has not begun, waits up to `graceMs` for what has. */
  stop(graceMs: number): Promise<void>;
}

/** Calls to networks under way at once, and to one network that says nothing of its own: one that hangs leaves room to the others. */
const SLOTS = 800;
const SLOTS_OF_ONE = 300;
/** Posts leased at once: most wait for their moment or their channel's turn, which costs only memory. */
const MAX_HELD = 12_000;
const BATCH = 500;
const WRITES = { max: 150, concurrent: 5 };
/** Claimed this much ahead, so that a herd is in hand when its moment comes and a post starts on its millisecond. */
const CLAIM_AHEAD_MS = 3_000;
/** Wake-ups come this much ahead: late enough that what they are for is within the claim, whatever the clock's hand trembles. */
const WAKE_EARLIER_MS = 2_000;
/** Outlasts the longest platform call (time-outs are at most 60 s) and is renewed three times within. */
const LEASE_MS = 90_000;
/** Counts are stored, own profiles looked after, and those without work let go, this often. */
const UPKEEP_EVERY_MS = 250;
const LOOK_AGAIN_MS = 1_000;
/** Wake-ups are made for the posts of this time from now; the sweep runs every few seconds. */
const WAKE_AHEAD_MS = 60_000;

/** What begins within this time begins in one moment. */
const MOMENT_MS = 20;

function momentsOf(now: () => Date): () => Date {
  let moment = new Date(0);
  return () => {
    const time = now();
    const sinceMs = time.getTime() - moment.getTime();
    if (sinceMs < 0 || sinceMs > MOMENT_MS) moment = time;
    return moment;
  };
}

function isInDoubt({ state, dueAt }: Step): boolean {
  return state === 'sending' && dueAt === null;
}

interface Working {
  id: string;
  token: string;
  watch: LeaseWatch;
  /** null: it waits for its turn. */
  work: Promise<void> | null;
}

function workingOn(post: Post, watch: LeaseWatch): Working {
  return { id: post.id, token: post.lease!.token, watch, work: null };
}

export function createPublisher(deps: PublisherDeps): Publisher {
  const save = createBatcher<Change, boolean>((changes) => deps.posts.saveMany(changes), WRITES);
  const turns = createTurns(SLOTS, (platform) => findPlatform(platform)?.limits.concurrent ?? SLOTS_OF_ONE);
  const profiles = createProfileTurns({ store: deps.turnStore, owner: deps.owner, now: deps.now });
  const rates = createRates({ store: deps.turnStore, now: deps.now });
  const workDeps: WorkDeps = { ...deps, turns, rates, isOurs: (profileId) => profiles.isOurs(profileId), moment: momentsOf(deps.now) };
  const heldDeps: HeldPostDeps = { save, find: (id) => deps.posts.find(id), onSaved: deps.onSaved, now: deps.now, isOver: () => over, log: deps.log };
  /** A post that was given back may be claimed anew before the end of its first time here: it is in here twice then, under two leases. */
  const working = new Set<Working>();
  const waiting = createMoments<{ post: Post; watch: LeaseWatch }>({ begin: ({ post, watch }) => begin(post, watch), now: deps.now });
  let stopping = false;
  let over = false;
  let claiming: Promise<void> | null = null;
  let again = false;
  let claims = 0;
  let looking: NodeJS.Timeout | null = null;
  /** Leases under our name that nobody works under, because the database went away in the middle: they need not run out first. */
  let orphans: { token: string; postId: string | null }[] = [];

  const renewal = setInterval(() => {
    Promise.all([renewLeases(), profiles.renew()]).catch((error: unknown) => deps.log.error({ err: error }, 'leases could not be renewed'));
  }, LEASE_MS / 3);
  renewal.unref();
  const upkeep = setInterval(() => {
    keepUp().catch((error: unknown) => deps.log.error({ err: error }, 'what was sent could not be counted in the database; it is tried again'));
  }, UPKEEP_EVERY_MS);
  upkeep.unref();

  async function keepUp(): Promise<void> {
    // A wake-up reaches one worker, perhaps one that may not claim what is due.
    if (profiles.hasAny()) nudge();
    await rates.flush();
    // A claim under way counts on the turns that it took.
    if (claims > 0) return;
    await profiles.releaseIdle(async (profileIds) => {
      await rates.flush();
      rates.forget(profileIds);
    });
  }

  async function renewLeases(): Promise<void> {
    const byToken = new Map<string, { ids: string[]; watches: LeaseWatch[] }>();
    for (const { id, token, watch } of [...working, ...waiting.items().map(({ post, watch }) => workingOn(post, watch))]) {
      const group = byToken.get(token) ?? { ids: [], watches: [] };
      group.ids.push(id);
      group.watches.push(watch);
      byToken.set(token, group);
    }
    const until = new Date(deps.now().getTime() + LEASE_MS);
    await Promise.all([...byToken].map(async ([token, { ids, watches }]) => {
      await deps.posts.renewLease(ids, token, until);
      for (const watch of watches) watch.renewed(until);
    }));
  }

  function newLease(): Lease {
    return { token: newToken(12), owner: deps.owner, until: new Date(deps.now().getTime() + LEASE_MS) };
  }

  function accept(post: Post): void {
    profiles.enter(post.profileId);
    // An intent without an outcome (its worker died) has no time of its own: it is looked into at once.
    const inDoubt = post.publications.some((p) => isInDoubt(p) || p.followUps?.some(isInDoubt) === true);
    const startsAt = inDoubt ? null : earliestDue(post.publications);
    const watch = watchLease(post.lease!.until, deps.now);
    if (startsAt === null || (startsAt <= deps.now() && !waiting.isAheadOf(startsAt))) begin(post, watch);
    else waiting.add({ post, watch }, startsAt);
  }

  /** Most posts have one publication, and in a herd most of these wait for their turn: they do so before they take more memory than their own. */
  function begin(post: Post, watch: LeaseWatch): void {
    const entry = workingOn(post, watch);
    working.add(entry);
    const sole = soleFresh(post, deps.now());
    if (sole === null) entry.work = work(post, entry, (held) => workOnPost(held, workDeps), null);
    else turns.ask(sole.channelId, sole.platform, (turn) => { entry.work = work(post, entry, (held) => (turn === null ? null : workOnSole(held, sole, workDeps, turn)), turn); });
  }

  /** @param turn to be ended when all is done, if it has not ended by then */
  async function work(post: Post, entry: Working, publish: (held: HeldPost) => Promise<unknown> | null, turn: Turn | null): Promise<void> {
    try {
      const held = holdPost(post, entry.watch, heldDeps);
      try {
        await publish(held);
      } finally {
        turn?.end();
      }
      await held.release();
      const due = held.lost() ? null : earliestDue(held.current().publications);
      if (due !== null) await wake(due);
    } catch (error) {
      deps.log.error({ err: error, postId: entry.id }, 'a post could not be worked on; the next sweep takes it up again');
      orphans.push({ token: entry.token, postId: entry.id });
    } finally {
      working.delete(entry);
      const hasRoom = profiles.leave(post.profileId);
      if (hasRoom || working.size === MAX_HELD - BATCH) nudge();
    }
  }

  async function wake(at: Date): Promise<void> {
    const inMs = at.getTime() - deps.now().getTime();
    if (inMs <= CLAIM_AHEAD_MS) nudge();
    else if (inMs <= WAKE_AHEAD_MS) await deps.wakeAt(new Date(at.getTime() - WAKE_EARLIER_MS));
    // Later ones get their wake-up from the sweep when they come near: a million posts for next month cost no job.
  }

  async function claimAll(): Promise<void> {
    while (!stopping) {
      const free = MAX_HELD - working.size - waiting.count();
      if (free <= 0) return;
      const { posts, sawOthers } = await claim((lease, rules) => deps.posts.claimDue(new Date(deps.now().getTime() + CLAIM_AHEAD_MS), lease, Math.min(BATCH, free), rules));
      if (posts.length === 0 && !sawOthers) return;
    }
  }

  /** Leaves alone the posts of profiles that are other workers', untouched and in their place. */
  async function claim(from: (lease: Lease, rules: ClaimRules) => Promise<Post[]>): Promise<{ posts: Post[]; sawOthers: boolean }> {
    claims += 1;
    let sawOthers = false;
    const lease = newLease();
    try {
      const posts = await from(lease, {
        exclude: profiles.excluded(),
        async take(profileIds) {
          const taken = await profiles.take(profileIds);
          sawOthers = taken.size < profileIds.length;
          return taken;
        },
      }).catch((error: unknown) => {
        // Marked perhaps, and the answer lost.
        orphans.push({ token: lease.token, postId: null });
        throw error;
      });
      await takeOn(posts);
      if (sawOthers) lookAgain();
      return { posts, sawOthers };
    } finally {
      claims -= 1;
    }
  }

  /** Another worker may let go of a profile without having done all of its posts. */
  function lookAgain(): void {
    if (looking !== null || stopping) return;
    looking = setTimeout(() => {
      looking = null;
      nudge();
    }, LOOK_AGAIN_MS);
    looking.unref();
  }

  async function takeOn(claimed: Post[]): Promise<void> {
    if (stopping) await deps.posts.release(claimed);
    else claimed.forEach(accept);
  }

  function claimDue(): Promise<void> {
    again = true;
    claiming ??= (async () => {
      while (again && !stopping) {
        again = false;
        await claimAll();
      }
    })().finally(() => {
      claiming = null;
    });
    return claiming;
  }

  function nudge(): void {
    claimDue().catch((error: unknown) => deps.log.error({ err: error }, 'due posts could not be claimed; the sweep tries again'));
  }

  return {
    nudge,

    async sweep() {
      if (stopping) return;
      const given = orphans;
      for (const { token, postId } of given) await deps.posts.giveUpLease(token, postId);
      orphans = orphans.filter((orphan) => !given.includes(orphan));
      await claim((lease, rules) => deps.posts.claimAbandoned(deps.now(), lease, BATCH, rules));
      const until = new Date(deps.now().getTime() + WAKE_AHEAD_MS);
      let times = await deps.posts.dueTimes(until, 1_000);
      if (times.some((at) => at.getTime() <= deps.now().getTime() + CLAIM_AHEAD_MS)) {
        await claimDue();
        times = await deps.posts.dueTimes(until, 1_000);
      }
      const seconds = new Set(times.map((at) => Math.ceil(at.getTime() / 1000)));
      for (const second of seconds) await deps.wakeAt(new Date(second * 1000 - WAKE_EARLIER_MS));
    },

    async posted(posts) {
      const times = posts.map((post) => earliestDue(post.publications)).filter((at) => at !== null);
      for (const at of times) await wake(at);
    },

    async stop(graceMs) {
      stopping = true;
      clearInterval(renewal);
      clearInterval(upkeep);
      if (looking !== null) clearTimeout(looking);
      turns.close();
      await claiming?.catch(() => undefined);
      await deps.posts.release(waiting.clear().map(({ post }) => post));
      await Promise.race([Promise.all([...working].flatMap(({ work }) => work ?? [])), new Promise((resolve) => setTimeout(resolve, graceMs).unref())]);
      over = true;
      await Promise.all([rates.flush(), profiles.releaseAll()]).catch((error: unknown) => deps.log.warn({ err: error }, 'turns could not be given back; they run out by themselves'));
    },
  };
}
