/** `GET /api/user`: who the key stands for and which channels are connected, in Ayrshare's shape. */
import { Router } from 'express';
import { actorOf } from '../http/actor.js';
import type { Profile } from '../accounts/profile.js';
import type { Clock } from '../lib/clock.js';
import type { Channel } from './channel.js';
import type { ChannelService } from './channel-service.js';

export interface UserApiDeps {
  channels: ChannelService;
  profiles: { get(profileId: string): Promise<Profile> };
  /** Of the account's owner. */
  emailOf(accountId: string): Promise<string | null>;
  countPostsThisMonth(accountId: string): Promise<number>;
  clock: Clock;
}

export function userApi({ channels, profiles, emailOf, countPostsThisMonth, clock }: UserApiDeps): Router {
  const router = Router();
  router.get('/user', async (req, res) => {
    const actor = actorOf(req);
    const [profile, mine, email, monthlyPostCount] = await Promise.all([
      profiles.get(actor.profileId), channels.list(actor), emailOf(actor.accountId), countPostsThisMonth(actor.accountId),
    ]);
    const active = mine.filter((channel) => channel.state === 'connected').map((channel) => channel.platform);
    const now = clock.now().toISOString();
    res.json({
      // Left out when nothing is connected, as Ayrshare does.
      ...(active.length > 0 ? { activeSocialAccounts: active } : {}),
      created: timestampOf(profile.createdAt),
      displayNames: mine.map(presentChannel),
      email: email ?? undefined,
      messagingEnabled: false,
      messagingConversationMonthlyCount: 0,
      monthlyPostCount,
      refId: profile.refId,
      title: profile.title,
      lastUpdated: now,
      nextUpdate: now,
    });
  });
  return router;
}

function presentChannel(channel: Channel): Record<string, unknown> {
  return {
    created: channel.createdAt.toISOString(),
    displayName: channel.displayName,
    id: channel.remoteId,
    platform: channel.platform,
    profileUrl: channel.profileUrl ?? undefined,
    userImage: channel.avatarUrl ?? undefined,
    username: channel.username,
    ...(channel.state === 'signed-out' ? { refreshRequired: true } : {}),
  };
}

function timestampOf(at: Date): { _seconds: number; _nanoseconds: number; utc: string } {
  const ms = at.getTime();
  return { _seconds: Math.floor(ms / 1000), _nanoseconds: (ms % 1000) * 1_000_000, utc: at.toISOString().replace(/\.\d+Z$/, 'Z') };
}
