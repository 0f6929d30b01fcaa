/** What becomes of a step whose call failed, could not be made, or left a doubt. */
import { PlatformFailure } from '../platforms/platform.js';
import type { Step } from '../posts/post.js';
import { isFollowUp } from './follow-ups.js';
import { afterLookUp, networksTime, nextStep, type RetryPolicy } from './retry-policy.js';
import { isFresh, type ChannelSession, type Settle, type Task, type WorkDeps } from './task.js';
import { failureOf, recordFailure, recordLookUp, recordPollFailure, recordStillHeld } from './transitions.js';

/** Null when the channel can't be used; then the step is settled already. */
export async function openSession(task: Task, settle: Settle): Promise<ChannelSession | null> {
  const { held, publication, deps } = task;
  let failure: PlatformFailure | null = null;
  try {
    const session = await deps.session(publication.channelId);
    if (session !== null) return session;
  } catch (error) {
    if (!(error instanceof PlatformFailure)) deps.log.error({ err: error, postId: held.id }, 'a channel could not be opened');
    failure = error instanceof PlatformFailure ? error : new PlatformFailure('unreachable', 'The channel could not be opened just now.', { cause: error });
  }
  await settleWithoutSession(task, failure, settle);
  return null;
}

/**
 * The channel can't be used now, so nothing of this step was sent: what an earlier step left in doubt stays in doubt, what the network accepted
 * stays accepted. @param failure null when the channel was disconnected
 */
async function settleWithoutSession(task: Task, failure: PlatformFailure | null, settle: Settle): Promise<void> {
  const { step: { id, state, tries }, step, deps } = task;
  const now = deps.now();
  if (state === 'sending') {
    const next = afterLookUp({ answer: 'cant-tell', ...lookUpCounts(step, false, now, deps.policy), tries, isIdempotent: false, now, random: deps.random() }, deps.policy);
    await settle((post) => recordLookUp(post, id, now, failureOf(failure ?? DISCONNECTED), next, now));
  } else if (state === 'held' && failure !== null) {
    await settle((post) => recordStillHeld(post, id, recheckAt(now, deps)));
  } else if (state === 'processing') {
    if (failure === null) await settle((post) => recordPollFailure(post, id, now, failureOf(DISCONNECTED), null, now));
    else await settlePollFailure(task, null, now, failure, false, settle);
  } else {
    await settleFailure(task, null, now, failure ?? DISCONNECTED, false, settle);
  }
}

const DISCONNECTED = new PlatformFailure('rejected', 'The channel was disconnected before this post was due. Connect it again and send the post anew.', { code: 156 });

/** Reconnecting releases what is held at once; this only mends a release that got lost. */
function recheckAt(now: Date, deps: WorkDeps): Date {
  return new Date(now.getTime() + 600_000 * (1 + deps.random() * 0.2));
}

/** Tells the channel that its network refused the credentials, where it did. @returns whether a refresh token mended it */
async function renews({ publication, deps }: Task, session: ChannelSession | null, failure: PlatformFailure): Promise<boolean> {
  return failure.kind === 'signed-out' && (await deps.markSignedOut(publication.channelId, failure.message, session?.credentials ?? null)) === 'renewed';
}

/** @param session null: none could be opened. @param canLookUp the network can be asked what became of the call */
export async function settleFailure(task: Task, session: ChannelSession | null, startedAt: Date, failure: PlatformFailure, canLookUp: boolean, settle: Settle): Promise<void> {
  const { step, deps } = task;
  const isRenewed = await renews(task, session, failure);
  const now = deps.now();
  const tries = isFresh(step) ? step.tries + 1 : step.tries;
  const facts = { kind: failure.kind, retryAt: failure.options.retryAt, tries, canLookUp, now, random: deps.random() };
  // Renewed while the network still refuses: an ordinary retry, so that the two can't go round for ever.
  const next = isRenewed && tries < deps.policy.maxTries ? { do: 'retry' as const, at: now } : nextStep(facts, deps.policy);
  await settle((post) => recordFailure(post, step.id, startedAt, failureOf(failure), next, now, recheckAt(now, deps)));
}

/** @param isOver it has processed for longer than the network needs */
export async function settlePollFailure(task: Task, session: ChannelSession | null, startedAt: Date, failure: PlatformFailure, isOver: boolean, settle: Settle): Promise<void> {
  const { step, deps } = task;
  const isRenewed = await renews(task, session, failure);
  const now = deps.now();
  if (failure.kind === 'rejected' || (failure.kind === 'signed-out' && !isRenewed)) {
    const next = { do: failure.kind === 'rejected' ? 'fail' as const : 'hold' as const };
    await settle((post) => recordFailure(post, step.id, startedAt, failureOf(failure), next, now, recheckAt(now, deps), 'poll'));
    return;
  }
  const again = new Date(Math.max(now.getTime() + 5_000 * (1 + deps.random()), networksTime({ retryAt: failure.options.retryAt, now })));
  await settle((post) => recordPollFailure(post, step.id, startedAt, failureOf(failure), isOver ? null : again, now));
}

/** @param answer null: it is not there */
export async function settleLookUp({ publication, step, deps }: Task, { platform, credentials }: ChannelSession, startedAt: Date, answer: PlatformFailure | null, settle: Settle): Promise<void> {
  if (answer?.kind === 'signed-out') await deps.markSignedOut(publication.channelId, answer.message, credentials);
  const counts = lookUpCounts(step, answer === null, startedAt, deps.policy);
  const isIdempotent = platform.isIdempotent === true && !(isFollowUp(step) && step.kind === 'comment' && platform.comment?.limits !== undefined);
  const facts = { answer: answer === null ? 'not-found' as const : 'cant-tell' as const, ...counts, tries: step.tries, isIdempotent, now: deps.now(), random: deps.random() };
  await settle((post) => recordLookUp(post, step.id, startedAt, answer === null ? null : failureOf(answer), afterLookUp(facts, deps.policy), deps.now()));
}

function lookUpCounts({ attempts }: Step, foundNothing: boolean, now: Date, policy: RetryPolicy): { notFound: number; lookUps: number } {
  const sent = attempts.findLastIndex((attempt) => attempt.kind === 'publish');
  const settledAt = (attempts[sent]?.startedAt.getTime() ?? 0) + policy.settleMs;
  const lookUps = attempts.slice(sent + 1).filter((attempt) => attempt.kind === 'lookup');
  const rulingOut = lookUps.filter((attempt) => attempt.outcome === 'not-found' && attempt.startedAt.getTime() >= settledAt).length;
  return { lookUps: lookUps.length + 1, notFound: rulingOut + (foundNothing && now.getTime() >= settledAt ? 1 : 0) };
}
