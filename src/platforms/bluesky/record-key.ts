/** The record key of a Bluesky post, derived from the publication, so that every attempt names the same record. */
import { createHash } from 'node:crypto';
import type { PlatformContent } from '../platform.js';

const SORTABLE = '234567abcdefghijklmnopqrstuvwxyz';

/**
 * A TID (https://atproto.com/specs/tid): 53 bits of microseconds and 10 bits of clock id, in 13 characters. The whole seconds are
 * those of the time the post was due, so records sort as they should; the rest comes from the idempotency key.
 */
export function recordKey({ idempotencyKey, scheduledAt }: Pick<PlatformContent, 'idempotencyKey' | 'scheduledAt'>): string {
  const hash = createHash('sha256').update(idempotencyKey).digest();
  const seconds = BigInt(Math.floor((scheduledAt?.getTime() ?? 0) / 1000));
  const micros = seconds * 1_000_000n + BigInt(hash.readUInt32BE(0) % 1_000_000);
  let value = (micros << 10n) | BigInt(hash.readUInt16BE(4) & 0x3ff);
  let tid = '';
  for (let i = 0; i < 13; i++) {
    tid = SORTABLE[Number(value & 31n)]! + tid;
    value >>= 5n;
  }
  return tid;
}
