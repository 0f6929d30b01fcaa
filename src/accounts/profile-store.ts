/** Profiles in MongoDB. */
import { MongoServerError, type Db } from 'mongodb';
import { DUPLICATE_KEY, type CollectionIndexes } from '../db/database.js';
import { titleKeyOf, type Profile } from './profile.js';

/** The Primary Profile has none of the last four. */
interface ProfileDocument extends Omit<Profile, 'id'> {
  _id: string;
  keyHash?: string;
  /** Its title as it is compared with others of the account. */
  titleKey?: string;
  /** Its place under the plan's limit; absent when it was made without one. */
  slot?: number;
  /** It is being deleted: nothing is made in it any more. */
  removingAt?: Date;
}

export const profileIndexes: CollectionIndexes[] = [
  {
    collection: 'profiles',
    indexes: [
      { key: { accountId: 1 }, name: 'profiles_account' },
      { key: { refId: 1 }, name: 'profiles_ref', unique: true },
      { key: { keyHash: 1 }, name: 'profiles_key', unique: true, partialFilterExpression: { keyHash: { $type: 'string' } } },
      { key: { accountId: 1, titleKey: 1 }, name: 'profiles_title', unique: true, partialFilterExpression: { titleKey: { $type: 'string' } } },
      { key: { accountId: 1, slot: 1 }, name: 'profiles_slot', unique: true, partialFilterExpression: { slot: { $type: 'number' } } },
    ],
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
        if (!isDuplicate(error)) throw error;
      }
    },

    /** @returns false when the title or the slot is taken */
    async insert({ id, ...rest }: Profile, keyHash: string, slot: number | null): Promise<boolean> {
      try {
        await profiles.insertOne({ _id: id, ...rest, keyHash, titleKey: titleKeyOf(rest.title), ...(slot === null ? {} : { slot }) });
        return true;
      } catch (error) {
        if (isDuplicate(error)) return false;
        throw error;
      }
    },

    async find(profileId: string): Promise<Profile | null> {
      const document = await profiles.findOne({ _id: profileId });
      return document === null ? null : toProfile(document);
    },

    async findByKey(accountId: string, keyHash: string): Promise<(Profile & { isBeingRemoved: boolean }) | null> {
      const document = await profiles.findOne({ keyHash, accountId });
      return document === null ? null : { ...toProfile(document), isBeingRemoved: document.removingAt !== undefined };
    },

    /** The Primary Profile first, then in the order of their making. */
    async listByAccount(accountId: string): Promise<(Profile & { slot: number | null; isBeingRemoved: boolean })[]> {
      const documents = await profiles.find({ accountId }).sort({ createdAt: 1, _id: 1 }).toArray();
      return documents.map((document) => ({ ...toProfile(document), slot: document.slot ?? null, isBeingRemoved: document.removingAt !== undefined })).sort((a, b) => Number(b.isPrimary) - Number(a.isPrimary));
    },

    /** @returns false when another profile of the account has the title */
    async rename(accountId: string, id: string, title: string): Promise<boolean> {
      try {
        await profiles.updateOne({ _id: id, accountId, isPrimary: false }, { $set: { title, titleKey: titleKeyOf(title) } });
        return true;
      } catch (error) {
        if (isDuplicate(error)) return false;
        throw error;
      }
    },

    /** From now on nothing is made in it. */
    async beginRemoval(accountId: string, id: string, now: Date): Promise<void> {
      await profiles.updateOne({ _id: id, accountId, isPrimary: false }, { $set: { removingAt: now } });
    },

    async remove(accountId: string, id: string): Promise<void> {
      await profiles.deleteOne({ _id: id, accountId, isPrimary: false });
    },
  };
}

function toProfile({ _id, accountId, title, refId, isPrimary, createdAt }: ProfileDocument): Profile {
  return { id: _id, accountId, title, refId, isPrimary, createdAt };
}

function isDuplicate(error: unknown): boolean {
  return error instanceof MongoServerError && error.code === DUPLICATE_KEY;
}
