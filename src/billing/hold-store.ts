/** Accounts that have posts held by their plan, or whose posts have to be fitted to another plan, in MongoDB. */
import type { Db } from 'mongodb';
import { newToken } from '../lib/ids.js';

interface HoldDoc {
  _id: string;
  since: Date;
  /** Rises whenever posts are held or let go. */
  changes: number;
  /** Exists until the posts that wait are fitted to the plan; another one for each change of it. */
  toFit?: string;
}

export interface Hold {
  accountId: string;
  /** What it is to be forgotten by; null: nothing is to be fitted. */
  toFit: string | null;
}

export type HoldStore = ReturnType<typeof createHoldStore>;

export function createHoldStore(db: Db) {
  const holds = db.collection<HoldDoc>('billing_holds');
  const first = () => ({ since: new Date() });
  return {
    /** Notes that posts are held, or that others are held now. */
    async note(accountId: string): Promise<void> {
      await holds.updateOne({ _id: accountId }, { $setOnInsert: first(), $inc: { changes: 1 } }, { upsert: true });
    },
    /** Notes that the plan changed. */
    async noteChange(accountId: string): Promise<void> {
      await holds.updateOne({ _id: accountId }, { $setOnInsert: first(), $inc: { changes: 1 }, $set: { toFit: newToken(9) } }, { upsert: true });
    },
    async find(accountId: string): Promise<Hold | null> {
      const hold = await holds.findOne({ _id: accountId });
      return hold === null ? null : toHold(hold);
    },
    /** Posts were fitted to the plan of then; a change since stays noted. */
    async fitted(accountId: string, toFit: string): Promise<void> {
      await holds.updateOne({ _id: accountId, toFit }, { $unset: { toFit: '' } });
    },
    /** @returns what changes with the posts that are held; null when none are */
    async versionOf(accountId: string): Promise<string | null> {
      const hold = await holds.findOne({ _id: accountId });
      return hold === null ? null : versionOf(hold);
    },
    /** Forgets the account, unless something was held or changed since that version was read. */
    async remove(accountId: string, version: string): Promise<void> {
      const hold = await holds.findOne({ _id: accountId });
      if (hold !== null && versionOf(hold) === version) await holds.deleteOne({ _id: accountId, since: hold.since, changes: hold.changes });
    },
    /** By account id. @param after the last account of the page before */
    async list(after: string, limit: number): Promise<Hold[]> {
      return (await holds.find({ _id: { $gt: after } }).sort({ _id: 1 }).limit(limit).toArray()).map(toHold);
    },
  };
}

function toHold({ _id, toFit }: HoldDoc): Hold {
  return { accountId: _id, toFit: toFit ?? null };
}

function versionOf({ since, changes }: HoldDoc): string {
  return `${since.getTime()}-${changes}`;
}
