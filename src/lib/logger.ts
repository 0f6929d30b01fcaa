/** Structured logs (pino) with secrets redacted wherever they may appear. */
import { pino, type Logger } from 'pino';

export type { Logger };

const SECRET_KEYS = [
  'authorization', 'cookie', 'set-cookie', 'password', 'secret', 'token', 'accessToken', 'refreshToken', 'access_token',
  'refresh_token', 'apiKey', 'credentials', 'sealedCredentials', 'sealedSecret', 'code_verifier', 'client_secret',
  'webhook-signature', 'x-authorization-content-sha256', 'x-authorization-content-sha256-v2',
];

/** What is logged of an error. Its own fields are left out but for these: those of an HTTP error hold the whole request, with its secrets. */
const ERROR_FIELDS = ['code', 'kind', 'status'] as const;
const MOST_CAUSES = 5;

function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const fields = Object.fromEntries(ERROR_FIELDS.flatMap((name) => {
    const value: unknown = (error as unknown as Record<string, unknown>)[name];
    return typeof value === 'string' || typeof value === 'number' ? [[name, value]] : [];
  }));
  return { type: error.name, message: error.message, ...fields, stack: stackOf(error, MOST_CAUSES) };
}

function stackOf(error: Error, causes: number): string {
  const own = error.stack ?? `${error.name}: ${error.message}`;
  return error.cause instanceof Error && causes > 0 ? `${own}\ncaused by: ${stackOf(error.cause, causes - 1)}` : own;
}

/**
 * @param level pino's level names, or `silent`
 * @param destination where lines go, stdout unless given
 */
export function createLogger(level: string, destination?: NodeJS.WritableStream): Logger {
  const paths = SECRET_KEYS.flatMap((key) => [`["${key}"]`, `*["${key}"]`, `*.*["${key}"]`]);
  return pino({ level, redact: { paths, censor: '[redacted]' }, base: undefined, timestamp: pino.stdTimeFunctions.isoTime, serializers: { err: describeError, error: describeError } }, destination ?? pino.destination(1));
}
