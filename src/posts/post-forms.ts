/** What the compose and edit forms send: the same post as the API's, with a local time in the account's zone. */
import { z } from 'zod';
import { ErrorCode } from '../lib/app-error.js';
import { addProblem, checkParts, LIMITS, readMediaUrls, readText, withCodes, type PartInput, type PostInput } from './post-input.js';
import { readOptionFields } from './post-option-fields.js';
import type { Verdict } from './post-service.js';
import { isTimeZone, readLocalTime, type LocalTime } from './post-time.js';

const text = (message: string) => z.string(message);
const severalOf = (message: string) => z.union([z.string(), z.array(z.string()).max(LIMITS.platforms)], message).transform((value) => (typeof value === 'string' ? [value] : value));

const itemsOf = z.union([z.string(), z.array(z.string()).max(LIMITS.threadItems - 1)], `A thread may have at most ${LIMITS.threadItems} items, the post itself included.`).transform((value) => [value].flat());

const fields = z.looseObject({
  post: text('The text must be plain text.').default(''),
  platforms: severalOf('Choose channels from the list.').default([]),
  mediaUrls: text('Write one address per line.').max(LIMITS.mediaUrls * LIMITS.mediaUrl, 'These are too many addresses.').default(''),
  thread: itemsOf.default([]),
  threadMedia: itemsOf.default([]),
  firstComment: text('The first comment must be plain text.').default(''),
  firstCommentMedia: text('Write one address per line.').default(''),
  isVideo: z.literal('on', 'Tick or untick the box.').optional(),
  when: z.enum(['now', 'later'], 'Choose whether to publish now or at a time.').default('now'),
  scheduleDate: text('Choose a date and time.').max(40, 'Choose a date and time.').default(''),
  timeZone: text('The time zone must be text.').max(64, 'This time zone is not known.').default(''),
  occurrence: z.enum(['', 'first', 'second'], 'Choose the first or the second.').default(''),
  notes: text('The notes must be plain text.').max(LIMITS.notes, `The notes may have at most ${LIMITS.notes} characters.`).default(''),
  whenLate: z.enum(['send', 'skip', 'ask'], 'Choose what is to happen when it is late.').optional(),
  formKey: text('The form is damaged. Open it again.').max(64, 'The form is damaged. Open it again.').default(''),
  version: z.string('The form is damaged. Open it again.').regex(/^\d{0,12}$/, 'The form is damaged. Open it again.').default(''),
}, 'The form is empty. Open it again.');

export type FormFields = z.infer<typeof fields>;

export interface PostForm {
  input: PostInput;
  /** Version of the post that was edited; null on a new post. */
  version: number | null;
}

/** @param accountZone the zone in which times without another are meant */
export function postFormSchema(accountZone: string): z.ZodType<PostForm> {
  return withCodes(fields.transform((form, ctx): PostForm => ({
    input: {
      text: readText(form.post, 'post', ctx) ?? '',
      texts: readOwnTexts(form, [form.platforms].flat(), ctx),
      platforms: [...new Set(form.platforms)],
      mediaUrls: readMediaUrls(linesOf(form.mediaUrls), 'mediaUrls', ctx),
      isVideo: form.isVideo === 'on',
      ...readParts(form, ctx),
      options: readOptionFields(form, [form.platforms].flat()),
      commonOptions: {},
      scheduledAt: form.when === 'now' ? null : readFormTime(form, accountZone, ctx),
      timeZone: zoneOf(form, accountZone, ctx),
      notes: form.notes.trim() === '' ? null : form.notes.replace(/\r\n?/g, '\n'),
      // One form makes one post, however often it is sent.
      idempotencyKey: form.formKey === '' ? null : `form:${form.formKey}`,
      checkRules: true,
      ...(form.whenLate === undefined ? {} : { whenLate: form.whenLate }),
    },
    version: form.version === '' ? null : Number(form.version),
  })), { post: ErrorCode.postParameter, platforms: ErrorCode.platformsParameter, scheduleDate: ErrorCode.scheduleDate, mediaUrls: ErrorCode.mediaUrlInvalid });
}

/** A draft for the counters: whatever was typed so far, never refused for being unfinished. */
export const draftSchema = z.looseObject({
  post: z.string().catch(''),
  platforms: severalOf('').catch([]),
  mediaUrls: z.string().catch(''),
  thread: itemsOf.catch([]),
  threadMedia: itemsOf.catch([]),
  firstComment: z.string().catch(''),
  firstCommentMedia: z.string().catch(''),
  isVideo: z.string().optional().catch(undefined),
  when: z.enum(['now', 'later']).catch('now'),
  scheduleDate: z.string().max(40).catch(''),
  timeZone: z.string().max(64).catch(''),
}).transform((form) => ({
  text: form.post.replace(/\r\n?/g, '\n'),
  texts: Object.fromEntries(form.platforms.flatMap((id) => ownTextOf(form, id))),
  platforms: [...new Set(form.platforms)],
  mediaUrls: linesOf(form.mediaUrls),
  isVideo: form.isVideo === 'on',
  thread: itemsIn(form),
  firstComment: isWritten(commentIn(form)) ? commentIn(form) : null,
  options: readOptionFields(form, form.platforms),
  when: form.when,
  scheduleDate: form.scheduleDate,
  timeZone: form.timeZone,
}));

export type Draft = z.infer<typeof draftSchema>;

