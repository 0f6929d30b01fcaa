/** Every platform, one line each: its adapter and the network that stands in for it on the simulator. */
import { bluesky } from './bluesky/bluesky.js';
import { simulatedBluesky } from './bluesky/simulated-bluesky.js';
import { facebook } from './facebook/facebook.js';
import { simulatedFacebook } from './facebook/simulated-facebook.js';
import { instagram } from './instagram/instagram.js';
import { simulatedInstagram } from './instagram/simulated-instagram.js';
import { threads } from './threads/threads.js';
import { simulatedThreads } from './threads/simulated-threads.js';
import type { Platform } from './platform.js';
import type { SimulatedNetwork } from './simulator/network.js';
import { simulatedTiktok } from './tiktok/simulated-tiktok.js';
import { tiktok } from './tiktok/tiktok.js';
import { simulatedTwitter } from './twitter/simulated-twitter.js';
import { twitter } from './twitter/twitter.js';

const entries: readonly { platform: Platform; simulated: SimulatedNetwork }[] = [
  { platform: bluesky, simulated: simulatedBluesky },
  { platform: facebook, simulated: simulatedFacebook },
  { platform: instagram, simulated: simulatedInstagram },
  { platform: threads, simulated: simulatedThreads },
  { platform: tiktok, simulated: simulatedTiktok },
  { platform: twitter, simulated: simulatedTwitter },
];

/** In alphabetical order of their ids. */
export const platforms: readonly Platform[] = entries.map((entry) => entry.platform);

export const simulatedNetworks: readonly SimulatedNetwork[] = entries.map((entry) => entry.simulated);

const byId = new Map(platforms.map((platform) => [platform.id, platform]));

export function findPlatform(id: string): Platform | undefined {
  return byId.get(id);
}
