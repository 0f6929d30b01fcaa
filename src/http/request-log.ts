/** One log line per request: method, path without its query (it may hold keys), status, time. */
import type { RequestHandler } from 'express';
import { pinoHttp } from 'pino-http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from '../lib/logger.js';

const QUIET = /^\/(assets|vendor)\/|^\/(healthz|readyz)$/;

export function requestLog(log: Logger): RequestHandler {
  // Nobody reads these lines then; what fails is logged by the error handler.
  if (!log.isLevelEnabled('info')) return (_req, _res, next) => next();
  // Its lines hold only what `summary` puts there, so searching each request's bindings for secrets would be for nothing.
  const handler = pinoHttp({
    logger: log.child({}, { redact: [] }),
    genReqId: (req: IncomingMessage) => (req as IncomingMessage & { requestId: string }).requestId,
    autoLogging: { ignore: (req: IncomingMessage) => QUIET.test(pathOf(req)) },
    customLogLevel: (_req: IncomingMessage, res: ServerResponse, error?: Error) => (error !== undefined || res.statusCode >= 500 ? 'error' : 'info'),
    quietReqLogger: true,
    serializers: { req: () => undefined, res: () => undefined, err: () => undefined },
    customSuccessMessage: () => 'request',
    customErrorMessage: () => 'request failed',
    customSuccessObject: (req: IncomingMessage, res: ServerResponse, line: object) => ({ ...line, ...summary(req, res) }),
    customErrorObject: (req: IncomingMessage, res: ServerResponse, _error: Error, line: object) => ({ ...line, ...summary(req, res) }),
    customAttributeKeys: { reqId: 'requestId', responseTime: 'tookMs' },
  });
  return (req, res, next) => handler(req, res, next);
}

function summary(req: IncomingMessage, res: ServerResponse): object {
  const { user } = req as IncomingMessage & { user?: { actor: { accountId: string } } };
  return { method: req.method, path: pathOf(req), status: res.statusCode, accountId: user?.actor.accountId };
}

function pathOf(req: IncomingMessage): string {
  const url = (req as IncomingMessage & { originalUrl?: string }).originalUrl ?? req.url ?? '';
  return url.split('?', 1)[0] ?? '';
}
