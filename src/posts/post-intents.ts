/** Intents of posts that begin in the same moment are alike: they travel as one statement, which is still a compare-and-swap for each of them. */
import type { UpdateFilter } from 'mongodb';
import type { PostDoc } from './post-doc.js';
import type { Change, HistoryEntry, Post, Publication } from './post.js';

/**
 * Says which intents are alike: those with the same key differ in their `_id` alone.
 * @returns null for any other move, and for intents of posts with several publications or with tries behind them
 */
export function intentKey({ before, after, events }: Change): string | null {
  const { lease } = before;
  if (events.length > 0 || lease === null || after.lease !== lease || before.status !== 'scheduled' || after.status !== 'publishing' || after.scheduledAt > after.updatedAt || after.publications.length !== 1 || before.publications.length !== 1) return null;
  const was = before.publications[0]!;
  const is = after.publications[0]!;
  if (was.state !== 'pending' || is.state !== 'sending' || was.tries !== 0 || was.attempts.length > 0 || !isFirstAttempt(is)) return null;
  if (!differsOnlyIn(MOVED_OF_POST, before, after) || !differsOnlyIn(MOVED, was, is)) return null;
  const entry = soleEntry(before.history, after.history);
  if (entry === null || entry.publicationId !== undefined || entry.detail !== undefined || entry.at !== after.updatedAt) return null;
  return `${before.version} ${lease.token} ${after.updatedAt.getTime()} ${is.attempts[0]!.startedAt.getTime()} ${entry.what}`;
}

function isFirstAttempt({ tries, dueAt, failure, attempts }: Publication): boolean {
  if (tries !== 1 || dueAt !== null || failure !== null || attempts.length !== 1) return false;
  const { number, kind, endedAt, outcome, failure: why } = attempts[0]!;
  return number === 1 && kind === 'publish' && endedAt === null && outcome === null && why === null;
}

/** What an intent changes. */
const MOVED_OF_POST: ReadonlySet<string> = new Set<keyof Post>(['publications', 'status', 'history', 'updatedAt', 'version']);
const MOVED: ReadonlySet<string> = new Set<keyof Publication>(['state', 'tries', 'dueAt', 'failure', 'attempts']);

function differsOnlyIn<T extends object>(moved: ReadonlySet<string>, was: T, is: T): boolean {
  for (const name in is) if (was[name] !== is[name] && !moved.has(name)) return false;
  return true;
}

function soleEntry(before: readonly HistoryEntry[], after: readonly HistoryEntry[]): HistoryEntry | null {
  return after.length === before.length + 1 ? after.at(-1)! : null;
}

/** What is written of each, made from any of them: all but the status, see `isBeingSent`. */
export function intentUpdate({ after }: Change, writer: string): UpdateFilter<PostDoc> {
  const { state, tries, dueAt, failure, attempts } = after.publications[0]!;
  return {
    $set: {
      'publications.0.state': state, 'publications.0.dueAt': dueAt, 'publications.0.tries': tries, 'publications.0.attempts': attempts, 'publications.0.failure': failure,
      updatedAt: after.updatedAt, writer,
    },
    $inc: { version: 1 },
    $push: { history: after.history.at(-1)! },
  };
}
