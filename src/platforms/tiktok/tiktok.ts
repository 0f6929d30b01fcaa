/** TikTok: one video or up to 35 photos that the network fetches itself; accepted first, public only after processing and moderation. */
import { z } from 'zod';
import { ErrorCode } from '../../lib/app-error.js';
import { callNetwork, readAnswer, type NetworkAnswer, type NetworkCall } from '../network-call.js';
import { PlatformFailure, type Platform, type PlatformContent, type PlatformIo, type PublishResult } from '../platform.js';
import { usualOAuth } from '../usual-oauth.js';
import { isForAll, photoRequest, tiktokOptions, togetherProblems, videoRequest } from './tiktok-options.js';
import { processingFailure, tiktokFailure } from './tiktok-failures.js';

const NAME = 'TikTok';
const TIMEOUT_MS = 30_000;
const POLL_AFTER_MS = 5000;

/** Marks the handle of a post that TikTok will never give a public id. */
const NOT_FOR_ALL = '#private';

const credentialsSchema = z.object({ accessToken: z.string(), refreshToken: z.string().nullable(), openId: z.string(), username: z.string() });
type TikTokCredentials = z.infer<typeof credentialsSchema>;

const envelope = z.object({ error: z.object({ code: z.string(), message: z.string().optional(), log_id: z.string().optional() }) });
const userInfo = z.object({
  data: z.object({ user: z.object({ open_id: z.string(), display_name: z.string().optional(), username: z.string().optional(), avatar_url: z.string().optional() }) }),
});
const initAnswer = z.object({ data: z.object({ publish_id: z.string().min(1) }) });
const statusAnswer = z.object({
  data: z.object({
    status: z.string(),
    fail_reason: z.string().optional(),
    publicaly_available_post_id: z.array(z.union([z.string(), z.number()])).optional(),
  }),
});

const videoList = z.object({ data: z.object({ videos: z.array(z.object({ id: z.string(), create_time: z.number(), video_description: z.string().default('') })).default([]) }) });

export const tiktok = {
  id: 'tiktok',
  name: NAME,
  icon: 'tiktok',
  urls: { api: 'https://open.tiktokapis.com', auth: 'https://open.tiktokapis.com', consent: 'https://www.tiktok.com', web: 'https://www.tiktok.com' },
  optionsKey: 'tikTokOptions',
  options: tiktokOptions,
  limits: {
    text: { max: 2200, counting: 'utf16', required: false },
    media: {
      min: 1, max: 35, kinds: ['video', 'image'], maxVideos: 1, mixed: false, requires: ['video', 'image'],
      image: { maxBytes: 20_000_000, types: ['image/jpeg', 'image/webp'] },
      video: { maxBytes: 4_000_000_000, types: ['video/mp4', 'video/quicktime', 'video/webm'], minSeconds: 3, maxSeconds: 600 },
    },
    publish: [{ max: 6, windowMs: 60_000 }, { max: 15, windowMs: 24 * 3600_000 }],
  },
  alsoCheck: togetherProblems,
  publishTimeoutMs: TIMEOUT_MS,

  async verify(credentials, io) {
    const user = await readUser(io, credentialsSchema.parse(credentials).accessToken);
    const username = user.username ?? user.display_name ?? user.open_id;
    return { remoteId: user.open_id, username, displayName: user.display_name ?? username, profileUrl: `${io.baseUrls.web}/@${username}`, avatarUrl: user.avatar_url ?? null };
  },

  async publish(content, credentials, io) {
    const { path, body } = hasVideo(content) ? videoRequest(content) : photoRequest(content);
    const call: NetworkCall = {
      network: NAME, effect: 'create', method: 'POST', url: `${io.baseUrls.api}${path}`, timeoutMs: TIMEOUT_MS,
      token: credentialsSchema.parse(credentials).accessToken, headers: { 'content-type': 'application/json; charset=UTF-8' }, body,
    };
    const answer = checked(await callNetwork(io, call), io);
    const { publish_id: id } = readAnswer(call, initAnswer, answer).data;
    return processing(isForAll(content.options) ? id : `${id}${NOT_FOR_ALL}`);
  },

  processing: {
    async poll(handle, credentials, io) {
      const mine = credentialsSchema.parse(credentials);
      const call: NetworkCall = {
        network: NAME, effect: 'read', method: 'POST', url: `${io.baseUrls.api}/v2/post/publish/status/fetch/`, timeoutMs: TIMEOUT_MS, token: mine.accessToken,
        headers: { 'content-type': 'application/json; charset=UTF-8' }, body: { publish_id: handle.replace(NOT_FOR_ALL, '') },
      };
      const { data } = readAnswer(call, statusAnswer, checked(await callNetwork(io, call), io));
      if (data.status === 'FAILED') throw processingFailure(data.fail_reason ?? 'internal');
      const postId = data.publicaly_available_post_id?.[0];
      if (data.status !== 'PUBLISH_COMPLETE') return processing(handle);
      // Only public posts get an id; without one a public post is still in moderation.
      if (postId === undefined && handle.endsWith(NOT_FOR_ALL)) return { state: 'published', remoteId: handle.replace(NOT_FOR_ALL, ''), url: null };
      if (postId === undefined) return processing(handle);
      return published(String(postId), mine, io, handle.startsWith('p_') ? 'photo' : 'video');
    },
    giveUpAfterMs: 24 * 3600_000,
    announces: 'accepted',
    publishedSubAction: 'tikTokPublished',
  },

  lookUp: {
    async find(content, since, credentials, io) {
      // Only videos are listed to apps, so after a lost answer nobody but a person can tell whether photos are public.
      if (!hasVideo(content)) throw unclear('TikTok does not list photos to apps, so Signpost cannot tell whether they are public. Look at the profile before you send them again.');
      return findVideo(content.text, since, credentialsSchema.parse(credentials), io);
    },
  },

  oauth: usualOAuth({
    // Web apps have no PKCE here; the single-use state and the client secret protect the exchange.
    network: NAME, scope: 'user.info.basic,user.info.profile,video.publish,video.list', consentPath: '/v2/auth/authorize/', tokenPath: '/v2/oauth/token/', appBy: 'form', clientParam: 'client_key',
    credentials: credentialsSchema,
    async whoIs({ accessToken }, io) {
      const { open_id: openId, username, display_name: displayName } = await readUser(io, accessToken);
      return { openId, username: username ?? displayName ?? openId };
    },
  }),
} satisfies Platform;

