/** LinkedIn as the simulator plays it: posts answered with an id in a header, uploads registered, sent and available. */
import { lettersOf, risingDigits } from '../simulator/fake-ids.js';
import { acceptPost, sourceOf } from '../simulator/new-post.js';
import { objectField, ok, textField, type SimulatedAnswer, type SimulatedCall, type SimulatedNetwork, type SimulatedRoute } from '../simulator/network.js';
import { uploadProcessing, uploadState } from '../simulator/upload-processing.js';
import type { SimulatedPost } from '../simulator/world.js';
import { littleText, plainText } from './little-text.js';

const ID = 'linkedin';

const failure = (status: number, code: string, message: string, headers: Record<string, string> = {}): SimulatedAnswer => ({ status, body: { status, code, message }, headers });

export const simulatedLinkedin: SimulatedNetwork = {
  id: ID,
  name: 'LinkedIn',
  exampleHandle: 'ada-lovelace',
  handlePattern: /^[\w-]{2,100}$/,
  consent: { path: '/oauth/v2/authorization', clientParam: 'client_id' },
  processing: 'uploads',
  permissions: ['Use your name and photo', 'Create, modify and delete posts on your behalf'],
  pages: { profile: '/in/:handle', post: '/feed/update/:id' },
  accessTokenMs: 60 * 24 * 3600_000,
  accountId: (handle) => lettersOf(`${ID} ${handle.toLowerCase()}`, 10),
  token: {
    path: '/oauth/v2/accessToken',
    answer: (grant, _account, now) => ok({
      access_token: grant.accessToken, expires_in: Math.ceil((grant.accessExpiresAt - now) / 1000), refresh_token: grant.refreshToken, refresh_token_expires_in: 31_536_000, scope: 'openid,profile,w_member_social',
    }),
    error: (error, description) => ({ status: error === 'invalid_client' ? 401 : 400, body: { error: error === 'invalid_grant' ? 'invalid_request' : error, error_description: description } }),
  },
  refusals: {
    signedOut: () => failure(401, 'REVOKED_ACCESS_TOKEN', 'The token used in the request has been revoked by the user'),
    tooMany: (after) => failure(429, 'TOO_MANY_REQUESTS', 'Resource level throttle limit for calls to this resource is reached.', after === null ? {} : { 'retry-after': String(after) }),
    serverError: () => failure(500, 'INTERNAL_SERVER_ERROR', 'Internal Server Error'),
    suspended: () => failure(403, 'ACCESS_DENIED', 'Member is restricted'),
    duplicate: () => failure(422, 'DUPLICATE_POST', 'Content is a duplicate of urn:li:share:7000000000000000000'),
    dailyLimit: () => failure(429, 'TOO_MANY_REQUESTS', 'Resource level throttle MEMBER DAY limit for calls to this resource is reached.'),
    refused: (message) => failure(422, 'UNPROCESSABLE_ENTITY', message),
  },
  rate: { limit: 150, windowMs: 24 * 3600_000, headers: () => ({}) },
  remoteId: (post) => post.id,
  routes: [
    { method: 'get', path: '/v2/userinfo', act: 'read', handle: ({ account }) => ok({ sub: account.id, name: account.handle, locale: 'en_US' }) },
    { method: 'post', path: '/rest/posts', act: 'publish', textOf: ({ body }) => plainText(textField(body, 'commentary')), handle: createPost },
    { method: 'get', path: '/rest/posts', act: 'look-up', handle: listPosts },
    { method: 'delete', path: '/rest/posts/:urn', act: 'remove', handle: deletePost },
    {
      method: 'post', path: '/rest/socialActions/:urn/comments', act: 'publish',
      textOf: ({ body }) => textField(objectField(body, 'message'), 'text'),
      handle: ({ now }) => ({ status: 201, body: { id: risingDigits(now) } }),
    },
    ...(['image', 'video', 'document'] as const).flatMap(uploadRoutes),
  ],
};

function uploadRoutes(kind: 'image' | 'video' | 'document'): SimulatedRoute[] {
  const path = `/rest/${kind}s`;
  return [
    { method: 'post', path, act: 'upload', handle: (call) => (call.query['action'] === 'finalizeUpload' ? ok({}) : initialize(kind, call)) },
    { method: 'put', path: `/upload/${kind}/:id`, act: 'upload', open: true, handle: receive },
    {
      method: 'get', path: `${path}/:urn`, act: 'upload',
      handle: lookAtUpload,
    },
  ];
}

function lookAtUpload({ world, params, now }: SimulatedCall): SimulatedAnswer {
  const upload = world.find('upload', ID, params['urn'] ?? '');
  if (upload === undefined) return failure(404, 'NOT_FOUND', 'Could not find entity');
  const state = uploadState(upload, now);
  if (state === 'failed') return ok({ id: upload.id, status: 'PROCESSING_FAILED', processingFailureReason: 'UNSUPPORTED_MEDIA' });
  return ok({ id: upload.id, status: upload.bytes === 0 ? 'WAITING_UPLOAD' : state === 'done' ? 'AVAILABLE' : 'PROCESSING' });
}

