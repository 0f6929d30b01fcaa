/** What an endpoint is sent for an event: Ayrshare's `scheduled` payload, or Signpost's own. Pure; serialized once per delivery. */
import { ErrorCode } from '../lib/app-error.js';
import { CHAT_STYLES, chatBody, type ChatStyle } from './chat-messages.js';
import { isChannelEvent, isPostEvent, type ChannelEventInput, type EventInput, type FollowUpFacts, type PostEventInput, type PublicationFacts, type TestEventInput } from './event.js';

export type PayloadStyle = 'ayrshare' | 'signpost' | ChatStyle;

export const PAYLOAD_STYLES = ['ayrshare', 'signpost', ...CHAT_STYLES] as const;

export interface PayloadContext {
  /** The URL that is called. */
  url: string;
  /** Ayrshare-style endpoints have been told that this post is a success, see `wasAnnouncedBefore`. */
  announcedBefore: boolean;
}

export interface Payload {
  /** What the endpoint subscribes to: an Ayrshare action or an event type. */
  event: string;
  /** Compact JSON, as `JSON.stringify` writes it: receivers that verify a re-serialized body still match. */
  body: string;
}

/** @returns null when this style has nothing to say about the event */
export function buildPayload(style: PayloadStyle, event: EventInput, context: PayloadContext): Payload | null {
  if (style === 'ayrshare') return ayrsharePayload(event, context);
  if (style === 'signpost') return signpostPayload(event);
  const body = chatBody(style, event);
  return body === null ? null : { event: event.type, body };
}

/** Does the answer for this event depend on what was announced before? */
export function dependsOnEarlier(event: EventInput): event is PostEventInput {
  return isPostEvent(event) && saysSuccess(event) && event.data.scheduled && event.data.publications.some((p) => p.announcesAccepted || p.followUps !== undefined);
}

/** Also of a post whose thread or first comment broke off: it is public, and Ayrshare has no word for the rest. */
function saysSuccess({ type, data }: PostEventInput): boolean {
  return type === 'post.published' || (type === 'post.partially_published' && data.publications.every((p) => p.state === 'cancelled' || p.state === 'published'));
}

/** Event types by which it is judged whether a later success was announced already. */
export const OUTCOME_TYPES: readonly PostEventInput['type'][] = ['post.accepted', 'post.partially_published', 'post.failed', 'post.missed'];

/** @param earlier the post's events of `OUTCOME_TYPES`, and any others: did the last announcing one before this event say that the post is a success? */
export function wasAnnouncedBefore(event: PostEventInput, earlier: readonly PostEventInput[]): boolean {
  const before = earlier.filter(({ sequence, type }) => sequence < event.sequence && OUTCOME_TYPES.includes(type)).sort((a, b) => b.sequence - a.sequence);
  const last = before[0];
  return last !== undefined && (last.type === 'post.accepted' ? announcesAcceptance(last) : saysSuccess(last));
}

/** Some networks count only what is public: as long as one of those still works on it, there is nothing to announce. */
function announcesAcceptance({ data }: PostEventInput): boolean {
  return data.publications.every((p) => p.state !== 'processing' || p.announcesAccepted);
}

function signpostPayload(event: EventInput): Payload | null {
  if (event.type === 'post.accepted') return null;
  const data = isPostEvent(event) ? postData(event) : event.data;
  const body = { id: event.id, type: event.type, timestamp: event.at.toISOString(), version: 1, data };
  return { event: event.type, body: JSON.stringify(body) };
}

function postData({ data, sequence }: PostEventInput): Record<string, unknown> {
  return {
    postId: data.postId,
    refId: data.refId,
    sequence,
    status: data.status,
    text: data.text,
    scheduled: data.scheduled,
    scheduledAt: data.scheduledAt,
    ...(data.publicationId === undefined ? {} : { publicationId: data.publicationId }),
    publications: data.publications.map((p) => ({
      id: p.id,
      platform: p.platform,
      state: p.state,
      remoteId: p.remoteId,
      url: p.url,
      isVideo: p.isVideo,
      error: errorOf(p),
      ...(p.followUps === undefined ? {} : { followUps: p.followUps.map((step) => ({ kind: step.kind, item: step.item, state: step.state, remoteId: step.remoteId, url: step.url, error: errorOf(step) })) }),
    })),
  };
}

function errorOf({ failure }: Pick<PublicationFacts, 'failure'>): Record<string, unknown> | null {
  if (failure === null) return null;
  const { kind, code, message, details } = failure;
  return { kind, code, message, ...(details === undefined ? {} : { details }) };
}

function ayrsharePayload(event: EventInput, context: PayloadContext): Payload | null {
  if (event.type === 'webhook.test') return { event: 'test', body: testBody(event, context) };
  if (isChannelEvent(event)) return socialPayload(event, context);
  if (!isPostEvent(event)) return null;
  const late = event.type === 'publication.published' ? event.data.publications.find((p) => p.id === event.data.publicationId) : undefined;
  if (late?.publishedSubAction !== undefined) return scheduledPayload(event, [late], context, late.publishedSubAction);
  return announcesOutcome(event, context) ? scheduledPayload(event, event.data.publications, context) : null;
}

