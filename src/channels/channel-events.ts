/** What is told of a channel: an event, written into the channel's document by the update that made it true. */
import { newId } from '../lib/ids.js';
import type { Channel } from './channel.js';

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
