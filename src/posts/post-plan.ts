/** From what was asked for to what can be stored: the channels, the media and every rule that is broken. */
import { createHash } from 'node:crypto';
import type { Channel } from '../channels/channel.js';
import { AppError, ErrorCode, type FieldProblem } from '../lib/app-error.js';
import { newId, newPostId } from '../lib/ids.js';
import type { MediaItem, Platform } from '../platforms/platform.js';
import { findPlatform, platforms as allPlatforms } from '../platforms/registry.js';
import { mediaItemOf, NO_FILES, type OwnFiles } from './post-files.js';
import type { PartInput, PostInput } from './post-input.js';
import { optionFieldsOf } from './post-option-fields.js';
import { followUpsOf, partProblems, partsOf, type Content } from './post-parts.js';
import { textFor, type Part, type Post, type Publication } from './post.js';

/** Two years: further ahead is a typing error more often than a plan. */
const FURTHEST_MS = 2 * 366 * 24 * 3600 * 1000;

export interface Target {
  platform: Platform;
  channel: Channel;
}

/** Ready to be stored: every rule holds. */
export interface Plan {
  /** Alphabetical by platform. */
  targets: Target[];
  media: MediaItem[];
  options: Post['options'];
  /** Own texts of the chosen platforms that differ from the common one. */
  texts: Record<string, string>;
  thread: Part[];
  firstComment: Part | null;
}

/** Uploads that are named, as they were found. */
interface WithFiles {
  files?: OwnFiles;
}

type Asked = Pick<PostInput, 'text' | 'texts' | 'platforms' | 'mediaUrls' | 'isVideo' | 'thread' | 'firstComment' | 'options' | 'commonOptions' | 'scheduledAt' | 'checkRules'> & WithFiles;

/**
 * Finds the channels and checks every rule, in the order in which a user would mend them: platforms, links to channels, time, content.
 * @param channels all of the profile's channels
 * @throws AppError `invalid` with every problem of the first group that has any
 */
export function planPost(input: Asked, channels: readonly Channel[], now: Date): Plan {
  throwIfAny([...platformProblems(input.platforms), ...ownTextProblems(input.texts)]);
  const connected = channels.filter((channel) => channel.state !== 'disconnected');
  const ids = input.platforms.includes('all') ? connected.map((channel) => channel.platform) : input.platforms;
  const isNow = input.scheduledAt === null || input.scheduledAt <= now;
  throwIfAny([...linkProblems(ids, input.platforms, connected, isNow), ...timeProblems(input.scheduledAt, now)]);
  const targets = targetsOf(ids, connected);
  const media = mediaOf(input);
  const options = optionsOf(input, targets);
  const texts = ownTexts(input, targets);
  const { thread, firstComment } = partsAsked(input);
  throwIfAny(emptyProblems(input, targets, media));
  if (input.checkRules || isNow) throwIfRules(targets, { text: input.text, texts, media, options, thread, firstComment });
  return { targets, media, options, texts, thread, firstComment };
}

/** Every rule that the input breaks, without regard to order; channels that are missing are told apart, since they can still be linked. */
export function findProblems(input: Asked, channels: readonly Channel[], now: Date): { problems: FieldProblem[]; notLinked: FieldProblem[] } {
  const unknown = [...platformProblems(input.platforms), ...ownTextProblems(input.texts)];
  const connected = channels.filter((channel) => channel.state !== 'disconnected');
  const ids = (input.platforms.includes('all') ? connected.map((channel) => channel.platform) : input.platforms).filter((id) => findPlatform(id) !== undefined);
  const isNow = input.scheduledAt === null || input.scheduledAt <= now;
  const media = mediaOf(input);
  const chosen = ids.flatMap((id) => {
    const platform = findPlatform(id);
    return platform === undefined ? [] : [{ platform }];
  });
  const empty = emptyProblems(input, chosen, media);
  return {
    problems: [...unknown, ...timeProblems(input.scheduledAt, now), ...(empty.length > 0 ? empty : ruleProblems(chosen, { ...input, ...partsAsked(input), media, options: optionsOf(input, chosen) }))],
    notLinked: unknown.length > 0 ? [] : linkProblems(ids, input.platforms, connected, isNow),
  };
}

function platformProblems(ids: readonly string[]): FieldProblem[] {
  if (ids.length === 0) return [{ field: 'platforms', code: ErrorCode.platformsParameter, message: 'No channel was chosen. Choose at least one.' }];
  const known = allPlatforms.map((platform) => platform.id);
  return ids.flatMap((id, i) => (id === 'all' || known.includes(id) ? [] : [{
    field: `platforms[${i}]`,
    code: ErrorCode.platformsParameter,
    message: `Unknown platform. Names are lower case; Signpost has ${known.join(', ')}.`,
  }]));
}

