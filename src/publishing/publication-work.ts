/** Does what is due for one publication: publish, poll or look up, and stores what came of it. */
import type { Logger } from '../lib/logger.js';
import { PlatformFailure, type Credentials, type Platform, type PlatformContent, type PlatformIo } from '../platforms/platform.js';
import { textFor, type Post, type Publication } from '../posts/post.js';
import type { HeldPost } from './held-post.js';
import type { Rates } from './rates.js';
import { afterLookUp, nextStep, type RetryPolicy } from './retry-policy.js';
import type { Turns } from './turns.js';
import { dueSince, failureOf, recordAcceptance, recordFailure, recordLookUp, recordMissed, recordPollFailure, recordPutOff, recordStillHeld, recordUnconfirmed, startSending } from './transitions.js';

/** What the publisher needs to act on a channel. */
export interface ChannelSession {
  platform: Platform;
  credentials: Credentials;
  io: PlatformIo;
}

export interface WorkDeps {
  /**
   * The channel's platform and fresh credentials. Null: the channel is disconnected.
   * @throws PlatformFailure `signed-out` or `unreachable` (the token could not be refreshed)
   */
  session(channelId: string): Promise<ChannelSession | null>;
  /** The network refused the credentials. `renewed`: a refresh token mended it, so the same can be tried again at once. */
  markSignedOut(channelId: string, problem: string): Promise<'renewed' | 'signed-out'>;
  policy: RetryPolicy;
  turns: Turns;
  rates: Rates;
  /** False: the profile became another worker's, and the post is given back. */
  isOurs(profileId: string): Promise<boolean>;
  now(): Date;
  random(): number;
  log: Logger;
}

/** Added to a platform's own time-out before we stop waiting for an adapter that never answers. */
const GRACE_MS = 5_000;

/**
 * Runs every due publication of a leased post at once. The intent of each is stored before its call, its outcome as it comes, and the last outcome
 * ends the lease.
 */
export async function workOnPost(held: HeldPost, deps: WorkDeps): Promise<void> {
  const now = deps.now();
  const due = held.current().publications.filter((p) => needsWork(p, now));
  const late = due.filter((p) => isTooLate(held.current(), p, now, deps.policy));
  if (late.length > 0) {
    const won = await held.apply((post) => late.reduce((current, p) => recordMissed(current, p.id, now, deps.policy.latenessLimitMs), post));
    if (!won) return;
  }
  const timely = due.filter((p) => !late.includes(p));
  held.expect(timely.length);
  await Promise.all(timely.map((publication) => {
    if (!isFresh(publication)) return ask(held, publication, deps);
    const after = isLate(held.current(), publication, now, deps.policy) ? deps.rates.takeOverdue(publication.channelId, deps.policy.lateGapMs) : null;
    if (after === null) return send(held, publication, deps);
    return held.settle((post) => recordPutOff(post, publication.id, after, 'It is late, and so are others of this channel: they go out one by one.', now));
  }));
}

/** A publish call, at the channel's turn. */
async function send(held: HeldPost, publication: Publication, deps: WorkDeps): Promise<void> {
  const endTurn = await deps.turns.take(publication.channelId);
  if (endTurn === null) return;
  try {
    if (held.lost() || !(await mayWork(held, deps))) return;
    const session = await openSession(held, publication, deps);
    if (session === null) return;
    const after = await roomFor(held, publication, session.platform, deps);
    if (after !== null) {
      await held.settle((post) => recordPutOff(post, publication.id, after, limitMessage(session.platform), deps.now()));
      return;
    }
    if (await held.apply((post) => startSending(post, [publication.id], deps.now()))) await publish(held, publication, session, endTurn, deps);
  } finally {
    endTurn();
  }
}

/** Where it can't be told, the post is given back, as when the profile became another worker's. */
async function mayWork(held: HeldPost, deps: WorkDeps): Promise<boolean> {
  try {
    return await deps.isOurs(held.current().profileId);
  } catch (error) {
    deps.log.warn({ err: error, postId: held.id }, 'whose turn it is could not be told');
    return false;
  }
}

