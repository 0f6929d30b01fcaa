/** TikTok as the simulator plays it: accepts a video's URL, processes it in stages, and names the post only when it is public. */
import { createHash, randomBytes } from 'node:crypto';
import { acceptPost } from '../simulator/new-post.js';
import { objectField, ok, textField, type SimulatedAnswer, type SimulatedCall, type SimulatedNetwork } from '../simulator/network.js';
import type { SimulatedPost } from '../simulator/world.js';

const ID = 'tiktok';

const failure = (status: number, code: string, message: string, headers?: Record<string, string>): SimulatedAnswer => {
  const answer = { status, body: { data: {}, error: { code, message, log_id: logId() } } };
  return headers === undefined ? answer : { ...answer, headers };
};

const success = (data: Record<string, unknown>): SimulatedAnswer => ok({ data, error: { code: 'ok', message: '', log_id: logId() } });

export const simulatedTiktok: SimulatedNetwork = {
  id: ID,
  name: 'TikTok',
  exampleHandle: 'ada.creates',
  handlePattern: /^[\w.]{2,24}$/,
  consent: { path: '/v2/auth/authorize', clientParam: 'client_key' },
  processing: 'after',
  permissions: ['Read your profile info', 'Post videos and photos to TikTok', 'Read your public videos on TikTok'],
  pages: { profile: '/@:handle', post: '/@:handle/:kind/:id' },
  pageParams: (_account, post) => ({ kind: isPhotos(post) ? 'photo' : 'video' }),
  accountId: (handle) => `-000${createHash('sha256').update(handle.toLowerCase()).digest('base64url').slice(0, 32)}`,
  token: {
    path: '/v2/oauth/token',
    answer: (grant, account, now) => ok({
      access_token: grant.accessToken, expires_in: Math.ceil((grant.accessExpiresAt - now) / 1000), open_id: account.id, refresh_expires_in: 31_536_000,
      refresh_token: grant.refreshToken, scope: 'user.info.basic,user.info.profile,video.publish,video.list', token_type: 'Bearer',
    }),
    // The documented shape: an error comes with status 200.
    error: (error, description) => ok({ error, error_description: description, log_id: logId() }),
  },
  refusals: {
    signedOut: () => failure(401, 'access_token_invalid', 'The access token is invalid or not found in the request.'),
    tooMany: (after) => failure(429, 'rate_limit_exceeded', 'The API rate limit was exceeded.', after === null ? {} : { 'retry-after': String(after) }),
    serverError: () => failure(500, 'internal_error', 'Internal error'),
    suspended: () => failure(403, 'spam_risk_user_banned_from_posting', 'The user is banned from making new posts.'),
    duplicate: () => failure(403, 'spam_risk', 'The post was flagged as spam.'),
    dailyLimit: () => failure(403, 'spam_risk_too_many_posts', 'The daily post cap from the API is reached for the current user.'),
    refused: (message) => failure(400, 'invalid_params', message),
  },
  rate: { limit: 6, windowMs: 60_000, headers: () => ({}) },
  remoteId: (post) => post.id,
  routes: [
    {
      method: 'get', path: '/v2/user/info', act: 'read',
      handle: ({ account }) => success({ user: { open_id: account.id, display_name: account.displayName, username: account.handle } }),
    },
    { method: 'post', path: '/v2/post/publish/video/init', act: 'publish', textOf: (call) => textField(objectField(call.body, 'post_info'), 'title'), handle: init },
    {
      method: 'post', path: '/v2/post/publish/content/init', act: 'publish',
      textOf: (call) => textField(objectField(call.body, 'post_info'), 'description'),
      handle: initPhotos,
    },
    {
      method: 'post', path: '/v2/post/publish/status/fetch', act: 'poll',
      textOf: ({ world, body }) => world.postByHandle(ID, textField(body, 'publish_id'))?.text ?? '',
      handle: status,
    },
    { method: 'post', path: '/v2/video/list', act: 'look-up', handle: listVideos },
  ],
};

const PRIVACY = new Set(['PUBLIC_TO_EVERYONE', 'MUTUAL_FOLLOW_FRIENDS', 'FOLLOWER_OF_CREATOR', 'SELF_ONLY']);

