/** The networks that channels live on, real and simulated: what an adapter gets to work with there, and how channels are connected there. */
import { AppError, ErrorCode } from '../lib/app-error.js';
import type { Clock } from '../lib/clock.js';
import type { HttpClient } from '../lib/http-client.js';
import type { Logger } from '../lib/logger.js';
import { simulatedUrls } from '../platforms/network-urls.js';
import { placeholderMedia } from '../platforms/placeholder-media.js';
import type { MediaBytes, MediaItem, Platform, PlatformIo, PlatformUrls } from '../platforms/platform.js';

export type NetworkKind = 'real' | 'simulated';

/** How a channel is connected: on the network's consent page, or by typing what the network gave. */
export type ConnectWay = 'consent' | 'fields';

export interface ChannelIoDeps {
  http: HttpClient;
  clock: Clock;
  log: Logger;
  /** Where the simulator is: for this process, and for people's browsers. Null while there is none. */
  simulator: () => { callUrl: string; browserUrl: string } | null;
  /** Left out: channels are connected at simulated networks only. */
  real?: RealNetworks;
}

export interface RealNetworks {
  /** False: nothing is offered anew; channels that are connected go on. */
  isOffered: boolean;
  /** The operator's app there; null when there is none. */
  appOf(platformId: string): { clientId: string; clientSecret: string } | null;
  urlsOf(platform: Platform): PlatformUrls;
  /** @throws PlatformFailure as `PlatformIo.readMedia` */
  readMedia(platform: Platform, item: MediaItem): Promise<MediaBytes>;
}

/** How a platform's channels are connected there; null when they can't be. Nobody but the operator can change that. */
export function wayOf(platform: Platform, kind: NetworkKind, { real, simulator }: Pick<ChannelIoDeps, 'real' | 'simulator'>): ConnectWay | null {
  if (kind === 'simulated') {
    if (simulator() === null) return null;
    return platform.oauth === undefined ? 'fields' : 'consent';
  }
  if (real?.isOffered !== true) return null;
  // What is typed needs no app of the operator's.
  if (platform.connectFields !== undefined) return 'fields';
  return real.appOf(platform.id) === null ? null : 'consent';
}

/** @throws AppError `unavailable` when the simulator isn't running */
export function ioFor(platform: Platform, kind: NetworkKind, { http, clock, log, simulator, real }: ChannelIoDeps): PlatformIo {
  const shared = { http, now: () => clock.now(), log: log.child({ platform: platform.id }) };
  if (kind === 'real') {
    if (real === undefined) throw new AppError('unavailable', ErrorCode.unavailable, 'Real networks are not used here.');
    return {
      ...shared,
      baseUrls: real.urlsOf(platform),
      // Without its app's secret a channel's tokens can't be renewed, and the network's refusal says so.
      app: real.appOf(platform.id) ?? { clientId: '', clientSecret: '' },
      readMedia: (item) => real.readMedia(platform, item),
    };
  }
  const at = simulator();
  if (at === null) throw new AppError('unavailable', ErrorCode.unavailable, 'The simulated networks are not running here.');
  return {
    ...shared,
    baseUrls: simulatedUrls(platform.id, at),
    app: { clientId: 'Signpost', clientSecret: 'simulated' },
    readMedia: (item) => Promise.resolve(placeholderMedia(item)),
  };
}

/** Where forms that begin a connection may lead, for the pages' content security policy. */
export function consentOrigins(platforms: readonly Platform[], deps: Pick<ChannelIoDeps, 'real' | 'simulator'>): string[] {
  const at = deps.simulator();
  const origins = platforms.flatMap((platform) => (
    wayOf(platform, 'real', deps) === 'consent' ? [new URL(deps.real!.urlsOf(platform).consent).origin, ...(platform.consentLeadsTo ?? [])] : []
  ));
  return [...new Set([...(at === null ? [] : [new URL(at.browserUrl).origin]), ...origins])];
}

export function kindOf({ simulated }: { simulated: boolean }): NetworkKind {
  return simulated ? 'simulated' : 'real';
}
