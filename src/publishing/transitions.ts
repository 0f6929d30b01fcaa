/** The moves of a publication as pure functions from one version of a post to the next. */
import { ErrorCode } from '../lib/app-error.js';
import type { PlatformFailure, PublishResult } from '../platforms/platform.js';
import { earliestDue, foldStatus, isSettled, type Attempt, type Post, type Publication, type PublicationFailure } from '../posts/post.js';
import type { NextStep } from './retry-policy.js';

const KEPT_ATTEMPTS = 60;

const CODE_OF_KIND: Record<PublicationFailure['kind'], number> = {
  rejected: ErrorCode.platformRejected,
  'signed-out': ErrorCode.platformSignedOut,
  'rate-limited': ErrorCode.platformRateLimited,
  unreachable: ErrorCode.platformUnreachable,
  unknown: ErrorCode.outcomeUnknown,
};

export function failureOf(error: PlatformFailure): PublicationFailure {
  const { code, details } = error.options;
  return { kind: error.kind, code: code ?? CODE_OF_KIND[error.kind], message: error.message, ...(details === undefined ? {} : { details }) };
}

/** The intent: stored before any call, so that a crash leaves a trace of what may have been sent. */
export function startSending(post: Post, publicationIds: readonly string[], now: Date): Post {
  return publicationIds.reduce((current, id) => move(current, id, now, 'publication sending', (p) => ({
    state: 'sending',
    tries: p.tries + 1,
    dueAt: null,
    failure: null,
    attempts: addAttempt(p.attempts, { kind: 'publish', startedAt: now, endedAt: null, outcome: null, failure: null }),
  })), post);
}

/** What the network accepted, from a publish call, a poll or a look-up. */
export function recordAcceptance(post: Post, id: string, kind: Attempt['kind'], startedAt: Date, result: PublishResult, now: Date): Post {
  if (result.state === 'published') {
    return move(post, id, now, 'publication published', (p) => ({
      state: 'published', remoteId: result.remoteId, url: result.url, publishedAt: now, dueAt: null, failure: null,
      attempts: closeAttempt(p.attempts, kind, startedAt, now, 'published', null),
    }), result.url ?? result.remoteId);
  }
  const what = post.publications.find((p) => p.id === id)?.state === 'processing' ? null : 'publication processing';
  return move(post, id, now, what, (p) => ({
    state: 'processing', handle: result.handle, processingSince: p.processingSince ?? now, dueAt: new Date(now.getTime() + result.pollAfterMs), failure: null,
    attempts: closeAttempt(p.attempts, kind, startedAt, now, 'processing', null),
  }));
}

/** An attempt that failed, with or without a stored intent before it (a token refresh fails before), and what `nextStep` decided. */
export function recordFailure(post: Post, id: string, startedAt: Date, failure: PublicationFailure, step: NextStep, now: Date, recheckAt: Date, kind: Attempt['kind'] = 'publish'): Post {
  const uncounted = (p: Publication): boolean => kind === 'publish' && p.id === id && !hasOpenAttempt(p);
  const counted = { ...post, publications: post.publications.map((p) => (uncounted(p) ? { ...p, tries: p.tries + 1 } : p)) };
  return moveBy(counted, id, step, failure, now, recheckAt, (p) => closeAttempt(p.attempts, kind, startedAt, now, failure.kind, failure));
}

/** A look-up that did not find it, and what was decided. */
export function recordLookUp(post: Post, id: string, startedAt: Date, failure: PublicationFailure | null, step: NextStep, now: Date): Post {
  const unsettled = step.do === 'fail'
    ? { kind: 'unknown' as const, code: ErrorCode.outcomeUnknown, message: 'The network did not answer, and the post is not there. Signpost has tried as often as it may: try again by hand.' }
    : UNCONFIRMED;
  return moveBy(post, id, step, unsettled, now, now, (p) => addAttempt(p.attempts, {
    kind: 'lookup', startedAt, endedAt: now, outcome: failure === null ? 'not-found' : failure.kind, failure,
  }));
}

