/**
 * How many bytes an account has stored, in MongoDB: one number that moves by conditional update, and each move's id beside it until the file's
 * own document says the same, so that a move left half done by a process that died is undone or ended exactly once.
 */
import type { Collection, Db } from 'mongodb';
import { isDuplicateKey } from '../db/database.js';

/** Taking room has the file's id, giving it back `-` and the file's id. */
interface Move {
  id: string;
  bytes: number;
  at: Date;
}

interface UsageDoc {
  _id: string;
  bytes: number;
  moves: Move[];
}

export interface OpenMove {
  accountId: string;
  mediaId: string;
  isTaking: boolean;
  bytes: number;
}

export type MediaUsageStore = ReturnType<typeof createMediaUsageStore>;

export function createMediaUsageStore(db: Db) {
  const usage: Collection<UsageDoc> = db.collection<UsageDoc>('media_usage', { writeConcern: { w: 'majority' } });

  async function insertEmpty(accountId: string): Promise<void> {
    await usage.updateOne({ _id: accountId }, { $setOnInsert: { bytes: 0, moves: [] } }, { upsert: true }).catch((error: unknown) => {
      if (!isDuplicateKey(error)) throw error;
    });
  }

  async function endMove(accountId: string, moveId: string): Promise<void> {
    await usage.updateOne({ _id: accountId }, { $pull: { moves: { id: moveId } } });
  }

  return {
    async bytesOf(accountId: string): Promise<number> {
      return (await usage.findOne({ _id: accountId }, { projection: { bytes: 1 } }))?.bytes ?? 0;
    },

    /**
     * Takes room for a file, by one conditional update: of many at once exactly as many win as there is room for.
     * @param limit null: none
     * @returns false when there is no room
     */
    async take(accountId: string, { id, bytes }: { id: string; bytes: number }, limit: number | null, at: Date): Promise<boolean> {
      const room = limit === null ? {} : { bytes: { $lte: limit - bytes } };
      const filter = { _id: accountId, 'moves.id': { $ne: id }, ...room };
      const move = { $inc: { bytes }, $push: { moves: { id, bytes, at } } };
      if ((await usage.updateOne(filter, move)).matchedCount === 1) return true;
      await insertEmpty(accountId);
      return (await usage.updateOne(filter, move)).matchedCount === 1;
    },

    /** The file's own document says that it counts. */
    taken: endMove,

    /** Undoes the taking of room, unless it was undone or never done. */
    async undoTake(accountId: string, { id, bytes }: { id: string; bytes: number }): Promise<void> {
      await usage.updateOne({ _id: accountId, 'moves.id': id }, { $inc: { bytes: -bytes }, $pull: { moves: { id } } });
    },

    /** Gives back the room of a file that counted; repeated until `givenBack`, it changes nothing more. */
    async giveBack(accountId: string, { id, bytes }: { id: string; bytes: number }, at: Date): Promise<void> {
      await endMove(accountId, id);
      await usage.updateOne({ _id: accountId, 'moves.id': { $ne: `-${id}` } }, { $inc: { bytes: -bytes }, $push: { moves: { id: `-${id}`, bytes: -bytes, at } } });
    },

    /** The file's document is gone. */
    givenBack: (accountId: string, id: string): Promise<void> => endMove(accountId, `-${id}`),

    /** Moves that were begun before then and not ended. */
    async listOpen(before: Date, limit: number): Promise<OpenMove[]> {
      const docs = await usage.find({ 'moves.at': { $lt: before } }).limit(limit).toArray();
      return docs.flatMap(({ _id, moves }) => moves.filter(({ at }) => at < before).map(({ id, bytes }) => ({ accountId: _id, mediaId: id.replace('-', ''), isTaking: !id.startsWith('-'), bytes })));
    },
  };
}
