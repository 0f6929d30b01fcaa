/** Works off what is due of a leased post: each publication in a chain of its own, and what follows it in the same chain. */
import type { Post, Publication, Step } from '../posts/post.js';
import { dueFollowUp, isFollowUp } from './follow-ups.js';
import type { HeldPost } from './held-post.js';
import type { RateLimit } from './rates.js';
import type { RetryPolicy } from './retry-policy.js';
import { call, contentOf, finderOf, poller, type Answer } from './step-calls.js';
import { openSession, settleFailure, settleLookUp, settlePollFailure } from './step-outcomes.js';
import { currentPublication, isFresh, type ChannelSession, type Task, type WorkDeps } from './task.js';
import type { Turn } from './turns.js';
import { dueSince, failureOf, recordAcceptance, recordMissed, recordPollFailure, recordPutOff, recordUnconfirmed, startSending } from './transitions.js';
import { PlatformFailure, type Platform } from '../platforms/platform.js';

/**
 * Runs every due step of a leased post at once, and what becomes due while others still run. The intent of each is stored before its call, its
 * outcome as it comes, and the last outcome ends the lease.
 */
export async function workOnPost(held: HeldPost, deps: WorkDeps): Promise<void> {
  const now = deps.now();
  const due = dueSteps(held.current(), now);
  const late = due.filter(({ publication, step }) => isTooLate(held.current(), publication, step, now, deps.policy));
  if (late.length > 0) {
    const won = await held.apply((post) => late.reduce((current, { step }) => recordMissed(current, step.id, now, deps.policy.latenessLimitMs), post));
    if (!won) return;
  }
  const timely = due.filter((task) => !late.includes(task));
  held.expect(timely.length);
  const running = new Map<string, Promise<unknown>>();
  const errors: unknown[] = [];
  const start = ({ publication, step }: Due): void => {
    const chain = begin({ held, publication, step, deps, turn: null }).catch((error: unknown) => void errors.push(error)).finally(() => running.delete(publication.id));
    running.set(publication.id, chain);
  };
  for (const task of timely) start(task);
  if (held.current().publications.length > 1) await keepUp(held, running, start, deps);
  await Promise.all(running.values());
  if (errors.length > 0) throw errors[0];
}

/**
 * The same for a post with one publication (see `soleFresh`), in its channel's turn; whoever took that ends it. Nearly all posts of a herd come this
 * way: what need not be an async function isn't, for each that waits is kept, and what is kept is copied whenever V8 makes room.
 */
export function workOnSole(held: HeldPost, publication: Publication, deps: WorkDeps, turn: Turn): Promise<unknown> {
  const now = deps.now();
  if (isTooLate(held.current(), publication, publication, now, deps.policy)) return held.apply((post) => recordMissed(post, publication.id, now, deps.policy.latenessLimitMs));
  held.expect(1);
  return begin({ held, publication, step: publication, deps, turn });
}

interface Due {
  publication: Publication;
  step: Step;
}

/** The publication of a post that has just this one, due now and sent nowhere yet: it can wait for its turn before anything else is made for it. */
export function soleFresh({ publications }: Post, now: Date): Publication | null {
  const publication = publications[0];
  if (publication === undefined || publications.length > 1) return null;
  return isFresh(publication) && needsWork(publication, now) ? publication : null;
}

/** A network that doesn't answer keeps the lease, but not the post's other channels: what becomes due of them meanwhile is done meanwhile. */
async function keepUp(held: HeldPost, running: Map<string, Promise<unknown>>, start: (due: Due) => void, deps: WorkDeps): Promise<void> {
  // A step that was begun and left as it was, because the post is to be given back, is not begun again.
  const begun = new Set<string>();
  while (running.size > 0 && held.isHeld() && !deps.turns.isClosed()) {
    const now = deps.now();
    const idle = dueSteps(held.current(), null).filter(({ publication, step }) => !running.has(publication.id) && !begun.has(versionOf(step)));
    const due = idle.filter(({ step }) => needsWork(step, now));
    if (due.length > 0) {
      held.expect(due.length);
      for (const { step } of due) begun.add(versionOf(step));
      for (const task of due) start(task);
      continue;
    }
    const next = Math.min(...idle.map(({ step }) => step.dueAt?.getTime() ?? Infinity)) - now.getTime();
    await oneOf([...running.values()], next);
  }
}

function versionOf({ id, state, tries, dueAt, attempts }: Step): string {
  return `${id} ${state} ${tries} ${dueAt?.getTime()} ${attempts.length}`;
}

/** Longest that a timer can wait. */
const LONGEST_MS = 60_000;

async function oneOf(running: Promise<unknown>[], ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const time = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, Math.min(ms, LONGEST_MS));
  });
  await Promise.race([time, ...running]).finally(() => clearTimeout(timer));
}

