/** A channel's working credentials: opened, and refreshed before they expire by one caller at a time, stored before they are used. */
import { newToken } from '../lib/ids.js';
import type { Seal } from '../lib/seal.js';
import { signedOut } from '../platforms/failures.js';
import { PlatformFailure, refreshOf, type CredentialGrant, type Credentials, type Platform, type PlatformIo } from '../platforms/platform.js';
import { signOut, type TellDeps } from './sign-out.js';
import type { StoredChannel } from './channel-store.js';

interface Deps extends TellDeps {
  seal: Seal;
}

/** Refreshed when they have less than this left, so that they outlast the calls they are for. */
const MARGIN_MS = 3 * 60_000;
/** How long one caller may take to refresh before another may try. */
const REFRESH_LEASE_MS = 45_000;
const LOOK_AGAIN_MS = 100;

export type ChannelCredentials = ReturnType<typeof createChannelCredentials>;

export function createChannelCredentials(deps: Deps) {
  const { store, seal, clock, log } = deps;
  const underWay = new Map<string, Promise<Credentials>>();

  function open(channel: StoredChannel): Credentials {
    if (channel.sealedCredentials === null) throw signedOut(channel.platform);
    return JSON.parse(seal.unseal(channel.sealedCredentials, contextOf(channel.id))) as Credentials;
  }

  async function refreshed(channel: StoredChannel, platform: Platform, io: PlatformIo): Promise<Credentials> {
    const token = newToken(16);
    const now = clock.now();
    const isMine = await store.beginRefresh(channel.id, channel.credentialsVersion, token, now, new Date(now.getTime() + REFRESH_LEASE_MS));
    if (!isMine) return waitForOther(channel, platform, io);
    let grant: CredentialGrant;
    try {
      grant = await refreshOf(platform)!(open(channel), io);
    } catch (error) {
      return afterFailedRefresh(channel, token, error);
    }
    const stored = await store.finishRefresh(channel.id, token, sealFor(channel.id, grant.credentials), grant.expiresAt, clock.now());
    // Reconnected or disconnected meanwhile: what is stored now is what counts.
    return stored ? grant.credentials : current(channel.id, platform, io);
  }

  async function afterFailedRefresh(channel: StoredChannel, token: string, error: unknown): Promise<Credentials> {
    await store.abandonRefresh(channel.id, token);
    if (error instanceof PlatformFailure && error.kind === 'signed-out') {
      await signOut(deps, channel, error.message);
      throw error;
    }
    log.warn({ channelId: channel.id, platform: channel.platform, err: error }, 'tokens could not be refreshed');
    if (channel.credentialsExpireAt !== null && channel.credentialsExpireAt > clock.now()) return open(channel);
    if (error instanceof PlatformFailure) throw error;
    throw new PlatformFailure('unreachable', "The channel's sign-in could not be renewed just now. Signpost tries again by itself.", { cause: error });
  }

  async function waitForOther(channel: StoredChannel, platform: Platform, io: PlatformIo): Promise<Credentials> {
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    return current(channel.id, platform, io);
  }

  async function current(channelId: string, platform: Platform, io: PlatformIo): Promise<Credentials> {
    const channel = await store.find(channelId);
    if (channel === null || channel.state === 'disconnected') throw new PlatformFailure('rejected', 'The channel was disconnected. Connect it again.', { code: 156 });
    if (channel.state === 'signed-out') throw signedOut(platform.name);
    return isFresh(channel, platform) ? open(channel) : refreshed(channel, platform, io);
  }

  function isFresh({ credentialsExpireAt }: StoredChannel, platform: Platform): boolean {
    if (credentialsExpireAt === null || refreshOf(platform) === undefined) return true;
    return credentialsExpireAt.getTime() - clock.now().getTime() > MARGIN_MS;
  }

  function sealFor(channelId: string, credentials: Credentials): string {
    return seal.seal(JSON.stringify(credentials), contextOf(channelId));
  }

  function single(channelId: string, work: () => Promise<Credentials>): Promise<Credentials> {
    const running = underWay.get(channelId);
    if (running !== undefined) return running;
    const started = work().finally(() => underWay.delete(channelId));
    underWay.set(channelId, started);
    return started;
  }

  return {
    sealFor,

    /** Are these others than the channel's own now? */
    differ: (channel: StoredChannel, others: Credentials): boolean => channel.sealedCredentials !== null && JSON.stringify(open(channel)) !== JSON.stringify(others),

    /** @throws PlatformFailure `signed-out` after a definite refusal (the channel is marked then), `unreachable` when it can't be told now */
    fresh(channel: StoredChannel, platform: Platform, io: PlatformIo): Promise<Credentials> {
      if (isFresh(channel, platform)) return Promise.resolve(open(channel));
      return single(channel.id, () => refreshed(channel, platform, io));
    },

    /**
     * For when the network refused an access token that we thought good.
     * @returns true when the refresh token gave new ones, or, where there are none, the network takes the old one after all; false when the
     *   channel can't sign in any more
     * @throws PlatformFailure when it can't be told now
     */
    async renew(channel: StoredChannel, platform: Platform, io: PlatformIo): Promise<boolean> {
      try {
        if (refreshOf(platform) === undefined) await platform.verify(open(channel), io);
        else await single(channel.id, () => refreshed(channel, platform, io));
        return true;
      } catch (error) {
        if (error instanceof PlatformFailure && error.kind === 'signed-out') return false;
        throw error;
      }
    },
  };
}

function contextOf(channelId: string): string {
  return `channel:${channelId}`;
}