function init(call: SimulatedCall): SimulatedAnswer {
  const info = objectField(call.body, 'post_info');
  const source = objectField(call.body, 'source_info');
  const title = textField(info, 'title');
  const videoUrl = textField(source, 'video_url');
  if (title.length > 2200) return failure(400, 'invalid_params', 'The title must have at most 2200 characters.');
  if (!PRIVACY.has(textField(info, 'privacy_level'))) return failure(400, 'privacy_level_option_mismatch', 'privacy_level is not specified or not among the privacy level options.');
  const refusal = infoProblem(call, info);
  if (refusal !== null) return refusal;
  if (textField(source, 'source') !== 'PULL_FROM_URL') return failure(400, 'invalid_params', 'The simulated TikTok takes PULL_FROM_URL only.');
  if (!URL.canParse(videoUrl) || new URL(videoUrl).protocol !== 'https:') return failure(403, 'url_ownership_unverified', 'Please review our URL ownership verification rules.');
  const id = videoId(call.now);
  const handle = `v_pub_url~v2-1.${id}`;
  acceptPost(call, { network: ID, id, handle, text: title, media: [videoUrl], failReason: 'file_format_check_failed', extra: { privacy: textField(info, 'privacy_level') } });
  return success({ publish_id: handle });
}

/** What holds for both kinds. */
function infoProblem({ headers }: SimulatedCall, info: Record<string, unknown>): SimulatedAnswer | null {
  if (!/^application\/json; ?charset=utf-8$/i.test(headers['content-type'] ?? '')) return failure(400, 'invalid_params', 'Content-Type must be application/json; charset=UTF-8.');
  if (info['brand_content_toggle'] === true && info['privacy_level'] === 'SELF_ONLY') return failure(400, 'invalid_params', 'Branded content visibility cannot be set to private.');
  return null;
}

function initPhotos(call: SimulatedCall): SimulatedAnswer {
  const info = objectField(call.body, 'post_info');
  const listed = objectField(call.body, 'source_info')['photo_images'];
  const photos = Array.isArray(listed) ? listed.map(String) : [];
  const [title, description, privacy] = [textField(info, 'title'), textField(info, 'description'), textField(info, 'privacy_level')];
  if (textField(call.body, 'media_type') !== 'PHOTO' || photos.length === 0 || photos.length > 35) return failure(400, 'invalid_params', 'photo_images must have 1 to 35 addresses.');
  const refusal = infoProblem(call, info);
  if (refusal !== null) return refusal;
  const cover = objectField(call.body, 'source_info')['photo_cover_index'];
  if (typeof cover !== 'number' || cover < 0 || cover >= photos.length) return failure(400, 'invalid_params', 'photo_cover_index must name one of the photos.');
  if (description.length > 4000 || title.length > 90) return failure(400, 'invalid_params', 'The title or the description is too long.');
  if (!PRIVACY.has(privacy)) return failure(400, 'privacy_level_option_mismatch', 'privacy_level is not specified or not among the privacy level options.');
  if (photos.some((url) => !URL.canParse(url) || new URL(url).protocol !== 'https:')) return failure(403, 'url_ownership_unverified', 'Please review our URL ownership verification rules.');
  const id = videoId(call.now);
  const handle = `p_pub_url~v2.${id}`;
  acceptPost(call, { network: ID, id, handle, text: description, media: photos, failReason: 'photo_pull_failed', extra: { privacy, title } });
  return success({ publish_id: handle });
}

function status({ world, body, account, now }: SimulatedCall): SimulatedAnswer {
  const post = world.postByHandle(ID, textField(body, 'publish_id'));
  if (post === undefined || post.accountId !== account.id) return failure(400, 'invalid_publish_id', 'The publish_id does not exist.');
  if (post.failsAt !== null && post.failsAt <= now) return success({ status: 'FAILED', fail_reason: post.failReason });
  if (isDone(post, now)) return success({ status: 'PUBLISH_COMPLETE', publicaly_available_post_id: post.extra['privacy'] === 'PUBLIC_TO_EVERYONE' ? [post.id] : [] });
  return success({ status: 'PROCESSING_DOWNLOAD', downloaded_bytes: Math.min((now - post.acceptedAt) * 1000, 10_000_000) });
}

function listVideos({ world, account, now }: SimulatedCall): SimulatedAnswer {
  const videos = world.postsOf(ID, account.id).filter((post) => isDone(post, now) && post.deletedAt === null && !isPhotos(post) && post.extra['privacy'] === 'PUBLIC_TO_EVERYONE').slice(0, 20);
  return success({ videos: videos.map((post) => ({ id: post.id, create_time: Math.floor(post.acceptedAt / 1000), title: post.text, video_description: post.text })), has_more: false });
}

/** They are not among the videos that apps may list. */
function isPhotos(post: SimulatedPost): boolean {
  return post.handle?.startsWith('p_') === true;
}

function isDone(post: SimulatedPost, now: number): boolean {
  return post.publicAt !== null && post.publicAt <= now;
}

function videoId(now: number): string {
  return ((BigInt(Math.floor(now / 1000)) << 32n) | BigInt(randomBytes(4).readUInt32BE(0))).toString();
}

function logId(): string {
  return randomBytes(16).toString('hex').toUpperCase();
}
