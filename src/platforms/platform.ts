/** The contract of a platform adapter: facts as data, a few functions, typed failures. Adapters see nothing of Signpost but this. */
import type { AxiosInstance } from 'axios';
import type { ZodType } from 'zod';
import type { Logger } from '../lib/logger.js';
import type { MediaKind } from './media-kind.js';
import type { PlatformLimits } from './platform-limits.js';

/** What an adapter may use. `baseUrls` are the network's addresses, the simulator's ones for a simulated channel. */
export interface PlatformIo {
  http: AxiosInstance;
  now(): Date;
  log: Logger;
  baseUrls: PlatformUrls;
  /** The app that the operator registered with the network; the simulator accepts any. */
  app: { clientId: string; clientSecret: string };
  /**
   * The bytes of a media item, for networks that want an upload instead of a URL. A simulated channel gets a small
   * placeholder that names the URL, so that nothing outside is fetched.
   * @throws PlatformFailure `rejected` when the URL can't be read for good, `unreachable` when trying again may help.
   */
  readMedia(item: MediaItem): Promise<MediaBytes>;
}

export interface MediaBytes {
  data: Uint8Array;
  /** E.g. `image/jpeg`. */
  contentType: string;
}

/** A network's addresses by role, without a trailing slash; several may be the same host. */
export interface PlatformUrls {
  /** Where API calls go, e.g. `https://api.x.com`. */
  api: string;
  /** Where codes and refresh tokens are exchanged, e.g. `https://oauth2.googleapis.com`. */
  auth: string;
  /** Where a browser goes to consent, e.g. `https://accounts.google.com`. */
  consent: string;
  /** Where profiles and posts can be seen, e.g. `https://x.com`. */
  web: string;
}

/** A JSON object that the adapter alone understands; sealed at rest. */
export type Credentials = Record<string, unknown>;

export interface CredentialGrant {
  credentials: Credentials;
  /** When the access token stops working; null when it doesn't expire. */
  expiresAt: Date | null;
}

/** Whose account it is, as the network names it. */
export interface ChannelIdentity {
  remoteId: string;
  username: string;
  displayName: string;
  profileUrl: string | null;
  avatarUrl: string | null;
}

export interface MediaItem {
  url: string;
  kind: MediaKind;
  altText?: string;
  /** What is known of the file itself, once it was looked at. */
  facts?: MediaFacts;
}

export interface MediaFacts {
  contentType?: string;
  bytes?: number;
  width?: number;
  height?: number;
  durationMs?: number;
}

/** What is to be published on one channel. */
export interface PlatformContent {
  text: string;
  media: MediaItem[];
  /** The platform's own option object as the user sent it (`twitterOptions`, ...); empty when there is none. */
  options: Record<string, unknown>;
  /** Stable for this publication across every attempt: pass it on where the network honours one. */
  idempotencyKey: string;
  /** When it was due: the same for every attempt, so an adapter can make ids from it. */
  scheduledAt?: Date;
}

/** The network accepted it. */
export type PublishResult =
  /** `remoteId` is '' when it is certainly public, and the network doesn't say under which id. */
  | { state: 'published'; remoteId: string; url: string | null; details?: Record<string, unknown> }
  /** Accepted, not yet public: ask again with `processing.poll(handle)`. */
  | { state: 'processing'; handle: string; pollAfterMs: number; details?: Record<string, unknown> };

/** How a channel's credentials are renewed before they expire; undefined where they can't be. */
export function refreshOf({ oauth, connectFields }: Pick<Platform, 'oauth' | 'connectFields'>): OAuth['refresh'] {
  return oauth?.refresh ?? connectFields?.refresh;
}

export type FailureKind = 'rejected' | 'signed-out' | 'rate-limited' | 'unreachable' | 'unknown';

export interface FailureOptions {
  /** The network's own words or code, for the post's page and the API's `details`. */
  details?: string;
  /** Ayrshare's numeric code for this failure where it has one. */
  code?: number;
  /** `rate-limited`: the network's own time. */
  retryAt?: Date;
  /** HTTP status that the network answered with. */
  status?: number;
  /** Connecting by typing: the name of the field that is wrong. */
  field?: string;
  cause?: unknown;
}

/**
 * A failure whose kind decides what happens next:
 * `rejected` repeating can't help; `signed-out` hold until the owner reconnects; `rate-limited` later;
 * `unreachable` nothing was sent, retry; `unknown` it may be public, reconcile before anything is sent again.
 * Anything else that an adapter throws is treated as `unknown` after the request was sent.
 */
export class PlatformFailure extends Error {
  readonly kind: FailureKind;
  readonly options: FailureOptions;
  /** @param message plain words for the user: what happened, what to do. */
  constructor(kind: FailureKind, message: string, options: FailureOptions = {}) {
    const { cause, ...rest } = options;
    super(message, { cause });
    this.name = 'PlatformFailure';
    this.kind = kind;
    // Not the cause again: options are stored and shown.
    this.options = rest;
  }
}

export interface OAuth {
  /** Where the browser is sent. `state` comes back to the redirect URI unchanged; PKCE S256 where the network has it. */
  authorizeUrl(request: { state: string; redirectUri: string; codeChallenge: string }, io: PlatformIo): string;
  exchange(request: { code: string; redirectUri: string; codeVerifier: string }, io: PlatformIo): Promise<CredentialGrant>;
  /** @throws PlatformFailure `signed-out` only on a definite refusal. */
  refresh?(credentials: Credentials, io: PlatformIo): Promise<CredentialGrant>;
}

