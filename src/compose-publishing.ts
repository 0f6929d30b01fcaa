/** Builds the posts' store, their outbox and the publishing, for the roles that this process has; a page of compose.ts. */
import type { Db } from 'mongodb';
import type { ChannelService } from './channels/channel-service.js';
import type { Jobs } from './jobs/jobs.js';
import type { Clock } from './lib/clock.js';
import type { Logger } from './lib/logger.js';
import type { Notifier } from './lib/notifier.js';
import { createPostOutbox, type PostOutbox } from './posts/post-outbox.js';
import type { Post, PostEvent } from './posts/post.js';
import { createPostStore, type PostStore } from './posts/post-store.js';
import { createPublisher } from './publishing/publisher.js';
import { createPublishingService, type PublishingService } from './publishing/publishing-service.js';
import { createRemotePublisher } from './publishing/remote-publisher.js';
import { createTurnStore } from './publishing/turn-store.js';
import { defaultRetryPolicy, type RetryPolicy } from './publishing/retry-policy.js';

export interface PublishingDeps {
  db: Db;
  clock: Clock;
  log: Logger;
  jobs: Jobs;
  notifier: Notifier;
  channels: Pick<ChannelService, 'session' | 'markSignedOut'>;
  /** Names this process in leases. */
  owner: string;
  /** False: other processes publish, this one only asks them to. */
  publishes: boolean;
  retryPolicy?: Partial<RetryPolicy>;
  record(events: PostEvent[]): Promise<void>;
  /** A post that never went out is sent again. @throws AppError `too-many` when the account's plan has no room */
  requireRoom(post: Post): Promise<void>;
}

export interface Publishing {
  postStore: PostStore;
  outbox: PostOutbox;
  service: PublishingService;
  /** Tells the clock about posts that were written. */
  postsDue(posts: Post[]): Promise<void>;
  stop(graceMs: number): Promise<void>;
}

const SWEEP_EVERY_MS = 5_000;
const PUBLISH = 'publish';

export function composePublishing(deps: PublishingDeps): Publishing {
  const { db, clock, log, jobs, notifier } = deps;
  const postStore = createPostStore(db);
  const outbox = createPostOutbox({ store: postStore, record: deps.record, log });
  const now = (): Date => clock.now();
  const wakeAt = (at: Date): Promise<void> => jobs.wakeAt(PUBLISH, '', at);
  const tellAbout = (post: Post): void => {
    notifier.notify(`post:${post.id}`);
    notifier.notify(`account:${post.accountId}:posts`);
  };
  const publisher = !deps.publishes ? createRemotePublisher({ now, wakeAt }) : createPublisher({
    posts: postStore,
    turnStore: createTurnStore(db),
    owner: deps.owner,
    session: (channelId) => deps.channels.session(channelId),
    markSignedOut: (channelId, problem, refused) => deps.channels.markSignedOut(channelId, problem, refused),
    policy: { ...defaultRetryPolicy, ...deps.retryPolicy },
    now,
    random: Math.random,
    wakeAt,
    onSaved: (post, events) => {
      tellAbout(post);
      outbox.written(post, events);
    },
    log,
  });
  const service = createPublishingService({ posts: postStore, now, posted: (due) => publisher.posted(due), onSaved: (post) => { tellAbout(post); outbox.nudge(); }, requireRoom: deps.requireRoom });
  jobs.handle(PUBLISH, async () => publisher.nudge());
  jobs.sweep('due posts', SWEEP_EVERY_MS, () => publisher.sweep());
  jobs.sweep('outbox', SWEEP_EVERY_MS, () => outbox.relay());
  return {
    postStore, outbox, service,
    postsDue: (posts) => publisher.posted(posts),
    async stop(graceMs) {
      await publisher.stop(graceMs);
      await outbox.stop();
    },
  };
}
