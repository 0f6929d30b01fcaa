/** The HTTP shell with routes of its own, no domain and no database: what it does for every room. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { after } from 'node:test';
import { Router, type Request } from 'express';
import session from 'express-session';
import { Passport } from 'passport';
import type { Authenticator } from 'passport';
import { Strategy as BearerStrategy } from 'passport-http-bearer';
import { pino } from 'pino';
import { z } from 'zod';
import { form, goTo } from '../../src/http/forms.js';
import { readBody, readQuery } from '../../src/http/input.js';
import { render } from '../../src/http/render.js';
import { createWebApp, type WebAppDeps } from '../../src/http/web-app.js';
import type { SignedInUser } from '../../src/http/actor.js';

export const KEY = 'GOODKEY-GOODKEY-GOODKEY-GOODKEY';

const noteSchema = z.object({
  text: z.string().min(1).max(20).meta({ code: 900 }),
  places: z.array(z.string()).min(1).max(3).optional(),
});

const user: SignedInUser = {
  actor: { accountId: 'acc_1', profileId: 'prf_1', userId: 'usr_1', isAdministrator: true, timeZone: 'Europe/Berlin', via: 'page' },
  email: 'ann@example.com',
};

export interface Shell {
  base: string;
  /** Every log line so far. */
  logLines: string[];
  /** What the routes were given. */
  saved: unknown[];
  setReady(ready: boolean): void;
}

/** Listens on a free port of the loopback interface until the test file is over. */
export async function startShell(overrides: Partial<WebAppDeps> = {}): Promise<Shell> {
  const logLines: string[] = [];
  const saved: unknown[] = [];
  let ready = true;
  const app = createWebApp({
    log: pino({ level: 'info', base: undefined }, { write: (line: string) => void logLines.push(line) }),
    isHttps: false,
    trustProxy: 0,
    sessionSecret: 'a secret of thirty-two characters',
    sessionStore: new session.MemoryStore(),
    authenticator: authenticator(),
    formOrigins: () => ['http://127.0.0.1:1'],
    ready: async () => {
      if (!ready) throw new Error('no database');
    },
    rawRouters: [rawRoutes(saved)],
    apiRouters: [apiRoutes(saved)],
    publicPages: [publicRoutes()],
    pages: [pageRoutes(saved)],
    ...overrides,
  });
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  after(() => {
    server.close();
    server.closeAllConnections();
  });
  return {
    base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    logLines,
    saved,
    setReady: (value) => {
      ready = value;
    },
  };
}

function authenticator(): Authenticator {
  const passport = new Passport() as Authenticator;
  passport.use(new BearerStrategy((token: unknown, done: (error: unknown, user?: Express.User | false) => void) => done(null, token === KEY && user)));
  passport.serializeUser((_user, done) => done(null, 'usr_1'));
  passport.deserializeUser((_id, done) => done(null, user));
  return passport;
}

function rawRoutes(saved: unknown[]): Router {
  const router = Router();
  router.post('/hooks/:id', (req, res) => {
    saved.push({ raw: req.body as unknown });
    res.json({ received: true });
  });
  return router;
}

function apiRoutes(saved: unknown[]): Router {
  const router = Router();
  router.get('/note', (req, res) => void res.json(readQuery(req, z.object({ tags: z.array(z.string()).optional(), one: z.string().optional() }))));
  router.post('/note', (req, res) => {
    const note = readBody(req, noteSchema);
    saved.push(note);
    res.json({ status: 'success', ...note });
  });
  router.delete('/note', (req, res) => void res.json(readBody(req, z.object({ id: z.string() }))));
  router.get('/note/:id', (req, res) => void res.json({ id: req.params.id }));
  router.get('/broken', () => {
    throw new Error('the secret reason');
  });
  return router;
}

function publicRoutes(): Router {
  const router = Router();
  router.get('/enter', (_req, res) => render(res, 'accounts/sign-in', { input: {}, problems: {}, message: '', state: 'open', next: null }));
  router.post('/enter', async (req, res) => {
    await new Promise<void>((resolve, reject) => req.login(user, (error: unknown) => (error ? reject(error) : resolve())));
    goTo(req, res, '/notes');
  });
  return router;
}

function pageRoutes(saved: unknown[]): Router {
  const router = Router();
  const page = (input: object, problems: object, message: string) => ({
    input, problems, message, keys: [], created: null, publicUrl: 'http://127.0.0.1',
  });
  router.get('/notes', (_req, res) => render(res, 'accounts/api-keys', page({}, {}, '')));
  router.post('/notes', form((req: Request, res) => {
    saved.push(readBody(req, noteSchema.extend({ name: z.string() })));
    goTo(req, res, '/notes');
  }, (_req, res, again) => render(res, 'accounts/api-keys', page(again.input, { name: again.problems['text'] }, again.message))));
  router.get('/fails', () => {
    throw new Error('the secret reason');
  });
  return router;
}
