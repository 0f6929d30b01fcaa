/** The calls that a step makes at its network, each with an end: an answer, or the failure that it means. */
import { checkComment, checkContent, checkReply, refusalOf } from '../platforms/check-content.js';
import { PlatformFailure, type Platform, type PlatformContent, type Processing, type PublishResult } from '../platforms/platform.js';
import { textFor, type Post, type Publication, type Step } from '../posts/post.js';
import { isFollowUp, placeOf } from './follow-ups.js';
import { fenced } from './lease-watch.js';
import { type ChannelSession, type Task } from './task.js';

export type Answer = PublishResult;

/** Added to a platform's own time-out before we stop waiting for an adapter that never answers. */
const GRACE_MS = 5_000;

/** What is sent. A step's key is the same on every attempt. */
export function contentOf(post: Post, publication: Publication, step: Step): PlatformContent {
  const common = { idempotencyKey: `${post.id}.${step.id}`, scheduledAt: post.scheduledAt };
  if (isFollowUp(step)) return { text: step.text, media: step.media, options: {}, ...common };
  const options = post.options[publication.platform] ?? {};
  const { text, media } = publication.root ?? { text: textFor(post, publication.platform), media: post.media };
  return { text, media, options, ...common };
}

/** Publishes, replies or comments. */
export function call(task: Task, session: ChannelSession): Promise<Answer | PlatformFailure> {
  const content = contentOf(task.held.current(), task.publication, task.step);
  const io = fenced(session.io, () => task.held.isSafe());
  return answerOf(() => callFor(task, content, { ...session, io }), session.platform, task);
}

/** Throws at once what keeps it from being called. */
function callFor({ publication, step }: Task, content: PlatformContent, { platform, credentials, io }: ChannelSession): Promise<PublishResult> {
  const refusal = isFollowUp(step) ? refusalOf(platform, step.kind) : null;
  if (refusal !== null) throw new PlatformFailure('rejected', refusal);
  refuseWhatBreaksRules(platform, content, step);
  if (!isFollowUp(step)) return platform.publish(content, credentials, io);
  const place = placeOf(publication, step);
  if (place === null) throw new PlatformFailure('rejected', `Signpost doesn't know the post's id at ${platform.name}, so nothing can be added to it. Add it there by hand.`);
  return step.kind === 'comment' ? platform.comment!.comment(content, place.rootId, credentials, io) : platform.thread!.reply(content, place, credentials, io);
}

/** Posts may be stored unchecked (`validateScheduled: false`), and a platform's rules may have changed since: nothing that breaks one is sent. */
function refuseWhatBreaksRules(platform: Platform, content: PlatformContent, step: Step): void {
  const check = !isFollowUp(step) ? checkContent : step.kind === 'comment' ? checkComment : checkReply;
  const problem = check(platform, content)[0];
  if (problem !== undefined) throw new PlatformFailure('rejected', problem.message, { ...(problem.code === undefined ? {} : { code: problem.code }), details: problem.field });
}

export function poller(task: Task, { platform, credentials, io }: ChannelSession, handle: string, processing: Processing): Promise<Answer | PlatformFailure> {
  return answerOf(() => processing.poll(handle, credentials, io), platform, task);
}

export type Finder = (task: Task, content: PlatformContent, since: Date, session: ChannelSession) => Promise<Answer | PlatformFailure | null>;

/** How the network is asked what became of a step's call; null: it can't be asked. */
export function finderOf(platform: Platform, step: Step, content: Pick<PlatformContent, 'options'>): Finder | null {
  const { lookUp, thread, comment } = platform;
  const asPost = lookUp === undefined || lookUp.canFind?.(content) === false ? null : finder((task, content, since, { credentials, io }) => lookUp.find(content, since, credentials, io));
  if (!isFollowUp(step)) return asPost;
  if (step.kind === 'comment') {
    const { find, limits } = comment ?? {};
    if (find === undefined) return limits === undefined ? asPost : null;
    return finder(({ publication }, content, since, { credentials, io }) => find(content, publication.remoteId ?? '', since, credentials, io));
  }
  const find = thread?.find;
  if (find === undefined) return asPost;
  return finder((task, content, since, { credentials, io }) => find(content, placeOf(task.publication, step) ?? { rootId: '', parentId: '' }, since, credentials, io));
}

function finder(find: (task: Task, content: PlatformContent, since: Date, session: ChannelSession) => Promise<PublishResult | null>): Finder {
  return async (task, content, since, session) => {
    const answer = await answerOf(() => find(task, content, since, session), session.platform, task);
    return answer !== null && isAnothers(answer, task) ? new PlatformFailure('unknown', 'The network shows another part of this post with the same text.') : answer;
  };
}

/** Networks that are asked by text can't tell two items with the same one apart. */
function isAnothers(answer: Answer | PlatformFailure, { publication, step }: Task): boolean {
  if (answer instanceof PlatformFailure || answer.state !== 'published' || publication.followUps === undefined) return false;
  return [publication, ...publication.followUps].some((other) => other.id !== step.id && other.remoteId === answer.remoteId);
}

/**
 * Calls an adapter and gives its answer or its failure; anything it throws beside its typed failures, and an answer that never comes, counts as
 * unknown: the request may have been sent.
 */
function answerOf<T>(work: () => Promise<T>, platform: Platform, { held, deps }: Task): Promise<T | PlatformFailure> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(new PlatformFailure('unknown', 'The network did not answer in time.')), platform.publishTimeoutMs + GRACE_MS);
    const end = (answer: T | PlatformFailure): void => {
      clearTimeout(timer);
      resolve(answer);
    };
    const fail = (error: unknown): void => {
      if (error instanceof PlatformFailure) return end(error);
      deps.log.error({ err: error, postId: held.id }, 'an adapter failed without saying how');
      end(new PlatformFailure('unknown', 'Something unexpected happened while the network was asked.', { cause: error }));
    };
    try {
      work().then(end, fail);
    } catch (error) {
      fail(error);
    }
  });
}
