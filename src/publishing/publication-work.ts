/** Does what is due for one publication: publish, poll or look up, and stores what came of it. */
import type { Logger } from '../lib/logger.js';
import { PlatformFailure, type Credentials, type Platform, type PlatformContent, type PlatformIo, type PublishResult } from '../platforms/platform.js';
import type { Attempt, Post, Publication } from '../posts/post.js';
import type { HeldPost } from './held-post.js';
import { afterLookUp, nextStep, type RetryPolicy } from './retry-policy.js';
import { failureOf, recordAcceptance, recordFailure, recordLookUp, recordMissed, recordPollFailure, recordStillHeld, recordUnconfirmed, startSending } from './transitions.js';

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
  markSignedOut(channelId: string, problem: string): Promise<void>;
  policy: RetryPolicy;
  now(): Date;
  random(): number;
  log: Logger;
}

/** Added to a platform's own time-out before we stop waiting for an adapter that never answers. */
const GRACE_MS = 5_000;

/**
 * Runs every due publication of a leased post at once. Intents are stored together before any call; each outcome as it comes.
 */
export async function workOnPost(held: HeldPost, deps: WorkDeps): Promise<void> {
  const now = deps.now();
  const due = held.current().publications.filter((p) => needsWork(p, now));
  const late = due.filter((p) => isTooLate(held.current(), p, now, deps.policy));
  if (late.length > 0) {
    const won = await held.apply((post) => late.reduce((current, p) => recordMissed(current, p.id, now, deps.policy.latenessLimitMs), post));
    if (!won) return;
  }
  const ready = await openSessions(held, due.filter((p) => !late.includes(p)), deps);
  const fresh = ready.filter(({ publication }) => isFresh(publication)).map(({ publication }) => publication.id);
  if (fresh.length > 0 && !(await held.apply((post) => startSending(post, fresh, deps.now())))) return;
  await Promise.all(ready.map(({ publication, session }) => {
    if (isFresh(publication)) return publish(held, publication, session, deps);
    if (publication.handle !== null) return poll(held, publication, session, deps);
    return lookUp(held, publication, session, deps);
  }));
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

/** Held for too long, or first due too long ago; what was tried already keeps its own schedule. */
function isTooLate(post: Post, publication: Publication, now: Date, policy: RetryPolicy): boolean {
  const heldBack = publication.state === 'held' && publication.handle === null;
  if (!heldBack && (publication.state !== 'pending' || publication.tries > 0)) return false;
  const since = Math.max(post.scheduledAt.getTime(), post.createdAt.getTime());
  return now.getTime() - since > policy.latenessLimitMs;
}

interface Ready {
  publication: Publication;
  session: ChannelSession;
}

async function openSessions(held: HeldPost, due: Publication[], deps: WorkDeps): Promise<Ready[]> {
  const opened = await Promise.all(due.map(async (publication): Promise<Ready | null> => {
    try {
      const session = await deps.session(publication.channelId);
      if (session !== null) return { publication, session };
      await settleWithoutSession(held, publication, null, deps);
    } catch (error) {
      if (!(error instanceof PlatformFailure)) deps.log.error({ err: error, postId: held.id }, 'a channel could not be opened');
      const failure = error instanceof PlatformFailure ? error : new PlatformFailure('unreachable', 'The channel could not be opened just now.', { cause: error });
      await settleWithoutSession(held, publication, failure, deps);
    }
    return null;
  }));
  return opened.filter((entry) => entry !== null);
}

/**
 * The channel can't be used now, so nothing of this step was sent: what an earlier step left in doubt stays in doubt, what the network accepted
 * stays accepted. @param failure null when the channel was disconnected
 */
async function settleWithoutSession(held: HeldPost, publication: Publication, failure: PlatformFailure | null, deps: WorkDeps): Promise<void> {
  const now = deps.now();
  const { id, state } = publication;
  if (state === 'sending') {
    const step = afterLookUp({ answer: 'cant-tell', ...lookUpCounts(publication, false), tries: publication.tries, now, random: deps.random() }, deps.policy);
    await held.apply((post) => recordLookUp(post, id, now, failureOf(failure ?? DISCONNECTED), step, now));
  } else if (state === 'held' && failure !== null) {
    await held.apply((post) => recordStillHeld(post, id, recheckAt(now, deps)));
  } else if (state === 'processing' && failure === null) {
    await held.apply((post) => recordPollFailure(post, id, now, failureOf(DISCONNECTED), null, now));
  } else if (state === 'processing' && failure !== null && failure.kind !== 'signed-out') {
    await held.apply((post) => recordPollFailure(post, id, now, failureOf(failure), new Date(now.getTime() + 30_000), now));
  } else {
    await settleFailure(held, publication, now, failure ?? DISCONNECTED, false, deps);
  }
}

const DISCONNECTED = new PlatformFailure('rejected', 'The channel was disconnected before this post was due. Connect it again and send the post anew.', { code: 156 });

/** Reconnecting releases what is held at once; this only mends a release that got lost. */
function recheckAt(now: Date, deps: WorkDeps): Date {
  return new Date(now.getTime() + 600_000 * (1 + deps.random() * 0.2));
}

async function publish(held: HeldPost, publication: Publication, session: ChannelSession, deps: WorkDeps): Promise<void> {
  const startedAt = deps.now();
  try {
    const content = contentFor(held.current(), publication);
    const call = session.platform.publish(content, session.credentials, session.io);
    const result = await inTime(call, session.platform.publishTimeoutMs + GRACE_MS);
    await held.apply((post) => recordAcceptance(post, publication.id, 'publish', startedAt, result, deps.now()));
  } catch (error) {
    await settleFailure(held, publication, startedAt, asFailure(error, held, deps), session.platform.lookUp !== undefined, deps);
  }
}

async function poll(held: HeldPost, publication: Publication, session: ChannelSession, deps: WorkDeps): Promise<void> {
  const startedAt = deps.now();
  const { processing } = session.platform;
  if (processing === undefined || publication.handle === null) {
    await held.apply((post) => recordPollFailure(post, publication.id, startedAt, failureOf(neverAnswered()), null, deps.now()));
    return;
  }
  try {
    const result = await inTime(processing.poll(publication.handle, session.credentials, session.io), session.platform.publishTimeoutMs + GRACE_MS);
    const overdue = result.state === 'processing' && isOver(publication, processing.giveUpAfterMs, deps.now());
    if (overdue) await held.apply((post) => recordPollFailure(post, publication.id, startedAt, failureOf(neverAnswered()), null, deps.now()));
    else await held.apply((post) => recordAcceptance(post, publication.id, 'poll', startedAt, result, deps.now()));
  } catch (error) {
    await settlePollFailure(held, publication, startedAt, asFailure(error, held, deps), processing.giveUpAfterMs, deps);
  }
}

async function settlePollFailure(held: HeldPost, publication: Publication, startedAt: Date, failure: PlatformFailure, giveUpAfterMs: number, deps: WorkDeps): Promise<void> {
  const told = failureOf(failure);
  const now = deps.now();
  if (failure.kind === 'rejected' || failure.kind === 'signed-out') {
    await settleFailure(held, publication, startedAt, failure, false, deps);
    return;
  }
  const again = new Date(Math.max(now.getTime() + 5_000 * (1 + deps.random()), failure.options.retryAt?.getTime() ?? 0));
  const at = isOver(publication, giveUpAfterMs, now) ? null : again;
  await held.apply((post) => recordPollFailure(post, publication.id, startedAt, told, at, now));
}

async function lookUp(held: HeldPost, publication: Publication, session: ChannelSession, deps: WorkDeps): Promise<void> {
  const startedAt = deps.now();
  const find = session.platform.lookUp?.find;
  if (find === undefined) {
    await held.apply((post) => recordUnconfirmed(post, publication.id, deps.now()));
    return;
  }
  const since = lastPublishAttempt(publication)?.startedAt ?? held.current().createdAt;
  let failure: PlatformFailure | null = null;
  try {
    const content = contentFor(held.current(), publication);
    const found = await inTime(find(content, since, session.credentials, session.io), session.platform.publishTimeoutMs + GRACE_MS);
    if (found !== null) {
      await held.apply((post) => recordAcceptance(post, publication.id, 'lookup', startedAt, found, deps.now()));
      return;
    }
  } catch (error) {
    failure = asFailure(error, held, deps);
    if (failure.kind === 'signed-out') await deps.markSignedOut(publication.channelId, failure.message);
  }
  const step = afterLookUp({ answer: failure === null ? 'not-found' : 'cant-tell', ...lookUpCounts(publication, failure === null), tries: publication.tries, now: deps.now(), random: deps.random() }, deps.policy);
  await held.apply((post) => recordLookUp(post, publication.id, startedAt, failure === null ? null : failureOf(failure), step, deps.now()));
}

async function settleFailure(held: HeldPost, publication: Publication, startedAt: Date, failure: PlatformFailure, canLookUp: boolean, deps: WorkDeps): Promise<void> {
  const now = deps.now();
  if (failure.kind === 'signed-out') await deps.markSignedOut(publication.channelId, failure.message);
  const tries = publication.state === 'pending' ? publication.tries + 1 : publication.tries;
  const step = nextStep({ kind: failure.kind, retryAt: failure.options.retryAt, tries, canLookUp, now, random: deps.random() }, deps.policy);
  await held.apply((post) => recordFailure(post, publication.id, startedAt, failureOf(failure), step, now, recheckAt(now, deps)));
}

function contentFor(post: Post, publication: Publication): PlatformContent {
  return { text: post.text, media: post.media, options: post.options[publication.platform] ?? {}, idempotencyKey: `${post.id}.${publication.id}` };
}

function lastPublishAttempt(publication: Publication): Attempt | undefined {
  return publication.attempts.findLast((attempt) => attempt.kind === 'publish');
}

function lookUpCounts(publication: Publication, foundNothing: boolean): { notFound: number; lookUps: number } {
  const from = publication.attempts.findLastIndex((attempt) => attempt.kind === 'publish') + 1;
  const lookUps = publication.attempts.slice(from).filter((attempt) => attempt.kind === 'lookup');
  return { lookUps: lookUps.length + 1, notFound: lookUps.filter((attempt) => attempt.outcome === 'not-found').length + (foundNothing ? 1 : 0) };
}

function isOver(publication: Publication, giveUpAfterMs: number, now: Date): boolean {
  return publication.processingSince !== null && now.getTime() - publication.processingSince.getTime() > giveUpAfterMs;
}

function neverAnswered(): PlatformFailure {
  return new PlatformFailure('unknown', 'The network accepted the post but did not say in time whether it became public.');
}

/** Anything an adapter throws beside its typed failures counts as unknown: the request may have been sent. */
function asFailure(error: unknown, held: HeldPost, deps: WorkDeps): PlatformFailure {
  if (error instanceof PlatformFailure) return error;
  deps.log.error({ err: error, postId: held.id }, 'an adapter failed without saying how');
  return new PlatformFailure('unknown', 'Something unexpected happened while the network was asked.', { cause: error });
}

async function inTime(call: Promise<PublishResult>, timeoutMs: number): Promise<PublishResult>;
async function inTime(call: Promise<PublishResult | null>, timeoutMs: number): Promise<PublishResult | null>;
async function inTime<T>(call: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new PlatformFailure('unknown', 'The network did not answer in time.')), timeoutMs);
  });
  try {
    return await Promise.race([call, limit]);
  } finally {
    clearTimeout(timer);
  }
}
