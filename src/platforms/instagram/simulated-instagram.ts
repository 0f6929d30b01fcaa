/** Instagram as the simulator plays it. */
import { containerRoutes, hasChildren } from '../meta-graph/simulated-containers.js';
import { graphCommentRoutes } from '../meta-graph/simulated-graph-comments.js';
import { graphError, graphRefusals, graphTokenRoutes, SIXTY_DAYS_MS } from '../meta-graph/simulated-graph.js';
import { digitsOf } from '../simulator/fake-ids.js';
import { ok, textField, type SimulatedAnswer, type SimulatedNetwork } from '../simulator/network.js';
import { textLength } from '../text-length.js';

const ID = 'instagram';
const ROOT = '/v23.0';

export const simulatedInstagram: SimulatedNetwork = {
  id: ID,
  name: 'Instagram',
  exampleHandle: 'ada.pictures',
  handlePattern: /^[\w.]{1,30}$/,
  consent: { path: '/oauth/authorize', clientParam: 'client_id' },
  keepsRefreshToken: true,
  processing: 'prepared',
  permissions: ['View profile and posts', 'Create posts'],
  pages: { profile: '/:handle', post: '/:handle/p/:id' },
  accessTokenMs: SIXTY_DAYS_MS,
  accountId: (handle) => digitsOf(`${ID} ${handle.toLowerCase()}`, 17),
  token: {
    path: '/oauth/access_token',
    answer: (grant, account) => ok({ access_token: grant.accessToken, user_id: account.id, permissions: ['instagram_business_basic', 'instagram_business_content_publish'] }),
    error: (_error, description) => ({ status: 400, body: { error_type: 'OAuthException', code: 400, error_message: description } }),
  },
  refusals: graphRefusals,
  rate: { limit: 50, windowMs: 24 * 3600_000, headers: (limit, remaining) => ({ 'x-app-usage': JSON.stringify({ call_count: Math.round(100 - (remaining / limit) * 100), total_time: 1, total_cputime: 1 }) }) },
  remoteId: (post) => post.id,
  routes: [
    ...graphTokenRoutes(() => simulatedInstagram, { exchangeLong: '/access_token', refresh: '/refresh_access_token' }),
    { method: 'get', path: `${ROOT}/me`, act: 'read', handle: ({ account }) => ok({ user_id: account.id, username: account.handle, name: account.displayName }) },
    ...graphCommentRoutes({ network: ID, root: ROOT, idOf: ({ now }) => `178${digitsOf(`${now}`, 14)}`, fields: { text: 'text', at: 'timestamp' } }),
    ...containerRoutes({
      network: ID, root: ROOT, createPath: 'media', publishPath: 'media_publish', statusField: 'status_code', textField: 'caption',
      maxText: 2200, lengthOf: (text) => textLength('characters', text), check: checkFields,
      permalink: ({ webUrl, account }, post) => `${webUrl}/${account.handle}/p/${post.id}`,
    }),
  ],
};

function checkFields(fields: Record<string, unknown>): SimulatedAnswer | null {
  const image = textField(fields, 'image_url');
  const video = textField(fields, 'video_url');
  const type = textField(fields, 'media_type');
  if (type === 'CAROUSEL') return hasChildren(fields, 2, 10) ? null : graphError(100, 'A carousel has 2 to 10 children.', { subcode: 2207035 });
  if (image === '' && video === '') return graphError(100, 'The parameter image_url is required', { subcode: 2207020 });
  const url = image || video;
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    return graphError(9004, 'Only photo or video can be accepted as media type.', {
      subcode: 2207052, isTransient: false, title: 'Media download has failed.', userMessage: "The media could not be fetched from this URI. See the developer documentation.",
    });
  }
  return null;
}

