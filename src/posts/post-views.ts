/** View models: posts and forms as the pages show them. */
import { createHash } from 'node:crypto';
import type { Channel } from '../channels/channel.js';
import type { FormProblems } from '../http/forms.js';
import { findPlatform } from '../platforms/registry.js';
import { canBeCalledOff, isSettled, isUntouched, type FollowUp, type Post, type PostStatus, type Publication } from './post.js';
import { cursorOf, PAGE_SIZE, tabOf, TABS, type ListQuery } from './post-list-query.js';
import { wasMarkedVideo } from './post-edit.js';
import { fillOptionFields, formFieldOf, isOptionField, labelOf, optionFieldsOf, type OptionField } from './post-option-fields.js';
import { formatLocal, isTimeZone, readLocalTime } from './post-time.js';

function optionFieldsFor(platformId: string): OptionField[] {
  const platform = findPlatform(platformId);
  return platform === undefined ? [] : optionFieldsOf(platform);
}

export function platformName(id: string): { name: string; icon: string } {
  const platform = findPlatform(id);
  return { name: platform?.name ?? id, icon: platform?.icon ?? 'broadcast' };
}

export function listView(query: ListQuery, found: Post[], counts: Partial<Record<PostStatus, number>>): object {
  const shown = found.slice(0, PAGE_SIZE);
  const last = shown.at(-1);
  const all = Object.entries(counts).reduce((sum, [status, count]) => (status === 'deleted' ? sum : sum + count), 0);
  return {
    title: 'Posts',
    tab: tabOf(query),
    isEmpty: all === 0,
    liveUrl: `/posts/live?status=${query.status}${query.after === undefined ? '' : `&after=${query.after}`}&shown=${versionOf(found)}`,
    tabs: TABS.map((tab) => ({ ...tab, url: tab.id === 'all' ? '/posts' : `/posts?status=${tab.id}`, count: tab.status === null ? all : (counts[tab.status] ?? 0) })),
    firstUrl: query.after === undefined ? null : `/posts?status=${query.status}`,
    nextUrl: found.length > PAGE_SIZE && last !== undefined ? `/posts?status=${query.status}&after=${cursorOf(query, last)}` : null,
    posts: shown.map((post) => ({
      id: post.id,
      url: `/posts/${post.id}`,
      excerpt: excerptOf(post),
      mediaCount: post.media.length,
      scheduledAt: post.scheduledAt,
      status: post.status,
      publications: post.publications.map((p) => ({ ...platformName(p.platform), state: p.state, url: p.url })),
    })),
  };
}

/** Changes when anything that the list shows of these posts does. */
export function versionOf(posts: readonly Post[]): string {
  return createHash('sha256').update(posts.map((post) => `${post.id}:${post.version}`).join(' ')).digest('base64url').slice(0, 16);
}

const EXCERPT = 160;

function excerptOf({ text, media }: Post): string {
  const line = text.replace(/\s+/g, ' ').trim();
  if (line === '') return media.length === 1 ? '(one media file, no text)' : `(${media.length} media files, no text)`;
  if (line.length <= EXCERPT) return line;
  const whole = [...new Intl.Segmenter('en').segment(line.slice(0, EXCERPT))].slice(0, -1);
  return `${whole.map((part) => part.segment).join('')}…`;
}

export interface PostView {
  title: string;
  post: Post;
  publications: (Publication & { name: string; icon: string; canSendRest: boolean })[];
  canChange: boolean;
  /** It can be taken back, and no longer be changed. */
  canOnlyCancel: boolean;
  /** Something of it is or may be public, and nothing is under way. */
  canDelete: boolean;
  /** False once nothing can change by itself any more: then nothing has to be watched. */
  isLive: boolean;
}

function isBroken({ state }: FollowUp): boolean {
  return state === 'failed' || state === 'missed';
}

