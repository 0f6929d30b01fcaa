/** The use cases of posts: write, edit, reschedule, cancel, delete, read. Everything that is sent is sent by publishing. */
import type { Actor } from '../accounts/actor.js';
import type { Channel } from '../channels/channel.js';
import { AppError, ErrorCode, type FieldProblem } from '../lib/app-error.js';
import type { Clock } from '../lib/clock.js';
import type { Logger } from '../lib/logger.js';
import type { Notifier } from '../lib/notifier.js';
import { newPostId } from '../lib/ids.js';
import { findPlatform } from '../platforms/registry.js';
import { canBeCalledOff, isUntouched, type Post, type PostEvent } from './post.js';
import { withEvents, type EventRequest } from './post-events.js';
import { createFileUse, fileIdsOf, type FilesDoor } from './post-files.js';
import type { PostChanges, PostInput } from './post-input.js';
import { cancelAll, deleted, edited, withRemovals } from './post-edit.js';
import { keepHeld } from './post-holding.js';
import { digestOf, findProblems, newPost, planPost, type Plan } from './post-plan.js';
import type { PostListFilter, PostStore } from './post-store.js';

export interface PostServiceDeps {
  store: PostStore;
  channels: { list(actor: Actor): Promise<Channel[]> };
  profiles: { get(profileId: string): Promise<{ refId: string; title: string }> };
  clock: Clock;
  notifier: Notifier;
  log: Logger;
  /** Tells publishing that these posts are due at a (new) time: a wake-up, or a nudge when that is now. */
  postsDue(posts: Post[]): Promise<void>;
  /** Hands the outbox the events that were written with the post. */
  eventsWritten(post: Post, events: PostEvent[]): void;
  /** Counts a new post against the account's plan; absent: nothing is counted. @throws AppError `too-many` when the plan has no room */
  requireRoom?(post: Post): Promise<void>;
  /** The new post was not stored after all. */
  giveBackRoom?(post: Post): Promise<void>;
  /** Uploaded files; absent: addresses are all that there is. */
  files?: FilesDoor;
  /** Takes down at their networks what is or may be public; may be repeated. */
  takeDown(post: Post): Promise<Removal[]>;
}

/** What a person saw at the network. */
export type Verdict = { published: true; url: string | null } | { published: false };

/** What people ask of publishing through the doors of posts. */
export interface PublishingDoor {
  /** @param publicationIds null: everything that failed or was missed. @throws AppError `conflict` when nothing can be sent again */
  retry(actor: Actor, postId: string, publicationIds: string[] | null): Promise<Post>;
  /** Settles an unconfirmed publication. @throws AppError `conflict` when it is not unconfirmed */
  confirm(actor: Actor, postId: string, publicationId: string, verdict: Verdict): Promise<Post>;
}

/** What became of one publication when its post was deleted. */
export interface Removal {
  publicationId: string;
  platform: string;
  removed: boolean;
  /** Why it is still there. */
  message?: string;
}

export interface Deletion {
  post: Post;
  /** One row for each platform; all removed when the post is deleted. */
  removals: Removal[];
}

export interface PostService {
  /** @throws AppError `invalid` with each broken rule; `conflict` when the idempotency key belongs to another content */
  create(actor: Actor, input: PostInput): Promise<Post>;
  /** Every rule that the input breaks, without storing anything. */
  check(actor: Actor, input: PostInput): Promise<{ problems: FieldProblem[]; notLinked: FieldProblem[] }>;
  /** @throws AppError `not-found`, the same for somebody else's post */
  get(actor: Actor, id: string): Promise<Post>;
  /** Null when there is no such post of this profile. */
  find(actor: Actor, id: string): Promise<Post | null>;
  list(actor: Actor, filter: Omit<PostListFilter, 'profileId'>): Promise<Post[]>;
  count(actor: Actor): ReturnType<PostStore['countByStatus']>;
  /** @param version of the post that the changes were made on; null: whatever is stored. @throws AppError `conflict` once it is being sent */
  edit(actor: Actor, id: string, changes: PostChanges, version?: number | null): Promise<Post>;
  /** Nothing is sent any more. Repeating it changes nothing. @throws AppError `conflict` once it is being sent */
  cancel(actor: Actor, id: string): Promise<Post>;
  /** Cancels a post that waits, and takes one down that is published where that is possible. */
  remove(actor: Actor, id: string, options?: { removedByHand?: boolean }): Promise<Deletion>;
  /** Cancels every post that waits. @returns how many */
  cancelAllScheduled(actor: Actor): Promise<number>;
}

/** Tries of one change against others who write the same post. */
const CAS_TRIES = 8;
const KEPT_REF_IDS = 10_000;

type Step = { after: Post; requests: EventRequest[] } | null;

