/** API keys: their shape, and what is kept of them. */
import { createHash, randomBytes } from 'node:crypto';

export interface ApiKey {
  id: string;
  accountId: string;
  name: string;
  /** SHA-256 of the key. The key itself holds 140 random bits: nothing to guess, so no slow hash is needed. */
  hash: string;
  last4: string;
  createdAt: Date;
  /** Within the last minute or so; null: never used. */
  lastUsedAt: Date | null;
  revokedAt: Date | null;
}

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** Four groups of seven, e.g. `2MPXPKQ-S03M5XS-GR5RX5G-AZCK8EA`: the shape that clients written for Ayrshare expect. */
export function newApiKeyText(): string {
  const characters = [...randomBytes(28)].map((byte) => ALPHABET[byte & 31]!).join('');
  return characters.match(/.{7}/g)!.join('-');
}

export function hashApiKey(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}
