/** Channels in MongoDB, with their sealed credentials; who refreshes them is decided by conditional updates. */
import type { Db } from 'mongodb';
import { isDuplicateKey, type CollectionIndexes } from '../db/database.js';
import { outboxIndex, type OutboxFields } from '../db/outbox.js';
import { createBatcher } from '../lib/batcher.js';
import { newId } from '../lib/ids.js';
import type { ChannelIdentity } from '../platforms/platform.js';
import type { Channel } from './channel.js';
import type { ChannelEvent } from './channel-events.js';

/** What the store keeps besides the channel itself. */
export interface StoredChannel extends Channel {
  /** Null when disconnected. */
  sealedCredentials: string | null;
  /** Rises with each change of the credentials. */
  credentialsVersion: number;
}

interface ChannelDocument extends Omit<StoredChannel, 'id'>, OutboxFields<ChannelEvent> {
  _id: string;
  /** `profile:platform` while it is in use, else its own id: a unique index lets a profile have one channel per platform. */
  slot: string;
  /** Who is refreshing the tokens, until when. */
  refresh: { token: string; until: Date } | null;
}

export const channelIndexes: CollectionIndexes[] = [
  {
    collection: 'channels',
    indexes: [
      { key: { slot: 1 }, name: 'channels_slot', unique: true },
      { key: { profileId: 1, platform: 1, remoteId: 1 }, name: 'channels_remote', unique: true },
      { key: { accountId: 1 }, name: 'channels_account' },
      outboxIndex,
    ],
  },
];

export interface NewConnection {
  accountId: string;
  profileId: string;
  platform: string;
  simulated: boolean;
  identity: ChannelIdentity;
  /** Seals for the channel's id, which is known only here. */
  seal(channelId: string): string;
  /** What is told of it, made with the channel's id too. */
  event(channelId: string): ChannelEvent;
  expiresAt: Date | null;
  now: Date;
}

export type ChannelStore = ReturnType<typeof createChannelStore>;

export function createChannelStore(db: Db) {
  const channels = db.collection<ChannelDocument>('channels');

  async function idOf({ profileId, platform, identity }: NewConnection): Promise<string> {
    const known = await channels.findOne({ profileId, platform, remoteId: identity.remoteId }, { projection: { _id: 1 } });
    return known?._id ?? newId('chn');
  }

  return {
    /** Those in use, in order of platform. */
    async list(profileId: string): Promise<Channel[]> {
      const documents = await channels.find({ profileId, state: { $ne: 'disconnected' } }).sort({ platform: 1, _id: 1 }).toArray();
      return documents.map((document) => toChannel(toStored(document)));
    },

    /** Look-ups of one moment travel together: a herd of posts opens many channels at once. */
    find: createBatcher<string, StoredChannel | null>(async (ids) => {
      const documents = await channels.find({ _id: { $in: [...new Set(ids)] } }).toArray();
      const byId = new Map(documents.map((document) => [document._id, toStored(document)]));
      return ids.map((id) => byId.get(id) ?? null);
    }, { max: 200, concurrent: 2 }),

    async findInSlot(profileId: string, platform: string): Promise<Channel | null> {
      const document = await channels.findOne({ slot: slotOf(profileId, platform) });
      return document === null ? null : toChannel(toStored(document));
    },

    /**
     * Connects, or connects again: the same remote account keeps its channel.
     * @returns null when another account of this platform is connected, or two connected at once: look again
     */
    async connect(connection: NewConnection): Promise<Channel | null> {
      const { accountId, profileId, platform, simulated, identity, expiresAt, now } = connection;
      const id = await idOf(connection);
      try {
        const document = await channels.findOneAndUpdate({ _id: id }, {
          $set: {
            accountId, profileId, platform, simulated, ...identity, state: 'connected', slot: slotOf(profileId, platform), problem: null,
            credentialsExpireAt: expiresAt, sealedCredentials: connection.seal(id), refresh: null, updatedAt: now, outboxAt: now,
          },
          $push: { outbox: connection.event(id) },
          $setOnInsert: { createdAt: now },
          $inc: { credentialsVersion: 1 },
        }, { upsert: true, returnDocument: 'after' });
        return document === null ? null : toChannel(toStored(document));
      } catch (error) {
        if (isDuplicateKey(error)) return null;
        throw error;
      }
    },

    /** @returns false when it wasn't in use */
    async disconnect(profileId: string, id: string, event: ChannelEvent, now: Date): Promise<boolean> {
      const done = await channels.updateOne({ _id: id, profileId, state: { $ne: 'disconnected' } }, {
        $set: { state: 'disconnected', slot: id, sealedCredentials: null, credentialsExpireAt: null, refresh: null, problem: null, updatedAt: now, outboxAt: now },
        $push: { outbox: event },
        $inc: { credentialsVersion: 1 },
      });
      return done.modifiedCount === 1;
    },

    /** @returns false when it is no longer connected with these credentials */
    async signOut(id: string, credentialsVersion: number, problem: string, event: ChannelEvent, now: Date): Promise<boolean> {
      const done = await channels.updateOne({ _id: id, state: 'connected', credentialsVersion }, {
        $set: { state: 'signed-out', problem, refresh: null, updatedAt: now, outboxAt: now }, $push: { outbox: event },
      });
      return done.modifiedCount === 1;
    },

    /** Takes the right to refresh these credentials. @returns false while somebody else has it, or when they changed meanwhile */
    async beginRefresh(id: string, credentialsVersion: number, token: string, now: Date, until: Date): Promise<boolean> {
      const done = await channels.updateOne(
        { _id: id, credentialsVersion, state: 'connected', $or: [{ refresh: null }, { 'refresh.until': { $lte: now } }] },
        { $set: { refresh: { token, until } } },
      );
      return done.modifiedCount === 1;
    },

    /** Stores new credentials. @returns false when the right to do so was lost */
    async finishRefresh(id: string, token: string, sealedCredentials: string, expiresAt: Date | null, now: Date): Promise<boolean> {
      const done = await channels.updateOne({ _id: id, 'refresh.token': token }, {
        $set: { sealedCredentials, credentialsExpireAt: expiresAt, refresh: null, updatedAt: now }, $inc: { credentialsVersion: 1 },
      });
      return done.modifiedCount === 1;
    },

    async abandonRefresh(id: string, token: string): Promise<void> {
      await channels.updateOne({ _id: id, 'refresh.token': token }, { $set: { refresh: null } });
    },
  };
}

/** Without what only this domain may see. */
export function toChannel({ sealedCredentials: _s, credentialsVersion: _v, ...channel }: StoredChannel): Channel {
  return channel;
}

function toStored({ _id, slot: _slot, refresh: _refresh, outbox: _outbox, outboxAt: _outboxAt, ...rest }: ChannelDocument): StoredChannel {
  return { id: _id, ...rest };
}

function slotOf(profileId: string, platform: string): string {
  return `${profileId}:${platform}`;
}
