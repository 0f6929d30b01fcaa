/** The moves of a step (a publication, or what follows it) as pure functions from one version of a post to the next. */
import { ErrorCode } from '../lib/app-error.js';
import type { PlatformFailure, PublishResult } from '../platforms/platform.js';
import { earliestDue, foldStatus, isSettled, stepName, stepsOf, type Attempt, type Post, type Publication, type PublicationFailure, type Step } from '../posts/post.js';
import { isFollowUp, withNext } from './follow-ups.js';
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
export function startSending(post: Post, stepIds: readonly string[], now: Date): Post {
  return stepIds.reduce((current, id) => move(current, id, now, 'sending', (p) => ({
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
    return move(post, id, now, 'published', (p) => ({
      state: 'published', remoteId: result.remoteId || null, url: result.url, publishedAt: now, dueAt: null, failure: null,
      attempts: closeAttempt(p.attempts, kind, startedAt, now, 'published', null),
    }), result.url ?? (result.remoteId || undefined));
  }
  return move(post, id, now, (p) => (p.state === 'processing' ? null : 'processing'), (p) => ({
    state: 'processing', handle: result.handle, processingSince: p.processingSince ?? now, dueAt: new Date(now.getTime() + result.pollAfterMs), failure: null,
    attempts: closeAttempt(p.attempts, kind, startedAt, now, 'processing', null),
  }));
}

/** An attempt that failed, with or without a stored intent before it (a token refresh fails before), and what `nextStep` decided. */
export function recordFailure(post: Post, id: string, startedAt: Date, failure: PublicationFailure, step: NextStep, now: Date, recheckAt: Date, kind: Attempt['kind'] = 'publish'): Post {
  return moveBy(post, id, step, failure, now, recheckAt, (p) => ({
    attempts: closeAttempt(p.attempts, kind, startedAt, now, failure.kind, failure),
    tries: kind === 'publish' && !hasOpenAttempt(p) ? p.tries + 1 : p.tries,
  }));
}

/** A look-up that did not find it, and what was decided. */
export function recordLookUp(post: Post, id: string, startedAt: Date, failure: PublicationFailure | null, step: NextStep, now: Date): Post {
  const unsettled = step.do === 'reconcile' && failure?.kind === 'signed-out' ? failure : step.do === 'fail'
    ? { kind: 'unknown' as const, code: ErrorCode.outcomeUnknown, message: 'The network did not answer, and the post is not there. Signpost has tried as often as it may: try again by hand.' }
    : UNCONFIRMED;
  return moveBy(post, id, step, unsettled, now, now, (p) => ({
    attempts: addAttempt(p.attempts, { kind: 'lookup', startedAt, endedAt: now, outcome: failure === null ? 'not-found' : failure.kind, failure }),
  }));
}

/** A poll that could not tell; asked again at `at`, or left to a person when that is null. */
export function recordPollFailure(post: Post, id: string, startedAt: Date, failure: PublicationFailure, at: Date | null, now: Date): Post {
  return move(post, id, now, at === null ? 'unconfirmed' : null, (p) => ({
    ...(at === null ? { state: 'unconfirmed', dueAt: null, failure: UNCONFIRMED } : { dueAt: at, failure }),
    attempts: closeAttempt(p.attempts, 'poll', startedAt, now, failure.kind, failure),
  }));
}

const UNCONFIRMED: PublicationFailure = {
  kind: 'unknown',
  code: ErrorCode.outcomeUnknown,
  message: 'The network never said whether it took the post. Look at your profile there: then mark it as published here, or send it again.',
};

/** There is nothing to be done by a person as long as the network is asked. */
const BEING_LOOKED_FOR: PublicationFailure = {
  kind: 'unknown', code: ErrorCode.outcomeUnknown, message: 'The network gave no clear answer, so Signpost looks there for the post before it sends anything again.',
};

/** After an unknown outcome on a platform that can't be asked. */
export function recordUnconfirmed(post: Post, id: string, now: Date): Post {
  return move(post, id, now, 'unconfirmed', (p) => ({
    state: 'unconfirmed', dueAt: null, failure: UNCONFIRMED,
    attempts: closeAttempt(p.attempts, 'publish', now, now, 'unknown', UNCONFIRMED),
  }));
}

/** Not sent because it is too late. */
export function recordMissed(post: Post, id: string, now: Date, limitMs: number): Post {
  return move(post, id, now, 'missed', (step) => ({
    state: 'missed', dueAt: null, failure: { kind: 'rejected', code: ErrorCode.missed, message: missedMessage(isFollowUp(step) ? undefined : post.whenLate, limitMs) },
  }));
}

function missedMessage(whenLate: Post['whenLate'], limitMs: number): string {
  if (whenLate === 'skip') return 'It could not be sent at its time, and it was not to be sent late.';
  if (whenLate === 'ask') return 'It could not be sent at its time. Send it now, if you still want it.';
  const hours = Math.max(1, Math.round(limitMs / 3_600_000));
  return `It was not sent within ${hours} ${hours === 1 ? 'hour' : 'hours'} of its time, so it is not sent any more. Send it now, if you still want it.`;
}

/** Not sent yet because its channel has had enough for now; this costs no try. */
export function recordPutOff(post: Post, id: string, at: Date, reason: string, now: Date): Post {
  return move(post, id, now, 'waiting', () => ({
    state: 'pending', dueAt: at, failure: { kind: 'rate-limited', code: ErrorCode.platformRateLimited, message: `${reason} It goes out by itself.` },
  }), `${reason} Next try at ${at.toISOString()}.`);
}

/**
 * Since when a step should have been sent: what was held or taken up again counts from its own time (what follows a publication: from when that
 * was public), or from when a person last asked for it.
 */
export function dueSince(post: Post, publication: Publication, { state, dueAt }: Step): Date | null {
  if (state !== 'held') return dueAt;
  const asked = post.history.findLast((entry) => entry.what.endsWith(AGAIN_BY_HAND) && entry.publicationId === publication.id)?.at;
  const known = [post.scheduledAt, post.createdAt, publication.publishedAt, asked].map((at) => at?.getTime() ?? 0);
  return new Date(Math.max(...known));
}

const AGAIN_BY_HAND = 'sent again by hand';

/** The channel is still signed out: look again at `recheckAt`. */
export function recordStillHeld(post: Post, id: string, recheckAt: Date): Post {
  return move(post, id, post.updatedAt, null, () => ({ dueAt: recheckAt }));
}

/** The channel can be used again: what was held goes on where it stopped. */
export function releaseHeld(post: Post, channelId: string, now: Date): Post {
  const held = post.publications.filter((p) => p.channelId === channelId).flatMap((publication) => (
    stepsOf(publication).filter((step) => step.state === 'held').map((step) => ({ id: step.id, since: dueSince(post, publication, step) }))
  ));
  return held.reduce((current, { id, since }) => (
    move(current, id, now, 'released', (p) => ({
      // Its lateness counts from its own time, so that one which is too late now is missed, and many go out one by one.
      state: p.handle === null ? 'pending' : 'processing', dueAt: p.handle === null ? since : now, failure: null,
    }))
  ), post);
}

/** A person wants it sent again: a new round of tries, due now. */
export function retryByHand(post: Post, ids: readonly string[], now: Date): Post {
  return ids.reduce((current, id) => move(current, id, now, AGAIN_BY_HAND, (step) => ({
    // Of what follows, the first one becomes due by itself.
    state: 'pending', dueAt: isFollowUp(step) ? null : now, tries: 0, failure: null, handle: null, processingSince: null,
  })), post);
}

/** A person looked at the network and says whether it is there. */
export function confirmByHand(post: Post, id: string, verdict: { published: true; url: string | null } | { published: false }, now: Date): Post {
  if (verdict.published) return move(post, id, now, 'marked as published by hand', () => ({ state: 'published', url: verdict.url, publishedAt: now, dueAt: null, failure: null }));
  return move(post, id, now, 'marked as not published by hand', (p) => ({ state: 'failed', failure: p.failure }));
}

function moveBy(post: Post, id: string, step: NextStep, failure: PublicationFailure, now: Date, recheckAt: Date, ended: (p: Step) => Partial<Step>): Post {
  if (step.do === 'retry') {
    return move(post, id, now, 'waiting', (p) => ({ state: 'pending', dueAt: step.at, failure, ...ended(p) }), `again at ${step.at.toISOString()}`);
  }
  if (step.do === 'reconcile') return move(post, id, now, null, (p) => ({ state: 'sending', dueAt: step.at, failure: failure.kind === 'signed-out' ? failure : BEING_LOOKED_FOR, ...ended(p) }));
  if (step.do === 'hold') return move(post, id, now, 'held', (p) => ({ state: 'held', dueAt: recheckAt, failure, ...ended(p) }), failure.message);
  if (step.do === 'unconfirm') return move(post, id, now, 'unconfirmed', (p) => ({ state: 'unconfirmed', dueAt: null, failure: UNCONFIRMED, ...ended(p) }));
  return move(post, id, now, 'failed', (p) => ({ state: 'failed', dueAt: null, failure, ...ended(p) }), failure.message);
}

/**
 * Applies a patch to one step, makes what follows it due, folds the post's status and notes the move in its history.
 * @param what after the step's name, e.g. `sending`; null: too small a move to be noted
 */
function move(post: Post, id: string, now: Date, what: string | null | ((step: Step) => string | null), patch: (step: Step) => Partial<Step>, detail?: string): Post {
  const at = post.publications.findIndex((p) => p.id === id || p.followUps?.some((step) => step.id === id) === true);
  const before = post.publications[at];
  if (before === undefined) return post;
  const step = before.id === id ? before : before.followUps!.find((followUp) => followUp.id === id)!;
  const patched: Publication = before.id === id ? { ...before, ...patch(before) } : { ...before, followUps: before.followUps!.map((followUp) => (followUp.id === id ? { ...followUp, ...patch(followUp) } : followUp)) };
  const publications = post.publications.with(at, withNext(patched, now));
  const noted = typeof what === 'function' ? what(step) : what;
  const entry = noted === null ? [] : [{ at: now, what: `${stepName(before, id)} ${noted}`, ...about(post, before, noted), ...(detail === undefined ? {} : { detail }) }];
  const status = post.status === 'deleted' ? post.status : foldStatus(publications);
  return { ...post, publications, status, dueAt: post.lease === null ? earliestDue(publications) : null, history: [...post.history, ...entry], updatedAt: now };
}

/** The intents of posts with one publication say the same, word for word, so that they can be stored together: which one it is about is plain. */
function about({ publications }: Post, { id }: Publication, noted: string): { publicationId?: string } {
  return noted === 'sending' && publications.length === 1 ? {} : { publicationId: id };
}

/** True when nothing of the post is left to be done by itself. */
export function isFinished(post: Post): boolean {
  return post.publications.every(isSettled);
}

/** True when an intent was stored and its end was not. */
export function hasOpenAttempt({ attempts }: Step): boolean {
  const last = attempts.at(-1);
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