/** When there is room for it within what the network takes; null: now. What was counted before can't always be read: the network counts too. */
async function roomFor(held: HeldPost, publication: Publication, platform: Platform, deps: WorkDeps): Promise<Date | null> {
  try {
    return await deps.rates.take(held.current().profileId, publication.channelId, platform.limits.publish ?? [], publication.failure?.kind === 'rate-limited');
  } catch (error) {
    deps.log.warn({ err: error, postId: held.id }, 'what was sent before could not be counted');
    return null;
  }
}

/** A question to the network about what it accepted or may have accepted. */
async function ask(held: HeldPost, publication: Publication, deps: WorkDeps): Promise<void> {
  const session = await openSession(held, publication, deps);
  if (session === null) return;
  if (publication.handle === null) await lookUp(held, publication, session, deps);
  else await poll(held, publication, session, deps);
}

function needsWork(publication: Publication, now: Date): boolean {
  if (publication.state === 'sending') return publication.dueAt === null || publication.dueAt <= now;
  const waits = publication.state === 'pending' || publication.state === 'processing' || publication.state === 'held';
  return waits && publication.dueAt !== null && publication.dueAt <= now;
}

/** To be sent: not in doubt, and not accepted by the network yet. */
function isFresh(publication: Publication): boolean {
  return publication.state === 'pending' || (publication.state === 'held' && publication.handle === null);
}

function lateByMs(post: Post, publication: Publication, now: Date): number {
  const since = dueSince(post, publication);
  return since === null ? 0 : now.getTime() - since.getTime();
}

function isLate(post: Post, publication: Publication, now: Date, policy: RetryPolicy): boolean {
  return lateByMs(post, publication, now) > policy.lateAfterMs;
}

/** Not sent while it was due, because Signpost was down or the channel signed out, for longer than the limit or than the post's owner wants. */
function isTooLate(post: Post, publication: Publication, now: Date, policy: RetryPolicy): boolean {
  if (!isFresh(publication)) return false;
  const toBeLeft = (post.whenLate === 'skip' || post.whenLate === 'ask') && publication.tries === 0;
  return toBeLeft ? isLate(post, publication, now, policy) : lateByMs(post, publication, now) > policy.latenessLimitMs;
}

function limitMessage({ name, limits }: Platform): string {
  const said = (limits.publish ?? []).map(({ max, windowMs }) => `${max} ${max === 1 ? 'post' : 'posts'} in ${windowInWords(windowMs)}`).join(' and ');
  return `${name} takes ${said} from one account, and that many were sent.`;
}

function windowInWords(windowMs: number): string {
  for (const [unit, ms] of [['hour', 3_600_000], ['minute', 60_000], ['second', 1_000]] as const) {
    if (windowMs % ms === 0) return windowMs === ms ? `a ${unit}`.replace('a hour', 'an hour') : `${windowMs / ms} ${unit}s`;
  }
  return `${windowMs} ms`;
}

/** Null when the channel can't be used; then the step is settled already. */
async function openSession(held: HeldPost, publication: Publication, deps: WorkDeps): Promise<ChannelSession | null> {
  let failure: PlatformFailure | null = null;
  try {
    const session = await deps.session(publication.channelId);
    if (session !== null) return session;
  } catch (error) {
    if (!(error instanceof PlatformFailure)) deps.log.error({ err: error, postId: held.id }, 'a channel could not be opened');
    failure = error instanceof PlatformFailure ? error : new PlatformFailure('unreachable', 'The channel could not be opened just now.', { cause: error });
  }
  await settleWithoutSession(held, publication, failure, deps);
  return null;
}

/**
 * The channel can't be used now, so nothing of this step was sent: what an earlier step left in doubt stays in doubt, what the network accepted
 * stays accepted. @param failure null when the channel was disconnected
 */