const publicationId = z.string('The form is damaged. Open the page again.').regex(/^pub_[0-9a-z]{1,60}(?:\.\d{1,3})?$/, 'The form is damaged. Open the page again.');

/** "Try again": one publication, or everything that failed. */
export const retryFormSchema = z.looseObject({ publicationId: publicationId.optional() });

/** "Delete": by Signpost, or done at the networks by hand already. */
export const deleteFormSchema = z.looseObject({ byHand: z.enum(['yes', 'no'], 'Choose who deletes it.').default('no') });

/** What a person saw at the network, for a publication whose outcome nobody could tell. */
export const confirmFormSchema = z.looseObject({
  publicationId,
  verdict: z.enum(['published', 'not-published'], 'Say whether you found it.'),
  url: z.union([z.literal(''), z.url({ protocol: /^https?$/, error: 'The link must be an http(s) address, or be left empty.' }).max(LIMITS.mediaUrl)]).default(''),
}).transform((form): { publicationId: string; verdict: Verdict } => ({
  publicationId: form.publicationId,
  verdict: form.verdict === 'published' ? { published: true, url: form.url === '' ? null : form.url } : { published: false },
}));

/** A channel's own text, where one was typed: field `text.bluesky`. */
function ownTextOf(form: Record<string, unknown>, platform: string): [string, string][] {
  const raw = form[`text.${platform}`];
  return typeof raw === 'string' && raw.trim() !== '' ? [[platform, raw.replace(/\r\n?/g, '\n')]] : [];
}

function readOwnTexts(form: Record<string, unknown>, platforms: string[], ctx: z.RefinementCtx): Record<string, string> {
  return Object.fromEntries(platforms.flatMap((id) => ownTextOf(form, id)).map(([id, text]) => [id, readText(text, `text.${id}`, ctx) ?? '']));
}

function linesOf(list: string): string[] {
  return list.split(/\r\n|\r|\n/).map((line) => line.trim()).filter((line) => line !== '');
}

/** A thread's items as they stand in the form, empty ones too; media of each in the field beside it. */
export function itemsIn({ thread, threadMedia }: { thread: string[]; threadMedia: string[] }): PartInput[] {
  return thread.map((text, i) => ({ text: text.replace(/\r\n?/g, '\n'), mediaUrls: linesOf(threadMedia[i] ?? '') }));
}

function commentIn({ firstComment, firstCommentMedia }: { firstComment: string; firstCommentMedia: string }): PartInput {
  return { text: firstComment.replace(/\r\n?/g, '\n'), mediaUrls: linesOf(firstCommentMedia) };
}

function readParts(form: FormFields, ctx: z.RefinementCtx): { thread: PartInput[]; firstComment: PartInput | null } {
  const thread = itemsIn(form).filter(isWritten).map((item, i) => readItem(item, `thread[${i}]`, 'post', ctx));
  const firstComment = isWritten(commentIn(form)) ? readItem(commentIn(form), 'firstComment', 'comment', ctx) : null;
  checkParts(thread, firstComment, ctx);
  return { thread, firstComment };
}

/** What is left empty is left out. */
export function isWritten({ text, mediaUrls }: PartInput): boolean {
  return text.trim() !== '' || mediaUrls.length > 0;
}

function readItem({ text, mediaUrls }: PartInput, field: string, name: string, ctx: z.RefinementCtx): PartInput {
  return { text: readText(text, `${field}.${name}`, ctx) ?? '', mediaUrls: readMediaUrls(mediaUrls, `${field}.mediaUrls`, ctx) };
}

function zoneOf(form: Pick<FormFields, 'timeZone'>, accountZone: string, ctx: z.RefinementCtx): string {
  if (form.timeZone === '') return accountZone;
  if (isTimeZone(form.timeZone)) return form.timeZone;
  addProblem(ctx, ['scheduleDate'], ErrorCode.scheduleDate, 'The time zone is not known. Choose one in your settings, such as Europe/Berlin.');
  return accountZone;
}

function readFormTime(form: FormFields, accountZone: string, ctx: z.RefinementCtx): Date | null {
  const zone = isTimeZone(form.timeZone) ? form.timeZone : accountZone;
  if (form.scheduleDate === '') {
    addProblem(ctx, ['scheduleDate'], ErrorCode.scheduleDate, 'Choose a date and time, or publish now.');
    return null;
  }
  const time = readLocalTime(form.scheduleDate, zone);
  if (time.kind === 'exact') return time.at;
  if (time.kind === 'overlap' && form.occurrence !== '') return time[form.occurrence].at;
  addProblem(ctx, ['scheduleDate'], ErrorCode.scheduleDate, timeProblem(time, form.scheduleDate, zone));
  return null;
}

/** What is wrong with a local time, in plain words. */
export function timeProblem(time: Exclude<LocalTime, { kind: 'exact' }>, local: string, zone: string): string {
  const written = local.replace('T', ' ');
  if (time.kind === 'gap') {
    return `${written} does not exist in ${zone}: clocks are put forward then. Choose ${time.before.replace('T', ' ')} or earlier, or ${time.after.replace('T', ' ')} or later.`;
  }
  if (time.kind === 'overlap') {
    return `${written} happens twice in ${zone}: clocks are put back then. Choose the first (UTC${time.first.offset}) or the second (UTC${time.second.offset}).`;
  }
  return 'This is not a date and time. Write it such as 2026-07-08 14:30.';
}
