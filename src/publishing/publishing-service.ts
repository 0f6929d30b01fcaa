/** What people and other domains ask of publishing beside the clock: release, retry, and settling what nobody could tell. */
import type { Actor } from '../accounts/actor.js';
import { AppError, ErrorCode } from '../lib/app-error.js';
import { stepsOf, type Change, type Post, type Publication, type Step } from '../posts/post.js';
import { eventsBetween, withEvents } from '../posts/post-events.js';
import { confirmByHand, releaseHeld, retryByHand } from './transitions.js';

export interface PublishingServiceDeps {
  posts: {
    find(id: string): Promise<Post | null>;
    listHeld(channelId: string, limit: number): Promise<Post[]>;
    save(change: Change): Promise<boolean>;
  };
  now(): Date;
  /** Tells the clock about posts that became due. */
  posted(posts: Post[]): Promise<void>;
  onSaved(post: Post): void;
  /** A post that never went out is sent again: it counts against the plan again. @throws AppError `too-many` when there is no room */
  requireRoom?(post: Post): Promise<void>;
}

/** What a person saw at the network. */
export type Verdict = { published: true; url: string | null } | { published: false };

export interface PublishingService {
  /** The channel can be used again: its held publications go on, those whose time has come at once. */
  releaseChannel(channelId: string): Promise<void>;
  /**
   * Sends what failed or was missed again, and only that: publications, and the rest of threads that broke off. What is unconfirmed only when it
   * is named, because it may be public already.
   * @param ids of publications (then also what should have followed them) or of single follow-ups; null: every failed and missed one
   * @throws AppError `not-found`; `conflict` when nothing of it can be sent again
   */
  retry(actor: Actor, postId: string, ids: string[] | null): Promise<Post>;
  /** Settles an unconfirmed publication, or what follows one, by what a person saw. @throws AppError `not-found`, `conflict` when it is not unconfirmed */
  confirm(actor: Actor, postId: string, id: string, verdict: Verdict): Promise<Post>;
}

const BATCH = 100;
const CAS_TRIES = 8;

export function createPublishingService(deps: PublishingServiceDeps): PublishingService {
  const { posts, now } = deps;

  async function change(actor: Actor, postId: string, move: (post: Post) => Post | Promise<Post>): Promise<Post> {
    for (let i = 0; i < CAS_TRIES; i++) {
      const before = await posts.find(postId);
      if (before === null || before.profileId !== actor.profileId) throw new AppError('not-found', ErrorCode.notFound, 'There is no such post.');
      const moved = await move(before);
      const told = withEvents({ ...moved, lease: null, updatedAt: now() }, eventsBetween(before, moved), now());
      if (before.lease !== null) throw busy();
      if (!(await posts.save({ before, after: told.post, events: told.events }))) continue;
      const after = { ...told.post, version: before.version + 1 };
      deps.onSaved(after);
      await deps.posted([after]);
      return after;
    }
    throw busy();
  }

  return {
    async releaseChannel(channelId) {
      const tried = new Set<string>();
      // One that a worker has in hand right now is looked at again by its own re-check.
      for (;;) {
        const held = (await posts.listHeld(channelId, BATCH)).filter((post) => !tried.has(post.id));
        if (held.length === 0) return;
        for (const post of held) {
          tried.add(post.id);
          const after = releaseHeld(post, channelId, now());
          if (!(await posts.save({ before: post, after, events: [] }))) continue;
          deps.onSaved(after);
          await deps.posted([after]);
        }
      }
    },

    retry: (actor, postId, ids) => change(actor, postId, async (post) => {
      const again = post.publications.flatMap((publication) => againOf(publication, ids));
      if (post.status === 'deleted' || again.length === 0) {
        throw new AppError('conflict', ErrorCode.conflict, 'Nothing of this post can be sent again: only what failed or was missed can, and what is unconfirmed when you name it.');
      }
      await deps.requireRoom?.(post);
      return retryByHand(post, again, now());
    }),

    confirm: (actor, postId, id, verdict) => change(actor, postId, (post) => {
      const step = post.publications.flatMap(stepsOf).find((one) => one.id === id);
      if (step === undefined) throw new AppError('not-found', ErrorCode.notFound, 'There is no such publication.');
      if (step.state !== 'unconfirmed') throw new AppError('conflict', ErrorCode.conflict, `It is ${step.state} now, so there is nothing to settle.`);
      return confirmByHand(post, id, verdict, now());
    }),
  };
}

/**
 * The steps of a publication that are sent again. The items after the one where a thread broke off follow by themselves.
 * @param ids null: whatever failed
 */
function againOf(publication: Publication, ids: string[] | null): string[] {
  const { state, followUps = [] } = publication;
  if (state !== 'published') return isAgain(publication, ids) ? [publication.id] : [];
  const named = ids?.includes(publication.id) === true ? null : ids;
  return followUps.filter((step) => isAgain(step, named)).map(({ id }) => id);
}

function isAgain({ id, state }: Step, ids: string[] | null): boolean {
  if (ids !== null && !ids.includes(id)) return false;
  return state === 'failed' || state === 'missed' || (state === 'unconfirmed' && ids !== null);
}

function busy(): AppError {
  return new AppError('conflict', ErrorCode.conflict, 'The post is being worked on right now. Look at it again in a moment.');
}