function linkProblems(ids: readonly string[], sent: readonly string[], connected: readonly Channel[], isNow: boolean): FieldProblem[] {
  if (ids.length === 0) {
    return [{ field: 'platforms', code: ErrorCode.notLinked, message: 'No channel is linked with Signpost yet. Connect one on the Channels page first.' }];
  }
  return ids.flatMap((id): FieldProblem[] => {
    const name = findPlatform(id)?.name ?? id;
    const channel = connected.find((candidate) => candidate.platform === id);
    const at = { field: sent.includes(id) ? `platforms[${sent.indexOf(id)}]` : 'platforms', platform: id };
    if (channel === undefined) {
      return [{ ...at, code: ErrorCode.notLinked, message: `${name} is not linked with Signpost. Please confirm the linkage on the Channels page.` }];
    }
    // A post for later is taken: it is held until the owner reconnects. One for now would only wait without anybody looking.
    if (channel.state === 'signed-out' && isNow) {
      return [{ ...at, code: ErrorCode.platformSignedOut, message: `${name} has signed out ${channel.username}. Reconnect it on the Channels page, then send again.` }];
    }
    return [];
  });
}

function timeProblems(scheduledAt: Date | null, now: Date): FieldProblem[] {
  if (scheduledAt === null || scheduledAt.getTime() - now.getTime() <= FURTHEST_MS) return [];
  return [{ field: 'scheduleDate', code: ErrorCode.scheduleDate, message: 'The time is more than 2 years ahead. Choose an earlier one.' }];
}

function targetsOf(ids: readonly string[], connected: readonly Channel[]): Target[] {
  const targets = [...new Set(ids)].flatMap((id): Target[] => {
    const platform = findPlatform(id);
    const channel = connected.find((candidate) => candidate.platform === id);
    return platform === undefined || channel === undefined ? [] : [{ platform, channel }];
  });
  return targets.sort((a, b) => (a.platform.id < b.platform.id ? -1 : 1));
}

export function mediaOf({ mediaUrls, isVideo, files }: Pick<PostInput, 'mediaUrls' | 'isVideo'> & WithFiles): MediaItem[] {
  return mediaUrls.map((url) => mediaItemOf(url, isVideo, files));
}

export function partsAsked({ thread = [], firstComment = null, isVideo, files = NO_FILES }: Pick<PostInput, 'thread' | 'firstComment' | 'isVideo'> & WithFiles): { thread: Part[]; firstComment: Part | null } {
  const partOf = ({ text, mediaUrls }: PartInput): Part => ({ text, media: mediaOf({ mediaUrls, isVideo, files }) });
  return { thread: thread.map(partOf), firstComment: firstComment === null ? null : partOf(firstComment) };
}

/** Option objects by platform id; spellings differ between clients in case and in the platform's name. */
function optionsOf({ options: sent, commonOptions }: Pick<PostInput, 'options' | 'commonOptions'>, targets: readonly Pick<Target, 'platform'>[]): Post['options'] {
  const options: Post['options'] = {};
  for (const { platform } of targets) {
    const keys = [platform.optionsKey ?? '', `${platform.id}Options`, `${platform.name}Options`].map((key) => key.toLowerCase());
    const found = keys.map((key) => sent[key]).find((value) => value !== undefined);
    const needed = optionFieldsOf(platform).filter((field) => field.isRequired && commonOptions[field.key] !== undefined && found?.[field.key] === undefined);
    const all = { ...found, ...Object.fromEntries(needed.map(({ key }) => [key, commonOptions[key]])) };
    if (Object.keys(all).length > 0) options[platform.id] = all;
  }
  return options;
}

/** A mistyped platform among the texts would send the common text there instead. */
function ownTextProblems(texts: Record<string, string>): FieldProblem[] {
  return Object.keys(texts).flatMap((id) => (findPlatform(id) !== undefined ? [] : [{
    field: `post.${id.slice(0, 60)}`, code: ErrorCode.platformsParameter, message: 'Unknown platform. Name platforms as in "platforms", and the text for the rest "default".',
  }]));
}

function ownTexts({ text, texts }: Pick<PostInput, 'text' | 'texts'>, targets: readonly Pick<Target, 'platform'>[]): Record<string, string> {
  return Object.fromEntries(targets.flatMap(({ platform: { id } }) => (texts[id] === undefined || texts[id] === text ? [] : [[id, texts[id]]])));
}

