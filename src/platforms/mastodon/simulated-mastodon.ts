/** A Mastodon server as the simulator plays it, with its idempotency keys. */
import { digitsOf, risingDigits } from '../simulator/fake-ids.js';
import { acceptPost, sourceOf } from '../simulator/new-post.js';
import { ok, textField, type SimulatedAnswer, type SimulatedCall, type SimulatedNetwork } from '../simulator/network.js';
import { uploadProcessing, uploadState } from '../simulator/upload-processing.js';
import type { SimulatedPost } from '../simulator/world.js';
import { textLength } from '../text-length.js';

const ID = 'mastodon';

const failure = (status: number, error: string, headers: Record<string, string> = {}): SimulatedAnswer => ({ status, body: { error }, headers });

export const simulatedMastodon: SimulatedNetwork = {
  id: ID,
  name: 'Mastodon',
  exampleHandle: 'ada',
  handlePattern: /^\w{1,30}$/,
  consent: { path: '/oauth/authorize', clientParam: 'client_id' },
  processing: 'uploads',
  permissions: ['Read your account and posts', 'Publish posts', 'Upload media files'],
  pages: { profile: '/@:handle', post: '/@:handle/:id' },
  // Mastodon's tokens don't expire.
  accessTokenMs: 100 * 365 * 24 * 3600_000,
  accountId: (handle) => digitsOf(`${ID} ${handle.toLowerCase()}`, 18),
  token: {
    path: '/oauth/token',
    answer: (grant, _account, now) => ok({ access_token: grant.accessToken, token_type: 'Bearer', scope: 'read:accounts read:statuses write:statuses write:media', created_at: Math.floor(now / 1000) }),
    error: (error, description) => ({ status: error === 'invalid_client' ? 401 : 400, body: { error, error_description: description } }),
  },
  refusals: {
    signedOut: () => failure(401, 'The access token was revoked'),
    tooMany: (after, now) => failure(429, 'Too many requests', after === null ? {} : {
      'x-ratelimit-limit': '300', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': new Date(now + after * 1000).toISOString(),
    }),
    serverError: () => failure(500, 'Something went wrong on our end'),
    suspended: () => failure(403, 'Your login is currently disabled'),
    duplicate: () => failure(422, 'Validation failed: Text has been posted before'),
    dailyLimit: (now) => failure(429, 'Too many requests', { 'x-ratelimit-reset': new Date(now + 86_400_000).toISOString() }),
    refused: (message) => failure(422, `Validation failed: ${message}`),
  },
  rate: {
    limit: 300, windowMs: 5 * 60_000,
    headers: (limit, remaining, resetAt) => ({ 'x-ratelimit-limit': String(limit), 'x-ratelimit-remaining': String(remaining), 'x-ratelimit-reset': new Date(resetAt).toISOString() }),
  },
  remoteId: (post) => post.id,
  routes: [
    {
      method: 'get', path: '/api/v1/accounts/verify_credentials', act: 'read',
      handle: ({ account, webUrl }) => ok({ id: account.id, username: account.handle, acct: account.handle, display_name: account.displayName, url: `${webUrl}/@${account.handle}` }),
    },
    { method: 'get', path: '/api/v1/accounts/:id/statuses', act: 'look-up', handle: listStatuses },
    { method: 'post', path: '/api/v1/statuses', act: 'publish', textOf: ({ body }) => textField(body, 'status'), handle: createStatus },
    { method: 'delete', path: '/api/v1/statuses/:id', act: 'remove', handle: deleteStatus },
    { method: 'post', path: '/api/v2/media', act: 'upload', handle: uploadMedia },
    {
      method: 'get', path: '/api/v1/media/:id', act: 'upload',
      handle: mediaStatus,
    },
  ],
};

const KEY_LIFE_MS = 3600_000;

