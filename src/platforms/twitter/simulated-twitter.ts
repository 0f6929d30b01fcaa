/** X as the simulator plays it: v2 endpoints, problem JSON, escaped text and t.co links in its answers. */
import { createHash } from 'node:crypto';
import twitterText from 'twitter-text';
import { acceptPost, sourceOf } from '../simulator/new-post.js';
import { objectField, ok, textField, type SimulatedAnswer, type SimulatedCall, type SimulatedNetwork } from '../simulator/network.js';
import type { SimulatedPost } from '../simulator/world.js';
import { uploadProcessing, uploadState } from '../simulator/upload-processing.js';
import { textLength } from '../text-length.js';

const ID = 'twitter';

const problem = (status: number, title: string, detail: string, type = 'about:blank', headers?: Record<string, string>): SimulatedAnswer => {
  const answer = { status, body: { title, detail, type, status } };
  return headers === undefined ? answer : { ...answer, headers };
};

const invalid = (message: string): SimulatedAnswer => ({
  status: 400,
  body: { errors: [{ message }], title: 'Invalid Request', detail: 'One or more parameters to your request was invalid.', type: 'https://api.twitter.com/2/problems/invalid-request' },
});

export const simulatedTwitter: SimulatedNetwork = {
  id: ID,
  name: 'X',
  exampleHandle: 'ada',
  handlePattern: /^\w{1,15}$/,
  consent: { path: '/i/oauth2/authorize', clientParam: 'client_id' },
  processing: 'uploads',
  permissions: ['See your posts and profile', 'Post and delete posts for you', 'Upload media for you', 'Stay connected until you take it back'],
  pages: { profile: '/:handle', post: '/:handle/status/:id' },
  accountId: (handle) => digits(handle.toLowerCase(), 17),
  token: {
    path: '/2/oauth2/token',
    answer: (grant, _account, now) => ok({
      token_type: 'bearer', expires_in: Math.ceil((grant.accessExpiresAt - now) / 1000), access_token: grant.accessToken,
      scope: 'tweet.read tweet.write users.read media.write offline.access', refresh_token: grant.refreshToken,
    }),
    error: (error, description) => ({ status: error === 'invalid_client' ? 401 : 400, body: { error: error === 'invalid_grant' ? 'invalid_request' : error, error_description: description } }),
  },
  refusals: {
    signedOut: () => problem(401, 'Unauthorized', 'Unauthorized'),
    tooMany: (after, now) => problem(429, 'Too Many Requests', 'Too Many Requests', 'about:blank', after === null ? {} : {
      'x-rate-limit-limit': '100', 'x-rate-limit-remaining': '0', 'x-rate-limit-reset': String(Math.ceil(now / 1000) + after),
    }),
    serverError: () => problem(503, 'Service Unavailable', 'Service Unavailable'),
    suspended: () => problem(403, 'Forbidden', 'Your account is suspended and is not permitted to access this feature.', 'https://api.twitter.com/2/problems/user-suspended'),
    duplicate: () => problem(403, 'Forbidden', 'You are not allowed to create a Tweet with duplicate content.'),
    dailyLimit: (now) => problem(429, 'UsageCapExceeded', 'Usage cap exceeded: Daily product cap', 'https://api.twitter.com/2/problems/usage-capped', {
      'x-rate-limit-reset': String(Math.ceil(now / 1000) + 86_400),
    }),
    refused: (message) => problem(403, 'Forbidden', message),
  },
  rate: {
    limit: 100, windowMs: 15 * 60_000,
    headers: (limit, remaining, resetAt) => ({ 'x-rate-limit-limit': String(limit), 'x-rate-limit-remaining': String(remaining), 'x-rate-limit-reset': String(Math.ceil(resetAt / 1000)) }),
  },
  remoteId: (post) => post.id,
  routes: [
    { method: 'get', path: '/2/users/me', act: 'read', handle: ({ account }) => ok({ data: { id: account.id, name: account.displayName, username: account.handle } }) },
    { method: 'get', path: '/2/users/:id/tweets', act: 'look-up', handle: timeline },
    { method: 'post', path: '/2/tweets', act: 'publish', textOf: (call) => textField(call.body, 'text'), handle: createTweet },
    { method: 'delete', path: '/2/tweets/:id', act: 'remove', handle: deleteTweet },
    { method: 'post', path: '/2/media/upload/initialize', act: 'upload', handle: initialize },
    { method: 'post', path: '/2/media/upload/:id/append', act: 'upload', handle: append },
    { method: 'post', path: '/2/media/upload/:id/finalize', act: 'upload', handle: finalize },
    { method: 'post', path: '/2/media/metadata', act: 'upload', handle: ({ body }) => ok({ data: { id: textField(body, 'id') } }) },
    {
      method: 'get', path: '/2/media/upload', act: 'upload',
      handle: uploadStatus,
    },
  ],
};

