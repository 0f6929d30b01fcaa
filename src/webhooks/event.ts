/** An event: something that happened, as a snapshot. Post events come from the post's outbox; their shape is posts' `PostEvent`. */

/** How long events and deliveries are kept, unless the operator says otherwise. */
export const RETENTION_DAYS = 30;
export const DAY_S = 24 * 3_600;

/** What an event is about, in words for the page and the catalogue. `post.accepted` is internal and not listed. */
export const EVENT_TYPES = {
  'post.scheduled': 'A post was scheduled.',
  'post.updated': 'A scheduled post was changed or moved.',
  'post.cancelled': 'A post was cancelled before it went out.',
  'post.published': 'A post is out on every channel.',
  'post.partially_published': 'A post is out on some channels, or not with all that follows it.',
  'post.failed': 'A post could not be published on any channel.',
  'post.missed': 'A post was not sent, because Signpost was not running at its time.',
  'publication.published': 'One channel of a post is public.',
  'publication.failed': 'One channel of a post failed for good.',
  'publication.unconfirmed': 'Nobody can tell whether one channel of a post is public; a person must look.',
  'publication.incomplete': 'One channel of a post is public, but not all of its thread or its first comment.',
  'channel.connected': 'A channel was connected, or connected again.',
  'channel.signed_out': 'A network signed a channel out; its posts are held until somebody connects it again.',
  'channel.disconnected': 'Somebody disconnected a channel.',
  'endpoint.disabled': 'Signpost turned one of your endpoints off.',
  'subscription.changed': 'The plan of your account, or what was paid for it, changed.',
  'quota.reached': 'The posts of this month that your plan allows are used up.',
  'webhook.test': 'A test that somebody asked for.',
} as const;

export type PublicEventType = keyof typeof EVENT_TYPES;
export type EventType = PublicEventType | 'post.accepted';
export type PostEventType = Extract<EventType, `post.${string}` | `publication.${string}`>;
export type ChannelEventType = Extract<EventType, `channel.${string}`>;

export const PUBLIC_EVENT_TYPES = Object.keys(EVENT_TYPES) as PublicEventType[];

interface EventBase {
  /** `evt_...`, made with the fact, so that recording it twice changes nothing; also the `webhook-id`. */
  id: string;
  at: Date;
  /** Rises with each event of one post. */
  sequence: number;
  accountId: string;
  profileId: string;
}

export interface PostEventInput extends EventBase {
  type: PostEventType;
  data: PostFacts;
}

export interface ChannelEventInput extends EventBase {
  type: ChannelEventType;
  data: ChannelFacts;
}

export interface EndpointEventInput extends EventBase {
  type: 'endpoint.disabled';
  data: { endpointId: string; url: string; reason: string };
}

export interface SubscriptionEventInput extends EventBase {
  type: 'subscription.changed';
  data: {
    plan: string; planName: string; source: string; status: string; periodEnd: string | null; cancelAt: string | null; graceUntil: string | null; trialEndsAt: string | null; previousPlan: string | null;
  };
}

export interface QuotaEventInput extends EventBase {
  type: 'quota.reached';
  data: { what: 'postsPerMonth'; plan: string; planName: string; limit: number; month: string; resetsAt: string; changePlanUrl: string };
}

export interface TestEventInput extends EventBase {
  type: 'webhook.test';
  data: { message: string };
}

export type EventInput = PostEventInput | ChannelEventInput | EndpointEventInput | SubscriptionEventInput | QuotaEventInput | TestEventInput;

export interface ChannelFacts {
  channelId: string;
  platform: string;
  username: string;
  displayName: string;
  /** The profile's refId and title. */
  refId: string;
  title: string;
  /** Why it is signed out, in plain words. */
  problem: string | null;
}

export interface PostFacts {
  postId: string;
  refId: string;
  status: string;
  text: string;
  /** True when it was written for a later time. */
  scheduled: boolean;
  scheduledAt: string;
  /** Set on `publication.*`. */
  publicationId?: string;
  publications: PublicationFacts[];
}

interface FailureFacts {
  kind: string;
  code: number;
  message: string;
  details?: string;
}

export interface FollowUpFacts extends Pick<PublicationFacts, 'state' | 'remoteId' | 'url' | 'failure'> {
  kind: 'reply' | 'comment';
  /** Of the thread's item, the post itself being 1; null: the first comment. */
  item: number | null;
}

export interface PublicationFacts {
  id: string;
  platform: string;
  state: 'pending' | 'sending' | 'processing' | 'published' | 'failed' | 'held' | 'unconfirmed' | 'cancelled' | 'missed';
  remoteId: string | null;
  url: string | null;
  isVideo: boolean;
  failure: FailureFacts | null;
  /** The further items of its thread and its first comment. */
  followUps?: FollowUpFacts[];
  announcesAccepted: boolean;
  publishedSubAction?: string;
}

export function isPostEvent(event: EventInput): event is PostEventInput {
  return event.type.startsWith('post.') || event.type.startsWith('publication.');
}

export function isChannelEvent(event: EventInput): event is ChannelEventInput {
  return event.type.startsWith('channel.');
}
