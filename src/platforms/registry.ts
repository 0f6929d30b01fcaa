/** Every platform, one line each: its adapter and the network that stands in for it on the simulator. */
import { bluesky } from './bluesky/bluesky.js';
import { simulatedBluesky } from './bluesky/simulated-bluesky.js';
import { discord } from './discord/discord.js';
import { simulatedDiscord } from './discord/simulated-discord.js';
import { facebook } from './facebook/facebook.js';
import { simulatedFacebook } from './facebook/simulated-facebook.js';
import { gmb } from './gmb/gmb.js';
import { simulatedGmb } from './gmb/simulated-gmb.js';
import { instagram } from './instagram/instagram.js';
import { simulatedInstagram } from './instagram/simulated-instagram.js';
import { linkedin } from './linkedin/linkedin.js';
import { simulatedLinkedin } from './linkedin/simulated-linkedin.js';
import { mastodon } from './mastodon/mastodon.js';
import { simulatedMastodon } from './mastodon/simulated-mastodon.js';
import { pinterest } from './pinterest/pinterest.js';
import { simulatedPinterest } from './pinterest/simulated-pinterest.js';
import { reddit } from './reddit/reddit.js';
import { simulatedReddit } from './reddit/simulated-reddit.js';
import { slack } from './slack/slack.js';
import { simulatedSlack } from './slack/simulated-slack.js';
import { snapchat } from './snapchat/snapchat.js';
import { simulatedSnapchat } from './snapchat/simulated-snapchat.js';
import { telegram } from './telegram/telegram.js';
import { simulatedTelegram } from './telegram/simulated-telegram.js';
import { threads } from './threads/threads.js';
import { simulatedThreads } from './threads/simulated-threads.js';
import { tiktok } from './tiktok/tiktok.js';
import { simulatedTiktok } from './tiktok/simulated-tiktok.js';
import { twitter } from './twitter/twitter.js';
import { simulatedTwitter } from './twitter/simulated-twitter.js';
import { youtube } from './youtube/youtube.js';
import { simulatedYoutube } from './youtube/simulated-youtube.js';
import type { Platform } from './platform.js';
import type { SimulatedNetwork } from './simulator/network.js';

const entries: readonly { platform: Platform; simulated: SimulatedNetwork }[] = [
  { platform: bluesky, simulated: simulatedBluesky },
  { platform: discord, simulated: simulatedDiscord },
  { platform: facebook, simulated: simulatedFacebook },
  { platform: gmb, simulated: simulatedGmb },
  { platform: instagram, simulated: simulatedInstagram },
  { platform: linkedin, simulated: simulatedLinkedin },
  { platform: mastodon, simulated: simulatedMastodon },
  { platform: pinterest, simulated: simulatedPinterest },
  { platform: reddit, simulated: simulatedReddit },
  { platform: slack, simulated: simulatedSlack },
  { platform: snapchat, simulated: simulatedSnapchat },
  { platform: telegram, simulated: simulatedTelegram },
  { platform: threads, simulated: simulatedThreads },
  { platform: tiktok, simulated: simulatedTiktok },
  { platform: twitter, simulated: simulatedTwitter },
  { platform: youtube, simulated: simulatedYoutube },
];

/** In alphabetical order of their ids. */
export const platforms: readonly Platform[] = entries.map((entry) => entry.platform);

export const simulatedNetworks: readonly SimulatedNetwork[] = entries.map((entry) => entry.simulated);

const byId = new Map(platforms.map((platform) => [platform.id, platform]));

export function findPlatform(id: string): Platform | undefined {
  return byId.get(id);
}
