/** The use cases of posts over a real store, with a clock that stands and channels as given. */
import type { Actor } from '../../src/accounts/actor.js';
import type { Channel } from '../../src/channels/channel.js';
import { ensureIndexes } from '../../src/db/database.js';
import { newId } from '../../src/lib/ids.js';
import { createLogger } from '../../src/lib/logger.js';
import { createNotifier } from '../../src/lib/notifier.js';
import type { Post } from '../../src/posts/post.js';
import type { PostInput } from '../../src/posts/post-input.js';
import { createPostService, type PostServiceDeps } from '../../src/posts/post-service.js';
import { createPostStore, postIndexes } from '../../src/posts/post-store.js';
import { temporaryDatabase } from './temporary-database.js';

export const NOW = new Date('2026-07-01T12:00:00Z');
export const TOMORROW = new Date('2026-07-02T12:00:00Z');

export function anActor(over: Partial<Actor> = {}): Actor {
  return { accountId: 'acc_1', profileId: 'prf_1', userId: 'usr_1', isAdministrator: false, timeZone: 'Europe/Berlin', via: 'api', ...over };
}

export function aChannel(platform: string, over: Partial<Channel> = {}): Channel {
  return {
    id: `chn_${platform}`, accountId: 'acc_1', profileId: 'prf_1', platform, state: 'connected', simulated: true, remoteId: `remote-${platform}`, username: 'ada', displayName: 'Ada',
    profileUrl: null, avatarUrl: null, credentialsExpireAt: null, problem: null, createdAt: NOW, updatedAt: NOW, ...over,
  };
}

export function anInput(over: Partial<PostInput> = {}): PostInput {
  return {
    text: 'Hello', texts: {}, platforms: ['bluesky'], mediaUrls: [], isVideo: false, options: {}, commonOptions: {}, scheduledAt: TOMORROW, timeZone: null, notes: null, idempotencyKey: null, checkRules: true, ...over,
  };
}

/** One database for the whole file; `channels` may be changed by a test and are read again at each call. */
export async function postsOverDatabase(deps: Partial<PostServiceDeps> = {}) {
  const { db } = await temporaryDatabase();
  await ensureIndexes(db, postIndexes);
  const store = createPostStore(db);
  const clock = { at: NOW, now: () => clock.at };
  const channels: Channel[] = ['bluesky', 'tiktok', 'twitter'].map((platform) => aChannel(platform));
  const due: Post[] = [];
  const service = createPostService({
    store,
    channels: { list: async () => channels },
    profiles: { get: async () => ({ refId: 'a'.repeat(40), title: 'Primary Profile' }) },
    clock,
    notifier: createNotifier(),
    log: createLogger('silent'),
    postsDue: async (posts) => void due.push(...posts),
    eventsWritten: () => undefined,
    takeDown: async (post) => post.publications.map(({ id, platform }) => ({ publicationId: id, platform, removed: platform !== 'bluesky', message: 'It stays.' })),
    ...deps,
  });
  /** A profile of its own, so that lists see only what the test made. */
  const someone = (): Actor => anActor({ profileId: newId('prf'), accountId: newId('acc') });
  return { db, store, service, clock, channels, due, someone };
}
