/** Inboxes in MongoDB: one callback URL per account, and the last requests that arrived there. */
import type { Db } from 'mongodb';
import { isDuplicateKey, type CollectionIndexes } from '../db/database.js';

export interface Inbox {
  /** The secret part of its URL. */
  token: string;
  accountId: string;
  createdAt: Date;
}

export interface InboxMessage {
  id: string;
  accountId: string;
  at: Date;
  headers: Record<string, string>;
  /** As text; at most 256 KB. */
  body: string;
  /** Its beginning, for the list. */
  preview: string;
  /** In bytes. */
  size: number;
  /** What the signature headers said; null: there were none. */
  standardWebhooks: 'verified' | 'not verified' | null;
  ayrshare: 'verified' | 'not verified' | null;
  /** Whose secret it was signed with. */
  endpointId: string | null;
  /** `webhook-id`, the same when a delivery is repeated. */
  webhookId: string | null;
  event: string | null;
}

/** What the list shows: 200 whole bodies would be 50 MB. */
export type InboxRow = Omit<InboxMessage, 'body' | 'headers'>;

export const MESSAGES_KEPT = 200;

export const inboxIndexes: CollectionIndexes[] = [
  { collection: 'webhook_inboxes', indexes: [{ key: { accountId: 1 }, name: 'one_per_account', unique: true }] },
  { collection: 'webhook_inbox_messages', indexes: [{ key: { accountId: 1, at: -1, _id: -1 }, name: 'by_account' }] },
];

export interface InboxStore {
  findByToken(token: string): Promise<Inbox | null>;
  findByAccount(accountId: string): Promise<Inbox | null>;
  /** @returns the inbox that is there now: this one, or one that was made at the same moment */
  insert(inbox: Inbox): Promise<Inbox>;
  add(message: InboxMessage): Promise<void>;
  list(accountId: string, limit: number): Promise<InboxRow[]>;
  find(accountId: string, id: string): Promise<InboxMessage | null>;
  clear(accountId: string): Promise<void>;
  /** Changes whenever a message arrives or goes. */
  version(accountId: string): Promise<string>;
}

type InboxDoc = Omit<Inbox, 'token'> & { _id: string };
type MessageDoc = Omit<InboxMessage, 'id'> & { _id: string };

export function createInboxStore(db: Db): InboxStore {
  const inboxes = db.collection<InboxDoc>('webhook_inboxes');
  const messages = db.collection<MessageDoc>('webhook_inbox_messages');
  const toInbox = ({ _id, ...rest }: InboxDoc): Inbox => ({ token: _id, ...rest });
  const toMessage = ({ _id, ...rest }: MessageDoc): InboxMessage => ({ id: _id, ...rest });

  async function findByAccount(accountId: string): Promise<Inbox | null> {
    const doc = await inboxes.findOne({ accountId });
    return doc === null ? null : toInbox(doc);
  }

  /** The oldest beyond the cap go; looking it up by index is cheap, so it is done on each arrival. */
  async function trim(accountId: string): Promise<void> {
    const [last] = await messages.find({ accountId }, { projection: { at: 1 } }).sort({ at: -1, _id: -1 }).skip(MESSAGES_KEPT).limit(1).toArray();
    if (last !== undefined) await messages.deleteMany({ accountId, at: { $lte: last.at } });
  }

  return {
    async findByToken(token) {
      const doc = await inboxes.findOne({ _id: token });
      return doc === null ? null : toInbox(doc);
    },
    findByAccount,
    async insert({ token, ...rest }) {
      try {
        await inboxes.insertOne({ _id: token, ...rest });
      } catch (error) {
        if (!isDuplicateKey(error)) throw error;
        const there = await findByAccount(rest.accountId);
        if (there !== null) return there;
      }
      return { token, ...rest };
    },
    async add({ id, ...rest }) {
      await messages.insertOne({ _id: id, ...rest });
      await trim(rest.accountId);
    },
    async list(accountId, limit) {
      return (await messages.find({ accountId }, { projection: { body: 0, headers: 0 } }).sort({ at: -1, _id: -1 }).limit(limit).toArray()).map(toMessage);
    },
    async find(accountId, id) {
      const doc = await messages.findOne({ _id: id, accountId });
      return doc === null ? null : toMessage(doc);
    },
    async clear(accountId) {
      await messages.deleteMany({ accountId });
    },
    async version(accountId) {
      const newest = await messages.findOne({ accountId }, { sort: { at: -1, _id: -1 }, projection: { _id: 1 } });
      return newest?._id ?? 'empty';
    },
  };
}
