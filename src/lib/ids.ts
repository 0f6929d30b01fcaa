/** Identifiers: random, unguessable, and in the shapes that clients of the API expect. */
import { randomBytes, randomInt } from 'node:crypto';

const ALPHANUMERIC = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const CROCKFORD = '0123456789abcdefghjkmnpqrstvwxyz';

/** 20 alphanumerics, the shape of Ayrshare's post ids. */
export function newPostId(): string {
  let id = '';
  for (let i = 0; i < 20; i++) id += ALPHANUMERIC[randomInt(ALPHANUMERIC.length)];
  return id;
}

/** 40 lower-case hex digits, the shape of Ayrshare's `refId`. */
export function newRefId(): string {
  return randomBytes(20).toString('hex');
}

/**
 * `prefix_` and a ULID in lower case (48 bits of milliseconds, 80 random bits), so ids sort by the time they were made.
 * Contains no dot, as Standard Webhooks asks of `webhook-id`.
 */
export function newId(prefix: string, now: Date = new Date()): string {
  let time = now.getTime();
  let head = '';
  for (let i = 0; i < 10; i++) {
    head = CROCKFORD[time % 32]! + head;
    time = Math.floor(time / 32);
  }
  let tail = '';
  for (const byte of randomBytes(16)) tail += CROCKFORD[byte & 31];
  return `${prefix}_${head}${tail}`;
}

/** `bytes` random bytes as base64url, for tokens that travel in URLs and cookies. */
export function newToken(bytes = 32): string {
  return randomBytes(bytes).toString('base64url');
}