function createTweet(call: SimulatedCall): SimulatedAnswer {
  const { body, world, account, now } = call;
  const text = textField(body, 'text').normalize('NFC').trim();
  const ids = objectField(body, 'media')['media_ids'];
  const mediaIds = Array.isArray(ids) ? ids.map(String) : [];
  if (text === '' && mediaIds.length === 0) return invalid('Text or media is required.');
  // Accounts whose handle ends in "premium" may write long posts.
  if (textLength('weighted', text) > (/premium$/i.test(account.handle) ? 25_000 : 280)) return problem(403, 'Forbidden', 'Your Tweet text is too long.');
  const { poll, reply_settings: replySettings } = body;
  const choices = objectField(body, 'poll')['options'];
  if (poll !== undefined && mediaIds.length > 0) return invalid('$.poll: must not be used with media.');
  if (poll !== undefined && (!Array.isArray(choices) || choices.length < 2 || choices.length > 4 || choices.some((choice) => String(choice).length > 25))) return invalid('$.poll.options: must have 2 to 4 items of at most 25 characters.');
  if (replySettings !== undefined && !['following', 'mentionedUsers', 'subscribers', 'verified'].includes(textField(body, 'reply_settings'))) return invalid('$.reply_settings: does not have a value in the enumeration.');
  if (mediaIds.length > 4) return invalid('$.media.media_ids: must have at most 4 items.');
  const uploads = mediaIds.map((id) => world.find('upload', ID, id));
  if (uploads.some((upload) => upload === undefined || upload.accountId !== account.id || uploadState(upload, now) !== 'done')) return invalid('Your media IDs are invalid.');
  const parentId = textField(objectField(body, 'reply'), 'in_reply_to_tweet_id') || null;
  if (parentId !== null && !isThere(world.find('post', ID, parentId))) return problem(403, 'Forbidden', 'You attempted to reply to a Tweet that is deleted or not visible to you.');
  const id = snowflake(now, `${account.id} ${text} ${Math.random()}`);
  const post = acceptPost(call, { network: ID, id, text, media: uploads.map((upload) => upload!.source), parentId, extra: { mediaIds } });
  return { status: 201, body: { data: { id: post.id, text: escaped(post.text), edit_history_tweet_ids: [post.id] } } };
}

function isThere(post: SimulatedPost | undefined): boolean {
  return post !== undefined && post.deletedAt === null;
}

function timeline({ world, account, params, query }: SimulatedCall): SimulatedAnswer {
  if (params['id'] !== account.id) return ok({ errors: [{ title: 'Not Found Error', detail: `Could not find user with id: [${params['id']}].`, type: 'https://api.twitter.com/2/problems/resource-not-found' }] });
  const since = query['start_time'] === undefined ? 0 : Date.parse(query['start_time']);
  if (Number.isNaN(since)) return invalid(`The 'start_time' query parameter value is not a valid date`);
  const posts = world.postsOf(ID, account.id).filter((post) => post.deletedAt === null && post.publicAt !== null && post.acceptedAt >= since);
  const data = posts.slice(0, Math.min(Number(query['max_results'] ?? 10), 100)).map(asTweet);
  return ok({ ...(data.length === 0 ? {} : { data }), meta: { result_count: data.length } });
}