function emptyProblems(post: Pick<PostInput, 'text' | 'texts'>, targets: readonly Pick<Target, 'platform'>[], media: readonly MediaItem[]): FieldProblem[] {
  if (media.length > 0 || targets.some(({ platform }) => textFor(post, platform.id).trim() !== '')) return [];
  const message = 'Missing or incorrect post parameter. Please verify a non-empty post field is sent, or add media.';
  return [{ field: 'post', code: ErrorCode.postParameter, message }];
}

/** Every platform's own rules that the content breaks. */
export function ruleProblems(targets: readonly Pick<Target, 'platform'>[], content: Content): FieldProblem[] {
  return targets.flatMap(({ platform }) => partProblems(platform, content));
}

/** The platforms' rules answer in a shape of their own: rows marked `verifyCheck` beside empty `postIds`. */
function throwIfRules(targets: readonly Target[], content: Content): void {
  const fields = ruleProblems(targets, content);
  const [first] = fields;
  if (first === undefined) return;
  const details = { errors: rowsOf(fields, { verifyCheck: true }), postIds: [], post: content.text, validate: true };
  throw new AppError('invalid', first.code ?? ErrorCode.mediaRule, first.message, { fields, details });
}

function throwIfAny(fields: FieldProblem[]): void {
  const [first] = fields;
  if (first !== undefined) throw new AppError('invalid', first.code ?? ErrorCode.badRequest, first.message, { fields, details: { errors: rowsOf(fields) } });
}

/** Field problems as the API's error rows. */
function rowsOf(fields: readonly FieldProblem[], marks: Record<string, true> = {}): Record<string, unknown>[] {
  return fields.map((field) => ({ action: 'post', status: 'error', ...field, ...marks }));
}

/** A new publication that waits for its time. */
export function newPublication({ platform, channel }: Target, dueAt: Date, now: Date, content: Content): Publication {
  const id = newId('pub', now);
  return {
    id, channelId: channel.id, platform: platform.id, channelName: channel.displayName || channel.username,
    state: 'pending', dueAt, tries: 0, attempts: [], handle: null, processingSince: null,
    remoteId: null, url: null, publishedAt: null, failure: null, ...extrasOf(id, platform, content),
  };
}

/** What a publication has besides, where a thread or a first comment was asked for. */
export function extrasOf(publicationId: string, platform: Platform, content: Content): Pick<Publication, 'root' | 'followUps'> {
  const parts = partsOf(content, platform);
  const followUps = followUpsOf(publicationId, parts);
  return { ...(parts.root === null ? {} : { root: parts.root }), ...(followUps.length === 0 ? {} : { followUps }) };
}

/** The post that a plan becomes. A time in the past is now; it still counts as scheduled, since a time was asked for. */
export function newPost(owner: Pick<Post, 'accountId' | 'profileId' | 'refId' | 'timeZone'>, input: PostInput, plan: Plan, now: Date): Post {
  const scheduledAt = input.scheduledAt === null || input.scheduledAt < now ? now : input.scheduledAt;
  const type = input.scheduledAt === null ? 'now' : 'scheduled';
  return {
    id: newPostId(), ...owner, timeZone: input.timeZone ?? owner.timeZone,
    text: input.text, texts: plan.texts, media: plan.media, options: plan.options, notes: input.notes,
    type, scheduledAt, status: 'scheduled',
    ...(input.whenLate === undefined ? {} : { whenLate: input.whenLate }),
    ...(plan.thread.length === 0 ? {} : { thread: plan.thread }), ...(plan.firstComment === null ? {} : { firstComment: plan.firstComment }),
    publications: plan.targets.map((target) => newPublication(target, scheduledAt, now, { ...plan, text: input.text })),
    dueAt: scheduledAt, lease: null, version: 1, sequence: 0,
    history: [{ at: now, what: type === 'now' ? 'created' : 'scheduled' }],
    idempotencyKey: input.idempotencyKey, requestDigest: input.idempotencyKey === null ? null : digestOf(input),
    createdAt: now, updatedAt: now, deletedAt: null,
  };
}

/** Tells whether two requests asked for the same post. */
export function digestOf({ idempotencyKey: _key, ...asked }: PostInput): string {
  const canonical = JSON.stringify({ ...asked, platforms: [...asked.platforms].sort() }, (_name, value: unknown) => (
    typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value
  ));
  return createHash('sha256').update(canonical).digest('hex');
}