async function settleWithoutSession(held: HeldPost, publication: Publication, failure: PlatformFailure | null, deps: WorkDeps): Promise<void> {
  const now = deps.now();
  const { id, state } = publication;
  if (state === 'sending') {
    const step = afterLookUp({ answer: 'cant-tell', ...lookUpCounts(publication, false, now, deps.policy), tries: publication.tries, isIdempotent: false, now, random: deps.random() }, deps.policy);
    await held.settle((post) => recordLookUp(post, id, now, failureOf(failure ?? DISCONNECTED), step, now));
  } else if (state === 'held' && failure !== null) {
    await held.settle((post) => recordStillHeld(post, id, recheckAt(now, deps)));
  } else if (state === 'processing') {
    if (failure === null) await held.settle((post) => recordPollFailure(post, id, now, failureOf(DISCONNECTED), null, now));
    else await settlePollFailure(held, publication, now, failure, false, deps);
  } else {
    await settleFailure(held, publication, now, failure ?? DISCONNECTED, false, deps);
  }
}

const DISCONNECTED = new PlatformFailure('rejected', 'The channel was disconnected before this post was due. Connect it again and send the post anew.', { code: 156 });

/** Reconnecting releases what is held at once; this only mends a release that got lost. */
function recheckAt(now: Date, deps: WorkDeps): Date {
  return new Date(now.getTime() + 600_000 * (1 + deps.random() * 0.2));
}

/** The channel's next post needn't wait until the outcome of this one is stored. */
async function publish(held: HeldPost, publication: Publication, session: ChannelSession, endTurn: () => void, deps: WorkDeps): Promise<void> {
  const startedAt = deps.now();
  const { platform, credentials, io } = session;
  const content = contentFor(held.current(), publication);
  const answer = await answerOf(() => platform.publish(content, credentials, io), platform, held, deps);
  endTurn();
  if (answer instanceof PlatformFailure) await settleFailure(held, publication, startedAt, answer, platform.lookUp !== undefined, deps);
  else await held.settle((post) => recordAcceptance(post, publication.id, 'publish', startedAt, answer, deps.now()));
}

async function poll(held: HeldPost, publication: Publication, session: ChannelSession, deps: WorkDeps): Promise<void> {
  const startedAt = deps.now();
  const { platform, credentials, io } = session;
  const { processing } = platform;
  const { handle } = publication;
  const giveUp = (): Promise<boolean> => held.settle((post) => recordPollFailure(post, publication.id, startedAt, failureOf(neverAnswered()), null, deps.now()));
  if (processing === undefined || handle === null) {
    await giveUp();
    return;
  }
  const answer = await answerOf(() => processing.poll(handle, credentials, io), platform, held, deps);
  const isOver = publication.processingSince !== null && deps.now().getTime() - publication.processingSince.getTime() > processing.giveUpAfterMs;
  if (answer instanceof PlatformFailure) await settlePollFailure(held, publication, startedAt, answer, isOver, deps);
  else if (answer.state === 'processing' && isOver) await giveUp();
  else await held.settle((post) => recordAcceptance(post, publication.id, 'poll', startedAt, answer, deps.now()));
}

async function settlePollFailure(held: HeldPost, publication: Publication, startedAt: Date, failure: PlatformFailure, isOver: boolean, deps: WorkDeps): Promise<void> {
  const isRenewed = failure.kind === 'signed-out' && (await deps.markSignedOut(publication.channelId, failure.message)) === 'renewed';
  const now = deps.now();
  if (failure.kind === 'rejected' || (failure.kind === 'signed-out' && !isRenewed)) {
    const step = { do: failure.kind === 'rejected' ? 'fail' as const : 'hold' as const };
    await held.settle((post) => recordFailure(post, publication.id, startedAt, failureOf(failure), step, now, recheckAt(now, deps), 'poll'));
    return;
  }
  const again = new Date(Math.max(now.getTime() + 5_000 * (1 + deps.random()), failure.options.retryAt?.getTime() ?? 0));
  await held.settle((post) => recordPollFailure(post, publication.id, startedAt, failureOf(failure), isOver ? null : again, now));
}

