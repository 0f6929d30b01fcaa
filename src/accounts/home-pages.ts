/** The first page after sign-in: what to do next, and how the posts stand. */
import { Router } from 'express';
import { actorOf } from '../http/actor.js';
import { render } from '../http/render.js';
import type { Actor } from './actor.js';

/** What only other domains know; supplied by compose. */
export interface HomePagesDeps {
  hasChannel(actor: Actor): Promise<boolean>;
  hasPost(actor: Actor): Promise<boolean>;
  hasEndpoint(actor: Actor): Promise<boolean>;
  hasApiKey(actor: Actor): Promise<boolean>;
  /** How many posts there are, by status; statuses without posts may be missing. */
  countPosts(actor: Actor): Promise<Record<string, number>>;
  /** The scheduled posts that are due soonest, at most `limit`. */
  upcoming(actor: Actor, limit: number): Promise<UpcomingPost[]>;
  /** Names of channels that hold posts back until their owner connects them again. */
  signedOutChannels(actor: Actor): Promise<string[]>;
  /** What the account's plan wants its owner to know, each a sentence or two; empty where there are no plans. */
  planNotices?(actor: Actor): Promise<string[]>;
}

export interface UpcomingPost {
  id: string;
  text: string;
  at: Date;
  /** Names of its platforms. */
  platforms: string[];
}

const UPCOMING = 5;

export function homePages(deps: HomePagesDeps): Router {
  const router = Router();
  router.get('/', async (req, res) => {
    const actor = actorOf(req);
    const [hasChannel, hasPost, hasEndpoint, hasApiKey, counts, upcoming, signedOut, planNotices] = await Promise.all([
      deps.hasChannel(actor), deps.hasPost(actor), deps.hasEndpoint(actor), deps.hasApiKey(actor),
      deps.countPosts(actor), deps.upcoming(actor, UPCOMING), deps.signedOutChannels(actor), deps.planNotices?.(actor) ?? [],
    ]);
    render(res, 'home/home', { steps: checklist({ hasChannel, hasPost, hasEndpoint, hasApiKey }), counts, hasPost, upcoming, signedOut, planNotices });
  });
  return router;
}

interface Step {
  title: string;
  help: string;
  done: boolean;
  href: string;
  action: string;
}

function checklist(has: { hasChannel: boolean; hasPost: boolean; hasEndpoint: boolean; hasApiKey: boolean }): Step[] {
  return [
    { title: 'Connect a channel', help: 'A channel is a social account that Signpost may post to. Simulated ones need no registration.', done: has.hasChannel, href: '/channels', action: 'Connect a channel' },
    { title: 'Write a post', help: 'Say what, where and when. Signpost checks it against the rules of each platform before you send it.', done: has.hasPost, href: '/posts/new', action: 'Write a post' },
    { title: 'Add a webhook', help: 'Tell Signpost which address wants to know what became of a post. The built-in inbox works at once.', done: has.hasEndpoint, href: '/webhooks', action: 'Add a webhook' },
    { title: 'Copy an API key', help: 'Everything that you can do here, your programs can do with a key.', done: has.hasApiKey, href: '/api-keys', action: 'Create an API key' },
  ];
}
