/** Who asks, for routes: the actor that the session or the API key stands for, and the doors that insist on one. */
import type { Request, RequestHandler } from 'express';
import type { Authenticator } from 'passport';
import type { Actor } from '../lib/actor.js';
import { AppError, ErrorCode } from '../lib/app-error.js';

/** What the session stands for while a page request runs. */
export interface SignedInUser {
  actor: Actor;
  email: string;
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
      if ((req.get('profile-key') ?? '').trim() !== '') {
        return next(new AppError('forbidden', ErrorCode.forbidden, 'Profile-Key: this key is not known. Leave the header out to use the Primary Profile.'));
      }
      req.user = user;
      next();
    };
    (authenticator.authenticate('bearer', { session: false }, decide) as RequestHandler)(req, res, next);
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