/** A poll that could not tell; asked again at `at`, or left to a person when that is null. */
export function recordPollFailure(post: Post, id: string, startedAt: Date, failure: PublicationFailure, at: Date | null, now: Date): Post {
  return move(post, id, now, at === null ? 'publication unconfirmed' : null, (p) => ({
    ...(at === null ? { state: 'unconfirmed', dueAt: null, failure: UNCONFIRMED } : { dueAt: at, failure }),
    attempts: closeAttempt(p.attempts, 'poll', startedAt, now, failure.kind, failure),
  }));
}

const UNCONFIRMED: PublicationFailure = {
  kind: 'unknown',
  code: ErrorCode.outcomeUnknown,
  message: 'The network never said whether it took the post. Look at your profile there: then mark it as published here, or send it again.',
};

/** After an unknown outcome on a platform that can't be asked. */
export function recordUnconfirmed(post: Post, id: string, now: Date): Post {
  return move(post, id, now, 'publication unconfirmed', (p) => ({
    state: 'unconfirmed', dueAt: null, failure: UNCONFIRMED,
    attempts: closeAttempt(p.attempts, 'publish', now, now, 'unknown', UNCONFIRMED),
  }));
}

/** Not sent because it is too late. */
export function recordMissed(post: Post, id: string, now: Date, limitMs: number): Post {
  const message = missedMessage(post, limitMs);
  return move(post, id, now, 'publication missed', () => ({
    state: 'missed', dueAt: null, failure: { kind: 'rejected', code: ErrorCode.missed, message },
  }));
}

function missedMessage({ whenLate }: Post, limitMs: number): string {
  if (whenLate === 'skip') return 'It could not be sent at its time, and it was not to be sent late.';
  if (whenLate === 'ask') return 'It could not be sent at its time. Send it now, if you still want it.';
  const hours = Math.max(1, Math.round(limitMs / 3_600_000));
  return `It was not sent within ${hours} ${hours === 1 ? 'hour' : 'hours'} of its time, so it is not sent any more. Send it now, if you still want it.`;
}

/** Not sent yet because its channel has had enough for now; this costs no try. */
export function recordPutOff(post: Post, id: string, at: Date, reason: string, now: Date): Post {
  return move(post, id, now, 'publication waiting', () => ({
    state: 'pending', dueAt: at, failure: { kind: 'rate-limited', code: ErrorCode.platformRateLimited, message: `${reason} It goes out by itself.` },
  }), `${reason} Next try at ${at.toISOString()}.`);
}

/**
 * Since when a publication should have been sent: what was held or taken up again counts from its own time, or from when a person last asked for it.
 */
export function dueSince(post: Post, { id, state, dueAt }: Publication): Date | null {
  if (state !== 'held') return dueAt;
  const asked = post.history.findLast((entry) => entry.what === AGAIN_BY_HAND && entry.publicationId === id)?.at;
  return new Date(Math.max(post.scheduledAt.getTime(), post.createdAt.getTime(), asked?.getTime() ?? 0));
}

const AGAIN_BY_HAND = 'publication sent again by hand';

/** The channel is still signed out: look again at `recheckAt`. */
export function recordStillHeld(post: Post, id: string, recheckAt: Date): Post {
  return move(post, id, post.updatedAt, null, () => ({ dueAt: recheckAt }));
}

/** The channel can be used again: what was held goes on where it stopped. */
export function releaseHeld(post: Post, channelId: string, now: Date): Post {
  return post.publications.filter((p) => p.channelId === channelId && p.state === 'held').reduce((current, { id }) => (
    move(current, id, now, 'publication released', (p) => ({
      // Its lateness counts from its own time, so that one which is too late now is missed, and many go out one by one.
      state: p.handle === null ? 'pending' : 'processing', dueAt: p.handle === null ? dueSince(post, p) : now, failure: null,
    }))
  ), post);
}