function initialize(kind: string, call: SimulatedCall): SimulatedAnswer {
  const { world, account, now, apiUrl, body } = call;
  const id = risingDigits(now);
  const urn = `urn:li:${kind}:${id}`;
  world.put('upload', { network: ID, id: urn, accountId: account.id, source: '', contentType: kind, bytes: 0, extra: uploadProcessing(call) });
  const uploadUrl = `${apiUrl}/upload/${kind}/${id}`;
  const bytes = Number(objectField(body, 'initializeUploadRequest')['fileSizeBytes'] ?? 1);
  const how = kind === 'video' ? { uploadToken: '', uploadInstructions: [{ uploadUrl, firstByte: 0, lastByte: Math.max(bytes - 1, 0) }] } : { uploadUrl };
  return ok({ value: { uploadUrlExpiresAt: now + 86_400_000, [kind]: urn, ...how } });
}

function receive({ world, raw, params, apiUrl }: SimulatedCall): SimulatedAnswer {
  const kinds = ['image', 'video', 'document'];
  const upload = kinds.map((kind) => world.find('upload', ID, `urn:li:${kind}:${params['id'] ?? ''}`)).find((found) => found !== undefined);
  if (upload === undefined) return failure(404, 'NOT_FOUND', `Unknown upload at ${apiUrl}`);
  world.put('upload', { ...upload, source: sourceOf(raw), bytes: raw.length });
  return { status: 201, body: null, headers: { etag: `"${lettersOf(upload.id, 20)}"` } };
}

function createPost(call: SimulatedCall): SimulatedAnswer {
  const { body, headers, account, world, now } = call;
  if (!/^20\d{4}$/.test(headers['linkedin-version'] ?? '')) return failure(426, 'NONEXISTENT_VERSION', 'Requested version is not active');
  if (headers['x-restli-protocol-version'] !== '2.0.0') return failure(400, 'ILLEGAL_ARGUMENT', 'Invalid X-RestLi-Protocol-Version');
  if (!['PUBLIC', 'CONNECTIONS', 'LOGGED_IN'].includes(textField(body, 'visibility'))) return failure(422, 'UNPROCESSABLE_ENTITY', 'Field Value validation failed in REQUEST_BODY: visibility');
  if (textField(body, 'author') !== `urn:li:person:${account.id}`) return failure(403, 'ACCESS_DENIED', 'Field Value validation failed in REQUEST_BODY: author');
  const text = plainText(textField(body, 'commentary'));
  if (text.length > 3000) return failure(422, 'UNPROCESSABLE_ENTITY', 'Commentary length exceeded the maximum allowed (3000)');
  const content = objectField(body, 'content');
  const images = objectField(content, 'multiImage')['images'];
  const single = textField(objectField(content, 'media'), 'id');
  const urns = Array.isArray(images) ? images.map((image: { id?: string }) => image.id ?? '') : single === '' ? [] : [single];
  if (Array.isArray(images) && (urns.length < 2 || urns.length > 20)) return failure(422, 'UNPROCESSABLE_ENTITY', 'multiImage must have 2 to 20 images');
  const uploads = urns.map((urn) => world.find('upload', ID, urn));
  if (uploads.some((upload) => upload === undefined || upload.bytes === 0 || upload.accountId !== account.id || uploadState(upload, now) !== 'done')) return failure(422, 'UNPROCESSABLE_ENTITY', 'LinkedIn processing failed for image');
  const post = acceptPost(call, { network: ID, id: `urn:li:share:${risingDigits(now)}`, text, media: uploads.map((upload) => upload!.source) });
  return { status: 201, body: null, headers: { 'x-restli-id': post.id, location: `/posts/${encodeURIComponent(post.id)}` } };
}

function listPosts({ world, account, query, headers }: SimulatedCall): SimulatedAnswer {
  if (headers['x-restli-method'] !== 'FINDER' || query['q'] !== 'author') return failure(400, 'ILLEGAL_ARGUMENT', 'Unknown finder');
  const posts = world.postsOf(ID, account.id).filter((post) => post.deletedAt === null).slice(0, Math.min(Number(query['count'] ?? 10), 100));
  const elements = posts.map((post: SimulatedPost) => ({
    id: post.id, author: `urn:li:person:${account.id}`, commentary: littleText(post.text), createdAt: post.acceptedAt, lifecycleState: 'PUBLISHED',
  }));
  return ok({ elements, paging: { start: 0, count: posts.length, links: [] } });
}

function deletePost({ world, account, params, now }: SimulatedCall): SimulatedAnswer {
  const post = world.find('post', ID, params['urn'] ?? '');
  // Deleting is idempotent at LinkedIn.
  if (post !== undefined && post.accountId === account.id && post.deletedAt === null) world.put('post', { ...post, deletedAt: now });
  return { status: 204, body: null };
}
