/** View models: posts and forms as the pages show them. */
import type { Channel } from '../channels/channel.js';
import type { FormProblems } from '../http/forms.js';
import { findPlatform } from '../platforms/registry.js';
import { isSettled, isUntouched, type Post, type PostStatus, type Publication } from './post.js';
import { cursorOf, PAGE_SIZE, tabOf, TABS, type ListQuery } from './post-list-query.js';
import { wasMarkedVideo } from './post-service.js';
import { formatLocal, isTimeZone, readLocalTime } from './post-time.js';

export interface Badge {
  word: string;
  /** Name of an icon in the sprite. */
  icon: string;
  /** Bootstrap's colour name; never the only sign. */
  colour: 'secondary' | 'info' | 'success' | 'warning' | 'danger' | 'primary';
}

const STATUS_BADGES: Record<PostStatus, Badge> = {
  scheduled: { word: 'Scheduled', icon: 'clock', colour: 'primary' },
  publishing: { word: 'Publishing', icon: 'arrow-repeat', colour: 'info' },
  success: { word: 'Published', icon: 'check-circle', colour: 'success' },
  partial: { word: 'Partly failed', icon: 'exclamation-triangle', colour: 'warning' },
  error: { word: 'Failed', icon: 'x-circle', colour: 'danger' },
  'awaiting approval': { word: 'Awaiting approval', icon: 'hourglass', colour: 'secondary' },
  paused: { word: 'Paused', icon: 'pause-circle', colour: 'secondary' },
  deleted: { word: 'Cancelled', icon: 'slash-circle', colour: 'secondary' },
};

const STATE_BADGES: Record<Publication['state'], Badge> = {
  pending: { word: 'Waiting', icon: 'clock', colour: 'primary' },
  sending: { word: 'Sending', icon: 'arrow-repeat', colour: 'info' },
  processing: { word: 'Processing', icon: 'hourglass', colour: 'info' },
  published: { word: 'Published', icon: 'check-circle', colour: 'success' },
  failed: { word: 'Failed', icon: 'x-circle', colour: 'danger' },
  held: { word: 'Held', icon: 'pause-circle', colour: 'warning' },
  unconfirmed: { word: 'Unconfirmed', icon: 'question-circle', colour: 'warning' },
  cancelled: { word: 'Cancelled', icon: 'slash-circle', colour: 'secondary' },
  missed: { word: 'Missed', icon: 'calendar-x', colour: 'danger' },
};

export function statusBadge(post: Post): Badge {
  if (post.status === 'deleted' && post.publications.some((p) => p.state !== 'cancelled')) return { ...STATUS_BADGES.deleted, word: 'Deleted' };
  return STATUS_BADGES[post.status];
}

function stateBadge(publication: Publication): Badge {
  const badge = STATE_BADGES[publication.state];
  return publication.state === 'pending' && publication.tries > 0 ? { ...badge, word: 'Trying again', colour: 'warning', icon: 'arrow-repeat' } : badge;
}

function platformName(id: string): { name: string; icon: string } {
  const platform = findPlatform(id);
  return { name: platform?.name ?? id, icon: platform?.icon ?? 'megaphone' };
}

export function listView(query: ListQuery, found: Post[], counts: Partial<Record<PostStatus, number>>): object {
  const shown = found.slice(0, PAGE_SIZE);
  const last = shown.at(-1);
  const all = Object.entries(counts).reduce((sum, [status, count]) => (status === 'deleted' ? sum : sum + count), 0);
  return {
    title: 'Posts',
    tab: tabOf(query),
    tabs: TABS.map((tab) => ({ ...tab, url: tab.id === 'all' ? '/posts' : `/posts?status=${tab.id}`, count: tab.status === null ? all : (counts[tab.status] ?? 0) })),
    isFirstPage: query.after === undefined,
    nextUrl: found.length > PAGE_SIZE && last !== undefined ? `/posts?status=${query.status}&after=${cursorOf(query, last)}` : null,
    posts: shown.map((post) => ({
      id: post.id,
      url: `/posts/${post.id}`,
      excerpt: excerptOf(post),
      mediaCount: post.media.length,
      scheduledAt: post.scheduledAt,
      badge: statusBadge(post),
      publications: post.publications.map((p) => ({ ...platformName(p.platform), badge: stateBadge(p), url: p.url })),
    })),
  };
}

