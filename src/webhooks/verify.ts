/** Checks the signatures of a received webhook against secrets, as a receiver would. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { standardSignature } from './signing.js';

export type Verdict = 'verified' | 'not verified' | null;

/** @returns null when the request carries none of these headers */
export function verifyStandard(headers: Record<string, string>, body: Buffer, secrets: readonly string[]): Verdict {
  const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': given } = headers;
  if (given === undefined) return null;
  if (id === undefined || timestamp === undefined) return 'not verified';
  const candidates = given.split(' ');
  const matches = secrets.some((secret) => candidates.some((candidate) => isEqual(candidate, standardSignature(secret, id, timestamp, body))));
  return matches ? 'verified' : 'not verified';
}

/** Ayrshare's: HMAC-SHA256 of the body alone, in lower-case hex, keyed by the secret's text. */
export function verifyAyrshare(headers: Record<string, string>, body: Buffer, secrets: readonly string[]): Verdict {
  const given = headers['x-authorization-content-sha256'];
  if (given === undefined) return null;
  const candidates = [given, ...(headers['x-authorization-content-sha256-v2'] ?? '').split(',').map((part) => part.trim().replace(/^v1=/, ''))];
  const matches = secrets.some((secret) => {
    const digest = createHmac('sha256', secret).update(body).digest('hex');
    return candidates.some((candidate) => isEqual(candidate, digest));
  });
  return matches ? 'verified' : 'not verified';
}

function isEqual(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
