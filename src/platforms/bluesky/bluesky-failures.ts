/** Turns Bluesky's XRPC errors (`{"error","message"}`) into typed failures. */
import { z } from 'zod';
import { inWords, rateLimited, rejected, signedOut } from '../failures.js';
import type { NetworkAnswer } from '../network-call.js';
import type { PlatformFailure, PlatformIo } from '../platform.js';

const xrpcError = z.object({ error: z.string(), message: z.string().optional() });

const SIGNED_OUT = new Set(['ExpiredToken', 'InvalidToken', 'AuthMissing', 'AuthenticationRequired', 'AccountTakedown', 'AccountDeactivated', 'invalid_token']);

export function blueskyFailure(answer: NetworkAnswer, io: PlatformIo): PlatformFailure {
  const { error = `HTTP ${answer.status}`, message } = xrpcError.safeParse(answer.body).data ?? {};
  const options = { status: answer.status, details: message === undefined ? error : `${error}: ${message}` };
  if (answer.status === 429 || error === 'RateLimitExceeded') return rateLimited('Bluesky', io, answer, options);
  if (error === 'AccountTakedown' || error === 'AccountDeactivated') {
    return rejected('Bluesky has suspended or deactivated this account. Sign in at Bluesky to see why.', options);
  }
  if (answer.status === 401 || SIGNED_OUT.has(error)) return signedOut('Bluesky', options);
  if (error === 'BlobTooLarge' || answer.status === 413) return rejected('An image is too large for Bluesky. Use a smaller one (about 1 MB at most).', options);
  if (/grapheme|must not be longer/i.test(message ?? '')) return rejected('The text is too long for Bluesky: at most 300 characters. Shorten it and send it again.', options);
  return rejected(`Bluesky refused the post: ${inWords(message ?? error)} Change it and send it again.`, options);
}

export function isMissingRecord(answer: NetworkAnswer): boolean {
  const { error, message } = xrpcError.safeParse(answer.body).data ?? {};
  return answer.status >= 400 && (error === 'RecordNotFound' || /could not locate record/i.test(message ?? ''));
}

/** The key exists already: an earlier attempt was accepted. (Servers of 2025 answer 500 instead; that is `unknown` and the look-up settles it.) */
export function isTakenKey(answer: NetworkAnswer): boolean {
  return answer.status >= 400 && /already ?exists/i.test(xrpcError.safeParse(answer.body).data?.error ?? '');
}
