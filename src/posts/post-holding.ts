/** Posts that wait although their time may come, because the account's plan has no room for them; nothing of them is lost. */
import { ErrorCode } from '../lib/app-error.js';
import type { Clock } from '../lib/clock.js';
import type { Notifier } from '../lib/notifier.js';
import { isUntouched, type Post } from './post.js';
import { withEvents } from './post-events.js';
import type { PostStore } from './post-store.js';

export interface PostHoldingDeps {
  store: Pick<PostStore, 'listByAccount' | 'save'>;
  clock: Clock;
  notifier: Notifier;
  postsDue(posts: Post[]): Promise<void>;
  eventsWritten(): void;
}

export interface PostHolding {
  /** Posts that wait for their time, oldest first. */
  waiting(accountId: string): Promise<Post[]>;
  /** Posts that are held, oldest first. */
  held(accountId: string): Promise<Post[]>;
  /** Holds posts that nothing was sent of. @returns those that are held now */
  hold(posts: Post[], notice: string): Promise<Post[]>;
  /** Lets one go on: at its time, or at once when that has passed. @returns false when it was changed meanwhile */
  release(post: Post): Promise<boolean>;
}

const MOST = 10_000;

export function createPostHolding(deps: PostHoldingDeps): PostHolding {
  const { store, clock } = deps;

  async function save(before: Post, moved: Post): Promise<Post | null> {
    const now = clock.now();
    const { post: after, events } = withEvents({ ...moved, lease: null, updatedAt: now }, [{ type: 'post.updated' }], now);
    if (!(await store.save({ before, after, events }))) return null;
    deps.notifier.notify(`post:${after.id}`);
    deps.notifier.notify(`account:${after.accountId}:posts`);
    deps.eventsWritten();
    return { ...after, version: before.version + 1 };
  }

  return {
    waiting: (accountId) => store.listByAccount(accountId, 'scheduled', MOST),
    held: async (accountId) => (await store.listByAccount(accountId, 'paused', MOST)).filter(isHeldByPlan),

    async hold(posts, notice) {
      const held: Post[] = [];
      for (const post of posts) {
        if (!isUntouched(post)) continue;
        const now = clock.now();
        const after = await save(post, { ...heldPost(post, notice), history: [...post.history, { at: now, what: 'held', detail: notice }] });
        if (after !== null) held.push(after);
      }
      return held;
    },

    async release(post) {
      const now = clock.now();
      const publications = post.publications.map((p) => (p.state === 'pending' ? { ...p, dueAt: post.scheduledAt, failure: null } : p));
      const after = await save(post, { ...post, status: 'scheduled', publications, dueAt: post.scheduledAt, history: [...post.history, { at: now, what: 'released' }] });
      if (after !== null) await deps.postsDue([after]);
      return after !== null;
    },
  };
}

/** Somebody may have paused a post by hand: that is no plan's business. */
function isHeldByPlan({ publications }: Post): boolean {
  return publications.some(({ failure }) => failure?.code === ErrorCode.planLimit);
}

function heldPost(post: Post, notice: string): Post {
  const publications = post.publications.map((p) => (p.state === 'pending' || p.state === 'held'
    ? { ...p, state: 'pending' as const, dueAt: null, failure: { kind: 'rejected' as const, code: ErrorCode.planLimit, message: notice } }
    : p));
  return { ...post, status: 'paused', publications, dueAt: null };
}

/** A held post that is edited stays held: an edit makes no room. */
export function keepHeld(before: Post, after: Post): Post {
  if (before.status !== 'paused') return after;
  const notice = before.publications.find((p) => p.failure !== null)?.failure?.message ?? 'Held.';
  return heldPost(after, notice);
}
