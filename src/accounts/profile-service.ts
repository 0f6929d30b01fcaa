/** Profiles: sets of connected channels inside an account. Every account has a Primary Profile. */
import { AppError, ErrorCode } from '../lib/app-error.js';
import type { Clock } from '../lib/clock.js';
import { newRefId } from '../lib/ids.js';
import type { ProfileStore } from './profile-store.js';

export interface Profile {
  id: string;
  accountId: string;
  title: string;
  /** 40 hex digits: names the profile in the API. */
  refId: string;
  isPrimary: boolean;
  createdAt: Date;
}

/** Made from the account's id, so that making it twice makes one, and nobody has to look it up to name it. */
export function primaryProfileId(accountId: string): string {
  return accountId.replace(/^acc_/, 'prf_');
}

export type ProfileService = ReturnType<typeof createProfileService>;

export function createProfileService({ store, clock }: { store: ProfileStore; clock: Clock }) {
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
      if (profile === null) throw new AppError('not-found', ErrorCode.notFound, 'There is no such profile.');
      return profile;
    },
  };
  return service;
}
