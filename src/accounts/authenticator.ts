/** Passport, joined to our use cases: `local` for the sign-in form, `bearer` for API keys, and what a session remembers. */
import { Passport } from 'passport';
import type { Authenticator } from 'passport';
import { Strategy as BearerStrategy } from 'passport-http-bearer';
import { Strategy as LocalStrategy } from 'passport-local';
import type { Request } from 'express';
import { z } from 'zod';
import type { SignedInUser } from '../http/actor.js';
import { parseInput } from '../http/input.js';
import type { User } from './account.js';
import { signInSchema } from './account-schemas.js';
import { actorOfUser, type AccountService } from './account-service.js';
import type { ApiKeyService } from './api-key-service.js';

const sessionUserSchema = z.object({ userId: z.string(), epoch: z.number() });

export interface AuthenticatorDeps {
  accounts: AccountService;
  apiKeys: Pick<ApiKeyService, 'authenticate'>;
}

export function createAuthenticator({ accounts, apiKeys }: AuthenticatorDeps): Authenticator {
  const passport = new Passport() as Authenticator;

  passport.use(new LocalStrategy({ usernameField: 'email', passReqToCallback: true }, (req, email: unknown, password: unknown, done) => {
    const signIn = async (): Promise<SignedInUser | false> => {
      const user = await accounts.signIn(parseInput(signInSchema, { email, password }), req.ip ?? '');
      return user === null ? false : signedIn(user);
    };
    signIn().then((user) => done(null, user), (error: unknown) => done(error));
  }));

  passport.use(new BearerStrategy({ passReqToCallback: true }, (req: Request, token: unknown, done: (error: unknown, user?: Express.User | false) => void) => {
    // The strategy would also take a key from the query or the body, where logs and proxies see it: only the header counts.
    const inHeader = /^bearer (\S+)$/i.exec(req.get('authorization') ?? '')?.[1];
    if (typeof token !== 'string' || token !== inHeader) return done(null, false);
    apiKeys.authenticate(token).then((actor) => done(null, actor === null ? false : { actor, email: '' }), (error: unknown) => done(error));
  }));

  passport.serializeUser((user, done) => done(null, (user as SessionUser).session));
  passport.deserializeUser((stored: unknown, done) => {
    const reference = sessionUserSchema.safeParse(stored);
    if (!reference.success) return done(null, false);
    accounts.findSessionUser(reference.data.userId, reference.data.epoch)
      .then((user) => done(null, user === null ? false : signedIn(user)), (error: unknown) => done(error));
  });
  return passport;
}

interface SessionUser extends SignedInUser {
  session: z.output<typeof sessionUserSchema>;
}

/** What `req.user` is, and what `req.login` takes. */
export function signedIn(user: User): SessionUser {
  return { actor: actorOfUser(user), email: user.email, session: { userId: user.id, epoch: user.sessionEpoch } };
}
