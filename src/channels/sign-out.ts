/** Marks channels that their network signed out, and tells so. */
import type { Clock } from '../lib/clock.js';
import type { Logger } from '../lib/logger.js';
import { channelEvent } from './channel-events.js';
import type { ChannelStore, StoredChannel } from './channel-store.js';

export interface TellDeps {
  store: ChannelStore;
  clock: Clock;
  log: Logger;
  /** How the profile is named to the outside. */
  profileOf(profileId: string): Promise<{ refId: string; title: string }>;
  /** An event was written into a channel's document: it may be relayed. */
  eventsWritten(): void;
}

/** Marks a channel as signed out by its network, and tells so; does nothing when it was reconnected, disconnected or signed out meanwhile. */
export async function signOut({ store, clock, log, profileOf, eventsWritten }: TellDeps, channel: StoredChannel, problem: string): Promise<void> {
  const at = clock.now();
  const event = channelEvent('channel.signed_out', { ...channel, problem }, await profileOf(channel.profileId), at);
  if (!(await store.signOut(channel.id, channel.credentialsVersion, problem, event, at))) return;
  log.info({ channelId: channel.id, platform: channel.platform }, 'channel signed out');
  eventsWritten();
}
