/** Threads as the simulator plays it. */
import { containerRoutes, hasChildren } from '../meta-graph/simulated-containers.js';
import { graphError, graphRefusals, graphTokenRoutes, SIXTY_DAYS_MS } from '../meta-graph/simulated-graph.js';
import { digitsOf } from '../simulator/fake-ids.js';
import { ok, textField, type SimulatedAnswer, type SimulatedNetwork } from '../simulator/network.js';
import { textLength } from '../text-length.js';

const ID = 'threads';
const ROOT = '/v1.0';

export const simulatedThreads: SimulatedNetwork = {
  id: ID,
  name: 'Threads',
  exampleHandle: 'ada.words',
  handlePattern: /^[\w.]{1,30}$/,
  consent: { path: '/oauth/authorize', clientParam: 'client_id' },
  keepsRefreshToken: true,
  processing: 'prepared',
  permissions: ['Read your profile', 'Publish posts', 'Delete posts'],
  pages: { profile: '/@:handle', post: '/@:handle/post/:id' },
  accessTokenMs: SIXTY_DAYS_MS,
  accountId: (handle) => digitsOf(`${ID} ${handle.toLowerCase()}`, 17),
  token: {
    path: '/oauth/access_token',
    answer: (grant, account) => ok({ access_token: grant.accessToken, user_id: account.id }),
    error: (_error, description) => ({ status: 400, body: { error_type: 'OAuthException', code: 400, error_message: description } }),
  },
  refusals: graphRefusals,
  rate: { limit: 250, windowMs: 24 * 3600_000, headers: () => ({}) },
  remoteId: (post) => post.id,
  routes: [
    ...graphTokenRoutes(() => simulatedThreads, { exchangeLong: '/access_token', refresh: '/refresh_access_token' }),
    { method: 'get', path: `${ROOT}/me`, act: 'read', handle: ({ account }) => ok({ id: account.id, username: account.handle, name: account.displayName }) },
    ...containerRoutes({
      network: ID, root: ROOT, createPath: 'threads', publishPath: 'threads_publish', repliesPath: 'replies', statusField: 'status', textField: 'text',
      maxText: 500, lengthOf: (text) => textLength('threads', text), check: checkFields,
      permalink: ({ webUrl, account }, post) => `${webUrl}/@${account.handle}/post/${post.id}`,
    }),
  ],
};

function checkFields(fields: Record<string, unknown>): SimulatedAnswer | null {
  const type = textField(fields, 'media_type');
  if (!['TEXT', 'IMAGE', 'VIDEO', 'CAROUSEL'].includes(type)) return graphError(100, 'Param media_type must be one of {TEXT, IMAGE, VIDEO, CAROUSEL}');
  if (type === 'CAROUSEL' && !hasChildren(fields, 2, 20)) return graphError(100, 'A carousel has 2 to 20 children.');
  if (type === 'TEXT' && textField(fields, 'text') === '') return graphError(100, 'The parameter text is required.');
  if (type === 'IMAGE' && textField(fields, 'image_url') === '') return graphError(100, 'The parameter image_url is required.');
  if (type === 'VIDEO' && textField(fields, 'video_url') === '') return graphError(100, 'The parameter video_url is required.');
  return null;
}
