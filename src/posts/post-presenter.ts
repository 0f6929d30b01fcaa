/** Posts as the API shows them: Ayrshare's shapes, unused keys left out, times in UTC without milliseconds. */
import { ErrorCode } from '../lib/app-error.js';
import { findPlatform } from '../platforms/registry.js';
import { hasFollowUpsToDo, textFor, type FollowUp, type Part, type Post, type Publication } from './post.js';
import { formatInstant } from './post-time.js';

type Row = Record<string, unknown>;

/** A publication seen by who waits for it. `accepted`: the network has it, and the platform counts that as a success. */
type Outcome = 'success' | 'accepted' | 'error' | 'waiting' | 'none';

function outcomeOf(publication: Publication): Outcome {
  switch (publication.state) {
    case 'published': return 'success';
    case 'processing': return findPlatform(publication.platform)?.processing?.announces === 'accepted' ? 'accepted' : 'waiting';
    case 'failed': case 'missed': case 'unconfirmed': return 'error';
    case 'cancelled': return 'none';
    default: return 'waiting';
  }
}

/** Ayrshare's word for where a post is. A partly published post is an `error` with its successes in `postIds`. */
export function statusWord(post: Post): string {
  if (post.status === 'scheduled') return 'pending';
  if (post.status === 'deleted' || post.status === 'paused' || post.status === 'awaiting approval') return post.status;
  const outcomes = post.publications.map(outcomeOf);
  if (outcomes.includes('waiting') || post.publications.some(hasFollowUpsToDo)) return 'processing';
  return outcomes.includes('error') ? 'error' : 'success';
}

/** Successes, alphabetical by platform as the publications are. */
export function postIdRows(post: Post): Row[] {
  return post.publications.flatMap((publication): Row[] => {
    const outcome = outcomeOf(publication);
    const video = isVideo(post) ? { isVideo: true } : {};
    if (outcome === 'accepted') return [{ status: 'success', ...given('idShare', publication.handle), id: 'pending', ...video, platform: publication.platform }];
    if (outcome !== 'success') return [];
    return [{ status: 'success', id: idOf(publication), ...given('postUrl', publication.url), ...video, ...followUpFields(publication), platform: publication.platform }];
  });
}

/** What follows a public post, in keys of Signpost's own: `thread`, `firstComment`, and `warnings` for what did not go out. */
function followUpFields({ followUps }: Publication): Row {
  if (followUps === undefined) return {};
  const isBroken = followUps.some(isEndedBadly);
  const thread = followUps.flatMap((step, i) => (step.kind === 'reply' ? [{ item: i + 2, ...followUpRow(step, isBroken) }] : []));
  const comment = followUps.find((step) => step.kind === 'comment');
  const warnings = followUps.flatMap((step, i) => (step.failure === null || step.state === 'published' ? [] : [{
    code: step.failure.code, message: `${step.kind === 'comment' ? 'First comment' : `Thread item ${i + 2}`}: ${step.failure.message}`,
  }]));
  return { ...(thread.length === 0 ? {} : { thread }), ...(comment === undefined ? {} : { firstComment: followUpRow(comment, false) }), ...(warnings.length === 0 ? {} : { warnings }) };
}

function isEndedBadly({ state }: FollowUp): boolean {
  return state === 'failed' || state === 'missed' || state === 'unconfirmed';
}

/** @param isBroken the thread ended at an item before it, so it doesn't go out by itself */
function followUpRow(step: FollowUp, isBroken: boolean): Row {
  const { state, remoteId, url } = step;
  const status = state === 'published' ? 'success' : isEndedBadly(step) ? 'error' : state === 'pending' && isBroken ? 'not sent' : 'waiting';
  return { status, ...given('id', remoteId), ...given('postUrl', url) };
}

function idOf({ platform, remoteId }: Publication): string | number {
  return findPlatform(platform)?.hasNumericIds === true && /^\d{1,15}$/.test(remoteId ?? '') ? Number(remoteId) : (remoteId ?? '');
}

/** Failures, and what still waits after one: `retryAvailable` says that Signpost or the user may try again. */
export function errorRows(post: Post): Row[] {
  return post.publications.flatMap((publication): Row[] => {
    const { state, failure, platform } = publication;
    // What the network has accepted is no error as long as it says nothing else.
    if (failure === null || state === 'published' || state === 'cancelled' || outcomeOf(publication) === 'accepted') return [];
    const again = failure.kind === 'unreachable' || failure.kind === 'rate-limited' ? { retryAvailable: true } : {};
    return [{ action: 'post', status: 'error', code: failure.code, message: failure.message, ...given('details', failure.details), post: textFor(post, platform), platform, ...again }];
  });
}

/**
 * Answer to `POST /post`: what is known now.
 * @param goesNow the post's time has come, so it is not answered as scheduled even if nothing has happened yet
 */
export function createdAnswer(post: Post, goesNow: boolean): { httpStatus: number; body: Row } {
  const common = { id: post.id, refId: post.refId, post: post.text };
  if (post.status === 'scheduled' && !goesNow) {
    return { httpStatus: 200, body: { status: 'scheduled', scheduleDate: formatInstant(post.scheduledAt), ...common } };
  }
  const word = statusWord(post);
  // What is still under way is no error: a client that posts again would post twice.
  const status = word === 'pending' ? 'processing' : word;
  return { httpStatus: status === 'error' ? 400 : 200, body: { status, errors: errorRows(post), postIds: postIdRows(post), ...common } };
}

/** One row of the history, and the answer to `GET /post/:id`. */
export function historyRow(post: Post, profileTitle: string): Row {
  return {
    created: formatInstant(post.createdAt),
    errors: errorRows(post),
    ...(post.firstComment ? { firstComment: partRow('comment', post.firstComment) } : {}),
    id: post.id,
    ...(isVideo(post) ? { isVideo: true } : {}),
    ...(post.media.length > 0 ? { mediaUrls: post.media.map((item) => item.url) } : {}),
    ...given('notes', post.notes),
    ...optionRows(post),
    platforms: post.publications.map((publication) => publication.platform),
    post: post.text,
    postIds: postIdRows(post),
    ...given('profileTitle', profileTitle || null),
    refId: post.refId,
    scheduleDate: formatInstant(post.scheduledAt),
    shortenLinks: false,
    status: statusWord(post),
    ...(post.thread === undefined || post.thread.length === 0 ? {} : { thread: post.thread.map((part) => partRow('post', part)) }),
    type: post.type,
  };
}

function partRow(key: 'post' | 'comment', { text, media }: Part): Row {
  return { [key]: text, ...(media.length > 0 ? { mediaUrls: media.map(({ url }) => url) } : {}) };
}

/** Body of the answer when nothing was found; Ayrshare sends it with HTTP 400. */
export const emptyHistory = {
  history: { code: ErrorCode.historyNotFound, action: 'get', status: 'error', message: 'History not found. No post matches the filters.' },
  count: 0,
};

function optionRows(post: Post): Row {
  return Object.fromEntries(Object.entries(post.options).map(([platform, options]) => [findPlatform(platform)?.optionsKey ?? `${platform}Options`, options]));
}

function isVideo(post: Post): boolean {
  return post.media.some((item) => item.kind === 'video');
}

function given(key: string, value: unknown): Row {
  return value === null || value === undefined ? {} : { [key]: value };
}
