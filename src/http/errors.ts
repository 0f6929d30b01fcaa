/** The one table from kind to HTTP status, and the one handler that answers errors as JSON or as a page. */
import type { ErrorRequestHandler, Request, Response } from 'express';
import { AppError, ErrorCode, type ErrorKind } from '../lib/app-error.js';
import type { Logger } from '../lib/logger.js';
import { heldForm, isHtmx, readableForm } from './forms.js';
import { render } from './render.js';

const STATUS: Record<ErrorKind, number> = {
  invalid: 400, unauthenticated: 401, forbidden: 403, 'not-found': 404, conflict: 409, 'too-large': 413, unsupported: 415, 'too-many': 429, unavailable: 503,
};

export function statusOf(error: AppError, door: 'api' | 'page'): number {
  if (error.code === ErrorCode.methodNotAllowed) return 405;
  // Ayrshare answers a missing or wrong key with 403 and code 102, and its clients look for that.
  if (error.kind === 'unauthenticated' && door === 'api') return 403;
  return STATUS[error.kind];
}

/** What Express, its parsers and the driver throw, in our words. Null: a mistake of ours. */
export function toAppError(error: unknown): AppError | null {
  if (error instanceof AppError) return error;
  const { type, status, name, limit } = error as { type?: string; status?: number; name?: string; limit?: number };
  if (type === 'entity.too.large') return bodyError('too-large', ErrorCode.tooLarge, `The body is larger than ${Math.round((limit ?? 1_048_576) / 1_048_576)} MB. Send less; media goes by its address, or as a form (multipart/form-data) to /api/media/upload.`);
  if (type === 'parameters.too.many') return bodyError('too-large', ErrorCode.tooLarge, 'The form has too many fields.');
  if (type === 'entity.parse.failed') return bodyError('invalid', ErrorCode.badRequest, 'The body is not valid JSON. Send a JSON object such as {"post":"Hello"}.');
  if (type === 'encoding.unsupported' || type === 'charset.unsupported') {
    return bodyError('unsupported', 415, 'The body is in an encoding or charset that Signpost does not read. Send UTF-8, plain or gzip.');
  }
  if (name !== undefined && /^Mongo(Network|ServerSelection|NotConnected|TopologyClosed|PoolCleared)/.test(name)) {
    return new AppError('unavailable', ErrorCode.unavailable, 'The database does not answer right now. Try again in a moment.', { retryAfterS: 5, cause: error });
  }
  if (typeof status === 'number' && status >= 400 && status < 500) return bodyError('invalid', ErrorCode.badRequest, 'The request could not be read.');
  return null;
}

function bodyError(kind: ErrorKind, code: number, message: string): AppError {
  return new AppError(kind, code, message, { fields: [{ field: 'body', message, code }] });
}

/** Goes last. Unknown errors are logged with the request's id, which is all that the user sees of them. */
export function errorHandler(log: Logger): ErrorRequestHandler {
  return (thrown: unknown, req, res, _next) => {
    if (res.headersSent) {
      // Too late for words: a torn answer tells the client that it is not whole. (An answer that had ended is whole.)
      log.warn({ err: thrown, requestId: req.requestId }, 'failed after the answer had begun');
      if (!res.writableEnded) res.destroy();
      return;
    }
    const known = toAppError(thrown);
    if (known === null || known.kind === 'unavailable') log.error({ err: thrown, requestId: req.requestId }, 'request failed');
    const error = known ?? new AppError('unavailable', ErrorCode.internal, 'Something went wrong on our side. It was logged; try again, and give the request id if you report it.');
    if (error.retryAfterS !== undefined) res.set('Retry-After', String(error.retryAfterS));
    if (isApi(req)) return answerJson(req, res, error, known === null ? 500 : statusOf(error, 'api'));
    answerPage(req, res, error, known === null ? 500 : statusOf(error, 'page'));
  };
}

function isApi(req: Request): boolean {
  return /^\/api(?:[/?]|$)/i.test(req.originalUrl);
}

function answerJson(req: Request, res: Response, error: AppError, status: number): void {
  const action = req.originalUrl.split('?', 1)[0]!.split('/')[2] || 'request';
  const errors = error.fields.length > 0 ? { errors: error.fields } : {};
  res.status(status).json({ action, status: 'error', code: error.code, message: error.message, ...errors, ...error.details, requestId: req.requestId });
}

function answerPage(req: Request, res: Response, error: AppError, status: number): void {
  if (error.kind === 'unauthenticated') return askToSignIn(req, res);
  res.status(status);
  if (isHtmx(req)) {
    // htmx swaps error answers too: to the top of the page, so that what the user works on stays.
    res.set({ 'HX-Retarget': '#alerts', 'HX-Reswap': 'innerHTML' });
    return render(res, 'errors/alert', { message: error.message });
  }
  render(res, 'errors/error', { status, message: error.message, reason: error.details['reason'] ?? null, typed: readableForm(req) });
}

/** Reading goes through sign-in and back; what was about to be sent is shown, so that nobody loses what they wrote. */
function askToSignIn(req: Request, res: Response): void {
  const reading = req.method === 'GET' || req.method === 'HEAD';
  const here = reading ? req.originalUrl : localPart(req.get('hx-current-url') ?? req.get('referer'));
  const signIn = here === '/' ? '/sign-in' : `/sign-in?next=${encodeURIComponent(here)}`;
  if (isHtmx(req)) {
    // Not 204: a live stream that outlived its session takes every 2xx for a stream and would ask again twice a second.
    if (reading) return void res.status(401).set('HX-Redirect', `/sign-in?next=${encodeURIComponent(localPart(req.get('hx-current-url')))}`).end();
    res.set({ 'HX-Retarget': '#alerts', 'HX-Reswap': 'innerHTML' });
    return render(res.status(401), 'errors/signed-out-alert', { signIn });
  }
  if (reading) return res.redirect(302, signIn);
  render(res.status(401), 'errors/signed-out', { signIn, typed: readableForm(req), held: heldForm(req) });
}

function localPart(url: string | undefined): string {
  if (url === undefined || !URL.canParse(url)) return '/';
  const { pathname, search } = new URL(url);
  return pathname + search;
}