/** X shortens every link to t.co, adds one for attached media, and escapes `&`, `<`, `>`. */
function asTweet(post: SimulatedPost): Record<string, unknown> {
  const urls: Record<string, string>[] = [];
  let text = post.text;
  for (const link of new Set(twitterText.extractUrls(post.text))) {
    const short = `https://t.co/${digestOf(link, 10)}`;
    text = text.replaceAll(link, short);
    urls.push({ url: short, expanded_url: /^https?:/i.test(link) ? link : `http://${link}`, display_url: link });
  }
  if (post.media.length > 0) {
    const short = `https://t.co/${digestOf(post.id, 10)}`;
    text += ` ${short}`;
    urls.push({ url: short, expanded_url: `https://x.com/i/status/${post.id}/photo/1`, media_key: `3_${post.id}` });
  }
  return { id: post.id, text: escaped(text), created_at: new Date(post.acceptedAt).toISOString(), edit_history_tweet_ids: [post.id], ...(urls.length > 0 ? { entities: { urls } } : {}) };
}

function deleteTweet({ params, world, account, now }: SimulatedCall): SimulatedAnswer {
  const post = world.find('post', ID, params['id'] ?? '');
  if (post === undefined || post.accountId !== account.id) return problem(403, 'Forbidden', 'You are not authorized to delete this Tweet.');
  if (post.deletedAt === null) world.put('post', { ...post, deletedAt: now });
  return ok({ data: { deleted: true } });
}

function initialize(call: SimulatedCall): SimulatedAnswer {
  const { body, world, account, now } = call;
  const contentType = textField(body, 'media_type');
  const bytes = Number(body['total_bytes']);
  if (contentType === '' || !Number.isInteger(bytes)) return invalid('media_type and total_bytes are required.');
  if (contentType.startsWith('image/') && bytes > 5_242_880) return problem(413, 'Payload Too Large', 'File size exceeds 5242880 bytes.');
  const id = snowflake(now, `${account.id} ${contentType} ${bytes} ${Math.random()}`);
  world.put('upload', { network: ID, id, accountId: account.id, source: '', contentType, bytes, ...(contentType.startsWith('video/') ? { extra: uploadProcessing(call) } : {}) });
  return ok({ data: { id, media_key: `3_${id}`, expires_after_secs: 86_400 } });
}

function append({ params, world, raw }: SimulatedCall): SimulatedAnswer {
  const upload = world.find('upload', ID, params['id'] ?? '');
  if (upload === undefined) return invalid('Unknown media id.');
  const content = raw.subarray(Math.max(raw.indexOf('signpost placeholder for '), 0));
  if (upload.source === '') world.put('upload', { ...upload, source: sourceOf(content) });
  return ok({ data: { expires_at: 0 } });
}

/** Videos are worked on; images are there at once. */
function uploadStatus({ query, world, now, account }: SimulatedCall): SimulatedAnswer {
  const upload = world.find('upload', ID, query['media_id'] ?? '');
  if (upload === undefined || upload.accountId !== account.id) return invalid('Unknown media id.');
  const state = uploadState(upload, now);
  const info = state === 'done' ? { state: 'succeeded', progress_percent: 100 }
    : state === 'failed' ? { state: 'failed', progress_percent: 40, error: { code: 1, name: 'InvalidMedia', message: 'Unsupported video format' } }
      : { state: 'in_progress', progress_percent: 40, check_after_secs: 1 };
  return ok({ data: { id: upload.id, processing_info: info } });
}

function finalize({ params, world }: SimulatedCall): SimulatedAnswer {
  const upload = world.find('upload', ID, params['id'] ?? '');
  if (upload === undefined) return invalid('Unknown media id.');
  const isVideo = upload.contentType.startsWith('video/');
  return ok({ data: { id: upload.id, media_key: `3_${upload.id}`, size: upload.bytes, ...(isVideo ? { processing_info: { state: 'pending', check_after_secs: 1 } } : {}) } });
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** Time in the upper bits and a hash below, so ids rise and don't collide. */
function snowflake(now: number, unique: string): string {
  const low = createHash('sha256').update(unique).digest().readUInt32BE(0) & 0x3fffff;
  return ((BigInt(now - 1_288_834_974_657) << 22n) | BigInt(low)).toString();
}

function digits(text: string, length: number): string {
  const hash = BigInt(`0x${createHash('sha256').update(text).digest('hex')}`).toString();
  return `1${hash.slice(0, length - 1)}`;
}

function digestOf(text: string, length: number): string {
  return createHash('sha256').update(text).digest('base64url').replace(/[-_]/g, 'a').slice(0, length);
}
