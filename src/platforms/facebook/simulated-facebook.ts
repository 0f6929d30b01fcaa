/** Facebook Pages as the simulator plays them: each simulated account is one page. */
import { graphCommentRoutes } from '../meta-graph/simulated-graph-comments.js';
import { graphError, graphRefusals, graphTokenRoutes, SIXTY_DAYS_MS } from '../meta-graph/simulated-graph.js';
import { digitsOf, risingDigits } from '../simulator/fake-ids.js';
import { acceptPost } from '../simulator/new-post.js';
import { ok, textField, type SimulatedAnswer, type SimulatedCall, type SimulatedNetwork } from '../simulator/network.js';
import { isPublic } from '../simulator/world.js';
import { textLength } from '../text-length.js';
import { shortRoutes } from './simulated-facebook-shorts.js';

const ID = 'facebook';
const ROOT = '/v23.0';

export const simulatedFacebook: SimulatedNetwork = {
  id: ID,
  name: 'Facebook',
  exampleHandle: 'ada.bakery',
  handlePattern: /^[\w.]{1,50}$/,
  consent: { path: `${ROOT}/dialog/oauth`, clientParam: 'client_id' },
  processing: 'after',
  permissions: ['Show a list of the Pages you manage', 'Create and manage content on your Page', 'Read content posted on the Page'],
  pages: { profile: '/page/:handle', post: '/:id' },
  accessTokenMs: SIXTY_DAYS_MS,
  accountId: (handle) => digitsOf(`${ID} ${handle.toLowerCase()}`, 15),
  token: {
    path: `${ROOT}/oauth/access_token`,
    answer: (grant, _account, now) => ok({ access_token: grant.accessToken, token_type: 'bearer', expires_in: Math.ceil((grant.accessExpiresAt - now) / 1000) }),
    error: (_error, description) => graphError(100, description, { subcode: 36009 }),
  },
  refusals: graphRefusals,
  rate: { limit: 1000, windowMs: 3600_000, headers: (limit, remaining) => ({ 'x-app-usage': JSON.stringify({ call_count: Math.round(100 - (remaining / limit) * 100), total_time: 1, total_cputime: 1 }) }) },
  remoteId: (post) => post.id,
  routes: [
    ...graphTokenRoutes(() => simulatedFacebook, { codeByGet: `${ROOT}/oauth/access_token` }),
    {
      method: 'get', path: `${ROOT}/me/accounts`, act: 'read',
      handle: (call) => ok({ data: [{ ...pageOf(call), access_token: (call.headers['authorization'] ?? '').replace(/^Bearer /i, '') }] }),
    },
    { method: 'get', path: `${ROOT}/me`, act: 'read', handle: (call) => ok(pageOf(call)) },
    { method: 'post', path: `${ROOT}/:page/feed`, act: 'publish', textOf: ({ body }) => textField(body, 'message'), handle: postToFeed },
    { method: 'post', path: `${ROOT}/:page/photos`, act: ({ body }) => (body['published'] === false ? 'upload' : 'publish'), textOf: ({ body }) => textField(body, 'caption'), handle: postPhoto },
    { method: 'post', path: `${ROOT}/:page/videos`, act: 'publish', textOf: ({ body }) => textField(body, 'description'), handle: postVideo },
    ...shortRoutes,
    { method: 'get', path: `${ROOT}/:page/posts`, act: 'look-up', handle: listPosts },
    ...graphCommentRoutes({ network: ID, root: ROOT, idOf: ({ now }, postId) => `${postId}_${risingDigits(now)}`, fields: { text: 'message', at: 'created_time' } }),
    { method: 'delete', path: `${ROOT}/:id`, act: 'remove', handle: remove },
  ],
};

function pageOf({ account, webUrl }: SimulatedCall): Record<string, unknown> {
  return { id: account.id, name: account.displayName, username: account.handle, link: `${webUrl}/page/${account.handle}` };
}

function postToFeed(call: SimulatedCall): SimulatedAnswer {
  const attached = call.body['attached_media'];
  const ids = Array.isArray(attached) ? attached.map((item: { media_fbid?: string }) => item.media_fbid ?? '') : [];
  const photos = ids.map((id) => call.world.find('upload', ID, id));
  if (photos.some((photo) => photo === undefined)) return graphError(100, 'Invalid parameter: attached_media names an unknown photo.');
  const message = textField(call.body, 'message');
  if (message === '' && photos.length === 0 && textField(call.body, 'link') === '') return graphError(100, 'Message must not be empty.');
  return accept(call, message, photos.map((photo) => photo!.source));
}

function postPhoto(call: SimulatedCall): SimulatedAnswer {
  const { body, world, account, now } = call;
  const url = textField(body, 'url');
  if (!URL.canParse(url)) return graphError(324, 'Missing or invalid image file');
  if (body['published'] !== false) return accept(call, textField(body, 'caption'), [url], true);
  const id = risingDigits(now);
  world.put('upload', { network: ID, id, accountId: account.id, source: url, contentType: 'image/jpeg', bytes: 0 });
  return ok({ id });
}

function postVideo(call: SimulatedCall): SimulatedAnswer {
  const url = textField(call.body, 'file_url');
  if (!URL.canParse(url)) return graphError(389, 'Unable to fetch video file from URL.');
  return accept(call, textField(call.body, 'description'), [url]);
}

function accept(call: SimulatedCall, text: string, media: string[], asPhoto = false): SimulatedAnswer {
  const { params, account, now } = call;
  if (params['page'] !== account.id) return graphError(200, '(#200) The user must be an administrator of the page.', { status: 403 });
  const scheduled = call.body['scheduled_publish_time'];
  const isScheduledWell = typeof scheduled === 'number' && scheduled * 1000 >= now + 600_000 && scheduled * 1000 <= now + 30 * 86_400_000 && call.body['published'] === false;
  if (scheduled !== undefined && !isScheduledWell) return graphError(100, 'The specified scheduled publish time is invalid.', { subcode: 1366046 });
  if (textLength('characters', text) > 63_206) return graphError(100, 'Message is too long.');
  const keptBack = call.body['published'] === false ? { keptBackUntil: typeof scheduled === 'number' ? scheduled * 1000 : null } : {};
  const post = acceptPost(call, { network: ID, id: `${account.id}_${risingDigits(now)}`, text, media, ...keptBack });
  return ok(asPhoto ? { id: post.id.split('_')[1], post_id: post.id } : { id: post.id });
}

/** Stories are listed elsewhere, and so are drafts and what is to be published later. */
function listPosts({ world, account, query, now }: SimulatedCall): SimulatedAnswer {
  const since = Number(query['since'] ?? 0) * 1000;
  const posts = world.postsOf(ID, account.id).filter((post) => post.acceptedAt >= since && post.extra['isStory'] !== true && isPublic(post, now)).slice(0, 100);
  return ok({ data: posts.map((post) => ({ id: post.id, message: post.text, created_time: new Date(post.acceptedAt).toISOString().replace(/\.\d+Z/, '+0000') })) });
}

function remove({ world, params, account, now }: SimulatedCall): SimulatedAnswer {
  const post = world.find('post', ID, params['id'] ?? '');
  if (post === undefined || post.accountId !== account.id || post.deletedAt !== null) return graphError(100, 'Unsupported delete request. The object does not exist.', { subcode: 33 });
  world.put('post', { ...post, deletedAt: now });
  return ok({ success: true });
}
