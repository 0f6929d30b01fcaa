/** What an adapter gets to work with: the HTTP client, the clock, and the addresses of the real or the simulated network. */
import { AppError, ErrorCode } from '../lib/app-error.js';
import type { Clock } from '../lib/clock.js';
import type { HttpClient } from '../lib/http-client.js';
import type { Logger } from '../lib/logger.js';
import { placeholderMedia } from '../platforms/placeholder-media.js';
import type { Platform, PlatformIo } from '../platforms/platform.js';
import { simulatedUrls } from '../platforms/simulated-urls.js';

export interface ChannelIoDeps {
  http: HttpClient;
  clock: Clock;
  log: Logger;
  /** Where the simulator is: for this process, and for people's browsers. Null while there is none. */
  simulator: () => { callUrl: string; browserUrl: string } | null;
}

/** @throws AppError `unavailable` when the simulator isn't running */
export function simulatedIo(platform: Platform, { http, clock, log, simulator }: ChannelIoDeps): PlatformIo {
  const at = simulator();
  if (at === null) throw new AppError('unavailable', ErrorCode.unavailable, 'The simulated networks are not running here. Start Signpost with its simulator.');
  return {
    http,
    now: () => clock.now(),
    log: log.child({ platform: platform.id }),
    baseUrls: simulatedUrls(platform.id, at),
    app: { clientId: 'Signpost', clientSecret: 'simulated' },
    readMedia: (item) => Promise.resolve(placeholderMedia(item)),
  };
}
