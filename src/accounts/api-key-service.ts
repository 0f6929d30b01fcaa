/** API keys: made, listed, revoked, and turned into the actor that a program acts as. */
import { AppError, ErrorCode } from '../lib/app-error.js';
import { createSharedLookUp } from '../lib/batcher.js';
import type { Clock } from '../lib/clock.js';
import { newId } from '../lib/ids.js';
import type { Actor } from './actor.js';
import { hashApiKey, newApiKeyText, type ApiKey } from './api-key.js';
import type { ApiKeyStore } from './api-key-store.js';
import { primaryProfileId } from './profile.js';

export interface ApiKeyServiceDeps {
  store: ApiKeyStore;
  clock: Clock;
  /** IANA zone of the account's user. */
  timeZoneOf(accountId: string): Promise<string>;
}

const MAX_KEYS = 50;
const LAST_USED_STEP_MS = 60_000;
/** The zone only matters for words, so it may be a little old; the key itself is looked up each time. */
const ZONE_AGE_MS = 10_000;

export type ApiKeyService = ReturnType<typeof createApiKeyService>;

export function createApiKeyService({ store, clock, timeZoneOf }: ApiKeyServiceDeps) {
  // A busy program sends the same key many times at once.
  const findWorking = createSharedLookUp((hash) => store.findWorking(hash));
  const zones = new Map<string, { zone: string; until: number }>();

  async function zoneOf(accountId: string): Promise<string> {
    const now = clock.now().getTime();
    const known = zones.get(accountId);
    if (known !== undefined && known.until > now) return known.zone;
    const zone = await timeZoneOf(accountId);
    if (zones.size > 10_000) zones.clear();
    zones.set(accountId, { zone, until: now + ZONE_AGE_MS });
    return zone;
  }

  return {
    /** @returns the key's text, which is never shown again, and what is kept of it */
    async create(actor: Actor, name: string): Promise<{ text: string; key: ApiKey }> {
      if ((await store.count(actor.accountId)) >= MAX_KEYS) {
        const message = `An account has at most ${MAX_KEYS} API keys. Revoke one that you no longer use.`;
        throw new AppError('invalid', ErrorCode.badRequest, message, { fields: [{ field: 'name', message }] });
      }
      const text = newApiKeyText();
      const key: ApiKey = {
        id: newId('key', clock.now()), accountId: actor.accountId, name, hash: hashApiKey(text), last4: text.slice(-4),
        createdAt: clock.now(), lastUsedAt: null, revokedAt: null,
      };
      await store.insert(key);
      return { text, key };
    },

    list: (actor: Actor) => store.list(actor.accountId),

    async hasAny(actor: Actor): Promise<boolean> {
      return (await store.count(actor.accountId)) > 0;
    },

    /** Holds at once. @throws AppError `not-found` */
    async revoke(actor: Actor, id: string): Promise<void> {
      if (await store.revoke(actor.accountId, id, clock.now())) return;
      throw new AppError('not-found', ErrorCode.notFound, 'There is no such API key. It may have been revoked already.');
    },

    /** @returns null when no working key has this text */
    async authenticate(text: string): Promise<Actor | null> {
      if (text.length > 200) return null;
      const key = await findWorking(hashApiKey(text.trim()));
      if (key === null) return null;
      const now = clock.now();
      if (key.lastUsedAt === null || now.getTime() - key.lastUsedAt.getTime() >= LAST_USED_STEP_MS) await store.setLastUsed(key, now);
      return {
        accountId: key.accountId, profileId: primaryProfileId(key.accountId), userId: null,
        isAdministrator: false, timeZone: await zoneOf(key.accountId), via: 'api',
      };
    },
  };
}
