/** Ids in the shapes of the networks, made from what they are for, so that the same thing gets the same id. */
import { createHash, randomBytes } from 'node:crypto';

/** Decimal digits that don't start with 0. */
export function digitsOf(text: string, length: number): string {
  return `1${BigInt(`0x${createHash('sha512').update(text).digest('hex')}`).toString().slice(0, length - 1)}`;
}

/** Letters and digits. */
export function lettersOf(text: string, length: number): string {
  return createHash('sha512').update(text).digest('base64url').replace(/[-_]/g, 'x').slice(0, length);
}

export function hexOf(text: string, length: number): string {
  return createHash('sha512').update(text).digest('hex').slice(0, length);
}

/** Digits that rise with time and don't collide. */
export function risingDigits(now: number): string {
  return `${now}${(randomBytes(4).readUInt32BE(0) % 1_000_000).toString().padStart(6, '0')}`;
}
