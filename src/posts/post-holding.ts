/** Posts that wait although their time may come, because the account's plan has no room for them; nothing of them is lost. */
import { ErrorCode } from '../lib/app-error.js';
import type { Clock } from '../lib/clock.js';
import type { Notifier } from '../lib/notifier.js';
import { isUntouched, type Change, type Post } from './post.js';
import { withEvents } from './post-events.js';
import type { PostStore } from './post-store.js';

export interface PostHoldingDeps {
  store: Pick<PostStore, 'listByAccount' | 'saveMany'>;
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
  /** Lets posts go on: at their time, or at once when that has passed. @returns those that were not changed meanwhile */
  release(posts: Post[]): Promise<Post[]>;
}

const MOST = 10_000;
/** Written together. */
const AT_ONCE = 100;

export function createPostHolding(deps: PostHoldingDeps): PostHolding {
  const { store, clock } = deps;

  async function saveAll(posts: Post[], move: (post: Post, now: Date) => Post): Promise<Post[]> {
    const saved: Post[] = [];
    for (let i = 0; i < posts.length; i += AT_ONCE) saved.push(...(await saveSome(posts.slice(i, i + AT_ONCE), move)));
    return saved;
  }

  /** @returns those that nobody else changed meanwhile, as they are now */
  async function saveSome(posts: Post[], move: (post: Post, now: Date) => Post): Promise<Post[]> {
    const now = clock.now();
    const changes = posts.map((before): Change => {
      const { post: after, events } = withEvents({ ...move(before, now), lease: null, updatedAt: now }, [{ type: 'post.updated' }], now);
      return { before, after, events };
    });
    const isSaved = await store.saveMany(changes);
    const saved = changes.filter((_change, i) => isSaved[i]).map(({ before, after }) => ({ ...after, version: before.version + 1 }));
    for (const { id } of saved) deps.notifier.notify(`post:${id}`);
    for (const accountId of new Set(saved.map((post) => post.accountId))) deps.notifier.notify(`account:${accountId}:posts`);
    if (saved.length > 0) deps.eventsWritten();
    return saved;
  }

  return {
    waiting: (accountId) => store.listByAccount(accountId, 'scheduled', MOST),
    held: async (accountId) => (await store.listByAccount(accountId, 'paused', MOST)).filter(isHeldByPlan),

    hold: (posts, notice) => saveAll(posts.filter(isUntouched), (post, now) => ({ ...heldPost(post, notice), history: [...post.history, { at: now, what: 'held', detail: notice }] })),

    async release(posts) {
      const released = await saveAll(posts, (post, now) => ({
        ...post, status: 'scheduled', dueAt: post.scheduledAt, history: [...post.history, { at: now, what: 'released' }],
        publications: post.publications.map((p) => (p.state === 'pending' ? { ...p, dueAt: post.scheduledAt, failure: null } : p)),
      }));
      if (released.length > 0) await deps.postsDue(released);
      return released;
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
