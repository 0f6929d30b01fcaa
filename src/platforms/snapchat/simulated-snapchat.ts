/** Snapchat as the simulator plays it: media registered and sent in parts, then posted as a story, saved story or spotlight. */
import { hexOf, risingDigits } from '../simulator/fake-ids.js';
import { acceptPost } from '../simulator/new-post.js';
import { ok, textField, type SimulatedAnswer, type SimulatedCall, type SimulatedNetwork, type SimulatedRoute } from '../simulator/network.js';

const ID = 'snapchat';

const failure = (status: number, code: string, message: string, headers: Record<string, string> = {}): SimulatedAnswer => ({
  status, body: { request_status: 'ERROR', request_id: hexOf(message, 16), debug_message: message, display_message: message, error_code: code }, headers,
});

export const simulatedSnapchat: SimulatedNetwork = {
  id: ID,
  name: 'Snapchat',
  exampleHandle: 'ada.snaps',
  handlePattern: /^[a-z][\w.-]{2,14}$/i,
  consent: { path: '/login/oauth2/authorize', clientParam: 'client_id' },
  permissions: ['Manage your Public Profile', 'Post stories and spotlights'],
  pages: { profile: '/add/:handle', post: '/add/:handle/:id' },
  accessTokenMs: 3600_000,
  accountId: (handle) => uuidOf(`${ID} ${handle.toLowerCase()}`),
  token: {
    path: '/login/oauth2/access_token',
    answer: (grant, _account, now) => ok({ access_token: grant.accessToken, token_type: 'Bearer', expires_in: Math.ceil((grant.accessExpiresAt - now) / 1000), refresh_token: grant.refreshToken, scope: 'snapchat-profile-api' }),
    error: (error, description) => ({ status: error === 'invalid_client' ? 401 : 400, body: { error, error_description: description } }),
  },
  refusals: {
    signedOut: () => failure(401, 'E3003', 'unauthorized'),
    tooMany: (after) => failure(429, 'E3002', 'Too many requests', after === null ? {} : { 'retry-after': String(after) }),
    serverError: () => failure(500, 'E1001', 'internal error'),
    suspended: () => failure(403, 'E3001', 'This profile is suspended'),
    duplicate: () => failure(400, 'E2002', 'The media was posted before'),
    dailyLimit: () => failure(429, 'E3002', 'The daily limit of posts is reached', { 'retry-after': '86400' }),
    refused: (message) => failure(400, 'E2001', message),
  },
  rate: { limit: 20, windowMs: 60_000, headers: () => ({}) },
  remoteId: (post) => post.id,
  routes: [
    {
      method: 'get', path: '/v1/public_profiles/my_profile', act: 'read',
      handle: ({ account }) => ok({ request_status: 'SUCCESS', public_profiles: [{ sub_request_status: 'SUCCESS', public_profile: { id: account.id, display_name: account.displayName, snap_user_name: account.handle } }] }),
    },
    { method: 'post', path: '/v1/public_profiles/:profile/media', act: 'upload', handle: begin },
    { method: 'post', path: '/upload/:id/add', act: 'upload', handle: (call) => part(call, false) },
    { method: 'post', path: '/upload/:id/finalize', act: 'upload', handle: (call) => part(call, true) },
    ...(['stories', 'saved_stories', 'spotlights'] as const).map((kind): SimulatedRoute => ({
      method: 'post', path: `/v1/public_profiles/:profile/${kind}`, act: 'publish', textOf: textOf(kind), handle: (call) => publish(kind, call),
    })),
  ],
};

type Kind = 'stories' | 'saved_stories' | 'spotlights';

function begin({ body, world, account, now, params }: SimulatedCall): SimulatedAnswer {
  if (params['profile'] !== account.id) return failure(403, 'E3001', 'No access to this profile');
  const isEncrypted = Buffer.from(textField(body, 'key'), 'base64').length === 32 && Buffer.from(textField(body, 'iv'), 'base64').length === 16;
  if (!isEncrypted) return failure(400, 'E2001', 'key must have 32 bytes and iv 16 bytes, in base64');
  const id = uuidOf(`media ${risingDigits(now)}`);
  world.put('upload', { network: ID, id, accountId: account.id, source: 'encrypted media', contentType: textField(body, 'type'), bytes: 0, extra: { isFinal: false } });
  return ok({ request_status: 'SUCCESS', media_id: id, add_path: `/upload/${id}/add`, finalize_path: `/upload/${id}/finalize` });
}

function part({ world, params, raw }: SimulatedCall, isFinal: boolean): SimulatedAnswer {
  const upload = world.find('upload', ID, params['id'] ?? '');
  if (upload === undefined) return failure(404, 'E2404', 'Unknown upload');
  world.put('upload', { ...upload, bytes: upload.bytes + (isFinal ? 0 : raw.length), extra: { isFinal } });
  return ok({ result: { name: 'add' } });
}

/** A story has no text of its own: what the media was named stands for it, so that posts can be told apart. */
function textOf(kind: Kind): (call: SimulatedCall) => string {
  return ({ body }) => {
    if (kind === 'spotlights') return textField(body, 'description');
    const [saved] = Array.isArray(body['saved_stories']) ? (body['saved_stories'] as Record<string, unknown>[]) : [];
    return saved === undefined ? '' : textField(saved, 'title');
  };
}

function publish(kind: Kind, call: SimulatedCall): SimulatedAnswer {
  const { body, world, account, now, params } = call;
  if (params['profile'] !== account.id) return failure(403, 'E3001', 'No access to this profile');
  const [saved] = Array.isArray(body['saved_stories']) ? (body['saved_stories'] as { snap_sources?: { media_id?: string }[] }[]) : [];
  const mediaId = kind === 'saved_stories' ? (saved?.snap_sources?.[0]?.media_id ?? '') : textField(body, 'media_id');
  const upload = world.find('upload', ID, mediaId);
  if (upload === undefined || upload.extra?.['isFinal'] !== true || upload.bytes === 0) return failure(400, 'E2001', 'The media is not known or not uploaded');
  if (kind === 'spotlights' && upload.contentType !== 'VIDEO') return failure(400, 'E2001', 'A spotlight needs a video');
  const text = textOf(kind)(call);
  if (text.length > 160) return failure(400, 'E2001', 'description must have at most 160 characters');
  const post = acceptPost(call, { network: ID, id: uuidOf(`${kind} ${risingDigits(now)}`), text, media: [upload.source], extra: { kind } });
  const one = { stories: 'story', saved_stories: 'saved_story', spotlights: 'spotlight' }[kind];
  return ok({ request_status: 'SUCCESS', [kind]: [{ sub_request_status: 'SUCCESS', [one]: { id: post.id } }] });
}

function uuidOf(text: string): string {
  return hexOf(text, 32).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
