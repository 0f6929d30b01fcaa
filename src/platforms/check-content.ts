/** The one check of a post's content against a platform's limits, shared by the page, the API and the publisher. */
import type { z } from 'zod';
import { ErrorCode, type FieldProblem } from '../lib/app-error.js';
import type { MediaItem, Platform, PlatformContent } from './platform.js';
import type { MediaKind } from './media-kind.js';
import type { ImageRule, VideoRule } from './platform-limits.js';
import { textLength, unitName } from './text-length.js';

/** What can be checked before anything is sent. */
export type CheckableContent = Pick<PlatformContent, 'text' | 'media'> & Partial<Pick<PlatformContent, 'options'>>;

export interface TextCount {
  length: number;
  max: number;
  /** Set when the platform also limits the size in bytes, e.g. Bluesky. */
  bytes?: { length: number; max: number };
}

/** What changes how long a text may be. */
export interface Beside {
  hasMedia?: boolean | undefined;
  options?: Record<string, unknown> | undefined;
}

/** Length and limit as the composer's counter shows them. */
export function countText(platform: Platform, text: string, beside: Beside = {}): TextCount {
  const { counting, maxBytes } = platform.limits.text;
  const counted = { length: textLength(counting, text), max: maxText(platform, beside) };
  return maxBytes === undefined ? counted : { ...counted, bytes: { length: textLength('bytes', text), max: maxBytes } };
}

function maxText({ limits: { text: { max, maxWithMedia = max, longer } } }: Platform, { hasMedia = false, options = {} }: Beside): number {
  if (longer !== undefined && options[longer.option] === true) return longer.max;
  return hasMedia ? maxWithMedia : max;
}

/** @returns every rule of this platform that the content breaks; empty when it can be sent. Fields are `post` and `mediaUrls`. */
export function checkContent(platform: Platform, content: CheckableContent): FieldProblem[] {
  const problem = (field: string, code: number, message: string): FieldProblem => ({ field, code, message, platform: platform.id });
  return [
    ...textProblems(platform, content).map((message) => problem('post', ErrorCode.textTooLong, message)),
    ...mediaProblems(platform, content.media).map((message) => problem('mediaUrls', ErrorCode.mediaRule, message)),
    ...content.media.flatMap((item, i) => checkFile(platform, item, content.options).map((message) => problem(`mediaUrls[${i}]`, ErrorCode.mediaRule, message))),
    ...optionProblems(platform, content).map(({ field, message }) => problem(field, ErrorCode.badRequest, message)),
  ];
}

/** Why a platform takes no further items, or no comments; null: it does. */
export function refusalOf({ name, thread, comment }: Pick<Platform, 'name' | 'thread' | 'comment'>, kind: 'reply' | 'comment'): string | null {
  if (kind === 'reply') return thread === undefined ? `${name} has no threads. Send ${name} the rest as posts of their own.` : null;
  return comment === undefined ? `${name} takes no comments from other programs. Write it there by hand.` : null;
}

/** The same for a further item of a thread: a post with neither options nor media of the first. Fields as `checkContent`'s. */
export function checkReply(platform: Platform, content: Pick<CheckableContent, 'text' | 'media'>): FieldProblem[] {
  const { options: _options, alsoCheck: _alsoCheck, ...rules } = platform;
  return checkContent(rules, content);
}

/** The same for a first comment, by the rules for comments where the platform has its own. */
export function checkComment(platform: Platform, content: Pick<CheckableContent, 'text' | 'media'>): FieldProblem[] {
  return checkReply({ ...platform, limits: { ...platform.limits, ...platform.comment?.limits } }, content);
}

/** What the platform's own option object says wrongly or leaves out, e.g. `youTubeOptions.title`. */
function optionProblems({ options, optionsKey, alsoCheck }: Platform, content: CheckableContent): { field: string; message: string }[] {
  const parsed = options?.safeParse(content.options ?? {}, { error: plainWords });
  if (parsed === undefined || parsed.success) {
    return (alsoCheck?.({ options: {}, ...content }) ?? []).map(({ field, message }) => ({ field: field.startsWith('mediaUrls') ? field : `${optionsKey ?? 'options'}.${field}`, message }));
  }
  return parsed.error.issues.map((issue) => ({ field: [optionsKey ?? 'options', ...issue.path.map(String)].join('.'), message: issue.message }));
}

