/** Discord as the simulator plays it: a page makes webhooks of a channel, a webhook's token is the access token. */
import { digitsOf, risingDigits } from '../simulator/fake-ids.js';
import { acceptPost } from '../simulator/new-post.js';
import { ok, textField, type SimulatedAnswer, type SimulatedCall, type SimulatedNetwork } from '../simulator/network.js';
import type { SimulatedAccount } from '../simulator/world.js';
import { textLength } from '../text-length.js';

const ID = 'discord';

const failure = (status: number, code: number, message: string): SimulatedAnswer => ({ status, body: { message, code } });
const tooMany = (retryAfterS: number | null): SimulatedAnswer => ({
  status: 429, body: { message: 'You are being rate limited.', ...(retryAfterS === null ? {} : { retry_after: retryAfterS }), global: false },
  headers: retryAfterS === null ? {} : { 'retry-after': String(Math.ceil(retryAfterS)), 'x-ratelimit-scope': 'user' },
});

export const simulatedDiscord: SimulatedNetwork = {
  id: ID,
  name: 'Discord',
  exampleHandle: 'announcements',
  handlePattern: /^[\w-]{1,80}$/,
  consent: { path: '/no-consent', clientParam: 'client_id' },
  gives: {
    path: '/webhooks', title: 'A new webhook of a channel', lead: 'Makes a channel and a webhook that posts to it.',
    values: (grant, account, apiUrl) => [{ label: 'Webhook URL', value: `${apiUrl}/webhooks/${account.id}/${grant.accessToken}` }],
  },
  permissions: [],
  pages: { profile: '/channels/:handle', post: '/channels/:guild/:channel/:id' },
  pageParams: (account) => ({ guild: guildOf(account), channel: channelOf(account) }),
  accessTokenMs: 100 * 365 * 24 * 3600_000,
  accountId: (handle) => digitsOf(`${ID} ${handle.toLowerCase()}`, 18),
  token: { path: '/no-tokens', answer: () => failure(404, 0, '404: Not Found'), error: () => failure(404, 0, '404: Not Found') },
  refusals: {
    signedOut: () => failure(404, 10_015, 'Unknown Webhook'),
    tooMany,
    serverError: () => failure(500, 0, '500: Internal Server Error'),
    suspended: () => failure(403, 40_333, 'The server was disabled for breaking the terms of service'),
    duplicate: () => failure(400, 50_035, 'Invalid Form Body: this message was sent before'),
    dailyLimit: () => tooMany(86_400),
    refused: (message) => failure(400, 50_035, message),
  },
  rate: { limit: 30, windowMs: 60_000, headers: (limit, remaining, resetAt) => ({ 'x-ratelimit-limit': String(limit), 'x-ratelimit-remaining': String(remaining), 'x-ratelimit-reset': String(resetAt / 1000) }) },
  remoteId: (post) => post.id,
  tokenOf: (call) => call.params['token'] ?? '',
  routes: [
    { method: 'get', path: '/webhooks/:webhook/:token', act: 'read', handle: ({ account, params }) => ok({ ...webhookOf(account), token: params['token'] }) },
    { method: 'post', path: '/webhooks/:webhook/:token', act: 'publish', textOf: (call) => textField(payloadOf(call), 'content'), handle: execute },
    { method: 'delete', path: '/webhooks/:webhook/:token/messages/:id', act: 'remove', handle: remove },
  ],
};

function webhookOf(account: SimulatedAccount): Record<string, unknown> {
  return { id: account.id, type: 1, name: account.handle, channel_id: channelOf(account), guild_id: guildOf(account), avatar: null, application_id: '1' };
}

function execute(call: SimulatedCall): SimulatedAnswer {
  const payload = payloadOf(call);
  const content = textField(payload, 'content');
  const sources = [...call.raw.toString('utf8').matchAll(/signpost placeholder for (\S+)/g)].map((match) => match[1]!);
  if (/clyde|discord/i.test(textField(payload, 'username'))) return failure(400, 50_035, 'Invalid Form Body: username cannot contain "discord"');
  if (content === '' && sources.length === 0) return failure(400, 50_006, 'Cannot send an empty message');
  if (textLength('characters', content) > 2000) {
    const errors = { content: { _errors: [{ code: 'BASE_TYPE_MAX_LENGTH', message: 'Must be 2000 or fewer in length.' }] } };
    return { status: 400, body: { code: 50_035, message: 'Invalid Form Body', errors } };
  }
  const post = acceptPost(call, { network: ID, id: risingDigits(call.now), text: content, media: sources });
  if (call.query['wait'] !== 'true') return { status: 204, body: null };
  return ok({ id: post.id, channel_id: channelOf(call.account), content: post.text, webhook_id: call.account.id, timestamp: new Date(post.acceptedAt).toISOString() });
}

function remove({ params, world, account, now }: SimulatedCall): SimulatedAnswer {
  const post = world.find('post', ID, params['id'] ?? '');
  if (post === undefined || post.accountId !== account.id || post.deletedAt !== null) return failure(404, 10_008, 'Unknown Message');
  world.put('post', { ...post, deletedAt: now });
  return { status: 204, body: null };
}

/** The JSON body, or the field `payload_json` of a multipart one. */
function payloadOf({ body, raw }: SimulatedCall): Record<string, unknown> {
  if (Object.keys(body).length > 0) return body;
  const json = /name="payload_json"\r\n(?:[^\r\n]+\r\n)*\r\n([\s\S]*?)\r\n--/.exec(raw.toString('utf8'))?.[1];
  try {
    return JSON.parse(json ?? '{}') as Record<string, unknown>;
  } catch {
    return {};
  }
}

function channelOf(account: SimulatedAccount): string {
  return digitsOf(`channel ${account.id}`, 18);
}

function guildOf(account: SimulatedAccount): string {
  return digitsOf(`guild ${account.id}`, 18);
}
