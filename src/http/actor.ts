/** Who asks, for routes: the actor that the session or the API key stands for, and the doors that insist on one. */
import type { Request, RequestHandler } from 'express';
import type { Authenticator } from 'passport';
import type { Actor } from '../lib/actor.js';
import { AppError, ErrorCode } from '../lib/app-error.js';

/** What the session stands for while a page request runs. */
export interface SignedInUser {
  actor: Actor;
  email: string;
  /** Title of the profile that was chosen; absent for the Primary Profile. */
  profileTitle?: string;
}

/** A profile other than the primary one, that a caller chose. */
export interface ChosenProfile {
  actor: Actor;
  title: string;
}

/** Finds what a call or a session names among the actor's own profiles; null when there is no such one. */
export interface ProfileChoice {
  byKey(actor: Actor, key: string): Promise<ChosenProfile | null>;
  byId(actor: Actor, id: string): Promise<ChosenProfile | null>;
}

declare global {
  namespace Express {
    interface User extends SignedInUser {}
  }
}

/** @throws AppError `unauthenticated` when nobody is signed in and no API key was given */
export function actorOf(req: Request): Actor {
  if (req.user === undefined) throw signInFirst();
  return req.user.actor;
}

/** Title of the profile that was chosen; null for the Primary Profile. */
export function chosenTitle(req: Request): string | null {
  return req.user?.profileTitle ?? null;
}

/** Lets signed-in users pass; the error handler sends others to the sign-in page. */
export const requireUser: RequestHandler = (req, _res, next) => {
  next(req.user === undefined ? signInFirst() : undefined);
};

/**
 * Lets calls with a working API key pass. The `bearer` strategy is looked at before the body is read, and only its
 * `Authorization` header counts (see accounts/authenticator.ts).
 */
export function requireApiKey(authenticator: Authenticator): RequestHandler {
  return (req, res, next) => {
    const decide = (error: unknown, user?: Express.User | false | null): void => {
      if (error !== undefined && error !== null) return next(error);
      if (!user) return next(refuseKey(req));
      req.user = user;
      next();
    };
    (authenticator.authenticate('bearer', { session: false }, decide) as RequestHandler)(req, res, next);
  };
}

/** Lets a call work in the profile that its header `Profile-Key` names; an unknown key is refused, never ignored. */
export function profileByKey(profiles: Pick<ProfileChoice, 'byKey'> | undefined): RequestHandler {
  const choose = async (user: Express.User, key: string): Promise<Express.User> => {
    const chosen = (await profiles?.byKey(user.actor, key)) ?? null;
    if (chosen === null) throw new AppError('forbidden', ErrorCode.forbidden, 'Profile-Key: this key is not known. Leave the header out to use the Primary Profile.');
    return { ...user, actor: chosen.actor, profileTitle: chosen.title };
  };
  return async (req, _res, next) => {
    const key = (req.get('profile-key') ?? '').trim();
    if (key !== '' && req.user !== undefined) req.user = await choose(req.user, key);
    next();
  };
}

declare module 'express-session' {
  interface SessionData {
    /** The profile that this person works in; absent for the Primary Profile. */
    profileId?: string;
  }
}

/** Lets a signed-in person work in the profile that the session names, as long as it is there. */
export function chosenProfile(profiles: Pick<ProfileChoice, 'byId'>): RequestHandler {
  return async (req, _res, next) => {
    const id = req.session?.profileId;
    if (id === undefined || req.user === undefined) return next();
    const chosen = await profiles.byId(req.user.actor, id);
    if (chosen === null) delete req.session.profileId;
    else req.user = { ...req.user, actor: chosen.actor, profileTitle: chosen.title };
    next();
  };
}

function refuseKey(req: Request): AppError {
  const missing = req.get('authorization') === undefined;
  const message = missing
    ? 'API key missing. Send it in the header "Authorization: Bearer API_KEY"; keys are made on the page "API keys".'
    : 'API key not valid. It may be mistyped or revoked; send it as "Authorization: Bearer API_KEY".';
  return new AppError('unauthenticated', ErrorCode.unauthorized, message);
}

function signInFirst(): AppError {
  return new AppError('unauthenticated', ErrorCode.unauthorized, 'Sign in first.');
}
