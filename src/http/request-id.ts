/** Gives every request an id that its log lines, its answer's header and its error body share. */
import type { RequestHandler } from 'express';
import { newToken } from '../lib/ids.js';

declare module 'express-serve-static-core' {
  interface Request {
    /** Set by `requestId`, the first middleware of all. */
    requestId: string;
  }
}

/** What another program's id may look like: nothing that could break a log line or a page. */
const SANE = /^[A-Za-z0-9][A-Za-z0-9._-]{5,63}$/;

export function requestId(): RequestHandler {
  return (req, res, next) => {
    const given = req.get('x-request-id');
    req.requestId = given !== undefined && SANE.test(given) ? given : newToken(12);
    res.set('X-Request-Id', req.requestId);
    next();
  };
}
