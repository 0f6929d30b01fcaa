/** Structured logs (pino) with secrets redacted wherever they may appear. */
import { pino, type Logger } from 'pino';

export type { Logger };

const SECRET_KEYS = [
  'authorization', 'cookie', 'set-cookie', 'password', 'secret', 'token', 'accessToken', 'refreshToken', 'access_token',
  'refresh_token', 'apiKey', 'credentials', 'sealedCredentials', 'sealedSecret', 'code_verifier', 'client_secret',
  'webhook-signature', 'x-authorization-content-sha256', 'x-authorization-content-sha256-v2',
];

/**
 * @param level pino's level names, or `silent`
 * @param destination where lines go, stdout unless given
 */
export function createLogger(level: string, destination?: NodeJS.WritableStream): Logger {
  const paths = SECRET_KEYS.flatMap((key) => [`["${key}"]`, `*["${key}"]`, `*.*["${key}"]`]);
  return pino({ level, redact: { paths, censor: '[redacted]' }, base: undefined, timestamp: pino.stdTimeFunctions.isoTime }, destination ?? pino.destination(1));
}
