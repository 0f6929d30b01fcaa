/** A post that this worker has leased: its moves are applied in order and saved; those that gather during a write go into the next one together. */
import type { Logger } from '../lib/logger.js';
import type { Change, Post, PostEvent } from '../posts/post.js';
import { eventsBetween, withEvents } from '../posts/post-events.js';

export interface HeldPost {
  readonly id: string;
  /** The last version that is known to be stored. */
  current(): Post;
  /** True when another took the post: nothing more may be written. */
  lost(): boolean;
  /** False: the lease may have run out, so nothing may be made public under it any more. */
  isSafe(): boolean;
  /**
   * Stores one move. @returns false when the post was lost; then the move did not happen.
   * @throws when the database can't be reached after several tries
   */
  apply(move: (post: Post) => Post): Promise<boolean>;
  /** Says how many more steps are to be settled; the last one ends the lease with the same write. */
  expect(steps: number): void;
  /** True while a step is to be settled, and the post is ours. */
  isHeld(): boolean;
  /** Stores the one move that ends a step. */
  settle(move: (post: Post) => Post): Promise<boolean>;
  /** Ends the lease with a write of its own, where no step did. */
  release(): Promise<void>;
}

export interface HeldPostDeps {
  save(change: Change): Promise<boolean>;
  /** Reads the post again, to tell whether a write whose answer was lost did happen. */
  find(id: string): Promise<Post | null>;
  onSaved(post: Post, events: PostEvent[]): void;
  isSafe(): boolean;
  now(): Date;
  /** True when the process has stopped waiting for this work. */
  isOver(): boolean;
  log: Logger;
}

/** Waits between tries to store an outcome: losing one would mean doubt about something we know. */
const SAVE_RETRY_MS = [50, 250, 1_000, 3_000, 10_000];

const gathered = Promise.resolve();

export function holdPost(claimed: Post, deps: HeldPostDeps): HeldPost {
  let current = claimed;
  let lost = false;
  let unsettled = 0;
  let waiting: { move: (post: Post) => Post; resolve: (won: boolean) => void; reject: (error: unknown) => void }[] = [];
  let writing = false;

  async function store(after: Post): Promise<boolean> {
    const told = withEvents(after, eventsBetween(current, after), deps.now());
    const change: Change = { before: current, after: told.post, events: told.events };
    const won = await deps.save(change).catch((error: unknown) => saveStubbornly(change, deps, error));
    if (!won) {
      lost = true;
      return false;
    }
    current = { ...told.post, version: change.before.version + 1 };
    deps.onSaved(current, told.events);
    return true;
  }

  async function write(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.splice(0);
      try {
        const won = !lost && (await store(batch.reduce((post, { move }) => move(post), current)));
        for (const { resolve } of batch) resolve(won);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    writing = false;
  }

  function enqueue(move: (post: Post) => Post): Promise<boolean> {
    return new Promise((resolve, reject) => {
      waiting.push({ move, resolve, reject });
      if (writing) return;
      writing = true;
      // Moves of the same moment, such as the intents for several channels, travel together. Not `queueMicrotask`: what Node makes for that costs as much as a move.
      void gathered.then(write);
    });
  }

  return {
    id: claimed.id,
    current: () => current,
    lost: () => lost,
    isSafe: () => deps.isSafe(),
    apply: enqueue,
    expect(steps) {
      unsettled += steps;
    },
    isHeld: () => !lost && unsettled > 0,
    settle(move) {
      unsettled -= 1;
      return enqueue(unsettled === 0 ? (post) => ({ ...move(post), lease: null }) : move);
    },
    async release() {
      if (!lost && current.lease !== null) await enqueue((post) => ({ ...post, lease: null }));
    },
  };
}

/** @param first why it could not be stored at once; it may have been stored all the same */
async function saveStubbornly(change: Change, deps: HeldPostDeps, first: unknown): Promise<boolean> {
  let error = first;
  for (const delayMs of SAVE_RETRY_MS) {
    if (deps.isOver()) break;
    deps.log.warn({ err: error, postId: change.before.id }, 'a move could not be stored, trying again');
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    try {
      // A write that failed before may have happened all the same: then this one finds its own version.
      return (await deps.save(change)) || (await isOurs(change, deps));
    } catch (next) {
      error = next;
    }
  }
  throw error;
}

async function isOurs(change: Change, deps: HeldPostDeps): Promise<boolean> {
  const stored = await deps.find(change.before.id);
  return stored !== null && stored.version === change.before.version + 1 && stored.updatedAt.getTime() === change.after.updatedAt.getTime()
    && (stored.lease?.token ?? null) === (change.after.lease?.token ?? null);
}