/**
 * Ayrshare's `scheduled` action says once what became of a post that was written for a later time: when every network accepted it, and again
 * only if a network that had accepted it then failed. A missed post counts as failed. What follows a public post changes nothing of it.
 */
function announcesOutcome(event: PostEventInput, { announcedBefore }: PayloadContext): boolean {
  if (!event.data.scheduled) return false;
  if (saysSuccess(event)) return !announcedBefore;
  if (event.type === 'post.accepted') return announcesAcceptance(event);
  return ['post.failed', 'post.partially_published', 'post.missed'].includes(event.type);
}

function scheduledPayload(event: PostEventInput, publications: PublicationFacts[], context: PayloadContext, subAction?: string): Payload {
  const live = publications.filter((p) => p.state !== 'cancelled');
  const errors = live.filter((p) => !isSuccess(p)).map(errorRow);
  const body = {
    action: 'scheduled',
    ...(subAction === undefined ? {} : { subAction }),
    created: wholeSeconds(event.at),
    // Ayrshare documents 200 for success only; its API answers 400 when a network refused a post.
    code: errors.length === 0 ? 200 : 400,
    refId: event.data.refId,
    status: errors.length === 0 ? 'success' : 'error',
    id: event.data.postId,
    errors,
    postIds: live.filter(isSuccess).map(successRow),
    url: context.url,
    hookId: event.id,
  };
  return { event: 'scheduled', body: JSON.stringify(body) };
}

/** Ayrshare's `social` action: a channel was linked or unlinked, by its user or by the network. */
function socialPayload({ id, at, type, data }: ChannelEventInput, { url }: PayloadContext): Payload {
  const body = {
    action: 'social',
    created: wholeSeconds(at),
    code: 200,
    type: type === 'channel.connected' ? 'link' : 'unlink',
    platform: data.platform,
    source: type === 'channel.signed_out' ? 'system' : 'user',
    displayName: data.displayName,
    details: data.problem === null ? {} : { message: data.problem },
    refId: data.refId,
    title: data.title,
    url,
    hookId: id,
  };
  return { event: 'social', body: JSON.stringify(body) };
}

function testBody(event: TestEventInput, { url }: PayloadContext): string {
  return JSON.stringify({ action: 'test', created: wholeSeconds(event.at), code: 200, status: 'success', message: event.data.message, url, hookId: event.id });
}

function isSuccess(p: PublicationFacts): boolean {
  return p.state === 'published' || p.state === 'processing';
}

function successRow(p: PublicationFacts): Record<string, unknown> {
  return {
    status: 'success',
    id: p.state === 'published' ? p.remoteId : 'pending',
    ...(p.url === null ? {} : { postUrl: p.url }),
    ...(p.isVideo ? { isVideo: true } : {}),
    ...followUpFields(p),
    platform: p.platform,
  };
}

/** As the API answers them: `thread`, `firstComment`, and `warnings` for what is not public of them. */
function followUpFields({ followUps }: PublicationFacts): Record<string, unknown> {
  if (followUps === undefined) return {};
  const isBroken = followUps.some(isEndedBadly);
  const thread = followUps.filter(({ kind }) => kind === 'reply').map((step) => followUpRow(step, isBroken));
  const [comment] = followUps.filter(({ kind }) => kind === 'comment').map((step) => followUpRow(step, false));
  const warnings = followUps.flatMap(({ failure, item }) => (failure === null ? [] : [{ code: failure.code, message: `${item === null ? 'First comment' : `Thread item ${item}`}: ${failure.message}` }]));
  return { ...(thread.length === 0 ? {} : { thread }), ...(comment === undefined ? {} : { firstComment: comment }), ...(warnings.length === 0 ? {} : { warnings }) };
}

function isEndedBadly({ state }: FollowUpFacts): boolean {
  return state === 'failed' || state === 'missed' || state === 'unconfirmed';
}

/** @param isBroken the thread ended at an item before it, so it doesn't go out by itself */
function followUpRow(step: FollowUpFacts, isBroken: boolean): Record<string, unknown> {
  const { item, state, remoteId, url } = step;
  const status = state === 'published' ? 'success' : isEndedBadly(step) ? 'error' : state === 'pending' && isBroken ? 'not sent' : 'waiting';
  return { ...(item === null ? {} : { item }), status, ...(remoteId === null ? {} : { id: remoteId }), ...(url === null ? {} : { postUrl: url }) };
}

/** `missed` and `unconfirmed` have no word at Ayrshare: they are error rows with Signpost's codes 915 and 914. */
function errorRow(p: PublicationFacts): Record<string, unknown> {
  const fallback =
    p.state === 'missed'
      ? { code: ErrorCode.missed, message: 'Signpost was not running when this post was due, and the time allowed for catching up had passed.' }
      : { code: ErrorCode.outcomeUnknown, message: 'The network gave no answer; the post may or may not be public. Look at the network before sending it again.' };
  const { code, message, details } = p.failure ?? { ...fallback, details: undefined };
  return { action: 'post', status: 'error', code, message, ...(details === undefined ? {} : { details }), platform: p.platform };
}

/** `2023-01-05T01:18:47Z`, as Ayrshare writes it. */
function wholeSeconds(at: Date): string {
  return at.toISOString().replace(/\.\d{3}Z$/, 'Z');
}