/** Connecting by typing what the network gave, e.g. a telegram bot's token: where there is no consent page, or none without an app of one's own. */
export interface ConnectFields {
  /** Where the person finds the values, one or two sentences. */
  help: string;
  /** Path below `baseUrls.web` where the simulated network gives them. */
  simulatedSource: string;
  fields: { name: string; label: string; help: string; isSecret: boolean }[];
  /** @throws PlatformFailure `rejected` or `signed-out` when the values are wrong */
  grant(values: Record<string, string>, io: PlatformIo): Promise<CredentialGrant>;
  /** As `OAuth.refresh`, where what is typed gives tokens that expire. */
  refresh?(credentials: Credentials, io: PlatformIo): Promise<CredentialGrant>;
}

export interface Processing {
  /** Still `processing`, `published`, or throws a PlatformFailure (`rejected`: processing failed for good). */
  poll(handle: string, credentials: Credentials, io: PlatformIo): Promise<PublishResult>;
  /** After this long without an end the publication becomes unconfirmed. */
  giveUpAfterMs: number;
  /**
   * What Ayrshare-style webhooks and the API say at acceptance: `accepted` counts it as a success with id "pending" and announces
   * the later publication with `publishedSubAction`; `published` waits for the end.
   */
  announces: 'accepted' | 'published';
  /** E.g. tiktok: `tikTokPublished`. */
  publishedSubAction?: string;
}

export interface LookUp {
  /** False where what was asked for is not among what the network lists: then a person settles it. Left out: always true. Options are parsed already. */
  canFind?(content: Pick<PlatformContent, 'options'>): boolean;
  /** Finds what an attempt with unknown outcome may have published. Null: certainly not there. Throws when it can't tell. */
  find(content: PlatformContent, since: Date, credentials: Credentials, io: PlatformIo): Promise<PublishResult | null>;
}

/** Where in a thread an item goes; both are ids that `publish` or `reply` answered. */
export interface ThreadPlace {
  rootId: string;
  parentId: string;
}

export interface Thread {
  /** Adds an item below what was published; the item has an idempotency key of its own. */
  reply(content: PlatformContent, after: ThreadPlace, credentials: Credentials, io: PlatformIo): Promise<PublishResult>;
  /** As `lookUp.find`, for items that the network lists elsewhere; left out: `lookUp.find` finds them too. */
  find?(content: PlatformContent, after: ThreadPlace, since: Date, credentials: Credentials, io: PlatformIo): Promise<PublishResult | null>;
}

export interface Comment {
  /** What a comment may be; left out: a comment is a post like any other at this network, found by `lookUp` and taken down by `remove`. */
  limits?: Pick<PlatformLimits, 'text' | 'media'>;
  /** Comments on what was published, in its author's name. */
  comment(content: PlatformContent, remoteId: string, credentials: Credentials, io: PlatformIo): Promise<PublishResult>;
  /** As `lookUp.find`, for comments that are no posts; left out there: an unknown outcome is left to a person. */
  find?(content: PlatformContent, remoteId: string, since: Date, credentials: Credentials, io: PlatformIo): Promise<PublishResult | null>;
}

export interface Platform {
  /** Ayrshare's lower-case name, e.g. `bluesky`. */
  id: string;
  /** As the network writes it, e.g. `Bluesky`. */
  name: string;
  /** Name of the icon in the sprite. */
  icon: string;
  /** The network's real addresses. */
  urls: PlatformUrls;
  /** The network consists of many servers; a setting names another one than that of `urls`. */
  hasManyServers?: true;
  /** Where its consent page may send the browser on to: browsers want every step of a form's way allowed (CSP `form-action`). */
  consentLeadsTo?: string[];
  /** Name of the option object in the API, e.g. `blueSkyOptions`; null when it has none. */
  optionsKey: string | null;
  /** Reads the option object; unknown keys are left alone, as clients send more than we know. */
  options?: ZodType;
  limits: PlatformLimits;
  /** Rules that follow from an option and the media together, e.g. that a reel is a video. Options are parsed already; fields as `checkContent`'s, options without their object's name. */
  alsoCheck?(content: Pick<PlatformContent, 'text' | 'media' | 'options'>): { field: string; message: string }[];
  /**
   * True when publishing the same `idempotencyKey` again can't make a second post (the network honours keys, or ids are ours to choose):
   * then a look-up that finds nothing needs no waiting before it is sent again.
   */
  isIdempotent?: boolean;
  /** Ids of its posts are numbers, and Ayrshare's clients get them as such, e.g. telegram. */
  hasNumericIds?: boolean;
  /** Longest a publish call may take, in ms; leases outlast it. */
  publishTimeoutMs: number;
  verify(credentials: Credentials, io: PlatformIo): Promise<ChannelIdentity>;
  publish(content: PlatformContent, credentials: Credentials, io: PlatformIo): Promise<PublishResult>;
  /** At least one of `oauth` and `connectFields` is there; real accounts are connected by typing where that is possible, simulated ones by consent. */
  oauth?: OAuth;
  connectFields?: ConnectFields;
  processing?: Processing;
  lookUp?: LookUp;
  /** Takes a published post down at the network. Absent where the network can't. */
  remove?: { remove(remoteId: string, credentials: Credentials, io: PlatformIo): Promise<void> };
  thread?: Thread;
  comment?: Comment;
  metrics?: { metrics(remoteId: string, credentials: Credentials, io: PlatformIo): Promise<Record<string, number>> };
}
