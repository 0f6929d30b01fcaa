/** The pure rules of changing a post: edited, cancelled, deleted. */
import type { Channel } from '../channels/channel.js';
import { mediaKindOf } from '../platforms/media-kind.js';
import { findPlatform } from '../platforms/registry.js';
import { foldStatus, type Part, type Post } from './post.js';
import { NO_FILES, type OwnFiles } from './post-files.js';
import type { PartInput, PostChanges } from './post-input.js';
import { optionKeyOf } from './post-option-fields.js';
import { extrasOf, newPublication, planPost } from './post-plan.js';
import type { Removal } from './post-service.js';

/** The post as it is after the changes, null when they change nothing; every rule is checked again on the whole. */
export function edited(post: Post, changes: PostChanges, channels: Channel[], now: Date, files: OwnFiles = NO_FILES): Post | null {
  const mediaUrls = changes.mediaUrls ?? post.media.map((item) => item.url);
  const asked = changes.scheduledAt === undefined ? post.scheduledAt : changes.scheduledAt;
  const keepsTime = changes.scheduledAt === undefined;
  const plan = planPost({
    files,
    text: changes.text ?? post.text,
    texts: changes.texts ?? post.texts ?? {},
    platforms: changes.platforms ?? post.publications.map((p) => p.platform),
    mediaUrls,
    isVideo: changes.isVideo ?? wasMarkedVideo(post),
    options: { ...byKey(post.options), ...changes.options },
    commonOptions: {},
    scheduledAt: asked,
    checkRules: true,
    thread: changes.thread ?? (post.thread ?? []).map(inputOf),
    firstComment: changes.firstComment === undefined ? inputOfComment(post) : changes.firstComment,
  }, channels, now);
  const scheduledAt = keepsTime || isSameSecond(asked, post.scheduledAt) ? post.scheduledAt : asked === null || asked < now ? now : asked;
  const text = changes.text ?? post.text;
  const publications = plan.targets.map((target) => {
    const found = post.publications.find((p) => p.channelId === target.channel.id && p.state !== 'cancelled');
    if (found === undefined) return newPublication(target, scheduledAt, now, { ...plan, text });
    const { root: _root, followUps: _followUps, ...kept } = found;
    return { ...kept, state: 'pending' as const, dueAt: scheduledAt, failure: null, ...extrasOf(kept.id, target.platform, { ...plan, text }) };
  });
  const after: Post = {
    ...post,
    text,
    texts: plan.texts,
    media: plan.media,
    options: plan.options,
    ...(post.thread === undefined && plan.thread.length === 0 ? {} : { thread: plan.thread }),
    ...(post.firstComment === undefined && plan.firstComment === null ? {} : { firstComment: plan.firstComment }),
    notes: changes.notes === undefined ? post.notes : changes.notes,
    timeZone: changes.timeZone ?? post.timeZone,
    ...(changes.whenLate === undefined ? {} : { whenLate: changes.whenLate }),
    scheduledAt,
    publications,
    dueAt: scheduledAt,
    status: 'scheduled',
  };
  const timeMoved = scheduledAt.getTime() !== post.scheduledAt.getTime();
  const contentMoved = contentOf(after) !== contentOf(post);
  if (!timeMoved && !contentMoved) return null;
  const entry = { at: now, what: timeMoved && !contentMoved ? 'rescheduled' : 'edited', ...(timeMoved ? { detail: `now due ${scheduledAt.toISOString()}` } : {}) };
  return { ...after, type: timeMoved ? 'scheduled' : post.type, history: [...post.history, entry] };
}

/** A stored part as it would be asked for. */
export function inputOf({ text, media }: Part): PartInput {
  return { text, mediaUrls: media.map(({ url }) => url) };
}

function inputOfComment({ firstComment }: Post): PartInput | null {
  return firstComment === undefined || firstComment === null ? null : inputOf(firstComment);
}

/** Forms know seconds only: a time that comes back as it was shown is not a new one. */
function isSameSecond(asked: Date | null, stored: Date): boolean {
  return asked !== null && Math.floor(asked.getTime() / 1000) === Math.floor(stored.getTime() / 1000);
}

function byKey(options: Post['options']): Record<string, Record<string, unknown>> {
  return Object.fromEntries(Object.entries(options).flatMap(([id, value]) => {
    const platform = findPlatform(id);
    return platform === undefined ? [] : [[optionKeyOf(platform), value]];
  }));
}

function contentOf(post: Post): string {
  return JSON.stringify([post.text, post.texts ?? {}, post.media, post.options, post.thread ?? [], post.firstComment ?? null, post.notes, post.whenLate ?? 'send', post.publications.map((p) => [p.channelId, p.state])]);
}

/** True when the user said that addresses without a telling ending are videos. */
export function wasMarkedVideo({ media, thread = [], firstComment }: Pick<Post, 'media' | 'thread' | 'firstComment'>): boolean {
  return [...media, ...thread.flatMap((part) => part.media), ...(firstComment?.media ?? [])].some((item) => item.kind === 'video' && mediaKindOf(item.url) !== 'video');
}

/** Every publication cancelled: for a post of which nothing was sent. */
export function cancelAll(post: Post): Post {
  return { ...post, publications: post.publications.map((p) => ({ ...p, state: 'cancelled' as const, dueAt: null, failure: null })) };
}

export function deleted(post: Post, now: Date, what: string): Post {
  return { ...post, status: 'deleted', dueAt: null, deletedAt: now, history: [...post.history, { at: now, what }] };
}

/** After taking down: each publication that is gone is cancelled, so that it is neither retried nor taken down again; the post is deleted once all are. */
export function withRemovals(post: Post, removals: readonly Removal[], now: Date, byHand: boolean): Post {
  const gone = new Set(removals.filter((row) => row.removed).map((row) => row.publicationId));
  const publications = post.publications.map((p) => (gone.has(p.id) ? { ...p, state: 'cancelled' as const, dueAt: null } : p));
  const taken = post.publications.filter((p) => gone.has(p.id) && p.state === 'published');
  const history = [...post.history, ...taken.map((p) => ({ at: now, what: byHand ? 'publication taken down by hand' : 'publication taken down', publicationId: p.id }))];
  const after = { ...post, publications, history };
  return publications.every((p) => p.state === 'cancelled') ? deleted(after, now, 'deleted') : { ...after, status: foldStatus(publications) };
}
