/** A post and its publications: the shapes, the states, and the pure rules that move them. */
import type { MediaItem } from '../platforms/platform.js';

/**
 * pending: waits for `dueAt` (its first try or a retry). sending: the intent is stored, the call may be under way.
 * processing: the network accepted it, it is not public yet. held: the channel is signed out. unconfirmed: it may be public and nobody
 * can tell; a person decides. missed: Signpost was down too long. The rest say what they mean and are final.
 */
export type PublicationState =
  | 'pending' | 'sending' | 'processing' | 'published' | 'failed' | 'held' | 'unconfirmed' | 'cancelled' | 'missed';

/** A post's status, folded from its publications by `foldStatus`; Ayrshare's words where it has them. */
export type PostStatus = 'scheduled' | 'publishing' | 'success' | 'partial' | 'error' | 'awaiting approval' | 'paused' | 'deleted';
/** Those of posts of which something is still to be sent. */
export const UNFINISHED: readonly PostStatus[] = ['scheduled', 'publishing', 'awaiting approval', 'paused'];

export interface PublicationFailure {
  kind: 'rejected' | 'signed-out' | 'rate-limited' | 'unreachable' | 'unknown';
  code: number;
  /** Plain words: what happened, what to do. */
  message: string;
  /** The network's own words. */
  details?: string;
}

/** One try: a publish call, a poll of the network's processing, or a look-up after an unknown outcome. */
export interface Attempt {
  number: number;
  kind: 'publish' | 'poll' | 'lookup';
  startedAt: Date;
  /** Null while it runs, and for ever when the process died in it. */
  endedAt: Date | null;
  outcome: 'published' | 'processing' | 'not-found' | PublicationFailure['kind'] | null;
  failure: PublicationFailure | null;
}

/** What is sent by one call and followed until its outcome is known: a publication itself, or what goes out after it. */
export interface Step {
  id: string;
  state: PublicationState;
  /** When the next step (try, poll, reconcile) is due; null when there is none. */
  dueAt: Date | null;
  /** Publish attempts made so far. */
  tries: number;
  attempts: Attempt[];
  /** The network's handle while processing. */
  handle: string | null;
  processingSince: Date | null;
  remoteId: string | null;
  url: string | null;
  publishedAt: Date | null;
  failure: PublicationFailure | null;
}

/** A piece of content: what one call sends. */
export interface Part {
  text: string;
  media: MediaItem[];
}

/**
 * A further item of a thread, or the first comment. `pending` without a time: it waits for the one before it. It never changes its publication's
 * own state: that is public, whatever becomes of the rest.
 */
export interface FollowUp extends Step, Part {
  kind: 'reply' | 'comment';
}

export interface Publication extends Step {
  channelId: string;
  platform: string;
  /** The channel's name when the post was written, for display when the channel is gone. */
  channelName: string;
  /** Set where a thread was made of the post's text: its first part, which is sent instead. */
  root?: Part;
  /** What goes out after it, in order. */
  followUps?: FollowUp[];
}

export interface HistoryEntry {
  at: Date;
  /** E.g. `scheduled`, `edited`, `cancelled`, `publication sending`. */
  what: string;
  publicationId?: string;
  detail?: string;
}

/** What happened, as a snapshot; goes through the post's outbox to the webhooks. */
export interface PostEvent {
  /** Deterministic: `evt_...`, made with the fact. */
  id: string;
  type: PostEventType;
  at: Date;
  /** Rises with each event of this post. */
  sequence: number;
  accountId: string;
  profileId: string;
  data: PostEventData;
}

/**
 * `post.accepted`: every publication is sent, at least one is still processing at its network (internal: feeds Ayrshare's `scheduled`).
 * The final ones fire once, when no publication has anything left to do.
 */
export type PostEventType =
  | 'post.scheduled' | 'post.updated' | 'post.cancelled' | 'post.accepted'
  | 'post.published' | 'post.partially_published' | 'post.failed' | 'post.missed'
  | 'publication.published' | 'publication.failed' | 'publication.unconfirmed'
  // It is public, but not all of its thread or its first comment: told once nothing more of it is tried.
  | 'publication.incomplete';

export interface PostEventData {
  postId: string;
  /** The profile's refId. */
  refId: string;
  status: PostStatus;
  text: string;
  /** True when it was written for a later time (Ayrshare's `scheduled` action is for these only). */
  scheduled: boolean;
  scheduledAt: string;
  /** Set on `publication.*`: which one it is about. */
  publicationId?: string;
  publications: PublicationSnapshot[];
}

export interface PublicationSnapshot {
  id: string;
  platform: string;
  state: PublicationState;
  remoteId: string | null;
  url: string | null;
  isVideo: boolean;
  failure: PublicationFailure | null;
  /** Its thread's further items and its first comment, in order. */
  followUps?: FollowUpSnapshot[];
  /** The platform counts acceptance as success (tiktok): shown as id "pending" until it is public. */
  announcesAccepted: boolean;
  /** E.g. `tikTokPublished`: what Ayrshare-style endpoints are told when it becomes public. */
  publishedSubAction?: string;
}

export interface FollowUpSnapshot extends Pick<FollowUp, 'kind' | 'state' | 'remoteId' | 'url' | 'failure'> {
  /** Of the thread's item, the post itself being 1; null: the first comment. */
  item: number | null;
}

/** What becomes of a post that could not be sent at its time: sent late, left unsent, or left to the owner. */
export type WhenLate = 'send' | 'skip' | 'ask';

export interface Lease {
  /** Fencing token: an outcome is written only by who holds it. */
  token: string;
  owner: string;
  until: Date;
}

