/** Uploaded files in MongoDB: what is known of each, and which posts were written with it. */
import type { Collection, Db } from 'mongodb';
import { isDuplicateKey, type CollectionIndexes } from '../db/database.js';
import type { FileType } from './file-type.js';
import type { MediaFile, MediaShape } from './media.js';

interface MediaDoc extends Omit<MediaFile, 'id'> {
  _id: string;
  /** When the sweep looks at it: it was left half done, or its time is over. */
  dueAt: Date;
  /** True once it counts, whatever the account's record says of it. */
  isCounted: boolean;
  /** Rises with each post that is written with it, so that it can't be deleted unseen in that moment. */
  touched: number;
  /** Of an announced one: the hash of its upload address's secret. */
  uploadHash?: string;
}

/** A file with what only its care needs. */
export type KeptFile = MediaFile & Pick<MediaDoc, 'dueAt' | 'isCounted' | 'touched'>;

interface UseDoc {
  /** Media id and post id. */
  _id: string;
  mediaId: string;
  postId: string;
  at: Date;
}

export interface MediaUse {
  postId: string;
  at: Date;
}

export const mediaIndexes: CollectionIndexes[] = [
  { collection: 'media', indexes: [{ key: { dueAt: 1 }, name: 'due' }, { key: { profileId: 1, state: 1, createdAt: -1, _id: -1 }, name: 'by_profile' }] },
  { collection: 'media_uses', indexes: [{ key: { mediaId: 1, _id: 1 }, name: 'by_media' }] },
  { collection: 'media_usage', indexes: [{ key: { 'moves.at': 1 }, name: 'moves', sparse: true }] },
];

export interface MediaCursor {
  at: Date;
  id: string;
}

export interface Found {
  type: FileType;
  bytes: number;
  shape: MediaShape;
}

export type MediaStore = ReturnType<typeof createMediaStore>;

export function createMediaStore(db: Db) {
  // What an address was given out for is on disk first, like its bytes.
  const media: Collection<MediaDoc> = db.collection<MediaDoc>('media', { writeConcern: { w: 'majority' } });
  const uses: Collection<UseDoc> = db.collection<UseDoc>('media_uses');

  return {
    async insert({ id, ...file }: MediaFile, dueAt: Date, uploadHash?: string): Promise<void> {
      await media.insertOne({ _id: id, ...file, dueAt, isCounted: false, touched: 0, ...(uploadHash === undefined ? {} : { uploadHash }) });
    },

    async find(id: string): Promise<KeptFile | null> {
      const doc = await media.findOne({ _id: id });
      return doc === null ? null : toFile(doc);
    },

    /** One that may still be sent to its upload address. */
    async findAnnounced(id: string, uploadHash: string, now: Date): Promise<KeptFile | null> {
      const doc = await media.findOne({ _id: id, state: 'announced', uploadHash, dueAt: { $gt: now } });
      return doc === null ? null : toFile(doc);
    },

    /** Those of the account that are stored. */
    async findStored(accountId: string, ids: string[]): Promise<KeptFile[]> {
      return (await media.find({ _id: { $in: ids }, accountId, state: 'stored' }).toArray()).map(toFile);
    },

    /** Newest first. */
    async list(profileId: string, limit: number, after: MediaCursor | null = null): Promise<KeptFile[]> {
      const beyond = after === null ? {} : { $or: [{ createdAt: { $lt: after.at } }, { createdAt: after.at, _id: { $lt: after.id } }] };
      return (await media.find({ profileId, state: 'stored', ...beyond }).sort({ createdAt: -1, _id: -1 }).limit(limit).toArray()).map(toFile);
    },

    /** Takes an announced one for the bytes that came. @returns false when they came before, too late, or by a wrong address */
    async beginUpload(id: string, uploadHash: string, found: Found, now: Date, dueAt: Date): Promise<boolean> {
      const announced = { _id: id, state: 'announced' as const, uploadHash, dueAt: { $gt: now } };
      return (await media.updateOne(announced, { $set: { state: 'pending', ...found, dueAt } })).matchedCount === 1;
    },

    /** There was no room for the bytes: its address may be used again until then. */
    async announceAgain(id: string, dueAt: Date): Promise<void> {
      await media.updateOne({ _id: id, state: 'pending' }, { $set: { state: 'announced', dueAt } });
    },

    /** Its bytes are in place and counted. @returns false when it was given up meanwhile */
    async markStored(id: string, expiresAt: Date): Promise<boolean> {
      return (await media.updateOne({ _id: id, state: 'pending' }, { $set: { state: 'stored', isCounted: true, dueAt: expiresAt }, $unset: { uploadHash: '' } })).matchedCount === 1;
    },

    /** @param touched as it was read: whoever wrote a post with it since wins. @returns false when it changed since */
    async beginRemoval({ id, touched }: Pick<KeptFile, 'id' | 'touched'>, dueAt: Date): Promise<boolean> {
      return (await media.updateOne({ _id: id, state: 'stored', touched }, { $set: { state: 'deleting', dueAt } })).matchedCount === 1;
    },

    /** Gives up what was left half done. @returns false when it was finished meanwhile */
    async giveUp({ id, state, dueAt }: Pick<KeptFile, 'id' | 'state' | 'dueAt'>, nextAt: Date): Promise<boolean> {
      return (await media.updateOne({ _id: id, state, dueAt }, { $set: { state: 'deleting', dueAt: nextAt } })).matchedCount === 1;
    },

    /** Looks at it again then. @returns false when somebody else has it in hand */
    async postpone({ id, state, dueAt }: Pick<KeptFile, 'id' | 'state' | 'dueAt'>, nextAt: Date): Promise<boolean> {
      return (await media.updateOne({ _id: id, state, dueAt }, { $set: { dueAt: nextAt } })).matchedCount === 1;
    },

    async listDue(now: Date, limit: number): Promise<KeptFile[]> {
      return (await media.find({ dueAt: { $lte: now } }).sort({ dueAt: 1 }).limit(limit).toArray()).map(toFile);
    },

    /** All that is known of it. */
    async forget(id: string): Promise<void> {
      await uses.deleteMany({ mediaId: id });
      await media.deleteOne({ _id: id });
    },

    /** Notes that a post is being written with these files. @returns false when not all of them are there any more */
    async use(accountId: string, ids: string[], postId: string, at: Date): Promise<boolean> {
      for (const mediaId of ids) {
        await uses.updateOne({ _id: `${mediaId}:${postId}` }, { $set: { mediaId, postId, at } }, { upsert: true }).catch((error: unknown) => {
          // Two at once for the same post: one of them is enough.
          if (!isDuplicateKey(error)) throw error;
        });
      }
      return (await media.updateMany({ _id: { $in: ids }, accountId, state: 'stored' }, { $inc: { touched: 1 } })).matchedCount === ids.length;
    },

    /** The post is written without them now. The note stays, so that it can't get lost while somebody writes them in again. */
    async endUse(ids: string[], postId: string): Promise<void> {
      await uses.updateMany({ _id: { $in: ids.map((id) => `${id}:${postId}`) } }, { $set: { at: new Date(0) } });
    },

    /** In the order of post ids. */
    async listUses(mediaId: string, limit: number, afterPostId: string): Promise<MediaUse[]> {
      return (await uses.find({ mediaId, _id: { $gt: `${mediaId}:${afterPostId}` } }).sort({ _id: 1 }).limit(limit).toArray()).map(({ postId, at }) => ({ postId, at }));
    },
  };
}

function toFile({ _id, uploadHash: _hash, ...fields }: MediaDoc): KeptFile {
  return { id: _id, ...fields };
}
