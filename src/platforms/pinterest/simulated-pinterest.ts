/** Pinterest as the simulator plays it: each account has one board. */
import { digitsOf, risingDigits } from '../simulator/fake-ids.js';
import { acceptPost, sourceOf } from '../simulator/new-post.js';
import { objectField, ok, textField, type SimulatedAnswer, type SimulatedCall, type SimulatedNetwork } from '../simulator/network.js';
import { uploadProcessing, uploadState } from '../simulator/upload-processing.js';
import { textLength } from '../text-length.js';

const ID = 'pinterest';

const failure = (status: number, code: number, message: string, headers: Record<string, string> = {}): SimulatedAnswer => ({ status, body: { code, message }, headers });

export const simulatedPinterest: SimulatedNetwork = {
  id: ID,
  name: 'Pinterest',
  exampleHandle: 'adacollects',
  handlePattern: /^\w{3,30}$/,
  consent: { path: '/oauth', clientParam: 'client_id' },
  processing: 'uploads',
  permissions: ['See your user account', 'See your boards', 'See and create your Pins'],
  pages: { profile: '/:handle', post: '/pin/:id/' },
  accessTokenMs: 30 * 24 * 3600_000,
  accountId: (handle) => digitsOf(`${ID} ${handle.toLowerCase()}`, 18),
  token: {
    path: '/v5/oauth/token',
    answer: (grant, _account, now) => ok({
      response_type: 'authorization_code', access_token: grant.accessToken, token_type: 'bearer', expires_in: Math.ceil((grant.accessExpiresAt - now) / 1000),
      refresh_token: grant.refreshToken, refresh_token_expires_in: 31_536_000, scope: 'user_accounts:read,boards:read,pins:read,pins:write',
    }),
    error: (_error, description) => failure(400, 283, description),
  },
  refusals: {
    signedOut: () => failure(401, 2, 'Authentication failed.'),
    tooMany: (after) => failure(429, 8, 'You have exceeded your rate limit. Try again later.', after === null ? {} : { 'x-ratelimit-reset-after': String(after), 'retry-after': String(after) }),
    serverError: () => failure(500, 12, 'Something went wrong on our end. Sorry about that.'),
    suspended: () => failure(403, 29, 'Your account is suspended.'),
    duplicate: () => failure(409, 243, 'This Pin was saved before.'),
    dailyLimit: () => failure(429, 9, 'You have exceeded the daily limit for saving Pins.', { 'retry-after': '86400' }),
    refused: (message) => failure(400, 1, message),
  },
  rate: {
    limit: 100, windowMs: 60_000,
    headers: (limit, remaining, resetAt) => ({
      'x-ratelimit-limit': `${limit}, ${limit};w=60`, 'x-ratelimit-remaining': String(remaining),
      'x-ratelimit-reset': String(Math.ceil((resetAt - Date.now()) / 1000)),
    }),
  },
  remoteId: (post) => post.id,
  routes: [
    {
      method: 'get', path: '/v5/user_account', act: 'read',
      handle: ({ account }) => ok({ username: account.handle, id: account.id, account_type: 'BUSINESS', business_name: account.displayName }),
    },
    { method: 'get', path: '/v5/boards', act: 'read', handle: ({ account }) => ok({ items: [{ id: boardOf(account.id), name: 'My board' }], bookmark: null }) },
    { method: 'post', path: '/v5/pins', act: 'publish', textOf: ({ body }) => textField(body, 'description'), handle: createPin },
    { method: 'get', path: '/v5/pins', act: 'look-up', handle: listPins },
    { method: 'delete', path: '/v5/pins/:id', act: 'remove', handle: deletePin },
    { method: 'post', path: '/v5/media', act: 'upload', handle: register },
    { method: 'post', path: '/upload/:id', act: 'upload', open: true, handle: receive },
    {
      method: 'get', path: '/v5/media/:id', act: 'upload',
      handle: mediaStatus,
    },
  ],
};

