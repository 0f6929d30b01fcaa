/** Bluesky as the simulator plays it: XRPC methods, lexicon checks and error bodies of a personal data server. */
import { createHash } from 'node:crypto';
import { acceptPost, sourceOf } from '../simulator/new-post.js';
import { objectField, ok, textField, type SimulatedAnswer, type SimulatedCall, type SimulatedNetwork } from '../simulator/network.js';
import type { SimulatedAccount, SimulatedPost } from '../simulator/world.js';
import { textLength } from '../text-length.js';
import { appPasswordOf, bareToken, sessionRoutes } from './simulated-sessions.js';

const ID = 'bluesky';
const COLLECTION = 'app.bsky.feed.post';

const xrpcError = (status: number, error: string, message: string, headers?: Record<string, string>): SimulatedAnswer => (
  headers === undefined ? { status, body: { error, message } } : { status, body: { error, message }, headers }
);

export const simulatedBluesky: SimulatedNetwork = {
  id: ID,
  name: 'Bluesky',
  exampleHandle: 'ada.bsky.social',
  handlePattern: /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}$/i,
  consent: { path: '/oauth/authorize', clientParam: 'client_id' },
  gives: {
    path: '/settings/app-passwords', title: 'A new app password', lead: 'Makes an account, and a password for one app.',
    values: (_grant, account) => [{ label: 'Handle', value: account.handle }, { label: 'App password', value: appPasswordOf(account) }],
  },
  permissions: ['See your profile', 'Publish, find and delete posts in your name'],
  pages: { profile: '/profile/:handle', post: '/profile/:handle/post/:id' },
  accountId: (handle) => `did:plc:${base32(handle).slice(0, 24)}`,
  token: {
    path: '/oauth/token',
    answer: (grant, account, now) => ok({
      access_token: grant.accessToken, token_type: 'Bearer', refresh_token: grant.refreshToken, scope: 'atproto transition:generic',
      expires_in: Math.ceil((grant.accessExpiresAt - now) / 1000), sub: account.id,
    }),
    error: (error, description) => ({ status: error === 'invalid_client' ? 401 : 400, body: { error, error_description: description } }),
  },
  refusals: {
    signedOut: () => xrpcError(400, 'ExpiredToken', 'Token has expired'),
    tooMany: (after, now) => xrpcError(429, 'RateLimitExceeded', 'Rate Limit Exceeded', after === null ? {} : {
      'ratelimit-limit': '5000', 'ratelimit-remaining': '0', 'ratelimit-reset': String(Math.ceil(now / 1000) + after), 'ratelimit-policy': '5000;w=3600',
    }),
    serverError: () => xrpcError(500, 'InternalServerError', 'Internal Server Error'),
    suspended: () => xrpcError(401, 'AccountTakedown', 'Account has been taken down'),
    duplicate: () => xrpcError(400, 'InvalidRequest', 'Record already exists'),
    dailyLimit: (now) => xrpcError(429, 'RateLimitExceeded', 'Rate Limit Exceeded', {
      'ratelimit-limit': '35000', 'ratelimit-remaining': '0', 'ratelimit-reset': String(Math.ceil(now / 1000) + 86_400), 'ratelimit-policy': '35000;w=86400',
    }),
    refused: (message) => xrpcError(400, 'InvalidRequest', message),
  },
  // 5,000 points an hour, a create costs 3: https://docs.bsky.app/docs/advanced-guides/rate-limits
  rate: {
    limit: 1666, windowMs: 3600_000,
    headers: (limit, remaining, resetAt) => ({ 'ratelimit-limit': String(limit * 3), 'ratelimit-remaining': String(remaining * 3), 'ratelimit-reset': String(Math.ceil(resetAt / 1000)), 'ratelimit-policy': '5000;w=3600' }),
  },
  remoteId: (post) => uriOf(post.accountId, post.id),
  tokenOf: bareToken,
  routes: [
    ...sessionRoutes,
    { method: 'get', path: '/xrpc/com.atproto.server.getSession', act: 'read', handle: ({ account }) => ok({ did: account.id, handle: account.handle, active: true }) },
    { method: 'get', path: '/xrpc/app.bsky.actor.getProfile', act: 'read', handle: getProfile },
    { method: 'post', path: '/xrpc/com.atproto.repo.uploadBlob', act: 'upload', handle: uploadBlob },
    {
      method: 'post', path: '/xrpc/com.atproto.repo.createRecord', act: 'publish',
      textOf: (call) => textField(objectField(call.body, 'record'), 'text'),
      handle: createRecord,
    },
    { method: 'get', path: '/xrpc/com.atproto.repo.getRecord', act: 'look-up', handle: getRecord },
    { method: 'get', path: '/xrpc/com.atproto.repo.listRecords', act: 'look-up', handle: listRecords },
    { method: 'post', path: '/xrpc/com.atproto.repo.deleteRecord', act: 'remove', handle: deleteRecord },
  ],
};

function getProfile({ account }: SimulatedCall): SimulatedAnswer {
  return ok({ did: account.id, handle: account.handle, displayName: account.displayName });
}

