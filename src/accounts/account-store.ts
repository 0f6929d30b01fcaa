/** Users, accounts and the claim of the first one, in MongoDB. */
import { type Db } from 'mongodb';
import { isDuplicateKey, type CollectionIndexes } from '../db/database.js';
import { normalizeEmail, type User } from './account.js';

interface UserDocument extends Omit<User, 'id'> {
  _id: string;
  /** Unique: `Ann@Example.com` and `ann@example.com` are one. */
  emailNormalized: string;
}

interface AccountDocument {
  _id: string;
  createdAt: Date;
}

/** Whoever inserts this one document is the first: the instance's administrator. */
interface FirstAccountClaim {
  _id: 'first-account';
  userId: string;
  claimedAt: Date;
}

export const accountIndexes: CollectionIndexes[] = [
  { collection: 'users', indexes: [{ key: { emailNormalized: 1 }, name: 'users_email', unique: true }, { key: { accountId: 1 }, name: 'users_account' }] },
];

export type AccountStore = ReturnType<typeof createAccountStore>;

export function createAccountStore(db: Db) {
  const users = db.collection<UserDocument>('users');
  const accounts = db.collection<AccountDocument>('accounts');
  const instance = db.collection<FirstAccountClaim>('instance');

  return {
    /** @returns false when the email is taken */
    async insertUser(user: User): Promise<boolean> {
      const { id, ...rest } = user;
      return insertOnce(() => users.insertOne({ _id: id, ...rest, emailNormalized: normalizeEmail(user.email) }));
    },

    async deleteUser(userId: string): Promise<void> {
      await users.deleteOne({ _id: userId });
    },

    async findUser(userId: string): Promise<User | null> {
      return toUser(await users.findOne({ _id: userId }));
    },

    async findUserByEmail(email: string): Promise<User | null> {
      return toUser(await users.findOne({ emailNormalized: normalizeEmail(email) }));
    },

    async findUserOfAccount(accountId: string): Promise<User | null> {
      return toUser(await users.findOne({ accountId }));
    },

    async existingAccounts(ids: string[]): Promise<Set<string>> {
      return new Set((await users.find({ accountId: { $in: ids } }, { projection: { accountId: 1 } }).toArray()).map(({ accountId }) => accountId));
    },

    /** Newest first. @param after the last account of the page before */
    async listAccounts(after: string | null, limit: number): Promise<User[]> {
      const filter = after === null ? {} : { accountId: { $lt: after } };
      return (await users.find(filter).sort({ accountId: -1 }).limit(limit).toArray()).map((user) => toUser(user)).filter((user) => user !== null);
    },

    async setTimeZone(userId: string, timeZone: string): Promise<void> {
      await users.updateOne({ _id: userId }, { $set: { timeZone } });
    },

    /** Ends every session by raising the epoch. @returns false when the password changed since it was read */
    async setPassword(user: User, passwordHash: string): Promise<boolean> {
      const changed = await users.updateOne({ _id: user.id, passwordHash: user.passwordHash }, { $set: { passwordHash }, $inc: { sessionEpoch: 1 } });
      return changed.modifiedCount === 1;
    },

    /** Makes the account's document if it isn't there yet; safe to repeat. */
    async ensureAccount(accountId: string, createdAt: Date): Promise<void> {
      await insertOnce(() => accounts.updateOne({ _id: accountId }, { $setOnInsert: { createdAt } }, { upsert: true }));
    },

    /** @returns true when this user is the first; exactly one of several at once gets true */
    claimFirst(userId: string, claimedAt: Date): Promise<boolean> {
      return insertOnce(() => instance.insertOne({ _id: 'first-account', userId, claimedAt }));
    },

    findFirstClaim(): Promise<FirstAccountClaim | null> {
      return instance.findOne({ _id: 'first-account' });
    },

    /** Takes over a claim whose owner never came to be (the process died in between). @returns false when somebody else did */
    async takeOverFirst(stale: FirstAccountClaim, userId: string, claimedAt: Date): Promise<boolean> {
      const taken = await instance.updateOne({ _id: 'first-account', userId: stale.userId, claimedAt: stale.claimedAt }, { $set: { userId, claimedAt } });
      return taken.modifiedCount === 1;
    },

    /** Gives the claim back, e.g. when the user could not be stored. */
    async releaseFirst(userId: string): Promise<void> {
      await instance.deleteOne({ _id: 'first-account', userId });
    },
  };
}

async function insertOnce(insert: () => Promise<unknown>): Promise<boolean> {
  try {
    await insert();
    return true;
  } catch (error) {
    if (isDuplicateKey(error)) return false;
    throw error;
  }
}

function toUser(document: UserDocument | null): User | null {
  if (document === null) return null;
  const { _id, emailNormalized: _unused, ...rest } = document;
  return { id: _id, ...rest };
}
