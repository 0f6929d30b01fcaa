/** Profiles: sets of connected channels inside an account. Every account has a Primary Profile; others are made by page and API. */
import { createHash, randomBytes } from 'node:crypto';
import { AppError, ErrorCode } from '../lib/app-error.js';
import type { Clock } from '../lib/clock.js';
import { newId, newRefId } from '../lib/ids.js';
import { freeSlot } from '../lib/slots.js';
import type { Actor } from './actor.js';
import { primaryProfileId, titleKeyOf, type Profile } from './profile.js';
import type { ProfileStore } from './profile-store.js';

export interface ProfileServiceDeps {
  store: ProfileStore;
  clock: Clock;
  /** How many profiles the account's plan allows, the Primary Profile among them; null: no limit. */
  limitOf?(accountId: string): Promise<number | null>;
  /** Cancels what waits in a profile and disconnects its channels, before it is deleted. May be called again. */
  clear?(actor: Actor): Promise<void>;
}

const MOST_PROFILES = 5_000;
/** More than can be created at once: each that loses the race for a place looks again. */
const TRIES = 100;

export type ProfileService = ReturnType<typeof createProfileService>;

export function createProfileService(deps: ProfileServiceDeps) {
  const { store, clock } = deps;

  /** @throws AppError `not-found` for unknown ones, other people's and the Primary Profile */
  async function ownOther(actor: Actor, id: string): Promise<Profile> {
    const profile = await store.find(id);
    if (profile === null || profile.accountId !== actor.accountId || profile.isPrimary) throw noProfile();
    return profile;
  }

  async function placeFor(accountId: string, title: string): Promise<number | null> {
    const all = await store.listByAccount(accountId);
    if (all.some((profile) => titleKeyOf(profile.title) === titleKeyOf(title))) throw titleTaken(title);
    if (all.length >= MOST_PROFILES) throw new AppError('conflict', ErrorCode.conflict, `An account has at most ${MOST_PROFILES} profiles. Delete one first.`);
    const limit = (await deps.limitOf?.(accountId)) ?? null;
    if (limit === null) return null;
    const slot = freeSlot(all.filter(({ isPrimary }) => !isPrimary).map((profile) => profile.slot), limit - 1);
    if (slot !== null) return slot;
    const details = { limit: { what: 'profiles', limit, used: all.length } };
    throw new AppError('conflict', ErrorCode.planLimit, `Your plan allows ${limit} profile${limit === 1 ? '' : 's'}, and you have ${all.length}. Delete one, or change your plan on the page "Plan and billing".`, { details });
  }

  const service = {
    /** Makes the Primary Profile if it isn't there yet; safe to repeat, and to do twice at once. */
    async ensurePrimary(accountId: string, createdAt: Date): Promise<void> {
      await store.insertOnce({ id: primaryProfileId(accountId), accountId, title: 'Primary Profile', refId: newRefId(), isPrimary: true, createdAt });
    },

    async primary(accountId: string): Promise<Profile> {
      const found = await store.find(primaryProfileId(accountId));
      if (found !== null) return found;
      await service.ensurePrimary(accountId, clock.now());
      return service.get(primaryProfileId(accountId));
    },

    /** @throws AppError `not-found` */
    async get(profileId: string): Promise<Profile> {
      const profile = await store.find(profileId);
      if (profile === null) throw noProfile();
      return profile;
    },

    /** The Primary Profile first. */
    list: (actor: Actor) => store.listByAccount(actor.accountId),

    /** @returns the profile and its key, which is shown this once. @throws AppError `conflict` when the plan allows no more, `invalid` for a title in use */
    async create(actor: Actor, title: string): Promise<{ profile: Profile; key: string }> {
      const key = newProfileKey();
      for (let i = 0; i < TRIES; i++) {
        const slot = await placeFor(actor.accountId, title);
        const now = clock.now();
        const profile: Profile = { id: newId('prf', now), accountId: actor.accountId, title, refId: newRefId(), isPrimary: false, createdAt: now };
        if (await store.insert(profile, hashOf(key), slot)) return { profile, key };
      }
      throw new AppError('conflict', ErrorCode.conflict, 'Profiles are being made by many at once right now. Try again in a moment.');
    },

    /** @throws AppError `not-found`, `invalid` for a title in use */
    async rename(actor: Actor, id: string, title: string): Promise<Profile> {
      const profile = await ownOther(actor, id);
      if (!(await store.rename(actor.accountId, id, title))) throw titleTaken(title);
      return { ...profile, title };
    },

    /** Cancels what waits in it, disconnects its channels, and deletes it. Repeated, it goes on where it was left. @throws AppError `not-found` */
    async remove(actor: Actor, id: string): Promise<Profile> {
      const profile = await ownOther(actor, id);
      await store.beginRemoval(actor.accountId, id, clock.now());
      await deps.clear?.({ ...actor, profileId: id });
      await store.remove(actor.accountId, id);
      return profile;
    },

    /** @returns null for a key that this account doesn't have */
    findByKey: (actor: Actor, key: string): Promise<(Profile & { isBeingRemoved: boolean }) | null> => (key.length > 100 ? Promise.resolve(null) : store.findByKey(actor.accountId, hashOf(key))),

    /** One of the account's own that can be worked in. */
    async find(actor: Actor, id: string): Promise<Profile | null> {
      return (await store.listByAccount(actor.accountId)).find((profile) => profile.id === id && !profile.isBeingRemoved) ?? null;
    },
  };
  return service;
}

/** Four groups of eight hex digits, the shape that clients written for Ayrshare expect; 128 random bits, so a fast hash does. */
function newProfileKey(): string {
  return randomBytes(16).toString('hex').toUpperCase().match(/.{8}/g)!.join('-');
}

function hashOf(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

function noProfile(): AppError {
  return new AppError('not-found', ErrorCode.notFound, 'There is no such profile.');
}

function titleTaken(title: string): AppError {
  const message = `A profile with the title "${title}" exists already. Choose another title.`;
  return new AppError('invalid', ErrorCode.profileTitle, message, { fields: [{ field: 'title', message, code: ErrorCode.profileTitle }] });
}