function createPin(call: SimulatedCall): SimulatedAnswer {
  const { body, account, world, now } = call;
  const text = textField(body, 'description');
  const source = objectField(body, 'media_source');
  if (textField(body, 'board_id') !== boardOf(account.id)) return failure(404, 40, 'Board not found.');
  if (textLength('characters', text) > 800) return failure(400, 1, `Invalid request: '${text.slice(0, 20)}...' is too long`);
  if (body['link'] !== undefined && (!URL.canParse(textField(body, 'link')) || textField(body, 'link').length > 2048)) return failure(400, 1, 'Invalid request: link is not a valid URL');
  if (textField(body, 'title').length > 100) return failure(400, 1, 'Invalid request: title is too long');
  const media = mediaOf(source, (id) => world.find('upload', ID, id)?.source);
  if (media === null) return failure(400, 235, 'Sorry we could not fetch the image.');
  const post = acceptPost(call, { network: ID, id: risingDigits(now), text, media, extra: { title: textField(body, 'title') } });
  return { status: 201, body: { id: post.id, created_at: written(post.acceptedAt), board_id: boardOf(account.id), title: post.extra['title'], description: post.text } };
}

function mediaOf(source: Record<string, unknown>, uploadOf: (id: string) => string | undefined): string[] | null {
  const type = textField(source, 'source_type');
  if (type === 'image_url') return URL.canParse(textField(source, 'url')) ? [textField(source, 'url')] : null;
  if (type === 'multiple_image_urls' && Array.isArray(source['items'])) return source['items'].map((item: { url?: string }) => item.url ?? '');
  const video = type === 'video_id' ? uploadOf(textField(source, 'media_id')) : undefined;
  return video === undefined ? null : [video];
}

function listPins({ world, account, query }: SimulatedCall): SimulatedAnswer {
  const posts = world.postsOf(ID, account.id).filter((post) => post.deletedAt === null).slice(0, Math.min(Number(query['page_size'] ?? 25), 250));
  return ok({ items: posts.map((post) => ({ id: post.id, created_at: written(post.acceptedAt), title: post.extra['title'], description: post.text })), bookmark: null });
}

function deletePin({ world, account, params, now }: SimulatedCall): SimulatedAnswer {
  const post = world.find('post', ID, params['id'] ?? '');
  if (post === undefined || post.accountId !== account.id || post.deletedAt !== null) return failure(404, 50, 'Pin not found.');
  world.put('post', { ...post, deletedAt: now });
  return { status: 204, body: null };
}

function mediaStatus({ params, world, now }: SimulatedCall): SimulatedAnswer {
  const upload = world.find('upload', ID, params['id'] ?? '');
  if (upload === undefined) return failure(404, 1, 'Media not found.');
  const state = uploadState(upload, now);
  return ok({ media_id: upload.id, status: upload.bytes === 0 ? 'registered' : state === 'done' ? 'succeeded' : state });
}

function register(call: SimulatedCall): SimulatedAnswer {
  const { world, account, now, apiUrl } = call;
  const id = risingDigits(now);
  world.put('upload', { network: ID, id, accountId: account.id, source: '', contentType: 'video/mp4', bytes: 0, extra: uploadProcessing(call) });
  return { status: 201, body: { media_id: id, media_type: 'video', upload_url: `${apiUrl}/upload/${id}`, upload_parameters: { key: `uploads/${id}`, policy: 'simulated' } } };
}

function receive({ world, params, raw }: SimulatedCall): SimulatedAnswer {
  const upload = world.find('upload', ID, params['id'] ?? '');
  if (upload === undefined) return { status: 403, body: null };
  const start = raw.indexOf('signpost placeholder for ');
  world.put('upload', { ...upload, source: sourceOf(start === -1 ? raw : raw.subarray(start)), bytes: raw.length });
  return { status: 204, body: null };
}

function boardOf(accountId: string): string {
  return digitsOf(`board ${accountId}`, 18);
}

/** As Pinterest writes times: UTC without saying so. */
function written(at: number): string {
  return new Date(at).toISOString().slice(0, 19);
}
