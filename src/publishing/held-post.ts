/** A post that this worker has leased: its moves are applied in order and saved; those that gather during a write go into the next one together. */
import type { Logger } from '../lib/logger.js';
import type { Change, Post, PostEvent } from '../posts/post.js';
import { eventsBetween, eventsOf } from '../posts/post-events.js';
import type { LeaseWatch } from './lease-watch.js';

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

/** What all of a worker's posts share. */
export interface HeldPostDeps {
  save(change: Change): Promise<boolean>;
  /** Reads the post again, to tell whether a write whose answer was lost did happen. */
  find(id: string): Promise<Post | null>;
  onSaved(post: Post, events: PostEvent[]): void;
  now(): Date;
  /** True when the process has stopped waiting for this work. */
  isOver(): boolean;
  log: Logger;
}

/** Waits between tries to store an outcome: losing one would mean doubt about something we know. */
const SAVE_RETRY_MS = [50, 250, 1_000, 3_000, 10_000];

const gathered = Promise.resolve();

interface WaitingMove {
  move(post: Post): Post;
  /** It ends the last step. */
  endsLease: boolean;
  resolve(won: boolean): void;
  reject(error: unknown): void;
}

export function holdPost(claimed: Post, watch: Pick<LeaseWatch, 'isSafe'>, deps: HeldPostDeps): HeldPost {
  return new Hold(claimed, watch, deps);
}

/** A class, and callbacks instead of async functions, because of a herd: hundreds of these wait for their answers at once, and what each takes is copied whenever V8 makes room. */
class Hold implements HeldPost {
  private post: Post;
  private isLost = false;
  private unsettled = 0;
  private waiting: WaitingMove[] = [];
  private isWriting = false;
  private readonly watch: Pick<LeaseWatch, 'isSafe'>;
  private readonly deps: HeldPostDeps;

  constructor(claimed: Post, watch: Pick<LeaseWatch, 'isSafe'>, deps: HeldPostDeps) {
    this.post = claimed;
    this.watch = watch;
    this.deps = deps;
  }

  get id(): string {
    return this.post.id;
  }

  current(): Post {
    return this.post;
  }

  lost(): boolean {
    return this.isLost;
  }

  isSafe(): boolean {
    return this.watch.isSafe();
  }

  apply(move: (post: Post) => Post): Promise<boolean> {
    return this.enqueue(move, false);
  }

  private enqueue(move: (post: Post) => Post, endsLease: boolean): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ move, endsLease, resolve, reject });
      if (this.isWriting) return;
      this.isWriting = true;
      // Moves of the same moment, such as the intents for several channels, travel together. Not `queueMicrotask`: what Node makes for that costs as much as a move.
      void gathered.then(() => this.write());
    });
  }

  expect(steps: number): void {
    this.unsettled += steps;
  }

  isHeld(): boolean {
    return !this.isLost && this.unsettled > 0;
  }

  settle(move: (post: Post) => Post): Promise<boolean> {
    this.unsettled -= 1;
    return this.enqueue(move, this.unsettled === 0);
  }

  async release(): Promise<void> {
    if (!this.isLost && this.post.lease !== null) await this.enqueue((post) => post, true);
  }

  /** Stores all moves that wait as one, and goes on until none waits. */
  private write(): void {
    const batch = this.waiting;
    this.waiting = [];
    if (batch.length === 0) {
      this.isWriting = false;
      return;
    }
    if (this.isLost) return this.answer(batch, false);
    let change: Change;
    try {
      change = this.changeOf(batch);
    } catch (error) {
      return this.refuse(batch, error);
    }
    this.deps.save(change).then(
      (won) => this.saved(batch, change, won),
      (error: unknown) => saveStubbornly(change, this.deps, error).then((won) => this.saved(batch, change, won), (last: unknown) => this.refuse(batch, last)),
    );
  }

  private changeOf(batch: readonly WaitingMove[]): Change {
    const before = this.post;
    let moved = before;
    let endsLease = false;
    for (const waiting of batch) {
      moved = waiting.move(moved);
      endsLease ||= waiting.endsLease;
    }
    const events = eventsOf(moved, eventsBetween(before, moved), this.deps.now());
    const lease = endsLease ? null : moved.lease;
    return { before, after: { ...moved, lease, sequence: moved.sequence + events.length, version: before.version + 1 }, events };
  }

  private saved(batch: readonly WaitingMove[], { after, events }: Change, won: boolean): void {
    if (won) {
      this.post = after;
      try {
        this.deps.onSaved(after, events);
      } catch (error) {
        return this.refuse(batch, error);
      }
    }
    this.isLost = !won;
    this.answer(batch, won);
  }

  private answer(batch: readonly WaitingMove[], won: boolean): void {
    for (const { resolve } of batch) resolve(won);
    this.write();
  }

  private refuse(batch: readonly WaitingMove[], error: unknown): void {
    for (const { reject } of batch) reject(error);
    this.write();
  }
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
