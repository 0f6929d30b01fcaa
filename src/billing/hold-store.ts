/** Accounts that have posts held by their plan, in MongoDB. */
import type { Db } from 'mongodb';

interface HoldDoc {
  _id: string;
  since: Date;
  /** Rises whenever posts are held or let go. */
  changes: number;
}

export type HoldStore = ReturnType<typeof createHoldStore>;

export function createHoldStore(db: Db) {
  const holds = db.collection<HoldDoc>('billing_holds');
  return {
    /** Notes that posts are held, or that others are held now. */
    async note(accountId: string): Promise<void> {
      await holds.updateOne({ _id: accountId }, { $setOnInsert: { since: new Date() }, $inc: { changes: 1 } }, { upsert: true });
    },
    /** @returns what changes with the posts that are held; null when none are */
    async versionOf(accountId: string): Promise<string | null> {
      const hold = await holds.findOne({ _id: accountId });
      return hold === null ? null : versionOf(hold);
    },
    /** Forgets the account, unless something was held since that version was read. */
    async remove(accountId: string, version: string): Promise<void> {
      const hold = await holds.findOne({ _id: accountId });
      if (hold !== null && versionOf(hold) === version) await holds.deleteOne({ _id: accountId, since: hold.since, changes: hold.changes });
    },
    async list(limit: number): Promise<string[]> {
      return (await holds.find({}).limit(limit).toArray()).map(({ _id }) => _id);
    },
  };
}

function versionOf({ since, changes }: HoldDoc): string {
  return `${since.getTime()}-${changes}`;
}