/** TikTok puts `error.code: "ok"` into every success. */
function checked(answer: NetworkAnswer, io: PlatformIo): NetworkAnswer {
  const code = envelope.safeParse(answer.body).data?.error.code;
  if (answer.status >= 400 || (code !== undefined && code !== 'ok')) throw tiktokFailure(answer, io);
  return answer;
}

async function readUser(io: PlatformIo, token: string): Promise<z.infer<typeof userInfo>['data']['user']> {
  const call: NetworkCall = {
    network: NAME, effect: 'read', method: 'GET', url: `${io.baseUrls.api}/v2/user/info/`, query: { fields: 'open_id,avatar_url,display_name,username' }, timeoutMs: TIMEOUT_MS, token,
  };
  return readAnswer(call, userInfo, checked(await callNetwork(io, call), io)).data.user;
}

/**
 * Looks among the account's public videos. What isn't there may still be in processing or moderation, so "not found" is never certain.
 * @throws PlatformFailure `unknown` when no such video is public yet
 */
async function findVideo(text: string, since: Date, mine: TikTokCredentials, io: PlatformIo): Promise<PublishResult> {
  const call: NetworkCall = {
    network: NAME, effect: 'read', method: 'POST', url: `${io.baseUrls.api}/v2/video/list/`, query: { fields: 'id,create_time,video_description' },
    timeoutMs: TIMEOUT_MS, token: mine.accessToken, body: { max_count: 20 },
  };
  const { data } = readAnswer(call, videoList, checked(await callNetwork(io, call), io));
  const from = Math.floor(since.getTime() / 1000) - 5;
  const found = data.videos.find((video) => video.create_time >= from && video.video_description.trim() === text.trim());
  if (found === undefined) {
    throw unclear('TikTok does not show the video yet. It may still be in processing or moderation; look at the profile before you send it again.');
  }
  return published(found.id, mine, io);
}

function unclear(message: string): PlatformFailure {
  return new PlatformFailure('unknown', message, { code: ErrorCode.outcomeUnknown });
}

function hasVideo({ media }: PlatformContent): boolean {
  return media.some((item) => item.kind === 'video');
}

function processing(handle: string): PublishResult {
  return { state: 'processing', handle, pollAfterMs: POLL_AFTER_MS, details: { idShare: handle } };
}

function published(id: string, { username }: TikTokCredentials, io: PlatformIo, kind: 'photo' | 'video' = 'video'): PublishResult {
  return { state: 'published', remoteId: id, url: `${io.baseUrls.web}/@${username}/${kind}/${id}` };
}

