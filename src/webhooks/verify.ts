/** Checks the signatures of a received webhook against secrets, as a receiver would. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { standardSignature, timedDigest } from './signing.js';

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

/** Stripe's style, `t=...,v1=...`, in whatever header it came: its name is the endpoint owner's choice. */
export function verifyTimed(headers: Record<string, string>, body: Buffer, secrets: readonly string[]): Verdict {
  const given = Object.values(headers).map((value) => TIMED.exec(value)).find((match) => match !== null && match !== undefined);
  if (given === undefined || given === null) return null;
  const [, timestamp = '', rest = ''] = given;
  const candidates = rest.split(',').filter((part) => part.startsWith('v1=')).map((part) => part.slice(3));
  return secrets.some((secret) => candidates.some((candidate) => isEqual(candidate, timedDigest(secret, timestamp, body)))) ? 'verified' : 'not verified';
}

const TIMED = /^t=(\d{1,15}),((?:v\d=[0-9a-f]{64},?){1,10})$/;

function isEqual(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
