/** Refuses forged forms: a token per session, and what the browser itself says about where a request comes from. */
import { csrfSync } from 'csrf-sync';
import type { Request, RequestHandler } from 'express';
import { AppError, ErrorCode } from '../lib/app-error.js';

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);

const { csrfSynchronisedProtection, isRequestValid } = csrfSync({
  size: 32,
  getTokenFromRequest: (req) => sentToken(req),
});

/** @returns the form's `_csrf` field or the `x-csrf-token` header, only if it is text */
function sentToken(req: Request): string | undefined {
  const header = req.get('x-csrf-token');
  if (header !== undefined) return header;
  const field = (req.body as Record<string, unknown> | undefined)?.['_csrf'];
  return typeof field === 'string' ? field : undefined;
}

/** Gives the request its `csrfToken()` for forms. */
export const csrfTokens: RequestHandler = (req, res, next) => {
  // Its own check is left to `refuseForged`, which runs once it is known who asks and answers in plain words.
  csrfSynchronisedProtection(req, res, () => next());
};

/** Browsers say on https and on localhost where a request comes from; another site has no business changing things here. */
export const refuseCrossSite: RequestHandler = (req, _res, next) => {
  if (SAFE.has(req.method) || req.get('sec-fetch-site') !== 'cross-site') return next();
  next(new AppError('forbidden', ErrorCode.forbidden, 'This was sent from another website, so Signpost did not do it.'));
};

export const refuseForged: RequestHandler = (req, _res, next) => {
  if (SAFE.has(req.method) || isRequestValid(req)) return next();
  const message = 'Signpost could not be sure that this form came from its own page, so it did nothing. '
    + 'This happens when you signed in or out in another tab meanwhile, or when the page was open for very long.';
  next(new AppError('forbidden', ErrorCode.forbidden, message, { details: { reason: 'csrf' } }));
};
