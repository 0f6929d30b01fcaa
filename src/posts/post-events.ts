/** Makes a post's events: a snapshot of the post at the moment of the fact, numbered per post. */
import { newId } from '../lib/ids.js';
import { findPlatform } from '../platforms/registry.js';
import { isComplete, isSettled, type FollowUp, type FollowUpSnapshot, type Post, type PostEvent, type PostEventType, type Publication, type PublicationSnapshot } from './post.js';

export interface EventRequest {
  type: PostEventType;
  publicationId?: string;
}

/** @returns the post with its sequence moved on, and the events to be written with it, in order. */
export function withEvents(post: Post, requests: EventRequest[], now: Date): { post: Post; events: PostEvent[] } {
  const events = eventsOf(post, requests, now);
  return { post: events.length === 0 ? post : { ...post, sequence: post.sequence + events.length }, events };
}

/** The events to be written with a post, in order: numbered from its sequence on. */
export function eventsOf(post: Post, requests: EventRequest[], now: Date): PostEvent[] {
  if (requests.length === 0) return [];
  // One snapshot for all of them: the outbox stores it once.
  const snapshot = {
    postId: post.id,
    refId: post.refId,
    status: post.status,
    text: post.text,
    scheduled: post.type === 'scheduled',
    scheduledAt: post.scheduledAt.toISOString(),
    publications: post.publications.map((publication) => snapshotOf(post, publication)),
  };
  return requests.map(({ type, publicationId }, i): PostEvent => ({
    id: newId('evt', now),
    type,
    at: now,
    sequence: post.sequence + i + 1,
    accountId: post.accountId,
    profileId: post.profileId,
    data: { ...snapshot, ...(publicationId === undefined ? {} : { publicationId }) },
  }));
}

/** The facts that lie between two versions of a post, in the order they are told: publications first, then the post. */
export function eventsBetween(before: Post, after: Post): EventRequest[] {
  const requests: EventRequest[] = [];
  for (const publication of after.publications) {
    const previous = before.publications.find((p) => p.id === publication.id);
    if (previous === publication) continue;
    const { state, id: publicationId } = publication;
    if (previous?.state !== state && (state === 'published' || state === 'failed' || state === 'unconfirmed')) {
      requests.push({ type: `publication.${state}`, publicationId });
    }
    if (isIncomplete(publication) && !(previous !== undefined && isSettled(previous))) requests.push({ type: 'publication.incomplete', publicationId });
  }
  if (isAccepted(after) && !isAccepted(before) && !isFinal(before)) requests.push({ type: 'post.accepted' });
  if (isFinal(after) && (!isFinal(before) || before.status !== after.status)) requests.push({ type: finalType(after) });
  return requests;
}

/** Public, and nothing more is tried of what should have followed. */
function isIncomplete(publication: Publication): boolean {
  return publication.state === 'published' && publication.followUps !== undefined && !isComplete(publication) && isSettled(publication);
}

function finalType(post: Post): PostEventType {
  const live = post.publications.filter((p) => p.state !== 'cancelled');
  if (live.every((p) => p.state === 'missed')) return 'post.missed';
  if (post.status === 'success') return 'post.published';
  return post.status === 'partial' ? 'post.partially_published' : 'post.failed';
}

/** Everything is sent and something is still processing at its network. */
function isAccepted(post: Post): boolean {
  return post.publications.every((p) => isSettled(p) || p.state === 'processing') && post.publications.some((p) => p.state === 'processing');
}

function isFinal(post: Post): boolean {
  return post.status !== 'deleted' && post.publications.length > 0 && post.publications.every(isSettled);
}

function snapshotOf(post: Post, publication: Publication): PublicationSnapshot {
  const processing = findPlatform(publication.platform)?.processing;
  const publishedSubAction = processing?.publishedSubAction;
  return {
    id: publication.id,
    platform: publication.platform,
    state: publication.state,
    remoteId: publication.remoteId,
    url: publication.url,
    isVideo: post.media.some((item) => item.kind === 'video'),
    failure: publication.failure,
    ...(publication.followUps === undefined ? {} : { followUps: publication.followUps.map(followUpSnapshot) }),
    announcesAccepted: processing?.announces === 'accepted',
    ...(publishedSubAction === undefined ? {} : { publishedSubAction }),
  };
}

function followUpSnapshot({ kind, state, remoteId, url, failure }: FollowUp, index: number): FollowUpSnapshot {
  return { kind, item: kind === 'comment' ? null : index + 2, state, remoteId, url, failure };
}