export interface Post {
  id: string;
  accountId: string;
  profileId: string;
  refId: string;
  text: string;
  /** Texts of their own by platform id; the others get `text`. */
  texts?: Record<string, string>;
  media: MediaItem[];
  /** Option objects as sent, by platform id. */
  options: Record<string, Record<string, unknown>>;
  /** Further items of the thread that it begins, on every platform. */
  thread?: Part[];
  firstComment?: Part | null;
  notes: string | null;
  /** As the user wrote it for later (`scheduled`) or for at once (`now`). */
  type: 'scheduled' | 'now';
  scheduledAt: Date;
  /** IANA zone it was written in. */
  timeZone: string;
  status: PostStatus;
  /** Left out: sent late, up to a limit. */
  whenLate?: WhenLate;
  publications: Publication[];
  /** The earliest `dueAt` of its publications: what the claim looks at. Null while leased and when nothing is left to do; the store derives it. */
  dueAt: Date | null;
  lease: Lease | null;
  /** Rises with each write; every write names the one it read. */
  version: number;
  /** Sequence of the last event. */
  sequence: number;
  history: HistoryEntry[];
  idempotencyKey: string | null;
  /** Tells a repeated request from another one under the same key; null without a key. */
  requestDigest: string | null;
  createdAt: Date;
  updatedAt: Date;
  deletedAt: Date | null;
}

/** Which due posts a worker may claim. */
export interface ClaimRules {
  /** Profiles whose posts are left alone. */
  exclude: string[];
  /** @returns those of the profiles whose posts may be claimed */
  take(profileIds: string[]): Promise<Set<string>>;
}

/** One write of a post: compare-and-swap from `before` to `after`, its events in the same update. */
export interface Change {
  /** The post as it was read. */
  before: Post;
  after: Post;
  events: PostEvent[];
}

/** What is published on this platform. */
export function textFor(post: Pick<Post, 'text' | 'texts'>, platform: string): string {
  return post.texts?.[platform] ?? post.text;
}

/** States in which a publication has nothing left to do by itself. */
const SETTLED: ReadonlySet<PublicationState> = new Set(['published', 'failed', 'unconfirmed', 'cancelled', 'missed']);

export function isSettled(publication: Publication): boolean {
  return SETTLED.has(publication.state) && !hasFollowUpsToDo(publication);
}

/** True while anything of what follows a public root is under way, or is due by itself. */
export function hasFollowUpsToDo({ state, followUps }: Publication): boolean {
  return state === 'published' && followUps !== undefined && followUps.some(isOpen);
}

export function isOpen({ state, dueAt }: Step): boolean {
  return dueAt !== null || state === 'sending';
}

/** True when all of it is public: its thread and its first comment too. */
export function isComplete({ state, followUps }: Publication): boolean {
  return state === 'published' && (followUps === undefined || followUps.every((step) => step.state === 'published'));
}

/** A publication and what follows it, in the order in which they are sent. */
export function stepsOf(publication: Publication): Step[] {
  return publication.followUps === undefined ? [publication] : [publication, ...publication.followUps];
}

/** How a step is called in the history and on pages: `publication`, `thread item 2` (the post itself being 1), `first comment`. */
export function stepName(publication: Publication, stepId: string): string {
  const at = publication.followUps?.findIndex((step) => step.id === stepId) ?? -1;
  if (at === -1) return 'publication';
  return publication.followUps?.[at]?.kind === 'comment' ? 'first comment' : `thread item ${at + 2}`;
}

/**
 * True while nothing was tried: the post can be edited, rescheduled and cancelled. A lease doesn't matter: whoever edits takes it away with the
 * same write, and the worker's intent, stored before any call, then fails on the version.
 */
export function isUntouched(post: Post): boolean {
  return post.publications.every((p) => p.tries === 0 && (p.state === 'pending' || p.state === 'held' || p.state === 'cancelled'));
}

/**
 * True while nothing of it is public, under way or in doubt, and something waits: for its time, for another try, or for its channel to be connected
 * again. Such a post can be cancelled, whatever was tried; a lease doesn't matter, as in `isUntouched`.
 */
export function canBeCalledOff(post: Post): boolean {
  const isWaiting = ({ state, handle }: Publication): boolean => (state === 'pending' || state === 'held') && handle === null;
  return post.publications.some(isWaiting) && post.publications.every((p) => isWaiting(p) || p.state === 'failed' || p.state === 'missed' || p.state === 'cancelled');
}

/**
 * A post's status from its publications alone. `deleted`, `paused` and `awaiting approval` are set by people, not folded.
 * scheduled: nothing tried yet; publishing: something is under way or waits for a retry, a poll or a reconnect;
 * success: all published, with all that follows them; error: none published; partial: some, or not all that follows.
 */
export function foldStatus(publications: readonly Publication[]): PostStatus {
  const live = publications.filter((p) => p.state !== 'cancelled');
  if (live.length === 0) return 'deleted';
  if (live.every((p) => p.state === 'pending' && p.tries === 0)) return 'scheduled';
  if (!live.every(isSettled)) return 'publishing';
  if (live.every(isComplete)) return 'success';
  return live.some((p) => p.state === 'published') ? 'partial' : 'error';
}

/** The earliest moment at which any publication needs work; null when none does. */
export function earliestDue(publications: readonly Publication[]): Date | null {
  let earliest: Date | null = null;
  for (const { dueAt, followUps } of publications) {
    if (dueAt !== null && (earliest === null || dueAt < earliest)) earliest = dueAt;
    if (followUps === undefined) continue;
    for (const step of followUps) if (step.dueAt !== null && (earliest === null || step.dueAt < earliest)) earliest = step.dueAt;
  }
  return earliest;
}
