/** What people and other domains ask of publishing beside the clock. */
import type { Change, Post } from '../posts/post.js';
import { releaseHeld } from './transitions.js';

export interface PublishingServiceDeps {
  posts: {
    listByChannel(channelId: string, state: string, limit: number): Promise<Post[]>;
    save(change: Change): Promise<boolean>;
  };
  now(): Date;
  /** Tells the clock about posts that became due. */
  posted(posts: Post[]): Promise<void>;
}

export interface PublishingService {
  /** The channel can be used again: its held publications go on, those whose time has come at once. */
  releaseChannel(channelId: string): Promise<void>;
}

const BATCH = 100;

export function createPublishingService({ posts, now, posted }: PublishingServiceDeps): PublishingService {
  return {
    async releaseChannel(channelId) {
      const tried = new Set<string>();
      for (;;) {
        const held = (await posts.listByChannel(channelId, 'held', BATCH)).filter((post) => !tried.has(post.id));
        if (held.length === 0) return;
        for (const post of held) {
          tried.add(post.id);
          // One that a worker holds right now is looked at again by its own re-check.
          const after = releaseHeld(post, channelId, now());
          if (await posts.save({ before: post, after, events: [] })) await posted([after]);
        }
      }
    },
  };
}