/** @param now null: whatever has a step left, whenever it is due */
function dueSteps(post: Post, now: Date | null): Due[] {
  return post.publications.flatMap((publication): Due[] => {
    if (isWaiting(publication) && (now === null || needsWork(publication, now))) return [{ publication, step: publication }];
    const followUp = publication.state === 'published' ? publication.followUps?.find((step) => isWaiting(step) && (now === null || needsWork(step, now))) : undefined;
    return followUp === undefined ? [] : [{ publication, step: followUp }];
  });
}

function isWaiting({ state, dueAt }: Step): boolean {
  return state === 'sending' || ((state === 'pending' || state === 'processing' || state === 'held') && dueAt !== null);
}

function needsWork(step: Step, now: Date): boolean {
  return isWaiting(step) && (step.dueAt === null || step.dueAt <= now);
}

function begin(task: Task): Promise<unknown> {
  const { held, publication, step, deps } = task;
  return isOverdue(held.current(), publication, step, deps.now(), deps.policy) ? beginLate(task) : work(task);
}

async function beginLate(task: Task): Promise<unknown> {
  const { held, publication, step, deps } = task;
  const after = await overdueTurn(held, publication, deps);
  if (after === null) return work(task);
  return held.settle((post) => recordPutOff(post, step.id, after, 'It is late, and so are others of this channel: they go out one by one.', deps.now()));
}

/** When a late one may go out; null: now. Where it can't be told, it goes out: late posts are few while the database can't be read. */
async function overdueTurn(held: HeldPost, { channelId }: Publication, deps: WorkDeps): Promise<Date | null> {
  try {
    return await deps.rates.takeOverdue(held.current().profileId, channelId, deps.policy.lateGapMs);
  } catch (error) {
    deps.log.warn({ err: error, postId: held.id }, 'whether others of the channel are late could not be told');
    return null;
  }
}

function work(task: Task): Promise<unknown> {
  if (!isFresh(task.step)) return ask(task);
  return task.turn === null ? sendInTurnOf(task) : sendInTurn(task, task.turn);
}

async function sendInTurnOf(task: Task): Promise<void> {
  const turn = await task.deps.turns.take(task.publication.channelId, task.publication.platform);
  if (turn === null) return;
  try {
    await sendInTurn({ ...task, turn }, turn);
  } finally {
    turn.end();
  }
}

async function sendInTurn(task: Task, turn: Turn): Promise<void> {
  const { held, publication, step, deps } = task;
  if (held.lost() || !held.isSafe()) return;
  const isOurs = deps.isOurs(held.current().profileId);
  if (isOurs !== true && !(await mayWork(isOurs, held, deps))) return;
  const session = await openSession(task, (move) => settle(task, move));
  if (session === null) return;
  const limits = session.platform.limits.publish;
  const after = limits === undefined || !isCounted(step, session.platform) ? null : await roomFor(task, limits);
  if (after !== null) {
    await settle(task, (post) => recordPutOff(post, step.id, after, limitMessage(session.platform), deps.now()));
    return;
  }
  if (!(await held.apply((post) => startSending(post, [step.id], beginningOf(step, deps))))) return;
  await turn.toCall();
  if (isCounted(step, session.platform)) deps.rates.began(publication.channelId, session.platform.limits.publish ?? []);
  const startedAt = deps.now();
  const answer = await call(task, session);
  // The channel's next post needn't wait until the outcome of this one is stored, unless more of this one follows.
  if (publication.followUps === undefined) turn.end();
  if (answer instanceof PlatformFailure) await settleFailure(task, session, startedAt, answer, finderOf(session.platform, step, contentOf(held.current(), publication, step)) !== null, (move) => settle(task, move));
  else await settleAcceptance(task, 'publish', startedAt, answer);
}

/** Nothing begins before it was due. */
function beginningOf({ dueAt }: Step, deps: WorkDeps): Date {
  const moment = deps.moment();
  return dueAt !== null && moment < dueAt ? deps.now() : moment;
}

/** Where it can't be told, the post is given back, as when the profile became another worker's. */
async function mayWork(isOurs: boolean | Promise<boolean>, held: HeldPost, deps: WorkDeps): Promise<boolean> {
  try {
    return await isOurs;
  } catch (error) {
    deps.log.warn({ err: error, postId: held.id }, 'whose turn it is could not be told');
    return false;
  }
}

/** A comment of a kind of its own is not counted among the posts. */
function isCounted(step: Step, { comment }: Platform): boolean {
  return !(isFollowUp(step) && step.kind === 'comment' && comment?.limits !== undefined);
}

/** When there is room for it within what the network takes; null: now. What was counted before can't always be read: the network counts too. */
async function roomFor({ held, publication, step, deps }: Task, limits: readonly RateLimit[]): Promise<Date | null> {
  try {
    return await deps.rates.take(held.current().profileId, publication.channelId, limits, step.failure?.kind === 'rate-limited');
  } catch (error) {
    deps.log.warn({ err: error, postId: held.id }, 'what was sent before could not be counted');
    return null;
  }
}

