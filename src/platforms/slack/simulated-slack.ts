/** Slack as the simulator plays it: one channel of one workspace per account, refusals with status 200. */
import { lettersOf } from '../simulator/fake-ids.js';
import { acceptPost } from '../simulator/new-post.js';
import { ok, textField, type SimulatedAnswer, type SimulatedCall, type SimulatedNetwork } from '../simulator/network.js';
import type { SimulatedPost, World } from '../simulator/world.js';

const ID = 'slack';
/** Bots' tokens begin so. */
const BOT = 'xoxb-';

const refusal = (error: string, status = 200, headers: Record<string, string> = {}): SimulatedAnswer => ({ status, body: { ok: false, error }, headers });

export const simulatedSlack: SimulatedNetwork = {
  id: ID,
  name: 'Slack',
  exampleHandle: 'announcements',
  handlePattern: /^[a-z0-9_-]{1,80}$/,
  consent: { path: '/no-consent', clientParam: 'client_id' },
  gives: {
    path: '/apps', title: 'A new app in a channel', lead: 'Makes a channel of the simulated workspace, and an app whose bot is in it.',
    values: (grant, account) => [{ label: 'Bot token', value: `${BOT}${grant.accessToken}` }, { label: 'Channel ID', value: account.id }],
  },
  permissions: [],
  pages: { profile: '/channel/:handle', post: '/archives/:channel/p:id' },
  pageParams: (account) => ({ channel: account.id }),
  accessTokenMs: 100 * 365 * 24 * 3600_000,
  accountId: (handle) => `C${lettersOf(`${ID} ${handle}`, 10).toUpperCase()}`,
  token: { path: '/no-tokens', answer: () => refusal('unknown_method'), error: () => refusal('unknown_method') },
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
  tokenOf: ({ headers }) => /^Bearer xoxb-(.+)$/i.exec(headers['authorization'] ?? '')?.[1] ?? '',
  routes: [
    { method: 'post', path: '/auth.test', act: 'read', handle: ({ webUrl }) => ok({ ok: true, url: `${webUrl}/`, team: 'Simulated workspace', team_id: 'T0SIMULATED', user_id: 'U0SIMULATED', bot_id: 'B0SIMULATED' }) },
    {
      method: 'get', path: '/conversations.info', act: 'read',
      handle: ({ query, account }) => (query['channel'] === account.id ? ok({ ok: true, channel: { id: account.id, name: account.handle, is_channel: true, is_member: true, is_archived: false } }) : refusal('channel_not_found')),
    },
    { method: 'post', path: '/chat.postMessage', act: 'publish', textOf: ({ body }) => unescaped(textField(body, 'text')), handle: postMessage },
    { method: 'get', path: '/conversations.history', act: 'look-up', handle: (call) => messages(call, (post) => post.parentId === null) },
    { method: 'get', path: '/conversations.replies', act: 'look-up', handle: (call) => messages(call, (post) => post.parentId === call.query['ts'] || post.extra['ts'] === call.query['ts']) },
    { method: 'post', path: '/chat.delete', act: 'remove', handle: remove },
  ],
};

function postMessage(call: SimulatedCall): SimulatedAnswer {
  const { body, account, now, world } = call;
  const text = textField(body, 'text');
  const blocks = Array.isArray(body['blocks']) ? (body['blocks'] as { type?: string; image_url?: string; text?: { text?: string } }[]) : [];
  if (textField(body, 'channel') !== account.id) return refusal('channel_not_found');
  if (text === '' && blocks.length === 0) return refusal('no_text');
  if (blocks.length > 50 || blocks.some((block) => (block.text?.text?.length ?? 0) > 3000)) return refusal('invalid_blocks');
  if (text.length > 40_000) return refusal('msg_too_long');
  const ts = nextTs(world, now);
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

/** Slack's message ids are times with six decimals, unique in a channel; here in all of them, as posts are kept by them. */
function nextTs(world: World, now: number): string {
  for (let micros = (now % 1000) * 1000; ; micros++) {
    const decimals = String(micros).padStart(6, '0');
    const seconds = Math.floor(now / 1000);
    if (world.find('post', ID, `${seconds}${decimals}`) === undefined) return `${seconds}.${decimals}`;
  }
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function unescaped(text: string): string {
  return text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
}
