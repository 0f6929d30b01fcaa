/** What is told of a channel: an event, written into the channel's document by the update that made it true. */
import type { Clock } from '../lib/clock.js';
import { newId } from '../lib/ids.js';
import type { Logger } from '../lib/logger.js';
import type { Channel } from './channel.js';
import type { ChannelStore, StoredChannel } from './channel-store.js';

export interface ChannelEvent {
  id: string;
  type: 'channel.connected' | 'channel.signed_out' | 'channel.disconnected';
  at: Date;
  sequence: number;
  accountId: string;
  profileId: string;
  data: { channelId: string; platform: string; username: string; displayName: string; refId: string; title: string; problem: string | null };
}

export type ChannelEventSubject = Pick<Channel, 'id' | 'accountId' | 'profileId' | 'platform' | 'username' | 'displayName' | 'problem'>;

/** @param profile the one that the channel belongs to */
export function channelEvent(type: ChannelEvent['type'], channel: ChannelEventSubject, profile: { refId: string; title: string }, at: Date): ChannelEvent {
  const { id: channelId, accountId, profileId, platform, username, displayName, problem } = channel;
  const { refId, title } = profile;
  return { id: newId('evt', at), type, at, sequence: 0, accountId, profileId, data: { channelId, platform, username, displayName, refId, title, problem } };
}

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
