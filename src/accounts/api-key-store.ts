/** API keys in MongoDB; found by their hash. */
import type { Db } from 'mongodb';
import type { CollectionIndexes } from '../db/database.js';
import type { ApiKey } from './api-key.js';

interface ApiKeyDocument extends Omit<ApiKey, 'id'> {
  _id: string;
}

export const apiKeyIndexes: CollectionIndexes[] = [
  { collection: 'apiKeys', indexes: [{ key: { hash: 1 }, name: 'apiKeys_hash', unique: true }, { key: { accountId: 1 }, name: 'apiKeys_account' }] },
];

export type ApiKeyStore = ReturnType<typeof createApiKeyStore>;

export function createApiKeyStore(db: Db) {
  const keys = db.collection<ApiKeyDocument>('apiKeys');
  return {
    async insert({ id, ...rest }: ApiKey): Promise<void> {
      await keys.insertOne({ _id: id, ...rest });
    },

    /** Those that work, newest first. */
    async list(accountId: string): Promise<ApiKey[]> {
      const documents = await keys.find({ accountId, revokedAt: null }).sort({ _id: -1 }).toArray();
      return documents.map(toApiKey);
    },

    count(accountId: string): Promise<number> {
      return keys.countDocuments({ accountId, revokedAt: null });
    },

    async findWorking(hash: string): Promise<ApiKey | null> {
      const document = await keys.findOne({ hash, revokedAt: null });
      return document === null ? null : toApiKey(document);
    },

    /** @returns false when the account has no such working key */
    async revoke(accountId: string, id: string, revokedAt: Date): Promise<boolean> {
      const revoked = await keys.updateOne({ _id: id, accountId, revokedAt: null }, { $set: { revokedAt } });
      return revoked.modifiedCount === 1;
    },

    async setLastUsed(key: ApiKey, at: Date): Promise<void> {
      await keys.updateOne({ _id: key.id, lastUsedAt: key.lastUsedAt }, { $set: { lastUsedAt: at } });
    },
  };
}

function toApiKey({ _id, ...rest }: ApiKeyDocument): ApiKey {
  return { id: _id, ...rest };
}