export function postView(post: Post): PostView {
  return {
    title: 'Post',
    post,
    publications: post.publications.map((p) => ({ ...p, ...platformName(p.platform), canSendRest: p.state === 'published' && p.followUps?.some(isBroken) === true && isSettled(p) })),
    canChange: post.status !== 'deleted' && isUntouched(post),
    canOnlyCancel: post.status !== 'deleted' && !isUntouched(post) && canBeCalledOff(post),
    canDelete: post.status !== 'deleted' && post.publications.every(isSettled),
    isLive: post.status !== 'deleted' && !post.publications.every(isSettled),
  };
}

export interface ComposeView {
  title: string;
  action: string;
  cancelUrl: string;
  /** What stands in the form's fields. */
  fields: Record<string, string | string[]>;
  /** Further items of the thread: text, and media addresses one per line. */
  thread: { text: string; media: string }[];
  channels: { platform: string; name: string; icon: string; label: string; isChosen: boolean; isSignedOut: boolean; options: OptionField[] }[];
  /** Names of chosen platforms whose channel is gone: what is saved goes without them. */
  missing: string[];
  accountZone: string;
  problems: Record<string, string[]>;
  /** Every problem in one sentence that says what it is about, for the top of the form. */
  summary: string[];
  message: string | null;
  /** Set when the account's plan stands in the way. */
  planLink: FormProblems['planLink'] | null;
  /** Offsets to choose from when the time happens twice. */
  overlap: { first: string; second: string } | null;
}

/** The next full hour that leaves some time to write. */
function suggestedTime(now: Date): Date {
  const hourMs = 3_600_000;
  return new Date(Math.ceil((now.getTime() + hourMs / 4) / hourMs) * hourMs);
}

/** A moment as the form's fields say it, the second of two equal times included. */
function timeFields(at: Date, timeZone: string): { scheduleDate: string; occurrence: string; timeZone: string } {
  const scheduleDate = formatLocal(at, timeZone);
  const time = readLocalTime(scheduleDate, timeZone);
  return { scheduleDate, timeZone, occurrence: time.kind !== 'overlap' ? '' : at < time.second.at ? 'first' : 'second' };
}

/** An empty form: for the next full hour, with the channel chosen when there is only one. */
export function blankForm(timeZone: string, channels: Channel[], now: Date): ComposeView['fields'] {
  const usable = channels.filter((channel) => channel.state === 'connected');
  return { post: '', platforms: usable.length === 1 ? [usable[0]!.platform] : [], mediaUrls: '', when: 'later', ...timeFields(suggestedTime(now), timeZone), notes: '', formKey: '', version: '' };
}

function linesOf(media: Post['media']): string {
  return media.map(({ url }) => url).join('\n');
}

/** The form that would make this post. */
export function formOf(post: Post, timeZone: string): ComposeView['fields'] {
  return {
    post: post.text,
    platforms: post.publications.map((p) => p.platform),
    mediaUrls: linesOf(post.media),
    thread: (post.thread ?? []).map(({ text }) => text),
    threadMedia: (post.thread ?? []).map(({ media }) => linesOf(media)),
    firstComment: post.firstComment?.text ?? '',
    firstCommentMedia: linesOf(post.firstComment?.media ?? []),
    ...(wasMarkedVideo(post) ? { isVideo: 'on' } : {}),
    ...fillOptionFields(post.options),
    ...Object.fromEntries(Object.entries(post.texts ?? {}).map(([id, text]) => [`text.${id}`, text])),
    when: 'later', ...timeFields(post.scheduledAt, timeZone), notes: post.notes ?? '', whenLate: post.whenLate ?? 'send', formKey: '', version: String(post.version),
  };
}

/** @param adds one more, empty, at the end */
function threadIn(fields: ComposeView['fields'], adds: boolean): ComposeView['thread'] {
  const [texts, media] = [[fields['thread'] ?? []].flat(), [fields['threadMedia'] ?? []].flat()];
  const items = texts.map((text, i) => ({ text, media: media[i] ?? '' })).filter((item) => item.text.trim() !== '' || item.media.trim() !== '');
  return adds ? [...items, { text: '', media: '' }] : items;
}

