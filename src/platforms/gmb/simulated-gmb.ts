/** Google Business Profile as the simulator plays it: one account with one location. */
import { googleError, googleRefusals, googleToken } from '../google/simulated-google.js';
import { digitsOf, risingDigits } from '../simulator/fake-ids.js';
import { acceptPost } from '../simulator/new-post.js';
import { objectField, ok, textField, type SimulatedAnswer, type SimulatedCall, type SimulatedNetwork } from '../simulator/network.js';
import { isPublic, type SimulatedAccount, type SimulatedPost } from '../simulator/world.js';
import { textLength } from '../text-length.js';

const ID = 'gmb';

export const simulatedGmb: SimulatedNetwork = {
  id: ID,
  name: 'Google Business Profile',
  exampleHandle: 'adas-bakery',
  handlePattern: /^[\w-]{2,60}$/,
  consent: { path: '/o/oauth2/v2/auth', clientParam: 'client_id' },
  processing: 'after',
  permissions: ['See, edit, create and delete your Google business listings'],
  pages: { profile: '/location/:handle', post: '/post/:id' },
  accessTokenMs: 3600_000,
  keepsRefreshToken: true,
  accountId: (handle) => digitsOf(`${ID} ${handle.toLowerCase()}`, 19),
  token: googleToken,
  refusals: googleRefusals,
  rate: { limit: 300, windowMs: 60_000, headers: () => ({}) },
  remoteId: (post) => `accounts/1/locations/${post.accountId}/localPosts/${post.id}`,
  routes: [
    { method: 'get', path: '/v1/accounts', act: 'read', handle: () => ok({ accounts: [{ name: 'accounts/1', accountName: 'Simulated', type: 'PERSONAL' }] }) },
    {
      method: 'get', path: '/v1/accounts/:account/locations', act: 'read',
      handle: ({ account, webUrl }) => ok({ locations: [{ name: `locations/${account.id}`, title: account.handle, metadata: { mapsUri: `${webUrl}/location/${account.handle}` } }] }),
    },
    { method: 'post', path: '/v4/accounts/:account/locations/:location/localPosts', act: 'publish', textOf: ({ body }) => textField(body, 'summary'), handle: createPost },
    { method: 'get', path: '/v4/accounts/:account/locations/:location/localPosts', act: 'look-up', handle: listPosts },
    {
      method: 'get', path: '/v4/accounts/:account/locations/:location/localPosts/:id', act: 'poll',
      textOf: ({ world, params }) => world.find('post', ID, params['id'] ?? '')?.text ?? '',
      handle: (call) => withPost(call, (post) => ok(present(call, post))),
    },
    { method: 'delete', path: '/v4/accounts/:account/locations/:location/localPosts/:id', act: 'remove', handle: (call) => withPost(call, (post) => {
      call.world.put('post', { ...post, deletedAt: call.now });
      return ok({});
    }) },
  ],
};

function createPost(call: SimulatedCall): SimulatedAnswer {
  const { body, account, params, now } = call;
  const text = textField(body, 'summary');
  if (params['location'] !== account.id) return googleError(404, 'Requested entity was not found.', { status: 'NOT_FOUND' });
  if (textLength('characters', text) > 1500) return googleError(400, 'Request contains an invalid argument: summary is too long.', { status: 'INVALID_ARGUMENT' });
  const media = Array.isArray(body['media']) ? (body['media'] as { sourceUrl?: string }[]).map((item) => item.sourceUrl ?? '') : [];
  const invalid = (what: string): SimulatedAnswer => googleError(400, `Request contains an invalid argument: ${what}`, { status: 'INVALID_ARGUMENT' });
  if (media.length > 1 || media.some((url) => !URL.canParse(url))) return invalid('media must be one sourceUrl.');
  if (!['STANDARD', 'EVENT', 'OFFER'].includes(textField(body, 'topicType'))) return invalid('topicType.');
  if (textField(body, 'topicType') !== 'STANDARD' && textField(objectField(body, 'event'), 'title') === '') return invalid('event is required.');
  const action = body['callToAction'] === undefined ? null : textField(objectField(body, 'callToAction'), 'actionType');
  if (action !== null && !['BOOK', 'ORDER', 'SHOP', 'LEARN_MORE', 'SIGN_UP', 'CALL'].includes(action)) return invalid('callToAction.actionType.');
  const id = risingDigits(now);
  return ok(present(call, acceptPost(call, { network: ID, id, text, media, ...(call.effect === null ? {} : { handle: id }) })));
}

function listPosts(call: SimulatedCall): SimulatedAnswer {
  const posts = call.world.postsOf(ID, call.account.id).filter((post) => post.deletedAt === null);
  return ok({ localPosts: posts.slice(0, 100).map((post) => present(call, post)) });
}

function withPost(call: SimulatedCall, then: (post: SimulatedPost) => SimulatedAnswer): SimulatedAnswer {
  const post = call.world.find('post', ID, call.params['id'] ?? '');
  if (post === undefined || post.accountId !== call.account.id || post.deletedAt !== null) return googleError(404, 'Requested entity was not found.', { status: 'NOT_FOUND' });
  return then(post);
}

function present({ account, now, webUrl }: SimulatedCall, post: SimulatedPost): Record<string, unknown> {
  return { name: nameOf(account, post), languageCode: 'en', summary: post.text, topicType: 'STANDARD', state: stateOf(post, now), createTime: new Date(post.acceptedAt).toISOString(), searchUrl: `${webUrl}/post/${post.id}` };
}

function stateOf(post: SimulatedPost, now: number): string {
  if (post.failsAt !== null && post.failsAt <= now) return 'REJECTED';
  return isPublic(post, now) ? 'LIVE' : 'PROCESSING';
}

function nameOf(account: SimulatedAccount, post: SimulatedPost): string {
  return `accounts/1/locations/${account.id}/localPosts/${post.id}`;
}
