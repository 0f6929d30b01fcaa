/** X (twitter): 280 weighted characters, OAuth 2 with PKCE and refresh tokens that work once, no idempotency: recent posts are looked up. */
import { z } from 'zod';
import { callNetwork, readAnswer, type NetworkCall } from '../network-call.js';
import type { Platform, PlatformContent, PlatformIo, PublishResult } from '../platform.js';
import { usualOAuth } from '../usual-oauth.js';
import { twitterFailure } from './twitter-failures.js';
import { findTweet } from './twitter-look-up.js';
import { uploadMedia } from './twitter-media.js';
import { fieldsOf, twitterOptions } from './twitter-options.js';

const NAME = 'X';
const TIMEOUT_MS = 30_000;

const credentialsSchema = z.object({ accessToken: z.string(), refreshToken: z.string().nullable(), userId: z.string(), username: z.string() });
type TwitterCredentials = z.infer<typeof credentialsSchema>;

const me = z.object({ data: z.object({ id: z.string(), name: z.string(), username: z.string(), profile_image_url: z.string().optional() }) });
const created = z.object({ data: z.object({ id: z.string().min(1) }) });

export const twitter = {
  id: 'twitter',
  name: NAME,
  icon: 'twitter-x',
  urls: { api: 'https://api.x.com', auth: 'https://api.x.com', consent: 'https://x.com', web: 'https://x.com' },
  optionsKey: 'twitterOptions',
  options: twitterOptions,
  limits: {
    text: { max: 280, counting: 'weighted', required: false, longer: { option: 'longPost', max: 25_000 } },
    media: {
      min: 0, max: 4, kinds: ['image', 'video'], maxVideos: 1, mixed: false,
      image: { maxBytes: 5_242_880, types: ['image/jpeg', 'image/png', 'image/webp', 'image/gif'], minWidth: 4, maxWidth: 8192 },
      video: { maxBytes: 536_870_912, types: ['video/mp4', 'video/quicktime'], minSeconds: 0.5, maxSeconds: 140, longer: { option: 'longVideo', maxSeconds: 600 }, minAspect: 1 / 3, maxAspect: 3 },
    },
    publish: [{ max: 100, windowMs: 15 * 60_000 }],
  },
  alsoCheck: ({ media, options }) => (options['poll'] !== undefined && media.length > 0 ? [{ field: 'poll', message: 'X takes a poll or media, not both. Remove one of them.' }] : []),
  publishTimeoutMs: 300_000,

  async verify(credentials, io) {
    const { data } = await readMe(io, credentialsSchema.parse(credentials).accessToken);
    return {
      remoteId: data.id, username: data.username, displayName: data.name,
      profileUrl: `${io.baseUrls.web}/${data.username}`, avatarUrl: data.profile_image_url ?? null,
    };
  },

  publish: (content, credentials, io) => tweet(content, fieldsOf(content.options), credentialsSchema.parse(credentials), io),

  thread: {
    reply: (content, { parentId }, credentials, io) => tweet(content, { reply: { in_reply_to_tweet_id: parentId } }, credentialsSchema.parse(credentials), io),
  },

  comment: {
    comment: (content, remoteId, credentials, io) => tweet(content, { reply: { in_reply_to_tweet_id: remoteId } }, credentialsSchema.parse(credentials), io),
  },

  // A confidential client authenticates with HTTP Basic: https://docs.x.com/fundamentals/authentication/oauth-2-0/user-access-token
  oauth: usualOAuth({
    network: NAME, scope: 'tweet.read tweet.write users.read media.write offline.access', consentPath: '/i/oauth2/authorize', tokenPath: '/2/oauth2/token', appBy: 'basic', hasPkce: true,
    credentials: credentialsSchema,
    async whoIs({ accessToken }, io) {
      const { data } = await readMe(io, accessToken);
      return { userId: data.id, username: data.username };
    },
  }),

  lookUp: {
    async find(content: PlatformContent, since: Date, credentials, io) {
      const mine = credentialsSchema.parse(credentials);
      const id = await findTweet({ text: content.text, since, userId: mine.userId, accessToken: mine.accessToken }, io);
      return id === null ? null : published(id, mine, io);
    },
  },

  remove: {
    async remove(remoteId, credentials, io) {
      const answer = await callNetwork(io, {
        network: NAME, effect: 'read', method: 'DELETE', url: `${io.baseUrls.api}/2/tweets/${encodeURIComponent(remoteId)}`, timeoutMs: TIMEOUT_MS,
        token: credentialsSchema.parse(credentials).accessToken,
      });
      if (answer.status >= 400 && answer.status !== 404) throw twitterFailure(answer, io);
    },
  },
} satisfies Platform;

async function tweet(content: PlatformContent, fields: Record<string, unknown>, mine: TwitterCredentials, io: PlatformIo): Promise<PublishResult> {
  const { altText } = twitterOptions.parse(content.options);
  const mediaIds = await uploadMedia(content.media.map((item, i) => ({ ...item, ...(item.altText ?? altText?.[i] ? { altText: item.altText ?? altText![i]! } : {}) })), mine.accessToken, io);
  const call: NetworkCall = {
    network: NAME, effect: 'create', method: 'POST', url: `${io.baseUrls.api}/2/tweets`, timeoutMs: TIMEOUT_MS, token: mine.accessToken,
    body: { text: content.text, ...(mediaIds.length > 0 ? { media: { media_ids: mediaIds } } : {}), ...fields },
  };
  const answer = await callNetwork(io, call);
  if (answer.status >= 400) throw twitterFailure(answer, io);
  return published(readAnswer(call, created, answer).data.id, mine, io);
}

async function readMe(io: PlatformIo, token: string): Promise<z.infer<typeof me>> {
  const call: NetworkCall = {
    network: NAME, effect: 'read', method: 'GET', url: `${io.baseUrls.api}/2/users/me`, query: { 'user.fields': 'profile_image_url' }, timeoutMs: TIMEOUT_MS, token,
  };
  const answer = await callNetwork(io, call);
  if (answer.status >= 400) throw twitterFailure(answer, io);
  return readAnswer(call, me, answer);
}

function published(id: string, { username }: TwitterCredentials, io: PlatformIo): PublishResult {
  return { state: 'published', remoteId: id, url: `${io.baseUrls.web}/${username}/status/${id}` };
}

