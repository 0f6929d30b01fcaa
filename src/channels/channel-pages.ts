/** The page of channels: what is connected, connecting another, disconnecting. */
import { Router, type Request, type Response } from 'express';
import { z } from 'zod';
import { actorOf } from '../http/actor.js';
import { goTo } from '../http/forms.js';
import { readParams, readQuery } from '../http/input.js';
import { flash, render } from '../http/render.js';
import { platforms } from '../platforms/registry.js';
import type { Channel } from './channel.js';
import type { ChannelService } from './channel-service.js';

export interface ChannelPagesDeps {
  channels: ChannelService;
  /** How many posts wait to be sent through this channel. */
  countScheduledPosts(channelId: string): Promise<number>;
}

const id = z.string().max(100);
const platformParams = z.object({ platform: id });
const channelParams = z.object({ id });
const single = z.string().max(4000).catch('');
const returnQuery = z.object({ state: single, code: single, error: single });

export function channelPages({ channels, countScheduledPosts }: ChannelPagesDeps): Router {
  const router = Router();

  router.get('/channels', async (req, res) => {
    const mine = await channels.list(actorOf(req));
    render(res, 'channels/list', { channels: mine.map(describe), free: platforms.filter((platform) => !mine.some((channel) => channel.platform === platform.id)) });
  });

  router.post('/channels/connect/:platform', async (req, res) => {
    const { platform } = readParams(req, platformParams);
    goTo(req, res, await channels.begin(actorOf(req), platform));
  });

  router.get('/channels/callback', async (req, res) => {
    const { state, code, error } = readQuery(req, returnQuery);
    const outcome = await channels.finish(actorOf(req), { state, code: code || null, error: error || null });
    if (outcome.channel === null) flash(req, 'danger', outcome.problem);
    else flash(req, 'success', `${describe(outcome.channel).platformName} is connected as @${outcome.channel.username}.`);
    res.redirect(303, '/channels');
  });

  router.get('/channels/:id/disconnect', async (req: Request, res: Response) => {
    const channel = await channels.find(actorOf(req), readParams(req, channelParams).id);
    render(res, 'channels/disconnect', { channel: describe(channel), scheduled: await countScheduledPosts(channel.id) });
  });

  router.post('/channels/:id/disconnect', async (req, res) => {
    const channel = await channels.disconnect(actorOf(req), readParams(req, channelParams).id);
    flash(req, 'success', `${describe(channel).platformName} (@${channel.username}) is disconnected. Signpost has forgotten its sign-in.`);
    goTo(req, res, '/channels');
  });

  return router;
}

function describe(channel: Channel): Channel & { platformName: string; icon: string } {
  const platform = platforms.find((candidate) => candidate.id === channel.platform);
  return { ...channel, platformName: platform?.name ?? channel.platform, icon: platform?.icon ?? 'plug' };
}
