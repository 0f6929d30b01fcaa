/** The page of profiles: made, worked in, renamed, deleted. */
import { Router, type Request, type Response } from 'express';
import { actorOf } from '../http/actor.js';
import { form, goTo, type FormProblems } from '../http/forms.js';
import { readBody, readParams } from '../http/input.js';
import { flash, render } from '../http/render.js';
import { AppError, ErrorCode } from '../lib/app-error.js';
import { idParamSchema, newProfileSchema } from './account-schemas.js';
import type { Actor } from './actor.js';
import type { ProfileService } from './profile-service.js';

export interface ProfilePagesDeps {
  profiles: ProfileService;
  /** Names of the networks that are connected in a profile. */
  connectedPlatforms(actor: Actor): Promise<string[]>;
  /** How many the plan allows; null: no limit. */
  limitOf(accountId: string): Promise<number | null>;
}

const NO_PROBLEMS: FormProblems = { input: {}, problems: {}, fields: [], message: '' };

export function profilePages(deps: ProfilePagesDeps): Router {
  const { profiles } = deps;
  const router = Router();

  const show = async (req: Request, res: Response, more: object): Promise<void> => {
    const actor = actorOf(req);
    const [all, limit] = await Promise.all([profiles.list(actor), deps.limitOf(actor.accountId)]);
    const rows = await Promise.all(all.map(async (profile) => ({ ...profile, platforms: await deps.connectedPlatforms({ ...actor, profileId: profile.id }), isCurrent: profile.id === actor.profileId })));
    render(res, 'accounts/profiles', { ...NO_PROBLEMS, profiles: rows, limit, created: null, ...more });
  };

  router.get('/profiles', (req, res) => show(req, res, {}));

  router.post('/profiles', form(async (req, res) => {
    const { profile, key } = await profiles.create(actorOf(req), readBody(req, newProfileSchema).title);
    // Answered at once instead of by a redirect: the key's text is kept nowhere, not even for a moment.
    res.status(201).set('Cache-Control', 'no-store');
    await show(req, res, { created: { title: profile.title, key } });
  }, (req, res, again) => show(req, res, again)));

  router.post('/profiles/:id/use', async (req, res) => {
    const profile = await profiles.find(actorOf(req), readParams(req, idParamSchema).id);
    if (profile === null) throw new AppError('not-found', ErrorCode.notFound, 'There is no such profile.');
    if (profile.isPrimary) delete req.session.profileId;
    else req.session.profileId = profile.id;
    flash(req, 'success', `You work in the profile ${profile.title} now: channels, posts and webhooks are its own.`);
    goTo(req, res, '/channels');
  });

  router.post('/profiles/:id/delete', async (req, res) => {
    const { title } = await profiles.remove(actorOf(req), readParams(req, idParamSchema).id);
    flash(req, 'success', `The profile ${title} is deleted: its channels are disconnected, and what waited in it is cancelled.`);
    goTo(req, res, '/profiles');
  });

  return router;
}