function createStatus(call: SimulatedCall): SimulatedAnswer {
  const { body, world, account, now, headers } = call;
  const text = textField(body, 'status');
  const ids = Array.isArray(body['media_ids']) ? body['media_ids'].map(String) : [];
  const key = headers['idempotency-key'] ?? '';
  const earlier = key === '' ? undefined : world.postsOf(ID, account.id).find((post) => post.extra['idempotencyKey'] === key && now - post.acceptedAt < KEY_LIFE_MS);
  if (earlier !== undefined) return ok(present(call, earlier));
  if (text.trim() === '' && ids.length === 0) return failure(422, "Validation failed: Text can't be blank");
  if (textLength('mastodon', text) > 500) return failure(422, 'Validation failed: Text character limit of 500 exceeded');
  if (body['visibility'] !== undefined && !['public', 'unlisted', 'private', 'direct'].includes(textField(body, 'visibility'))) return failure(422, 'Validation failed: Visibility is not included in the list');
  if (ids.length > 4) return failure(422, 'Validation failed: Cannot attach more than 4 files');
  const media = ids.map((id) => world.find('upload', ID, id));
  if (media.some((item) => item === undefined || item.accountId !== account.id || uploadState(item, now) !== 'done')) return failure(422, 'Cannot attach files that have not finished processing. Try again in a moment!');
  const parentId = textField(body, 'in_reply_to_id') || null;
  if (parentId !== null && world.find('post', ID, parentId) === undefined) return failure(404, 'The post you are trying to reply to does not exist');
  const post = acceptPost(call, { network: ID, id: risingDigits(now), text, media: media.map((item) => item!.source), parentId, extra: { idempotencyKey: key } });
  return ok(present(call, post));
}

function listStatuses(call: SimulatedCall): SimulatedAnswer {
  const posts = call.world.postsOf(ID, call.params['id'] ?? '').filter((post) => post.deletedAt === null);
  return ok(posts.slice(0, Math.min(Number(call.query['limit'] ?? 20), 40)).map((post) => present(call, post)));
}

function present({ account, webUrl }: SimulatedCall, post: SimulatedPost): Record<string, unknown> {
  return { id: post.id, created_at: new Date(post.acceptedAt).toISOString(), url: `${webUrl}/@${account.handle}/${post.id}`, content: asHtml(post.text), in_reply_to_id: post.parentId, visibility: 'public' };
}

function deleteStatus({ params, world, account, now }: SimulatedCall): SimulatedAnswer {
  const post = world.find('post', ID, params['id'] ?? '');
  if (post === undefined || post.accountId !== account.id || post.deletedAt !== null) return failure(404, 'Record not found');
  world.put('post', { ...post, deletedAt: now });
  return ok({ id: post.id, text: post.text });
}

/** 206 while it works on the file: https://docs.joinmastodon.org/methods/media/#get */
function mediaStatus({ params, world, now }: SimulatedCall): SimulatedAnswer {
  const upload = world.find('upload', ID, params['id'] ?? '');
  if (upload === undefined) return failure(404, 'Record not found');
  const state = uploadState(upload, now);
  if (state === 'failed') return failure(422, 'Error processing thumbnail for uploaded media');
  return state === 'done' ? ok({ id: upload.id, url: `https://files.example.com/${upload.id}` }) : { status: 206, body: { id: upload.id, url: null } };
}

function uploadMedia(call: SimulatedCall): SimulatedAnswer {
  const { raw, world, account, now } = call;
  const start = raw.indexOf('signpost placeholder for ');
  const id = risingDigits(now);
  world.put('upload', { network: ID, id, accountId: account.id, source: sourceOf(start === -1 ? raw : raw.subarray(start)), contentType: '', bytes: raw.length, extra: uploadProcessing(call) });
  return { status: 202, body: { id, type: 'image', url: null } };
}

/** As Mastodon shows a text: escaped, in paragraphs, links with their protocol hidden. */
function asHtml(text: string): string {
  const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
  const linked = escaped.replace(/(https?:\/\/)(\S+)/g, '<a href="$1$2" rel="nofollow"><span class="invisible">$1</span><span>$2</span></a>');
  return `<p>${linked.replaceAll('\n\n', '</p><p>').replaceAll('\n', '<br />')}</p>`;
}
