/** What the pages of posts show while it changes, as server-sent events. */
import type { Request, Response } from 'express';
import { actorOf } from '../http/actor.js';
import { readQuery } from '../http/input.js';
import { sse } from '../http/live.js';
import { renderText } from '../http/render.js';
import type { Notifier } from '../lib/notifier.js';
import { listQuerySchema, toListFilter } from './post-list-query.js';
import type { PostService } from './post-service.js';
import { listView, postView, versionOf } from './post-views.js';
import type { Post } from './post.js';

export interface LiveDeps {
  posts: PostService;
  notifier: Notifier;
}

/** Other processes can't notify this one: the post's version is looked at this often besides. */
const LIVE_EVERY_MS = 2_000;
const LIST_EVERY_MS = 500;
const LIST_POLL_MS = 5_000;

/** One post's state, until nothing can change by itself any more. */
export async function livePost({ posts, notifier }: LiveDeps, postId: string, req: Request, res: Response): Promise<void> {
  const actor = actorOf(req);
  const { id, version } = await posts.get(actor, postId);
  let latest: Post | null = null;
  let sent = [req.query['version'], req.get('last-event-id')].includes(String(version)) ? version : null;
  sse(req, res, {
    subscribe: (listener) => notifier.subscribe(`post:${id}`, listener),
    everyMs: LIVE_EVERY_MS,
    ...(sent === null ? {} : { shown: String(sent) }),
    read: async () => {
      latest = await posts.find(actor, id);
      return latest === null || (latest.version === sent && !postView(latest).isLive) ? null : String(latest.version);
    },
    fragment: async () => {
      if (latest === null) return '';
      sent = latest.version;
      return renderText(req, 'posts/_state', postView(latest));
    },
  });
}

/** The list again whenever something of it changed, at most twice a second: a thousand posts may be due at once. */
export async function livePosts({ posts, notifier }: LiveDeps, req: Request, res: Response): Promise<void> {
  const actor = actorOf(req);
  const query = readQuery(req, listQuerySchema);
  let found: Post[] = [];
  sse(req, res, {
    subscribe: (listener) => {
      const calm = atMostEvery(LIST_EVERY_MS, listener);
      const end = notifier.subscribe(`account:${actor.accountId}:posts`, calm.call);
      return () => {
        calm.end();
        end();
      };
    },
    everyMs: LIST_POLL_MS,
    ...(typeof req.query['shown'] === 'string' ? { shown: req.query['shown'] } : {}),
    read: async () => {
      found = await posts.list(actor, toListFilter(query));
      return versionOf(found);
    },
    fragment: async () => renderText(req, 'posts/_rows', listView(query, found, await posts.count(actor))),
  });
}

function atMostEvery(ms: number, listener: () => void): { call(): void; end(): void } {
  let timer: NodeJS.Timeout | undefined;
  return {
    call() {
      timer ??= setTimeout(() => {
        timer = undefined;
        listener();
      }, ms);
    },
    end: () => clearTimeout(timer),
  };
}