/** A person wants it sent again: a new round of tries, due now. */
export function retryByHand(post: Post, ids: readonly string[], now: Date): Post {
  return ids.reduce((current, id) => move(current, id, now, AGAIN_BY_HAND, () => ({
    state: 'pending', dueAt: now, tries: 0, failure: null, handle: null, processingSince: null,
  })), post);
}

/** A person looked at the network and says whether it is there. */
export function confirmByHand(post: Post, id: string, verdict: { published: true; url: string | null } | { published: false }, now: Date): Post {
  if (verdict.published) return move(post, id, now, 'publication marked as published by hand', () => ({ state: 'published', url: verdict.url, publishedAt: now, failure: null }));
  return move(post, id, now, 'publication marked as not published by hand', (p) => ({ state: 'failed', failure: p.failure }));
}

function moveBy(post: Post, id: string, step: NextStep, failure: PublicationFailure, now: Date, recheckAt: Date, attempts: (p: Publication) => Attempt[]): Post {
  if (step.do === 'retry') {
    return move(post, id, now, 'publication waiting', (p) => ({ state: 'pending', dueAt: step.at, failure, attempts: attempts(p) }), `again at ${step.at.toISOString()}`);
  }
  if (step.do === 'reconcile') return move(post, id, now, null, (p) => ({ state: 'sending', dueAt: step.at, failure, attempts: attempts(p) }));
  if (step.do === 'hold') return move(post, id, now, 'publication held', (p) => ({ state: 'held', dueAt: recheckAt, failure, attempts: attempts(p) }), failure.message);
  if (step.do === 'unconfirm') return move(post, id, now, 'publication unconfirmed', (p) => ({ state: 'unconfirmed', dueAt: null, failure: UNCONFIRMED, attempts: attempts(p) }));
  return move(post, id, now, 'publication failed', (p) => ({ state: 'failed', dueAt: null, failure, attempts: attempts(p) }), failure.message);
}

/** Applies a patch to one publication, folds the post's status and notes the move in its history. */
function move(post: Post, id: string, now: Date, what: string | null, patch: (p: Publication) => Partial<Publication>, detail?: string): Post {
  const publications = post.publications.map((p) => (p.id === id ? { ...p, ...patch(p) } : p));
  const entry = what === null ? [] : [{ at: now, what, publicationId: id, ...(detail === undefined ? {} : { detail }) }];
  const status = post.status === 'deleted' ? post.status : foldStatus(publications);
  return { ...post, publications, status, dueAt: post.lease === null ? earliestDue(publications) : null, history: [...post.history, ...entry], updatedAt: now };
}

/** True when nothing of the post is left to be done by itself. */
export function isFinished(post: Post): boolean {
  return post.publications.every(isSettled);
}

/** True when an intent was stored and its end was not. */
export function hasOpenAttempt(publication: Publication): boolean {
  const last = publication.attempts.at(-1);
  return last !== undefined && last.kind === 'publish' && last.endedAt === null;
}

function addAttempt(attempts: readonly Attempt[], attempt: Omit<Attempt, 'number'>): Attempt[] {
  const number = (attempts.at(-1)?.number ?? 0) + 1;
  return [...attempts, { number, ...attempt }].slice(-KEPT_ATTEMPTS);
}

/** Ends the open attempt of that kind, or adds one that began and ended; polls that only say "still processing" share one entry. */
function closeAttempt(attempts: readonly Attempt[], kind: Attempt['kind'], startedAt: Date, endedAt: Date, outcome: Attempt['outcome'], failure: PublicationFailure | null): Attempt[] {
  const last = attempts.at(-1);
  const reuse = last !== undefined && last.kind === kind && (last.endedAt === null || (kind === 'poll' && last.outcome === outcome));
  if (!reuse) return addAttempt(attempts, { kind, startedAt, endedAt, outcome, failure });
  return [...attempts.slice(0, -1), { ...last, endedAt, outcome, failure }];
}
