/** Identifiers: random, unguessable, and in the shapes that clients of the API expect. */
import { randomFillSync } from 'node:crypto';

/** In the order of their codes. */
const ALPHANUMERIC = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const CROCKFORD = '0123456789abcdefghjkmnpqrstvwxyz';

/** Asking the system for a few bytes costs as much as asking for many, and ids are made on the hottest paths. */
const pool = Buffer.alloc(8_192);
let used = pool.length;

function randomBytes(count: number): Buffer {
  if (used + count > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const bytes = Buffer.from(pool.subarray(used, used + count));
  pool.fill(0, used, used + count);
  used += count;
  return bytes;
}

/**
 * 20 alphanumerics, the shape of Ayrshare's post ids: 8 of milliseconds, 12 random ones (71 bits). So ids sort by the time they were made, and what is
 * written and published together lies together in an index over millions of them.
 */
export function newPostId(now: Date = new Date()): string {
  let id = '';
  for (let time = now.getTime(); id.length < TIME_LETTERS; time = Math.floor(time / 62)) id = ALPHANUMERIC[time % 62]! + id;
  while (id.length < 20) {
    // 248 is the largest multiple of 62 in a byte: what is above would make some letters likelier.
    for (const byte of randomBytes(16)) if (byte < 248 && id.length < 20) id += ALPHANUMERIC[byte % 62];
  }
  return id;
}

/** Enough for 6,000 years. */
const TIME_LETTERS = 8;

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
  for (let i = 9; i >= 0; i--) {
    ulid[i] = CROCKFORD.charCodeAt(time % 32);
    time = Math.floor(time / 32);
  }
  const random = randomBytes(16);
  for (let i = 0; i < 16; i++) ulid[10 + i] = CROCKFORD.charCodeAt(random[i]! & 31);
  return `${prefix}_${ulid.toString('latin1')}`;
}

/** Where one is put together: two are made for each post that goes out. */
const ulid = Buffer.alloc(26);

/** `bytes` random bytes as base64url, for tokens that travel in URLs and cookies. */
export function newToken(bytes = 32): string {
  return randomBytes(bytes).toString('base64url');
}
