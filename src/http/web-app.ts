/** The Express shell, in the order in which a request walks through it; knows no domain. */
import express, { type Express, type RequestHandler, type Router } from 'express';
import session, { type Store } from 'express-session';
import helmet from 'helmet';
import type { Authenticator } from 'passport';
import { AppError } from '../lib/app-error.js';
import type { Logger } from '../lib/logger.js';
import { chosenProfile, profileByKey, requireApiKey, requireUser, type ProfileChoice } from './actor.js';
import { asset, assetFiles } from './assets.js';
import { csrfTokens, refuseCrossSite, refuseForged } from './csrf.js';
import { errorHandler } from './errors.js';
import { health } from './health.js';
import { useViews } from './render.js';
import { requestId } from './request-id.js';
import { requestLog } from './request-log.js';
import { knownRoutesOnly, methodsOf } from './route-table.js';
import { vendorFiles } from './vendor.js';

export interface WebAppDeps {
  log: Logger;
  /** True when users reach Signpost by https: cookies become `Secure`, HSTS is sent. */
  isHttps: boolean;
  /** How many reverse proxies' `X-Forwarded-For` entries are believed. */
  trustProxy: number;
  /** At least 32 characters; signs session cookies. */
  sessionSecret: string;
  sessionStore: Store;
  /** With the strategies `local` and `bearer`, and sessions. */
  authenticator: Authenticator;
  /** Profiles besides the primary one; without it there are none. */
  profiles?: ProfileChoice;
  /** Origins besides our own that a form may end at: consent pages of networks, e.g. `http://127.0.0.1:3001`. Asked per request. */
  formOrigins: () => string[];
  /** Resolves when the database answers. */
  ready: () => Promise<unknown>;
  /** Answer before sessions, log-in, CSRF and body reading: receivers that programs call. Paths outside `/api`. */
  rawRouters: Router[];
  /** Mounted at `/api`, behind an API key, before bodies are read: what limits calls, and what reads its own bodies. */
  apiReaders?: Router[];
  /** Mounted at `/api`, behind an API key. */
  apiRouters: Router[];
  /** Reads the forms of pages that bring files. */
  formFiles?: RequestHandler;
  /** Pages that need nobody signed in. */
  publicPages: Router[];
  /** Pages behind sign-in. */
  pages: Router[];
}

const BODY_LIMIT = '1mb';
const DAY_MS = 24 * 60 * 60 * 1000;
/** Visitors who haven't signed in keep their session (the form's token) this long; signing in makes it longer. */
const VISITOR_SESSION_MS = DAY_MS;

export function createWebApp(deps: WebAppDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  // Answers are made for one person at one moment; hashing each for a tag that never matches costs time for nothing.
  app.set('etag', false);
  // Whatever NODE_ENV says: should even the error page fail, Express's own last answer shows no stack.
  app.set('env', 'production');
  app.set('trust proxy', deps.trustProxy);
  app.set('query parser', 'extended');
  useViews(app);

  app.use(requestId(), requestLog(deps.log));
  app.use('/api', apiHeaders(deps), api(deps));
  app.use(securityHeaders(deps));
  app.use(health(deps.ready));
  app.use(vendorFiles());
  app.use('/assets', assetFiles());
  app.get('/favicon.ico', (_req, res) => res.redirect(301, asset('favicon.svg')));
  app.use(...deps.rawRouters, passThrough);
  app.use(...pages(deps));
  app.use(errorHandler(deps.log));
  return app;
}

const passThrough: RequestHandler = (_req, _res, next) => next();

/** What helmet sets for pages comes down to this for JSON: it is never a page, a frame, a script, or kept by anybody. */
function apiHeaders({ isHttps }: WebAppDeps): RequestHandler {
  const headers = {
    'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
    'X-Content-Type-Options': 'nosniff',
    'Cache-Control': 'no-store',
    'Referrer-Policy': 'no-referrer',
    ...(isHttps ? { 'Strict-Transport-Security': 'max-age=31536000' } : {}),
  };
  return (_req, res, next) => {
    res.set(headers);
    next();
  };
}

function securityHeaders(deps: WebAppDeps): RequestHandler {
  const formAction = (): string => ["'self'", ...deps.formOrigins()].join(' ');
  return helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'self'"], scriptSrc: ["'self'"], styleSrc: ["'self'"], imgSrc: ["'self'", 'data:', 'https:', 'http:'], mediaSrc: ["'self'", 'https:', 'http:'],
        objectSrc: ["'none'"], baseUri: ["'none'"], frameAncestors: ["'none'"], formAction: [formAction],
      },
    },
    strictTransportSecurity: deps.isHttps ? { maxAge: 31_536_000, includeSubDomains: false } : false,
    xFrameOptions: { action: 'deny' },
    referrerPolicy: { policy: 'same-origin' },
  });
}

function api(deps: WebAppDeps): RequestHandler[] {
  const readers = deps.apiReaders ?? [];
  return [
    knownRoutesOnly([...readers, ...deps.apiRouters], 'This endpoint does not exist'),
    requireApiKey(deps.authenticator),
    profileByKey(deps.profiles),
    ...readers,
    jsonOnly,
    express.json({ limit: BODY_LIMIT, type: isJson }),
    ...deps.apiRouters,
  ];
}

function isJson(req: { headers: { 'content-type'?: string } }): boolean {
  return /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(req.headers['content-type'] ?? '');
}

/** Clients send GET with a JSON content type and no body, and DELETE with a JSON body; only a body of another type is refused. */
const jsonOnly: RequestHandler = (req, _res, next) => {
  const hasBody = req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0;
  if (!hasBody || isJson(req)) return next();
  const message = 'The body must be JSON: send the header "Content-Type: application/json".';
  next(new AppError('unsupported', 415, message, { fields: [{ field: 'Content-Type', message, code: 415 }] }));
};

function pages(deps: WebAppDeps): RequestHandler[] {
  const all = [...deps.publicPages, ...deps.pages];
  const signedInUnlessPublic: RequestHandler = (req, res, next) => {
    if (methodsOf(deps.publicPages, req.path).has(req.method)) return next();
    return requireUser(req, res, next);
  };
  return [
    ...sessions(deps),
    ...(deps.profiles === undefined ? [] : [chosenProfile(deps.profiles)]),
    csrfTokens,
    knownRoutesOnly(all, 'There is no such page. It may have moved, or the address is mistyped.'),
    refuseCrossSite,
    express.urlencoded({ extended: false, limit: BODY_LIMIT, parameterLimit: 2_000 }),
    ...(deps.formFiles === undefined ? [] : [deps.formFiles]),
    // Who asks comes before the token: an ended session is told as such, not as a forged form.
    signedInUnlessPublic,
    refuseForged,
    ...all,
  ];
}

function sessions(deps: WebAppDeps): RequestHandler[] {
  // The proxy in front speaks https with the browser even if it doesn't say so here; express-session would drop the cookie else.
  const behindHttps: RequestHandler = (req, _res, next) => {
    if (deps.isHttps) Object.defineProperty(req, 'secure', { value: true });
    next();
  };
  return [
    behindHttps,
    session({
      name: deps.isHttps ? '__Host-signpost' : 'signpost',
      secret: deps.sessionSecret,
      store: deps.sessionStore,
      resave: false,
      saveUninitialized: false,
      rolling: true,
      cookie: { httpOnly: true, sameSite: 'lax', secure: deps.isHttps, path: '/', maxAge: VISITOR_SESSION_MS },
    }),
    deps.authenticator.initialize() as RequestHandler,
    deps.authenticator.session() as RequestHandler,
  ];
}
