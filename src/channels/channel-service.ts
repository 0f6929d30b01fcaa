/** Channels of a profile: listed, connected, disconnected, and opened for whoever publishes through them. */
import type { Actor } from '../lib/actor.js';
import { createSharedLookUp } from '../lib/batcher.js';
import { AppError, ErrorCode } from '../lib/app-error.js';
import { signedOut } from '../platforms/failures.js';
import { PlatformFailure, type Credentials, type Platform, type PlatformIo } from '../platforms/platform.js';
import { findPlatform } from '../platforms/registry.js';
import type { Channel } from './channel.js';
import { channelEvent } from './channel-events.js';
import { signOut } from './sign-out.js';
import { createChannelCredentials } from './channel-credentials.js';
import { ioFor, kindOf } from './channel-io.js';
import { toChannel, type StoredChannel } from './channel-store.js';
import { createConnectFlow, type ConnectFlowDeps } from './connect-flow.js';

export type ChannelServiceDeps = Omit<ConnectFlowDeps, 'credentials'>;

/** What is needed to act on a channel. */
export interface ChannelSession {
  channel: Channel;
  platform: Platform;
  credentials: Credentials;
  io: PlatformIo;
}

export type ChannelService = ReturnType<typeof createChannelService>;

export function createChannelService(deps: ChannelServiceDeps) {
  const { store, clock, log } = deps;
  const listInUse = createSharedLookUp((profileId) => store.list(profileId));
  const credentials = createChannelCredentials(deps);
  const flow = createConnectFlow({ ...deps, credentials });

  async function findOwn(actor: Actor, channelId: string): Promise<StoredChannel> {
    const channel = await store.find(channelId);
    if (channel === null || channel.profileId !== actor.profileId || channel.state === 'disconnected') {
      throw new AppError('not-found', ErrorCode.notFound, 'There is no such channel. It may have been disconnected.');
    }
    return channel;
  }

  /** A network that isn't there now is a failure like any other: nothing was sent. */
  function ioForSession(platform: Platform, channel: Channel): PlatformIo {
    try {
      return ioFor(platform, kindOf(channel), deps);
    } catch (cause) {
      if (!(cause instanceof AppError)) throw cause;
      throw new PlatformFailure('unreachable', `${cause.message} Nothing was published; Signpost tries again by itself.`, { code: ErrorCode.platformUnreachable, cause });
    }
  }

  return {
    waysOf: flow.waysOf,
    begin: flow.begin,
    finish: flow.finish,
    typedFields: flow.typedFields,
    connectTyped: flow.connectTyped,

    /** Those in use (connected or signed out), in order of platform. */
    list(actor: Actor): Promise<Channel[]> {
      return listInUse(actor.profileId);
    },

    /** Those in use on these platforms. */
    async connected(actor: Actor, platformIds: readonly string[]): Promise<Channel[]> {
      return (await store.list(actor.profileId)).filter((channel) => platformIds.includes(channel.platform));
    },

    /** Any channel, disconnected ones too; null when there is none. */
    async get(channelId: string): Promise<Channel | null> {
      const channel = await store.find(channelId);
      return channel === null ? null : toChannel(channel);
    },

    /** @throws AppError `not-found` when it isn't the actor's, or not in use */
    async find(actor: Actor, channelId: string): Promise<Channel> {
      return toChannel(await findOwn(actor, channelId));
    },

    /** Forgets the credentials; posts that wait for the channel can't be sent any more. @throws AppError `not-found` */
    async disconnect(actor: Actor, channelId: string): Promise<Channel> {
      const channel = toChannel(await findOwn(actor, channelId));
      const at = clock.now();
      const event = channelEvent('channel.disconnected', { ...channel, problem: channel.problem }, await deps.profileOf(channel.profileId), at);
      if (await store.disconnect(actor.profileId, channelId, event, at)) {
        log.info({ channelId, platform: channel.platform }, 'channel disconnected');
        deps.eventsWritten();
      }
      return channel;
    },

    /**
     * Opens a channel for publishing, with credentials that last for the calls to come.
     * @returns null when it was disconnected
     * @throws PlatformFailure `signed-out`, or `unreachable` when its sign-in can't be renewed just now
     */
    async session(channelId: string): Promise<ChannelSession | null> {
      const stored = await store.find(channelId);
      if (stored === null || stored.state === 'disconnected') return null;
      const platform = platformOf(stored);
      if (stored.state === 'signed-out') throw signedOut(platform.name);
      const io = ioForSession(platform, stored);
      return { channel: toChannel(stored), platform, credentials: await credentials.fresh(stored, platform, io), io };
    },

    /**
     * To be called when the network refused the credentials. A refresh token gets one chance to mend it.
     * @param refused those that were sent; when the channel has others by now, somebody has mended it: renewing again would only take theirs away
     * @returns `renewed` when the channel works again (who waits for it is told by `onConnected`), else `signed-out`
     */
    async markSignedOut(channelId: string, problem: string, refused: Credentials | null): Promise<'renewed' | 'signed-out'> {
      const stored = await store.find(channelId);
      if (stored === null || stored.state !== 'connected') return 'signed-out';
      if (refused !== null && credentials.differ(stored, refused)) return 'renewed';
      const platform = platformOf(stored);
      const isRenewed = await credentials.renew(stored, platform, ioFor(platform, kindOf(stored), deps)).catch((error: unknown) => {
        log.warn({ channelId, err: error }, 'could not tell whether the channel is signed out');
        return true;
      });
      if (isRenewed) {
        await deps.onConnected(toChannel(stored));
        return 'renewed';
      }
      await signOut(deps, stored, problem);
      return 'signed-out';
    },
  };
}

function platformOf(channel: Channel): Platform {
  const platform = findPlatform(channel.platform);
  if (platform === undefined) throw new Error(`Channel ${channel.id} is of the platform ${channel.platform}, which this version doesn't know.`);
  return platform;
}