interface ComposeOptions extends Pick<ComposeView, 'title' | 'action' | 'cancelUrl' | 'fields' | 'accountZone'> {
  channels: Channel[];
  again?: FormProblems | undefined;
}

export function composeView({ channels, again, ...rest }: ComposeOptions): ComposeView {
  const chosen = [rest.fields['platforms'] ?? []].flat();
  const fields = oneValueEach(rest.fields);
  const zone = isTimeZone(fields['timeZone'] ?? '') ? (fields['timeZone'] ?? '') : rest.accountZone;
  const time = readLocalTime(fields['scheduleDate'] ?? '', zone);
  return {
    ...rest,
    fields: { ...fields, timeZone: zone, platforms: chosen },
    thread: threadIn(rest.fields, rest.fields['addItem'] !== undefined),
    channels: channels.filter((channel) => channel.state !== 'disconnected').map((channel) => ({
      platform: channel.platform, ...platformName(channel.platform), label: channel.displayName || channel.username,
      isChosen: chosen.includes(channel.platform), isSignedOut: channel.state === 'signed-out',
      options: optionFieldsFor(channel.platform),
    })),
    missing: chosen.filter((id) => findPlatform(id) !== undefined && !channels.some((channel) => channel.platform === id && channel.state !== 'disconnected')).map((id) => platformName(id).name),
    problems: problemsByField(again, fields),
    summary: (again?.fields ?? []).map(({ field, message, platform }) => (isOptionOf(platform, field) ? `${platformName(platform ?? '').name}, ${labelOf(keyIn(field))}: ${message}` : `${itemName(field)}${message}`)),
    message: again?.message ?? null,
    planLink: again?.planLink ?? null,
    overlap: time.kind === 'overlap' ? { first: time.first.offset, second: time.second.offset } : null,
  };
}

/** The form's field that a problem is about; a text's belongs to the channel's own text where it has one. */
function baseOf(field: string, platform: string | undefined, typed: Record<string, string>): string {
  if (isOptionOf(platform, field)) return `option.${platform ?? ''}.${keyIn(field)}`;
  if (field.startsWith('text.')) return field;
  if (field === 'post' && platform !== undefined && (typed[`text.${platform}`] ?? '').trim() !== '') return `text.${platform}`;
  return formFieldOf(field);
}

/** A problem of a platform's option object is named after its key, e.g. `youTubeOptions.title`. */
function isOptionOf(platform: string | undefined, field: string): boolean {
  return platform !== undefined && isOptionField(field);
}

function keyIn(field: string): string {
  return field.slice(field.indexOf('.') + 1);
}

/** Which part of the post a problem is about, when that is not the post itself. */
function itemName(field: string): string {
  const item = /^thread\[(\d+)\]/.exec(field);
  if (item !== null) return `Thread item ${Number(item[1]) + 2}: `;
  return field.startsWith('firstComment.') ? 'First comment: ' : '';
}

/** A field that was sent twice is shown as it was sent first. */
function oneValueEach(fields: ComposeView['fields']): Record<string, string> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, typeof value === 'string' ? value : (value[0] ?? '')]));
}

/** Problems beside the field they are about: `mediaUrls[1]` belongs to `mediaUrls`. */
function problemsByField(again: FormProblems | undefined, typed: Record<string, string>): Record<string, string[]> {
  const problems: Record<string, string[]> = {};
  for (const { field, message, platform } of again?.fields ?? []) {
    const base = baseOf(field, platform, typed);
    const at = /\bmediaUrls\[(\d+)\]/.exec(field);
    (problems[base] ??= []).push(at === null ? message : `Address ${Number(at[1]) + 1}: ${message}`);
  }
  return problems;
}
