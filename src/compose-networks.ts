/** Joins what channels at real networks need: the operator's apps, the networks' addresses, a reader of media files; a page of compose.ts. */
import type { RealNetworks } from './channels/channel-io.js';
import type { Config } from './config.js';
import { createAddressGuard } from './lib/address-guard.js';
import { createHttpClient } from './lib/http-client.js';
import { realUrls } from './platforms/network-urls.js';
import type { Platform, PlatformUrls } from './platforms/platform.js';
import { readMediaOf, type ReadOwn } from './platforms/read-media.js';

interface Deps {
  config: Pick<Config, 'networks' | 'apps' | 'networkUrls'>;
  userAgent: string;
  urlsOf?: (platform: Platform) => PlatformUrls;
  readOwn: ReadOwn;
}

export function composeRealNetworks({ config, userAgent, urlsOf, readOwn }: Deps): RealNetworks {
  // Addresses of media are typed by users, so what they may lead to is judged; the networks' own addresses are the operator's choice.
  const mediaHttp = createHttpClient({ userAgent, guard: createAddressGuard({ allowLoopback: false }) });
  return {
    isOffered: config.networks.real,
    appOf: (platformId) => config.apps[platformId] ?? null,
    urlsOf: urlsOf ?? ((platform) => realUrls(platform, config.networkUrls[platform.id])),
    readMedia: (platform, item) => readMediaOf(platform, item, mediaHttp, readOwn),
  };
}