export function createPostService(deps: PostServiceDeps): PostService {
  const { store, clock } = deps;
  const refIds = new Map<string, string>();
  const uploads = createFileUse(deps.files, deps.log);

  async function find(actor: Actor, id: string): Promise<Post | null> {
    const post = await store.find(id);
    return post === null || post.profileId !== actor.profileId ? null : post;
  }

  async function get(actor: Actor, id: string): Promise<Post> {
    const post = await find(actor, id);
    if (post === null) throw new AppError('not-found', ErrorCode.notFound, 'There is no such post. Its id may be mistyped, or it belongs to another account.');
    return post;
  }

  /** A profile's refId never changes, and every post needs it. */
  async function refIdOf(profileId: string): Promise<string> {
    const known = refIds.get(profileId);
    if (known !== undefined) return known;
    const { refId } = await deps.profiles.get(profileId);
    if (refIds.size >= KEPT_REF_IDS) refIds.clear();
    refIds.set(profileId, refId);
    return refId;
  }

  /** After a write: whoever watches and whoever has to act learns of it. What fails here is made up for by the sweeps. */
  async function announce(post: Post, events: PostEvent[], isDue: boolean): Promise<void> {
    deps.notifier.notify(`post:${post.id}`);
    deps.notifier.notify(`account:${post.accountId}:posts`);
    deps.eventsWritten(post, events);
    if (!isDue) return;
    await deps.postsDue([post]).catch((error: unknown) => deps.log.error({ err: error, postId: post.id }, 'no wake-up could be set; the sweep will find the post'));
  }

  /** Reads, decides and writes until nobody wrote in between. `decide` returns null when nothing has to change. */
  async function change(actor: Actor, id: string, decide: (post: Post, now: Date) => Step | Promise<Step>): Promise<Post> {
    for (let i = 0; i < CAS_TRIES; i++) {
      const before = await get(actor, id);
      const now = clock.now();
      const step = await decide(before, now);
      if (step === null) return before;
      const { post: after, events } = withEvents({ ...step.after, lease: null, updatedAt: now }, step.requests, now);
      if (!(await store.save({ before, after, events }))) continue;
      await announce(after, events, after.status === 'scheduled');
      return { ...after, version: before.version + 1 };
    }
    throw new AppError('conflict', ErrorCode.conflict, 'The post is being changed by somebody else right now. Look at it again, then try once more.');
  }

  /** @returns the post that was stored under the same key; null: this one was */
  async function insertNew(post: Post, events: PostEvent[]): Promise<Post | null> {
    const same = await requireRoom(post);
    if (same !== null) return same;
    if (await store.insert(post, events)) return null;
    await deps.giveBackRoom?.(post);
    const winner = await store.findByIdempotencyKey(post.profileId, post.idempotencyKey ?? '');
    if (winner === null) throw keyConflict('This idempotencyKey is being used by another request right now. Try again in a moment.');
    return winner;
  }

  async function replay(earlier: Post, digest: string): Promise<Post> {
    if (earlier.status === 'deleted') throw keyConflict('The post that this idempotencyKey was used for has been deleted. Use another key for another post.');
    if (earlier.requestDigest !== digest) throw keyConflict('This idempotencyKey was already used for a post with another content. Use another key for another post.');
    return earlier;
  }

  /** @returns the post that a request with the same key made while this one found no room for another; null: there is room */
  async function requireRoom(post: Post): Promise<Post | null> {
    try {
      await deps.requireRoom?.(post);
      return null;
    } catch (error) {
      const same = post.idempotencyKey === null ? null : await store.findByIdempotencyKey(post.profileId, post.idempotencyKey);
      if (same === null) throw error;
      return same;
    }
  }

  async function cancel(actor: Actor, id: string): Promise<Post> {
    return change(actor, id, (post, now) => {
      if (post.status === 'deleted') return null;
      if (!canBeCalledOff(post)) throw tooLate(post, 'cancelled');
      return { after: deleted(cancelAll(post), now, 'cancelled'), requests: [{ type: 'post.cancelled' }] };
    });
  }

  return {
    cancel,

    async create(actor, input) {
      const now = clock.now();
      if (input.idempotencyKey !== null) {
        const earlier = await store.findByIdempotencyKey(actor.profileId, input.idempotencyKey);
        if (earlier !== null) return replay(earlier, digestOf(input));
      }
      const [channels, refId, files] = await Promise.all([deps.channels.list(actor), refIdOf(actor.profileId), uploads.find(actor, input)]);
      const plan = withRefId(refId, () => planPost({ ...input, files }, channels, now));
      const owner = { accountId: actor.accountId, profileId: actor.profileId, refId, timeZone: actor.timeZone };
      const draft = newPost(owner, input, plan, now);
      const { post, events } = withEvents(draft, draft.type === 'scheduled' ? [{ type: 'post.scheduled' }] : [], now);
      await uploads.use(actor, post, files);
      const same = await insertNew(post, events).catch(async (error: unknown) => {
        await uploads.endUse(post, files);
        throw error;
      });
      if (same !== null) {
        await uploads.endUse(post, files);
        return replay(same, digestOf(input));
      }
      await announce(post, events, true);
      return post;
    },

    async check(actor, input) {
      const [channels, files] = await Promise.all([deps.channels.list(actor), uploads.find(actor, input)]);
      return findProblems({ ...input, files }, channels, clock.now());
    },

    get,
    find,

    list: (actor, filter) => store.list({ ...filter, profileId: actor.profileId }),

    count: (actor) => store.countByStatus(actor.profileId),

    async edit(actor, id, changes, version = null) {
      const channels = await deps.channels.list(actor);
      let dropped: string[] = [];
      const saved = await change(actor, id, async (post, now) => {
        if (post.status === 'deleted') throw new AppError('conflict', ErrorCode.alreadyDeleted, 'The post was deleted and can no longer be changed.');
        if (version !== null && version !== post.version && isUntouched(post)) {
          throw new AppError('conflict', ErrorCode.conflict, 'The post was changed meanwhile, perhaps in another window. Nothing was saved: look at it again, then repeat your change.');
        }
        const onlyNotes = Object.keys(changes).every((key) => key === 'notes');
        // A worker that holds the post must find the version it knows, or it would lose what it learned at the network.
        if (onlyNotes && (post.lease === null || isUntouched(post))) return { after: { ...post, notes: changes.notes ?? null }, requests: [] };
        if (!isUntouched(post)) throw tooLate(post, 'changed');
        const files = await uploads.find(actor, changes, fileIdsOf(post));
        const after = edited(post, changes, channels, now, files);
        if (after === null) return null;
        await uploads.use(actor, after, files);
        const ids = new Set(fileIdsOf(after));
        dropped = fileIdsOf(post).filter((fileId) => !ids.has(fileId));
        return { after: keepHeld(post, after), requests: [{ type: 'post.updated' }] };
      });
      if (dropped.length > 0) await deps.files?.endUse(dropped, id);
      return saved;
    },

    async remove(actor, id, { removedByHand = false } = {}) {
      const post = await get(actor, id);
      if (post.status === 'deleted' || canBeCalledOff(post)) return { post: await cancel(actor, id), removals: removalsOf(post, []) };
      if (post.status === 'publishing') throw tooLate(post, 'deleted');
      const removals = removalsOf(post, removedByHand ? [] : await deps.takeDown(post));
      const after = await change(actor, id, (current, now) => {
        if (current.status === 'deleted') return null;
        if (current.status === 'publishing') throw tooLate(current, 'deleted');
        return { after: withRemovals(current, removals, now, removedByHand), requests: [] };
      });
      return { post: after, removals };
    },

    async cancelAllScheduled(actor) {
      let cancelled = 0;
      for (;;) {
        const waiting = await store.list({ profileId: actor.profileId, statuses: ['scheduled', 'paused'], limit: 200 });
        const done = await Promise.all(waiting.map((post) => cancel(actor, post.id).then(() => 1, ignoreConflict)));
        const won = done.reduce((sum, n) => sum + n, 0);
        cancelled += won;
        if (won === 0 || waiting.length < 200) return cancelled;
      }
    },
  };
}

