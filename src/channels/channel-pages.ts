/** The page of channels: what is connected, connecting another, disconnecting. */
import { Router, type Request, type Response } from 'express';
import { z } from 'zod';
import { actorOf } from '../http/actor.js';
import { form, goTo, type FormProblems } from '../http/forms.js';
import { readBody, readParams, readQuery } from '../http/input.js';
import { flash, render } from '../http/render.js';
import { platforms } from '../platforms/registry.js';
import type { Channel } from './channel.js';
import type { NetworkKind } from './channel-io.js';
import type { ChannelService } from './channel-service.js';

export interface ChannelPagesDeps {
  channels: ChannelService;
  /** How many posts wait to be sent through this channel. */
  countScheduledPosts(channel: Channel): Promise<number>;
}

const id = z.string().max(100);
/** Which network; what says nothing means the simulated one while there is one. */
const networkChoice = z.object({ network: z.enum(['real', 'simulated']).optional().catch(undefined) });
const platformParams = z.object({ platform: id });
const channelParams = z.object({ id });
/** Fields that are not text are as good as missing. */
const typedBody = z.record(z.string(), z.unknown()).transform((body) => Object.fromEntries(Object.entries(body).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value.slice(0, 4000)]] : []))));
const single = z.string().max(4000).catch('');
const returnQuery = z.object({ state: single, code: single, error: single });

export function channelPages({ channels, countScheduledPosts }: ChannelPagesDeps): Router {
  const router = Router();

  router.get('/channels', async (req, res) => {
    const mine = await channels.list(actorOf(req));
    const free = platforms.filter((platform) => !mine.some((channel) => channel.platform === platform.id)).map((platform) => ({
      id: platform.id, name: platform.name, icon: platform.icon, ways: channels.waysOf(platform),
    }));
    render(res, 'channels/list', {
      channels: mine.map(describe),
      simulated: free.filter(({ ways }) => ways.simulated !== null),
      real: free.filter(({ ways }) => ways.real !== null),
      // Where real networks are used at all, those that the operator has not set up are named.
      withoutApp: platforms.some((platform) => channels.waysOf(platform).real !== null) ? free.filter(({ ways }) => ways.real === null) : [],
    });
  });

  router.post('/channels/connect/:platform', async (req, res) => {
    const { platform } = readParams(req, platformParams);
    const network = chosen(platform, readBody(req, networkChoice).network);
    goTo(req, res, (await channels.begin(actorOf(req), platform, network)) ?? `/channels/connect/${platform}?network=${network}`);
  });

  const chosen = (platformId: string, network: NetworkKind | undefined): NetworkKind => {
    if (network !== undefined) return network;
    const platform = platforms.find(({ id: known }) => known === platformId);
    return platform !== undefined && channels.waysOf(platform).simulated === null ? 'real' : 'simulated';
  };

  const showFields = (req: Request, res: Response, again: Partial<FormProblems>): void => {
    const { platform: platformId } = readParams(req, platformParams);
    const network = chosen(platformId, (req.method === 'POST' ? readBody(req, networkChoice) : readQuery(req, networkChoice)).network);
    const { platform, connectFields, sourceUrl } = channels.typedFields(platformId, network);
    render(res, 'channels/connect', { platform, connectFields, sourceUrl, network, input: {}, problems: {}, message: '', ...again });
  };

  router.get('/channels/connect/:platform', (req, res) => showFields(req, res, {}));

  router.post('/channels/connect/:platform/fields', form(async (req, res) => {
    const { platform } = readParams(req, platformParams);
    const { network, ...values } = readBody(req, typedBody);
    const channel = await channels.connectTyped(actorOf(req), platform, chosen(platform, networkChoice.parse({ network }).network), values);
    flash(req, 'success', `${describe(channel).platformName} is connected as @${channel.username}.`);
    goTo(req, res, '/channels');
  }, showFields));

  router.get('/channels/callback', async (req, res) => {
    const { state, code, error } = readQuery(req, returnQuery);
    const outcome = await channels.finish(actorOf(req), { state, code: code || null, error: error || null });
    if (outcome.channel === null) flash(req, 'danger', outcome.problem);
    else flash(req, 'success', `${describe(outcome.channel).platformName} is connected as @${outcome.channel.username}.`);
    res.redirect(303, '/channels');
  });

  router.get('/channels/:id/disconnect', async (req: Request, res: Response) => {
    const channel = await channels.find(actorOf(req), readParams(req, channelParams).id);
    render(res, 'channels/disconnect', { channel: describe(channel), scheduled: await countScheduledPosts(channel) });
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
