/** Profiles by API, in Ayrshare's shapes; they concern the account, so the header `Profile-Key` doesn't matter here. */
import { Router, type Request, type Response } from 'express';
import { actorOf } from '../http/actor.js';
import { readBody, readQuery } from '../http/input.js';
import { AppError, ErrorCode } from '../lib/app-error.js';
import type { Actor } from './actor.js';
import { changeProfileSchema, newProfileSchema, profileKeySchema, profilesQuerySchema } from './account-schemas.js';
import type { Profile } from './profile.js';
import type { ProfileService } from './profile-service.js';

export interface ProfileApiDeps {
  profiles: ProfileService;
  /** Lower-case names of the networks that are connected in a profile. */
  connectedPlatforms(actor: Actor): Promise<string[]>;
}

export function profileApi(deps: ProfileApiDeps): Router {
  const router = Router();
  const { profiles } = deps;
  router.get('/profiles', (req, res) => list(deps, req, res));
  router.post(['/profiles', '/profiles/profile', '/profiles/create-profile'], async (req, res) => {
    const { profile: { title, refId }, key } = await profiles.create(actorOf(req), readBody(req, newProfileSchema).title);
    res.json({ status: 'success', title, refId, profileKey: key, messagingActive: false });
  });
  router.route(['/profiles', '/profiles/profile']).put((req, res) => change(deps, req, res)).patch((req, res) => change(deps, req, res));
  router.delete(['/profiles', '/profiles/profile', '/profiles/delete-profile'], async (req, res) => {
    const { id } = await named(profiles, actorOf(req), readBody(req, profileKeySchema).profileKey);
    const { refId } = await profiles.remove(actorOf(req), id);
    res.json({ status: 'success', refId });
  });
  return router;
}

async function change({ profiles }: ProfileApiDeps, req: Request, res: Response): Promise<void> {
  const { profileKey, title } = readBody(req, changeProfileSchema);
  const { id } = await named(profiles, actorOf(req), profileKey);
  const { refId } = await profiles.rename(actorOf(req), id, title);
  res.json({ status: 'success', refId });
}

/** @throws AppError `forbidden` for a key that this account doesn't have */
async function named(profiles: ProfileService, actor: Actor, key: string): Promise<Profile> {
  const profile = await profiles.findByKey(actor, key);
  if (profile === null) throw new AppError('forbidden', ErrorCode.forbidden, 'profileKey: this key is not known. Make a profile to get one.', { fields: [{ field: 'profileKey', message: 'This key is not known.', code: ErrorCode.forbidden }] });
  return profile;
}

/** The Primary Profile is not listed, as at Ayrshare; keys are never shown again. */
async function list({ profiles, connectedPlatforms }: ProfileApiDeps, req: Request, res: Response): Promise<void> {
  const actor = actorOf(req);
  const { title, refId, limit } = readQuery(req, profilesQuerySchema);
  const found = (await profiles.list(actor)).filter((profile) => !profile.isPrimary && (title === undefined || profile.title === title) && (refId === undefined || profile.refId === refId));
  const shown = await Promise.all(found.slice(0, limit).map(async ({ id, createdAt, ...profile }) => {
    const active = await connectedPlatforms({ ...actor, profileId: id });
    const ms = createdAt.getTime();
    return {
      ...(active.length > 0 ? { activeSocialAccounts: active } : {}),
      created: { _seconds: Math.floor(ms / 1000), _nanoseconds: (ms % 1000) * 1_000_000 }, createdUTC: createdAt.toISOString(),
      refId: profile.refId, status: profile.isBeingRemoved ? 'suspended' : 'active', title: profile.title,
    };
  }));
  res.json({ profiles: shown, count: shown.length, pagination: { hasMore: found.length > shown.length, nextCursor: null, limit } });
}
