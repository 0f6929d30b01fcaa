/** Profiles in MongoDB. */
import type { Db } from 'mongodb';
import { isDuplicateKey, type CollectionIndexes } from '../db/database.js';
import type { Profile } from './profile-service.js';

interface ProfileDocument extends Omit<Profile, 'id'> {
  _id: string;
}

export const profileIndexes: CollectionIndexes[] = [
  {
    collection: 'profiles',
    indexes: [{ key: { accountId: 1 }, name: 'profiles_account' }, { key: { refId: 1 }, name: 'profiles_ref', unique: true }],
  },
];

export type ProfileStore = ReturnType<typeof createProfileStore>;

export function createProfileStore(db: Db) {
  const profiles = db.collection<ProfileDocument>('profiles');
  return {
    /** Does nothing when a profile of this id is there. */
    async insertOnce({ id, ...rest }: Profile): Promise<void> {
      try {
        await profiles.updateOne({ _id: id }, { $setOnInsert: rest }, { upsert: true });
      } catch (error) {
        // Two upserts at once: MongoDB lets one of them fail.
        if (!isDuplicateKey(error)) throw error;
      }
    },

    async find(profileId: string): Promise<Profile | null> {
      const document = await profiles.findOne({ _id: profileId });
      if (document === null) return null;
      const { _id, ...rest } = document;
      return { id: _id, ...rest };
    },
  };
}