/** Ayrshare's answer to a broken rule names the profile and an id, though nothing is stored under it. */
function withRefId(refId: string, plan: () => Plan): Plan {
  try {
    return plan();
  } catch (error) {
    if (error instanceof AppError && error.details['validate'] === true) Object.assign(error.details, { id: newPostId(), refId });
    throw error;
  }
}

function keyConflict(message: string): AppError {
  return new AppError('conflict', ErrorCode.idempotencyKeyReused, message, { fields: [{ field: 'idempotencyKey', code: ErrorCode.idempotencyKeyReused, message }] });
}

function tooLate(post: Post, what: 'changed' | 'cancelled' | 'deleted'): AppError {
  const message = post.status === 'publishing'
    ? `${whatHoldsIt(post)} and can't be ${what} ${what === 'changed' ? 'any more' : 'before that has ended'}. Nothing was changed.`
    : `The post was already sent and can't be ${what} any more. Nothing was changed.`;
  return new AppError('conflict', ErrorCode.conflict, message);
}

function whatHoldsIt({ publications }: Post): string {
  const name = publications.find(({ state }) => state === 'processing')?.platform;
  if (publications.some(({ state }) => state === 'sending')) return 'The post is being sent right now';
  if (name !== undefined) return `${findPlatform(name)?.name ?? name} is still working on the post, which may become public,`;
  return publications.some(({ state }) => state === 'published') ? 'The post is public in part, the rest of it is still to be sent,' : 'The post was tried already';
}

function ignoreConflict(error: unknown): 0 {
  if (error instanceof AppError && error.kind === 'conflict') return 0;
  throw error;
}

/** One row for each publication: what was never public counts as removed. */
function removalsOf(post: Post, asked: Removal[]): Removal[] {
  return post.publications.map(({ id, platform }) => asked.find((row) => row.publicationId === id) ?? { publicationId: id, platform, removed: true });
}