function settleAcceptance(task: Task, kind: 'publish' | 'poll' | 'lookup', startedAt: Date, answer: Answer): Promise<unknown> {
  return settle(task, (post) => recordAcceptance(post, task.step.id, kind, startedAt, answer, task.deps.now()));
}

/** Stores what ended a step. What follows it at once is worked on in the same turn. */
function settle(task: Task, move: (post: Post) => Post): Promise<unknown> {
  return task.publication.followUps === undefined ? task.held.settle(move) : settleAndGoOn(task, move);
}

async function settleAndGoOn(task: Task, move: (post: Post) => Post): Promise<void> {
  const { held, publication, deps } = task;
  const after = currentPublication(move(held.current()), publication.id);
  if (dueFollowUp(after, deps.now()) === null || deps.turns.isClosed()) {
    await held.settle(move);
    return;
  }
  if (!(await held.apply(move))) return;
  const stored = currentPublication(held.current(), publication.id);
  const next = dueFollowUp(stored, deps.now());
  if (stored !== undefined && next !== null) await work({ ...task, publication: stored, step: next });
  else await held.settle((post) => post);
}

/** A question to the network about what it accepted or may have accepted. */
async function ask(task: Task): Promise<void> {
  const session = await openSession(task, (move) => settle(task, move));
  if (session === null) return;
  if (task.step.handle === null) await lookUp(task, session);
  else await poll(task, session, task.step.handle);
}

async function poll(task: Task, session: ChannelSession, handle: string): Promise<unknown> {
  const { step, deps } = task;
  const startedAt = deps.now();
  const { processing } = session.platform;
  const giveUp = (): Promise<unknown> => settle(task, (post) => recordPollFailure(post, step.id, startedAt, failureOf(neverAnswered()), null, deps.now()));
  if (processing === undefined) return giveUp();
  const answer = await poller(task, session, handle, processing);
  const isOver = step.processingSince !== null && deps.now().getTime() - step.processingSince.getTime() > processing.giveUpAfterMs;
  if (answer instanceof PlatformFailure) return settlePollFailure(task, session, startedAt, answer, isOver, (move) => settle(task, move));
  if (answer.state === 'processing' && isOver) return giveUp();
  return settleAcceptance(task, 'poll', startedAt, answer);
}

function neverAnswered(): PlatformFailure {
  return new PlatformFailure('unknown', 'The network accepted the post but did not say in time whether it became public.');
}

async function lookUp(task: Task, session: ChannelSession): Promise<unknown> {
  const { held, step, deps } = task;
  const startedAt = deps.now();
  const content = contentOf(held.current(), task.publication, step);
  const find = finderOf(session.platform, step, content);
  if (find === null) return settle(task, (post) => recordUnconfirmed(post, step.id, deps.now()));
  const since = step.attempts.findLast((attempt) => attempt.kind === 'publish')?.startedAt ?? held.current().createdAt;
  const answer = await find(task, content, since, session);
  if (answer !== null && !(answer instanceof PlatformFailure)) return settleAcceptance(task, 'lookup', startedAt, answer);
  return settleLookUp(task, session, startedAt, answer, (move) => settle(task, move));
}

function lateByMs(post: Post, publication: Publication, step: Step, now: Date): number {
  const since = dueSince(post, publication, step);
  return since === null ? 0 : now.getTime() - since.getTime();
}

function isLate(post: Post, publication: Publication, step: Step, now: Date, policy: RetryPolicy): boolean {
  return lateByMs(post, publication, step, now) > policy.lateAfterMs;
}

/** One of many, perhaps, that a stop left behind. One that was given a later time for it, or for a limit, has to keep to that time. */
function isOverdue(post: Post, publication: Publication, step: Step, now: Date, policy: RetryPolicy): boolean {
  if (!isFresh(step) || isFollowUp(step)) return false;
  const isPutOff = step.tries === 0 && step.failure !== null && now.getTime() - post.scheduledAt.getTime() > policy.lateAfterMs;
  return lateByMs(post, publication, step, now) > (isPutOff ? policy.lateGapMs : policy.lateAfterMs);
}

/**
 * Not sent while it was due, because Signpost was down or the channel signed out, for longer than the limit or than the post's owner wants. What
 * follows a public root is only held to the limit: the post has begun.
 */
function isTooLate(post: Post, publication: Publication, step: Step, now: Date, policy: RetryPolicy): boolean {
  if (!isFresh(step)) return false;
  const toBeLeft = (post.whenLate === 'skip' || post.whenLate === 'ask') && step.tries === 0 && !isFollowUp(step);
  return toBeLeft ? isLate(post, publication, step, now, policy) : lateByMs(post, publication, step, now) > policy.latenessLimitMs;
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
