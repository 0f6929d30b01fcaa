/** Accounts that have posts held by their plan, in MongoDB. */
import type { Db } from 'mongodb';

export function createHoldStore(db: Db) {
  const holds = db.collection<{ _id: string; since: Date }>('billing_holds');
  return {
    async add(accountId: string): Promise<void> {
      await holds.updateOne({ _id: accountId }, { $set: { since: new Date() } }, { upsert: true });
    },
    async remove(accountId: string): Promise<void> {
      await holds.deleteOne({ _id: accountId });
    },
    async has(accountId: string): Promise<boolean> {
      return (await holds.findOne({ _id: accountId })) !== null;
    },
    async list(limit: number): Promise<string[]> {
      return (await holds.find({}).limit(limit).toArray()).map(({ _id }) => _id);
    },
  };
}
