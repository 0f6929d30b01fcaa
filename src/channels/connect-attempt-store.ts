/** Attempts to connect a channel, from "Connect" until the network sends the browser back; each works once, for its beginner, for minutes. */
import { createHash } from 'node:crypto';
import type { Db } from 'mongodb';
import type { CollectionIndexes } from '../db/database.js';

export interface ConnectAttempt {
  userId: string;
  accountId: string;
  profileId: string;
  platform: string;
  simulated: boolean;
  redirectUri: string;
  /** PKCE verifier. */
  sealedVerifier: string;
  expiresAt: Date;
}

interface AttemptDocument extends ConnectAttempt {
  /** Hash of the state, so that the database doesn't hold a working one. */
  _id: string;
}

export const connectAttemptIndexes: CollectionIndexes[] = [
  { collection: 'connectAttempts', indexes: [{ key: { expiresAt: 1 }, name: 'connectAttempts_expiry', expireAfterSeconds: 0 }] },
];

export type ConnectAttemptStore = ReturnType<typeof createConnectAttemptStore>;

export function createConnectAttemptStore(db: Db) {
  const attempts = db.collection<AttemptDocument>('connectAttempts');
  return {
    async insert(state: string, attempt: ConnectAttempt): Promise<void> {
      await attempts.insertOne({ _id: hashOf(state), ...attempt });
    },

    /** Takes the attempt out: the same state finds nothing the second time. @returns null when it is unknown, used, too old, or somebody else's */
    async take(state: string, userId: string, profileId: string, now: Date): Promise<ConnectAttempt | null> {
      const document = await attempts.findOneAndDelete({ _id: hashOf(state), userId, profileId });
      if (document === null || document.expiresAt <= now) return null;
      const { _id, ...attempt } = document;
      return attempt;
    },
  };
}

function hashOf(state: string): string {
  return createHash('sha256').update(state).digest('base64url');
}