function uploadBlob({ raw, headers, world, account }: SimulatedCall): SimulatedAnswer {
  const contentType = headers['content-type'] ?? 'application/octet-stream';
  const max = contentType.startsWith('video/') ? 100_000_000 : 1_000_000;
  if (raw.length > max) return xrpcError(400, 'BlobTooLarge', `This file is too large. It is ${raw.length} bytes but the maximum size is ${max} bytes.`);
  const link = `bafkrei${base32(`${account.id} ${createHash('sha256').update(raw).digest('hex')}`).slice(0, 52)}`;
  world.put('upload', { network: ID, id: link, accountId: account.id, source: sourceOf(raw), contentType, bytes: raw.length });
  return ok({ blob: { $type: 'blob', ref: { $link: link }, mimeType: contentType, size: raw.length } });
}

function createRecord(call: SimulatedCall): SimulatedAnswer {
  const { body, world, account, now } = call;
  const record = objectField(body, 'record');
  const text = textField(record, 'text');
  const rkey = textField(body, 'rkey') || base32(`${account.id} ${now} ${Math.random()}`).slice(0, 13);
  if (textField(body, 'repo') !== account.id && textField(body, 'repo') !== account.handle) return xrpcError(401, 'AuthMissing', 'Not authorized to write to this repo');
  if (textField(body, 'collection') !== COLLECTION) return xrpcError(400, 'InvalidRequest', 'The simulated Bluesky knows app.bsky.feed.post only');
  if (!/^[234567a-z]{13}$/.test(rkey)) return xrpcError(400, 'InvalidRequest', 'Invalid record key: expected a TID');
  if (textLength('graphemes', text) > 300) return xrpcError(400, 'InvalidRequest', 'Invalid app.bsky.feed.post record: Record/text must not be longer than 300 graphemes');
  if (textLength('bytes', text) > 3000) return xrpcError(400, 'InvalidRequest', 'Invalid app.bsky.feed.post record: Record/text must not be longer than 3000 bytes');
  const existing = world.find('post', ID, rkey);
  // What real servers answered in 2025: https://github.com/bluesky-social/atproto/issues/3718
  if (existing !== undefined && existing.deletedAt === null) return xrpcError(500, 'InternalServerError', 'Internal Server Error');
  if (textField(record, '$type') !== COLLECTION) return xrpcError(400, 'InvalidRequest', `Invalid $type: expected ${COLLECTION}, got ${textField(record, '$type')}`);
  if (Number.isNaN(Date.parse(textField(record, 'createdAt')))) return xrpcError(400, 'InvalidRequest', `Invalid ${COLLECTION} record: Record/createdAt must be an valid atproto datetime`);
  const links = embeddedBlobs(objectField(record, 'embed'));
  if (links.length > 4) return xrpcError(400, 'InvalidRequest', `Invalid ${COLLECTION} record: Record/embed/images must not have more than 4 elements`);
  const missing = links.find((link) => world.find('upload', ID, link)?.accountId !== account.id);
  if (missing !== undefined) return xrpcError(400, 'InvalidRequest', `Could not find blob: ${missing}`);
  const parentId = textField(objectField(objectField(record, 'reply'), 'parent'), 'uri').split('/').at(-1) || null;
  const media = links.map((link) => world.find('upload', ID, link)!.source);
  const post = acceptPost(call, { network: ID, id: rkey, text, media, parentId, extra: { record } });
  return ok({ uri: uriOf(account.id, post.id), cid: cidOf(post), validationStatus: 'valid' });
}

/** The blobs that a record names: up to four images, or one video. */
function embeddedBlobs(embed: Record<string, unknown>): string[] {
  if (embed['$type'] === 'app.bsky.embed.video') return [textField(objectField(objectField(embed, 'video'), 'ref'), '$link')];
  const { images } = embed;
  return (Array.isArray(images) ? images : []).map((image: { image?: { ref?: { $link?: string } } }) => image.image?.ref?.$link ?? '');
}

function getRecord({ query, world, account }: SimulatedCall): SimulatedAnswer {
  const post = world.find('post', ID, query['rkey'] ?? '');
  if (post === undefined || post.deletedAt !== null || post.accountId !== account.id) {
    return xrpcError(400, 'RecordNotFound', `Could not locate record: ${uriOf(account.id, query['rkey'] ?? '')}`);
  }
  return ok({ uri: uriOf(post.accountId, post.id), cid: cidOf(post), value: post.extra['record'] });
}

function listRecords({ world, account, query }: SimulatedCall): SimulatedAnswer {
  const posts = world.postsOf(ID, account.id).filter((post) => post.deletedAt === null).slice(0, Math.min(Number(query['limit'] ?? 50), 100));
  return ok({ records: posts.map((post) => ({ uri: uriOf(post.accountId, post.id), cid: cidOf(post), value: post.extra['record'] })) });
}

function deleteRecord({ body, world, account, now }: SimulatedCall): SimulatedAnswer {
  const post = world.find('post', ID, textField(body, 'rkey'));
  if (post !== undefined && post.accountId === account.id && post.deletedAt === null) world.put('post', { ...post, deletedAt: now });
  return ok({});
}

function uriOf(did: SimulatedAccount['id'], rkey: string): string {
  return `at://${did}/${COLLECTION}/${rkey}`;
}

function cidOf(post: SimulatedPost): string {
  return `bafyrei${base32(`${post.accountId} ${post.id} ${post.text}`).slice(0, 52)}`;
}

function base32(text: string): string {
  return [...createHash('sha512').update(text).digest()].map((byte) => 'abcdefghijklmnopqrstuvwxyz234567'[byte & 31]).join('');
}