const EXCERPT = 160;

function excerptOf({ text, media }: Post): string {
  const line = text.replace(/\s+/g, ' ').trim();
  if (line === '') return media.length === 1 ? '(one media file, no text)' : `(${media.length} media files, no text)`;
  const characters = [...line];
  return characters.length <= EXCERPT ? line : `${characters.slice(0, EXCERPT).join('')}…`;
}

export interface PostView {
  title: string;
  post: Post;
  badge: Badge;
  publications: (Publication & { name: string; icon: string; badge: Badge })[];
  canChange: boolean;
  /** False once nothing can change by itself any more: then nothing has to be watched. */
  isLive: boolean;
}

export function postView(post: Post): PostView {
  return {
    title: 'Post',
    post,
    badge: statusBadge(post),
    publications: post.publications.map((p) => ({ ...p, ...platformName(p.platform), badge: stateBadge(p) })),
    canChange: post.status !== 'deleted' && isUntouched(post),
    isLive: post.status !== 'deleted' && !post.publications.every(isSettled),
  };
}

export interface ComposeView {
  title: string;
  action: string;
  cancelUrl: string;
  /** What stands in the form's fields. */
  fields: Record<string, string | string[]>;
  channels: { platform: string; name: string; icon: string; label: string; isChosen: boolean; isSignedOut: boolean }[];
  accountZone: string;
  problems: Record<string, string[]>;
  message: string | null;
  /** Offsets to choose from when the time happens twice. */
  overlap: { first: string; second: string } | null;
}

/** An empty form: every channel chosen when there are few, for later. */
export function blankForm(timeZone: string, channels: Channel[]): ComposeView['fields'] {
  const usable = channels.filter((channel) => channel.state === 'connected');
  return { post: '', platforms: usable.length === 1 ? [usable[0]!.platform] : [], mediaUrls: '', when: 'later', scheduleDate: '', timeZone, occurrence: '', notes: '', formKey: '', version: '' };
}

/** The form that would make this post. */
export function formOf(post: Post, timeZone: string): ComposeView['fields'] {
  const scheduleDate = formatLocal(post.scheduledAt, timeZone);
  const time = readLocalTime(scheduleDate, timeZone);
  const occurrence = time.kind === 'overlap' ? (post.scheduledAt < time.second.at ? 'first' : 'second') : '';
  return {
    post: post.text,
    platforms: post.publications.map((p) => p.platform),
    mediaUrls: post.media.map((item) => item.url).join('\n'),
    ...(wasMarkedVideo(post) ? { isVideo: 'on' } : {}),
    when: 'later', scheduleDate, timeZone, occurrence, notes: post.notes ?? '', formKey: '', version: String(post.version),
  };
}

interface ComposeOptions extends Pick<ComposeView, 'title' | 'action' | 'cancelUrl' | 'fields' | 'accountZone'> {
  channels: Channel[];
  again?: FormProblems | undefined;
}

export function composeView({ channels, again, ...rest }: ComposeOptions): ComposeView {
  const chosen = [rest.fields['platforms'] ?? []].flat();
  const zone = String(rest.fields['timeZone'] ?? '');
  const time = isTimeZone(zone) ? readLocalTime(String(rest.fields['scheduleDate'] ?? ''), zone) : null;
  return {
    ...rest,
    channels: channels.filter((channel) => channel.state !== 'disconnected').map((channel) => ({
      platform: channel.platform, ...platformName(channel.platform), label: channel.displayName || channel.username,
      isChosen: chosen.includes(channel.platform), isSignedOut: channel.state === 'signed-out',
    })),
    problems: problemsByField(again),
    message: again?.message ?? null,
    overlap: time?.kind === 'overlap' ? { first: time.first.offset, second: time.second.offset } : null,
  };
}

/** Problems beside the field they are about: `mediaUrls[1]` belongs to `mediaUrls`. */
function problemsByField(again: FormProblems | undefined): Record<string, string[]> {
  const problems: Record<string, string[]> = {};
  for (const { field, message } of again?.fields ?? []) {
    const base = field.replace(/[[.].*$/, '');
    const at = /^mediaUrls\[(\d+)\]/.exec(field);
    (problems[base] ??= []).push(at === null ? message : `Address ${Number(at[1]) + 1}: ${message}`);
  }
  return problems;
}
