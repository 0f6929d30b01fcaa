/** Sign-up, sign-in, sign-out and the settings of an account. */
import { Router, type Request, type RequestHandler, type Response } from 'express';
import type { Authenticator } from 'passport';
import { actorOf } from '../http/actor.js';
import { form, goTo, readableFields, type FormProblems } from '../http/forms.js';
import { readBody } from '../http/input.js';
import { flash, render } from '../http/render.js';
import { AppError, ErrorCode } from '../lib/app-error.js';
import { changePasswordSchema, heldFormSchema, nextSchema, settingsSchema, signInSchema, signUpSchema } from './account-schemas.js';
import type { AccountService } from './account-service.js';
import { signedIn } from './authenticator.js';
import { timeZones } from './time-zones.js';

export interface AccountPagesDeps {
  accounts: AccountService;
  authenticator: Authenticator;
}

const SESSION_MS = 14 * 24 * 60 * 60 * 1000;
const NO_PROBLEMS: FormProblems = { input: {}, problems: {}, fields: [], message: '' };

/** Pages for visitors: mount without sign-in. */
export function visitorPages({ accounts, authenticator }: AccountPagesDeps): Router {
  const router = Router();

  const showSignUp = async (req: Request, res: Response, again = NO_PROBLEMS): Promise<void> => {
    const state = await accounts.signUpState();
    render(res, 'accounts/sign-up', { ...again, state, timeZones, next: nextOf(req) });
  };
  const showSignIn = async (req: Request, res: Response, again = NO_PROBLEMS): Promise<void> => {
    const state = await accounts.signUpState();
    render(res, 'accounts/sign-in', { ...again, state, next: nextOf(req) });
  };

  router.get('/sign-up', async (req, res) => {
    if (req.user !== undefined) return res.redirect(302, nextOf(req) ?? '/');
    await showSignUp(req, res);
  });

  router.post('/sign-up', form(async (req, res) => {
    const user = await accounts.signUp(readBody(req, signUpSchema), req.ip ?? '');
    await startSession(req, signedIn(user));
    goTo(req, res, nextOf(req) ?? '/');
  }, showSignUp));

  router.get('/sign-in', async (req, res) => {
    const next = nextOf(req);
    if (req.user !== undefined) return res.redirect(302, next ?? '/');
    if (next === null && (await accounts.signUpState()) === 'first') return res.redirect(302, '/sign-up');
    await showSignIn(req, res);
  });

  router.post('/sign-in', form(async (req, res) => {
    // Parsed before passport looks: its strategy takes whatever the body holds.
    req.body = { ...req.body, ...readBody(req, signInSchema) };
    const user = await checkPassword(authenticator, req, res);
    if (user === null) throw new AppError('invalid', ErrorCode.badRequest, 'This email and password do not belong together. Check both and try again.');
    const { held } = heldFormSchema.parse(req.body);
    await startSession(req, user);
    // Shown before it is sent: the session ended some time ago, and the person may think differently by now.
    if (held) render(res, 'accounts/send-held', { held, typed: readableFields(held.fields) });
    else goTo(req, res, nextOf(req) ?? '/');
  }, showSignIn));

  return router;
}

/** Pages for signed-in users. */
export function accountPages({ accounts }: AccountPagesDeps): Router {
  const router = Router();

  const showSettings = async (req: Request, res: Response, again = NO_PROBLEMS): Promise<void> => {
    const user = await accounts.findUser(actorOf(req).userId ?? '');
    render(res, 'accounts/settings', { ...again, account: user, timeZones });
  };

  router.get('/settings', (req, res) => showSettings(req, res));

  router.post('/settings', form(async (req, res) => {
    const { timeZone } = readBody(req, settingsSchema);
    await accounts.setTimeZone(actorOf(req), timeZone);
    flash(req, 'success', `Saved. Times are shown in ${timeZone} from now on.`);
    goTo(req, res, '/settings');
  }, showSettings));

  router.post('/settings/password', form(async (req, res) => {
    const user = await accounts.changePassword(actorOf(req), readBody(req, changePasswordSchema), req.ip ?? '');
    await startSession(req, signedIn(user));
    flash(req, 'success', 'Your password is changed. Every other session was signed out.');
    goTo(req, res, '/settings');
  }, showSettings));

  /** For pages that outlived their session: the token of the one that signed in again. */
  router.get('/session', (req, res) => void res.set('Cache-Control', 'no-store').json({ csrfToken: req.csrfToken?.() ?? null }));

  router.post('/sign-out', async (req, res) => {
    await new Promise<void>((resolve, reject) => {
      req.session.destroy((error: unknown) => (error ? reject(error) : resolve()));
    });
    goTo(req, res, '/sign-in');
  });

  return router;
}

/** `next` comes by query in links, and by field in forms. */
function nextOf(req: Request): string | null {
  const source = req.method === 'POST' ? (req.body as unknown) : req.query;
  return nextSchema.parse(source ?? {}).next;
}

function checkPassword(authenticator: Authenticator, req: Request, res: Response): Promise<Express.User | null> {
  return new Promise((resolve, reject) => {
    const decide = (error: unknown, user?: Express.User | false | null): void => {
      if (error) reject(error);
      else resolve(user || null);
    };
    (authenticator.authenticate('local', { session: false }, decide) as RequestHandler)(req, res, reject);
  });
}

/** Passport gives the session a new id here, so that an id known from before is worth nothing. */
async function startSession(req: Request, user: Express.User): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    req.login(user, (error: unknown) => (error ? reject(error) : resolve()));
  });
  req.session.cookie.maxAge = SESSION_MS;
}
