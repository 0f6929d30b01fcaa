/** What a use case is given to write a post, and the rules on its parts that form and API share. */
import { z } from 'zod';
import { ErrorCode } from '../lib/app-error.js';
import { mediaIdIn } from '../media/media.js';
import type { WhenLate } from './post.js';
import { readInstant } from './post-time.js';

/** A post as it was asked for, already parsed; the form and the API both make one. */
export interface PostInput {
  /** Line breaks are `\n`. May be empty when there is media. */
  text: string;
  /** Texts of their own by platform id as sent; may name platforms that were not chosen. */
  texts: Record<string, string>;
  /** Platform ids as sent, each once; `all` stands for every connected channel. */
  platforms: string[];
  /** https addresses, and such of uploads that are to be found out. */
  mediaUrls: string[];
  /** Addresses that don't show their kind are videos. */
  isVideo: boolean;
  /** Further items of a thread, for every platform. */
  thread?: PartInput[];
  firstComment?: PartInput | null;
  /** Option objects by key as sent, in lower case, e.g. `twitteroptions`. */
  options: Record<string, Record<string, unknown>>;
  /** Used by platforms whose option object needs them and lacks them, e.g. `title`, `subreddit`. */
  commonOptions: Record<string, string>;
  /** Null: publish at once. */
  scheduledAt: Date | null;
  /** Zone it was written in; null: the account's. */
  timeZone: string | null;
  notes: string | null;
  idempotencyKey: string | null;
  /** False skips the platforms' own rules for a post written for later; the network then judges. */
  checkRules: boolean;
  /** Left out: sent late. */
  whenLate?: WhenLate;
}

/** A thread's item or a first comment, as it was asked for. */
export interface PartInput {
  text: string;
  /** https addresses. */
  mediaUrls: string[];
}

/** What may change until a post is due; a missing key, and the options of a platform not named, stay as they are. `scheduledAt: null` publishes at once. */
export type PostChanges = Partial<Pick<PostInput, 'text' | 'texts' | 'platforms' | 'mediaUrls' | 'isVideo' | 'thread' | 'firstComment' | 'options' | 'scheduledAt' | 'timeZone' | 'notes' | 'whenLate'>>;

export const LIMITS = {
  /** Over every platform's own limit: guards storage, not style. UTF-16 units. */
  text: 100_000,
  mediaUrls: 50,
  mediaUrl: 2048,
  platforms: 50,
  /** Items of a thread, the post itself included. */
  threadItems: 50,
  /** A thread's further items and the first comment, as JSON: each publication keeps its own. */
  parts: 150_000,
  notes: 5000,
  idempotencyKey: 255,
  /** Option objects of one post, as JSON. */
  options: 50_000,
} as const;

/** Says a broken rule with the API's code for it. */
export function addProblem(ctx: z.RefinementCtx, path: PropertyKey[], code: number, message: string): void {
  ctx.addIssue({ code: 'custom', path, message, params: { code } });
}

const CONTROL = /[^\P{Cc}\t\n]/u;
const LONE_SURROGATE = /\p{Surrogate}/u;

/** Text with its line breaks made `\n`, or null with the problem said. */
export function readText(raw: string, field: string, ctx: z.RefinementCtx): string | null {
  const text = raw.replace(/\r\n?/g, '\n');
  if (text.length > LIMITS.text) {
    addProblem(ctx, [field], ErrorCode.textTooLong, `The text has ${text.length} characters; no post may have more than ${LIMITS.text}.`);
    return null;
  }
  if (CONTROL.test(text) || LONE_SURROGATE.test(text)) {
    addProblem(ctx, [field], ErrorCode.postParameter, 'The text contains an invisible control character or half of a character. Remove it and send again.');
    return null;
  }
  return text;
}

/** @returns the problem in plain words, or null when the address may be used */
export function mediaUrlProblem(raw: string): string | null {
  const wanted = 'Write an https address that anyone can open, such as https://example.com/photo.jpg.';
  if (raw.length > LIMITS.mediaUrl) return `Media URLs invalid. An address may have at most ${LIMITS.mediaUrl} characters.`;
  if (/\s/.test(raw) || !URL.canParse(raw)) return `Media URLs invalid. This is not an address. ${wanted}`;
  const url = new URL(raw);
  // An upload of this Signpost has the address under which Signpost itself is seen, which may be plain http.
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && mediaIdIn(raw) !== null)) return `Media URLs invalid. The address must start with https://. ${wanted}`;
  if (url.username !== '' || url.password !== '') return 'Media URLs invalid. The address must not contain a user name or password.';
  return null;
}

/** Checks each address and says each problem under `field[i]`; a repeated address is kept once. */
export function readMediaUrls(raw: string[], field: string, ctx: z.RefinementCtx): string[] {
  if (raw.length > LIMITS.mediaUrls) {
    addProblem(ctx, [field], ErrorCode.mediaUrlInvalid, `Media URLs invalid. A post may have at most ${LIMITS.mediaUrls} media; ${raw.length} were sent.`);
    return [];
  }
  const urls = raw.map((url) => url.trim());
  urls.forEach((url, i) => {
    const problem = mediaUrlProblem(url);
    if (problem !== null) addProblem(ctx, [field, i], ErrorCode.mediaUrlInvalid, problem);
  });
  return [...new Set(urls)];
}

/** What follows a post, all together; each item was read before. */
export function checkParts(thread: readonly PartInput[], firstComment: PartInput | null, ctx: z.RefinementCtx): void {
  if (JSON.stringify([thread, firstComment]).length <= LIMITS.parts) return;
  addProblem(ctx, [thread.length > 0 ? 'thread' : 'firstComment'], ErrorCode.tooLarge, `The thread and the first comment have more than ${LIMITS.parts} characters together. Shorten them.`);
}

/** A time for the API: ISO 8601 with its zone. Anything else is refused rather than guessed at. */
export function readScheduleDate(raw: string, field: string, ctx: z.RefinementCtx): Date | null {
  const how = 'Write it in UTC such as 2026-07-08T12:30:00Z, or with its offset such as 2026-07-08T14:30:00+02:00.';
  const read = readInstant(raw.trim());
  if (read.kind === 'exact') return read.at;
  const what = raw.trim() === '' ? 'The scheduleDate is empty. Leave it out to publish now.'
    : read.kind === 'no-zone' ? 'The scheduleDate has no time zone.' : 'The scheduleDate is not a date and time.';
  addProblem(ctx, [field], ErrorCode.scheduleDate, `${what} ${how}`);
  return null;
}

/** Runs `schema` and gives each of its problems the API's code for the field it is about. */
export function withCodes<T>(schema: z.ZodType<T>, codes: Record<string, number>): z.ZodType<T> {
  return z.unknown().transform((raw, ctx) => {
    const parsed = schema.safeParse(raw);
    if (parsed.success) return parsed.data;
    for (const issue of parsed.error.issues) {
      const own = issue.code === 'custom' && typeof issue.params?.['code'] === 'number' ? issue.params['code'] : undefined;
      addProblem(ctx, issue.path, own ?? codes[String(issue.path[0])] ?? ErrorCode.badRequest, issue.message);
    }
    return z.NEVER;
  });
}