/** Zod's own messages are for programmers; what a schema says itself wins over these. */
function plainWords(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === 'invalid_type') return issue.input === undefined ? 'This is required.' : `This must be a ${issue.expected}.`;
  if (issue.code === 'invalid_value') return `This must be one of: ${issue.values.map(String).join(', ')}.`;
  if (issue.code === 'too_big') return `This is too long or too large: at most ${issue.maximum}.`;
  if (issue.code === 'too_small') return `This is too short or too small: at least ${issue.minimum}.`;
  return undefined;
}

/** @returns the platform's rules that what is known of the file breaks, in plain words */
export function checkFile({ limits: { media: rules }, name }: Platform, { kind, facts }: MediaItem, options: Record<string, unknown> = {}): string[] {
  if (facts === undefined) return [];
  const { contentType, bytes, width, height, durationMs } = facts;
  const file = kind === 'image' ? rules.image : kind === 'video' ? rules.video : rules.document;
  if (file?.types !== undefined && contentType !== undefined && !file.types.includes(contentType)) {
    return [`${name} doesn't take ${contentType}. Use ${file.types.map((type) => type.replace(/^\w+\//, '').toUpperCase()).join(', ')}.`];
  }
  if (file?.maxBytes !== undefined && bytes !== undefined && bytes > file.maxBytes) {
    return [`The file is too large for ${name}: ${megabytes(bytes)}, at most ${megabytes(file.maxBytes)}.`];
  }
  if (file?.minBytes !== undefined && bytes !== undefined && bytes < file.minBytes) {
    return [`The file is too small for ${name}: ${kilobytes(bytes)}, at least ${kilobytes(file.minBytes)}. Use one of better quality.`];
  }
  const shape = kind === 'image' ? rules.image : kind === 'video' ? rules.video : undefined;
  const wrongShape = shape === undefined || width === undefined || height === undefined || height === 0 ? [] : shapeProblems(shape, `The ${kind}`, name, width, height);
  if (wrongShape.length > 0 || kind !== 'video' || rules.video === undefined || durationMs === undefined) return wrongShape;
  return lengthProblems(rules.video, name, durationMs / 1000, options);
}

function lengthProblems({ minSeconds = 0, maxSeconds = Infinity, longer }: VideoRule, name: string, seconds: number, options: Record<string, unknown>): string[] {
  const allowed = longer !== undefined && options[longer.option] === true ? longer.maxSeconds : maxSeconds;
  if (seconds < minSeconds) return [`The video is too short for ${name}: ${inSeconds(seconds)}, at least ${inSeconds(minSeconds)}.`];
  if (seconds > allowed) return [`The video is too long for ${name}: ${inSeconds(seconds)}, at most ${inSeconds(allowed)}. Use a shorter one.`];
  return [];
}

function shapeProblems(rule: ImageRule, what: string, name: string, width: number, height: number): string[] {
  const { minWidth = 0, maxWidth = Infinity, minAspect = 0, maxAspect = Infinity, maxPixels = Infinity } = rule;
  if (width < minWidth) return [`${what} is too narrow for ${name}: ${width} pixels, at least ${minWidth}.`];
  if (width > maxWidth) return [`${what} is too wide for ${name}: ${width} pixels, at most ${maxWidth}.`];
  if (width * height > maxPixels) return [`${what} has too many pixels for ${name}: ${number(width * height)}, at most ${number(maxPixels)}.`];
  const aspect = width / height;
  if (aspect >= minAspect && aspect <= maxAspect) return [];
  const range = maxAspect === Infinity ? `at least ${minAspect.toFixed(2)}` : `${minAspect.toFixed(2)} to ${maxAspect.toFixed(2)}`;
  return [`${what} has the wrong shape for ${name}: width to height is ${aspect.toFixed(2)}, it must be ${range}.`];
}

