/** Whose turn a profile is, and how often its channels were sent to, in MongoDB: a few documents for what is active, one write for many. */
import { type AnyBulkWriteOperation, type Db } from 'mongodb';
import { DUPLICATE_KEY, refusedParts, type CollectionIndexes } from '../db/database.js';
import type { SentCounts, StoredCounts } from './rates.js';

interface TurnDoc {
  /** A profile's id. */
  _id: string;
  lease: { owner: string; until: Date };
}

interface CountDoc {
  /** A channel's id. */
  _id: string;
  counts: SentCounts;
  /** In ms since 1970; left out: none of its posts was late. */
  overdueAt?: number;
  expireAt: Date;
}

export interface TurnStore {
  /** @returns those of the profiles that belong to the owner from now until then */
  acquire(profileIds: string[], owner: string, now: Date, until: Date): Promise<Set<string>>;
  release(profileIds: string[], owner: string): Promise<void>;
  loadCounts(channelIds: string[]): Promise<Map<string, StoredCounts>>;
  saveCounts(counts: (StoredCounts & { channelId: string; expireAt: Date })[]): Promise<void>;
}

/** Leftovers of the dead are removed by themselves. */
export const turnIndexes: CollectionIndexes[] = [
  { collection: 'profile_turns', indexes: [{ key: { 'lease.until': 1 }, name: 'leftovers', expireAfterSeconds: 3_600 }] },
  { collection: 'channel_counts', indexes: [{ key: { expireAt: 1 }, name: 'over', expireAfterSeconds: 0 }] },
];

export function createTurnStore(db: Db): TurnStore {
  const turns = db.collection<TurnDoc>('profile_turns');
  const counted = db.collection<CountDoc>('channel_counts');
  return {
    async acquire(profileIds, owner, now, until) {
      const mine = new Set(profileIds);
      if (profileIds.length === 0) return mine;
      const operations = profileIds.map((_id): AnyBulkWriteOperation<TurnDoc> => ({
        updateOne: { filter: { _id, $or: [{ 'lease.owner': owner }, { 'lease.until': { $lte: now } }] }, update: { $set: { lease: { owner, until } } }, upsert: true },
      }));
      try {
        await turns.bulkWrite(operations, { ordered: false });
      } catch (error) {
        // The document is there and the filter did not match it: another worker's.
        for (const failure of refusedParts(error)) {
          if (failure.code !== DUPLICATE_KEY) throw error;
          mine.delete(profileIds[failure.index] ?? '');
        }
      }
      return mine;
    },

    async release(profileIds, owner) {
      if (profileIds.length > 0) await turns.deleteMany({ _id: { $in: profileIds }, 'lease.owner': owner });
    },

    async loadCounts(channelIds) {
      const docs = await counted.find({ _id: { $in: channelIds } }).toArray();
      return new Map(docs.map(({ _id, counts, overdueAt = 0 }) => [_id, { counts, overdueAt }]));
    },

    async saveCounts(all) {
      if (all.length === 0) return;
      await counted.bulkWrite(all.map(({ channelId, counts, overdueAt, expireAt }) => ({
        updateOne: { filter: { _id: channelId }, update: { $set: { counts, expireAt, ...(overdueAt === 0 ? {} : { overdueAt }) } }, upsert: true },
      })), { ordered: false });
    },
  };
}
