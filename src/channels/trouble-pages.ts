/** The page that makes a simulated network misbehave for one channel, to see what Signpost does then. */
import { Router, type Request, type Response } from 'express';
import { z } from 'zod';
import { actorOf } from '../http/actor.js';
import { form, goTo, type FormProblems } from '../http/forms.js';
import { readBody, readParams } from '../http/input.js';
import { flash, render } from '../http/render.js';
import type { Actor } from '../lib/actor.js';
import { AppError, ErrorCode } from '../lib/app-error.js';
import { findPlatform } from '../platforms/registry.js';
import type { Channel } from './channel.js';
import { actLabel, createSimulatedTrouble, troubleOf, troubleSchema, type TroubleDeps } from './simulated-trouble.js';

export interface TroublePagesDeps extends TroubleDeps {
  channels: { find(actor: Actor, channelId: string): Promise<Channel> };
}

const params = z.object({ id: z.string().max(100) });

export function troublePages({ channels, ...deps }: TroublePagesDeps): Router {
  const router = Router();
  const trouble = createSimulatedTrouble(deps);
  const find = async (req: Request): Promise<Channel> => {
    const channel = await channels.find(actorOf(req), readParams(req, params).id);
    if (!channel.simulated) throw new AppError('not-found', ErrorCode.notFound, 'This channel is at a real network, which only misbehaves by itself.');
    return channel;
  };

  const show = async (req: Request, res: Response, again: Partial<FormProblems>): Promise<void> => {
    const channel = await find(req);
    render(res, 'channels/trouble', {
      channel, platformName: findPlatform(channel.platform)?.name ?? channel.platform, rules: await trouble.list(channel), ...troubleOf(channel.platform), actLabel,
      input: {}, problems: {}, message: '', ...again,
    });
  };

  router.get('/channels/:id/trouble', (req, res) => show(req, res, {}));

  router.post('/channels/:id/trouble', form(async (req, res) => {
    const channel = await find(req);
    await trouble.add(channel, readBody(req, troubleSchema));
    flash(req, 'success', 'The simulated network misbehaves from now on.');
    goTo(req, res, `/channels/${channel.id}/trouble`);
  }, show));

  router.post('/channels/:id/trouble/clear', async (req, res) => {
    const channel = await find(req);
    await trouble.clear(channel);
    flash(req, 'success', 'The simulated network behaves again.');
    goTo(req, res, `/channels/${channel.id}/trouble`);
  });

  return router;
}