async function lookUp(held: HeldPost, publication: Publication, session: ChannelSession, deps: WorkDeps): Promise<void> {
  const startedAt = deps.now();
  const { platform, credentials, io } = session;
  const { lookUp: asking } = platform;
  if (asking === undefined) {
    await held.settle((post) => recordUnconfirmed(post, publication.id, deps.now()));
    return;
  }
  const since = publication.attempts.findLast((attempt) => attempt.kind === 'publish')?.startedAt ?? held.current().createdAt;
  const content = contentFor(held.current(), publication);
  const answer = await answerOf(() => asking.find(content, since, credentials, io), platform, held, deps);
  if (answer !== null && !(answer instanceof PlatformFailure)) {
    await held.settle((post) => recordAcceptance(post, publication.id, 'lookup', startedAt, answer, deps.now()));
    return;
  }
  if (answer?.kind === 'signed-out') await deps.markSignedOut(publication.channelId, answer.message);
  const counts = lookUpCounts(publication, answer === null, startedAt, deps.policy);
  const facts = { answer: answer === null ? 'not-found' as const : 'cant-tell' as const, ...counts, tries: publication.tries, isIdempotent: platform.isIdempotent === true, now: deps.now(), random: deps.random() };
  await held.settle((post) => recordLookUp(post, publication.id, startedAt, answer === null ? null : failureOf(answer), afterLookUp(facts, deps.policy), deps.now()));
}

async function settleFailure(held: HeldPost, publication: Publication, startedAt: Date, failure: PlatformFailure, canLookUp: boolean, deps: WorkDeps): Promise<void> {
  const isRenewed = failure.kind === 'signed-out' && (await deps.markSignedOut(publication.channelId, failure.message)) === 'renewed';
  const now = deps.now();
  const tries = isFresh(publication) ? publication.tries + 1 : publication.tries;
  const facts = { kind: failure.kind, retryAt: failure.options.retryAt, tries, canLookUp, now, random: deps.random() };
  // Renewed while the network still refuses: an ordinary retry, so that the two can't go round for ever.
  const step = isRenewed && tries < deps.policy.maxTries ? { do: 'retry' as const, at: now } : nextStep(facts, deps.policy);
  await held.settle((post) => recordFailure(post, publication.id, startedAt, failureOf(failure), step, now, recheckAt(now, deps)));
}

function contentFor(post: Post, publication: Publication): PlatformContent {
  const options = post.options[publication.platform] ?? {};
  return { text: textFor(post, publication.platform), media: post.media, options, idempotencyKey: `${post.id}.${publication.id}`, scheduledAt: post.scheduledAt };
}

function lookUpCounts(publication: Publication, foundNothing: boolean, now: Date, policy: RetryPolicy): { notFound: number; lookUps: number } {
  const sent = publication.attempts.findLastIndex((attempt) => attempt.kind === 'publish');
  const settledAt = (publication.attempts[sent]?.startedAt.getTime() ?? 0) + policy.settleMs;
  const lookUps = publication.attempts.slice(sent + 1).filter((attempt) => attempt.kind === 'lookup');
  const rulingOut = lookUps.filter((attempt) => attempt.outcome === 'not-found' && attempt.startedAt.getTime() >= settledAt).length;
  return { lookUps: lookUps.length + 1, notFound: rulingOut + (foundNothing && now.getTime() >= settledAt ? 1 : 0) };
}

function neverAnswered(): PlatformFailure {
  return new PlatformFailure('unknown', 'The network accepted the post but did not say in time whether it became public.');
}

/**
 * Calls an adapter and gives its answer or its failure; anything it throws beside its typed failures, and an answer that never comes, counts as
 * unknown: the request may have been sent.
 */
async function answerOf<T>(call: () => Promise<T>, platform: Platform, held: HeldPost, deps: WorkDeps): Promise<T | PlatformFailure> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<PlatformFailure>((resolve) => {
    timer = setTimeout(() => resolve(new PlatformFailure('unknown', 'The network did not answer in time.')), platform.publishTimeoutMs + GRACE_MS);
  });
  try {
    return await Promise.race([call(), limit]);
  } catch (error) {
    if (error instanceof PlatformFailure) return error;
    deps.log.error({ err: error, postId: held.id }, 'an adapter failed without saying how');
    return new PlatformFailure('unknown', 'Something unexpected happened while the network was asked.', { cause: error });
  } finally {
    clearTimeout(timer);
  }
}
