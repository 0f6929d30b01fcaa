/** A step that is being worked on, and what that needs of the rest. */
import type { Logger } from '../lib/logger.js';
import type { Credentials, Platform, PlatformIo } from '../platforms/platform.js';
import type { Post, Publication, Step } from '../posts/post.js';
import type { HeldPost } from './held-post.js';
import type { Rates } from './rates.js';
import type { RetryPolicy } from './retry-policy.js';
import type { Turn, Turns } from './turns.js';

/** What the publisher needs to act on a channel. */
export interface ChannelSession {
  platform: Platform;
  credentials: Credentials;
  io: PlatformIo;
}

export interface WorkDeps {
  /**
   * The channel's platform and fresh credentials. Null: the channel is disconnected.
   * @throws PlatformFailure `signed-out` or `unreachable` (the token could not be refreshed)
   */
  session(channelId: string): Promise<ChannelSession | null>;
  /** The network refused these credentials (null: there were none to send). `renewed`: a refresh token mended it, so the same can be tried again at once. */
  markSignedOut(channelId: string, problem: string, refused: Credentials | null): Promise<'renewed' | 'signed-out'>;
  policy: RetryPolicy;
  turns: Turns;
  rates: Rates;
  /** False: the profile became another worker's, and the post is given back. */
  isOurs(profileId: string): boolean | Promise<boolean>;
  now(): Date;
  /** Now, to some hundredths of a second: the same for all that begins in one moment, so that their intents can be stored together. Never later than now. */
  moment(): Date;
  random(): number;
  log: Logger;
}

export interface Task {
  held: HeldPost;
  /** As it was when the step began: a chain alone moves its publication. */
  publication: Publication;
  step: Step;
  deps: WorkDeps;
  /** The channel's; null: none was taken yet. */
  turn: Turn | null;
}

/** Stores the move that ends a step. */
export type Settle = (move: (post: Post) => Post) => Promise<unknown>;

/** Nothing of it was sent yet, or what was sent is known to have failed. */
export function isFresh({ state, handle }: Step): boolean {
  return state === 'pending' || (state === 'held' && handle === null);
}

export function currentPublication(post: Post, id: string): Publication | undefined {
  return post.publications.find((publication) => publication.id === id);
}
