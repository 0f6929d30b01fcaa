/** Slack as the simulator plays it: one channel of one workspace per account, refusals with status 200. */
import { lettersOf } from '../simulator/fake-ids.js';
import { acceptPost } from '../simulator/new-post.js';
import { ok, textField, type SimulatedAnswer, type SimulatedCall, type SimulatedNetwork } from '../simulator/network.js';
import type { SimulatedAccount, SimulatedPost } from '../simulator/world.js';

const ID = 'slack';

const refusal = (error: string, status = 200, headers: Record<string, string> = {}): SimulatedAnswer => ({ status, body: { ok: false, error }, headers });

export const simulatedSlack: SimulatedNetwork = {
  id: ID,
  name: 'Slack',
  exampleHandle: 'announcements',
  handlePattern: /^[a-z0-9_-]{1,80}$/,
  consent: { path: '/oauth/v2/authorize', clientParam: 'client_id' },
  permissions: ['Post to a channel of your workspace', 'Read messages in that channel'],
  pages: { profile: '/channel/:handle', post: '/archives/:channel/p:id' },
  pageParams: (account) => ({ channel: account.id }),
  accessTokenMs: 100 * 365 * 24 * 3600_000,
  accountId: (handle) => `C${lettersOf(`${ID} ${handle}`, 10).toUpperCase()}`,
  token: {
    path: '/oauth.v2.access',
    answer: (grant, account) => ok({
      ok: true, access_token: grant.accessToken, token_type: 'bot', scope: 'chat:write,incoming-webhook,channels:history', bot_user_id: 'U0SIMULATED',
      team: { id: 'T0SIMULATED', name: 'Simulated workspace' }, incoming_webhook: { channel: `#${account.handle}`, channel_id: account.id, url: '' },
    }),
    error: (error) => refusal(error === 'invalid_grant' ? 'invalid_code' : error),
  },
  refusals: {
    signedOut: () => refusal('invalid_auth'),
    tooMany: (after) => refusal('ratelimited', 429, after === null ? {} : { 'retry-after': String(after) }),
    serverError: () => refusal('internal_error', 500),
    suspended: () => refusal('team_access_not_granted'),
    duplicate: () => refusal('duplicate_message'),
    dailyLimit: () => refusal('ratelimited', 429, { 'retry-after': '86400' }),
    refused: () => refusal('restricted_action'),
  },
  rate: { limit: 60, windowMs: 60_000, headers: () => ({}) },
  remoteId: (post) => String(post.extra['ts']),
  routes: [
    { method: 'post', path: '/auth.test', act: 'read', handle: () => ok({ ok: true, team: 'Simulated workspace', team_id: 'T0SIMULATED', user_id: 'U0SIMULATED' }) },
    { method: 'post', path: '/chat.postMessage', act: 'publish', textOf: ({ body }) => unescaped(textField(body, 'text')), handle: postMessage },
    { method: 'get', path: '/conversations.history', act: 'look-up', handle: (call) => messages(call, (post) => post.parentId === null) },
    { method: 'get', path: '/conversations.replies', act: 'look-up', handle: (call) => messages(call, (post) => post.parentId === call.query['ts'] || post.extra['ts'] === call.query['ts']) },
    { method: 'post', path: '/chat.delete', act: 'remove', handle: remove },
  ],
};

function postMessage(call: SimulatedCall): SimulatedAnswer {
  const { body, account, now, world } = call;
  const text = textField(body, 'text');
  const blocks = Array.isArray(body['blocks']) ? (body['blocks'] as { type?: string; image_url?: string }[]) : [];
  if (textField(body, 'channel') !== account.id) return refusal('channel_not_found');
  if (text === '' && blocks.length === 0) return refusal('no_text');
  if (text.length > 40_000) return refusal('msg_too_long');
  const ts = nextTs(account, now, world.postsOf(ID, account.id).length);
  const media = blocks.flatMap((block) => (block.type === 'image' && block.image_url !== undefined ? [block.image_url] : []));
  const post = acceptPost(call, { network: ID, id: ts.replace('.', ''), text: unescaped(text), media, parentId: textField(body, 'thread_ts') || null, extra: { ts } });
  return ok({ ok: true, channel: account.id, ts, message: { text, ts: post.extra['ts'], type: 'message', bot_id: 'B0SIMULATED' } });
}

function messages({ world, account, query }: SimulatedCall, isListed: (post: SimulatedPost) => boolean): SimulatedAnswer {
  if (query['channel'] !== account.id) return refusal('channel_not_found');
  const oldest = Number(query['oldest'] ?? 0) * 1000;
  const posts = world.postsOf(ID, account.id).filter((post) => post.deletedAt === null && post.acceptedAt >= oldest && isListed(post)).slice(0, 100);
  return ok({ ok: true, has_more: false, messages: posts.map((post) => ({ type: 'message', ts: post.extra['ts'], text: escaped(post.text).replace(/(https?:\/\/\S+)/g, '<$1>'), bot_id: 'B0SIMULATED' })) });
}

function remove({ world, account, body, now }: SimulatedCall): SimulatedAnswer {
  const post = world.find('post', ID, textField(body, 'ts').replace('.', ''));
  if (post === undefined || post.accountId !== account.id || post.deletedAt !== null) return refusal('message_not_found');
  world.put('post', { ...post, deletedAt: now });
  return ok({ ok: true, channel: account.id, ts: post.extra['ts'] });
}

/** Slack's message ids are times with six decimals, unique in a channel. */
function nextTs(account: SimulatedAccount, now: number, count: number): string {
  return `${Math.floor(now / 1000)}.${String((now % 1000) * 1000 + (count % 1000)).padStart(6, '0')}`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function unescaped(text: string): string {
  return text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
}