function inSeconds(seconds: number): string {
  return `${Math.round(seconds * 10) / 10} s`;
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

function textProblems(platform: Platform, content: CheckableContent): string[] {
  const { text, media } = content;
  const { limits, name } = platform;
  if (text.trim() === '' && (limits.text.required || media.length === 0)) return [`${name} needs a text. Write something to publish.`];
  const { forbidden = '' } = limits.text;
  if (forbidden !== '' && Array.from(forbidden).some((character) => text.includes(character))) return [`${name} doesn't take ${Array.from(forbidden).join(' and ')} in the text. Remove them.`];
  const tagged = tagProblem(platform, text);
  if (tagged !== null) return [tagged];
  const { length, max, bytes } = countText(platform, text, { hasMedia: media.length > 0, options: content.options });
  if (length > max) {
    return [`The text is too long for ${name}: ${number(length)} ${unitName[limits.text.counting]}, at most ${number(max)}. Shorten it by ${number(length - max)}.`];
  }
  if (bytes !== undefined && bytes.length > bytes.max) {
    return [`The text is too large for ${name}: ${number(bytes.length)} bytes, at most ${number(bytes.max)}. Use fewer emoji or accents, or shorten it.`];
  }
  return [];
}

const HASHTAG = /(?<![\p{L}\p{N}_&/])[#＃][\p{L}\p{N}_]*\p{L}[\p{L}\p{N}_]*/gu;
const MENTION = /(?<![\p{L}\p{N}_.])@[\w.]+/gu;

function tagProblem({ limits: { text: { maxHashtags = Infinity, maxMentions = Infinity } }, name }: Platform, text: string): string | null {
  if (maxHashtags === Infinity && maxMentions === Infinity) return null;
  const [tags, mentions] = [HASHTAG, MENTION].map((pattern) => text.match(pattern)?.length ?? 0) as [number, number];
  if (tags > maxHashtags) return `${name} takes at most ${maxHashtags} hashtags, this text has ${tags}. Remove ${tags - maxHashtags}.`;
  if (mentions > maxMentions) return `${name} takes at most ${maxMentions} mentions, this text has ${mentions}. Remove ${mentions - maxMentions}.`;
  return null;
}

function mediaProblems({ limits: { media: rule }, name }: Platform, media: MediaItem[]): string[] {
  const { requires } = rule;
  if (requires !== undefined && !media.some((item) => requires.includes(item.kind))) {
    const wanted = requires.map(withArticle).join(' or ');
    return [`${name} needs ${wanted}. Add the URL of ${wanted}${requires.includes('video') ? ', for example one that ends in .mp4, or mark it as a video' : ''}.`];
  }
  if (media.length < rule.min) return [`${name} needs at least ${count(rule.min, 'media file')}. Add its URL.`];
  if (media.length > rule.max) {
    if (rule.max === 0) return [`${name} takes no media files here. Remove them or don't post to ${name}.`];
    return [`${name} takes at most ${count(rule.max, 'media file')}, this post has ${media.length}. Remove ${media.length - rule.max}.`];
  }
  if (media.length === 0) return [];
  const kinds = new Set(media.map((item) => item.kind).filter((kind) => kind !== 'unknown'));
  const refused = [...kinds].find((kind) => !rule.kinds.includes(kind));
  if (refused !== undefined) return [`${name} doesn't take ${PLURAL[refused]}. It takes ${rule.kinds.map((kind) => PLURAL[kind]).join(' and ')}.`];
  const videos = media.filter((item) => item.kind === 'video').length;
  if (videos > rule.maxVideos) return [`${name} takes at most ${count(rule.maxVideos, 'video')} in a post, this one has ${videos}.`];
  const documents = media.filter((item) => item.kind === 'document').length;
  if (documents > (rule.maxDocuments ?? Infinity)) return [`${name} takes at most ${count(rule.maxDocuments!, 'document')} in a post, this one has ${documents}.`];
  if (!rule.mixed && kinds.size > 1) return [`${name} doesn't mix ${[...kinds].map((kind) => PLURAL[kind]).join(' and ')} in one post. Use one kind.`];
  return [];
}

const PLURAL: Record<MediaKind, string> = { image: 'images', video: 'videos', document: 'documents', unknown: 'files' };

function withArticle(kind: MediaKind): string {
  return kind === 'image' ? 'an image' : `a ${kind}`;
}

function count(n: number, noun: string): string {
  return `${n === 1 ? 'one' : n} ${noun}${n === 1 ? '' : 's'}`;
}

function number(n: number): string {
  return n.toLocaleString('en');
}
