/** Telegram's Bot API as the simulator plays it, with a BotFather that gives a bot and a channel. */
import { digitsOf } from '../simulator/fake-ids.js';
import { acceptPost } from '../simulator/new-post.js';
import { ok, textField, type SimulatedAnswer, type SimulatedCall, type SimulatedNetwork, type SimulatedRoute } from '../simulator/network.js';
import type { SimulatedAccount, SimulatedPost } from '../simulator/world.js';

const ID = 'telegram';

const failure = (code: number, description: string, parameters?: Record<string, number>): SimulatedAnswer => ({
  status: code, body: { ok: false, error_code: code, description, ...(parameters === undefined ? {} : { parameters }) },
});
const tooMany = (after: number | null): SimulatedAnswer => (after === null ? failure(429, 'Too Many Requests') : failure(429, `Too Many Requests: retry after ${after}`, { retry_after: after }));

/** Bots are addressed as `/bot<number>:<secret>/<method>`. */
const method = (name: string, act: SimulatedRoute['act'], handle: SimulatedRoute['handle'], textOf?: SimulatedRoute['textOf']): SimulatedRoute => (
  { method: 'post', path: `/bot:token/${name}`, act, handle, ...(textOf === undefined ? {} : { textOf }) }
);

export const simulatedTelegram: SimulatedNetwork = {
  id: ID,
  name: 'Telegram',
  exampleHandle: 'ada_news',
  handlePattern: /^[a-z]\w{2,31}$/i,
  consent: { path: '/no-consent', clientParam: 'client_id' },
  gives: {
    path: '/botfather', title: 'BotFather: a new bot and channel', lead: 'Makes a channel and a bot that is its administrator.',
    values: (grant, account) => [{ label: 'Bot token', value: `7000000001:${grant.accessToken}` }, { label: 'Channel', value: `@${account.handle}` }],
  },
  permissions: [],
  pages: { profile: '/:handle', post: '/:handle/:id' },
  accessTokenMs: 100 * 365 * 24 * 3600_000,
  accountId: (handle) => `-100${digitsOf(`${ID} ${handle.toLowerCase()}`, 10)}`,
  token: { path: '/no-tokens', answer: () => failure(404, 'Not Found'), error: () => failure(404, 'Not Found') },
  refusals: {
    signedOut: () => failure(401, 'Unauthorized'),
    tooMany,
    serverError: () => failure(500, 'Internal Server Error'),
    suspended: () => failure(403, 'Forbidden: the channel was banned'),
    duplicate: () => failure(400, 'Bad Request: message was sent before'),
    dailyLimit: () => tooMany(86_400),
    refused: (message) => failure(400, `Bad Request: ${message}`),
  },
  rate: { limit: 20, windowMs: 60_000, headers: () => ({}) },
  remoteId: numberOf,
  pageParams: (_account, post) => ({ id: numberOf(post) }),
  storedId: idIn,
  tokenOf: ({ params }) => (params['token'] ?? '').replace(/^\d+:/, ''),
  routes: [
    method('getMe', 'read', () => ok({ ok: true, result: { id: 7_000_000_001, is_bot: true, first_name: 'Signpost', username: 'signpost_bot' } })),
    method('getChat', 'read', (call) => (isOwnChat(call) ? ok({ ok: true, result: chatOf(call) }) : failure(400, 'Bad Request: chat not found'))),
    method('sendMessage', 'publish', (call) => (textField(call.body, 'text') === '' ? failure(400, 'Bad Request: message text is empty') : send(call, textField(call.body, 'text'), [], 4096)), ({ body }) => textField(body, 'text')),
    ...Object.entries({ sendPhoto: 'photo', sendVideo: 'video', sendDocument: 'document' }).map(([name, field]) => method(
      name, 'publish', (call) => send(call, textField(call.body, 'caption'), [textField(call.body, field)], 1024), ({ body }) => textField(body, 'caption'),
    )),
    method('sendMediaGroup', 'publish', (call) => {
      const items = albumOf(call);
      if (items.length < 2 || items.length > 10) return failure(400, 'Bad Request: wrong number of items in the album');
      const answer = send(call, items[0]?.caption ?? '', items.map((item) => item.media ?? ''), 1024);
      return answer.status === 200 ? ok({ ok: true, result: [(answer.body as { result: unknown }).result] }) : answer;
    }, (call) => albumOf(call)[0]?.caption ?? ''),
    method('deleteMessage', 'remove', remove),
  ],
};

function send(call: SimulatedCall, text: string, media: string[], maxText: number): SimulatedAnswer {
  if (!isOwnChat(call)) return failure(400, 'Bad Request: chat not found');
  if (text.length > maxText) return failure(400, maxText === 1024 ? 'Bad Request: message caption is too long' : 'Bad Request: message is too long');
  if (media.some((url) => !URL.canParse(url))) return failure(400, 'Bad Request: wrong file identifier/HTTP URL specified');
  const number = String(call.world.postsOf(ID, call.account.id).length + 2);
  acceptPost(call, { network: ID, id: idIn(call.account, number), text, media });
  return ok({ ok: true, result: { message_id: Number(number), date: Math.floor(call.now / 1000), chat: chatOf(call), ...(media.length === 0 ? { text } : { caption: text }) } });
}

function remove(call: SimulatedCall): SimulatedAnswer {
  const post = call.world.find('post', ID, idIn(call.account, String(Number(call.body['message_id']))));
  if (!isOwnChat(call) || post === undefined || post.deletedAt !== null) return failure(400, 'Bad Request: message to delete not found');
  call.world.put('post', { ...post, deletedAt: call.now });
  return ok({ ok: true, result: true });
}

/** Each chat counts its messages for itself. */
function idIn(account: SimulatedAccount, number: string): string {
  return `${account.id}/${number}`;
}

function numberOf({ id }: SimulatedPost): string {
  return id.slice(id.indexOf('/') + 1);
}

function isOwnChat({ body, account }: SimulatedCall): boolean {
  const id = body['chat_id'];
  return id === account.id || id === Number(account.id) || id === `@${account.handle}`;
}

function chatOf({ account }: SimulatedCall): Record<string, unknown> {
  return { id: Number(account.id), title: account.displayName, username: account.handle, type: 'channel' };
}

function albumOf({ body }: SimulatedCall): { media?: string; caption?: string }[] {
  return Array.isArray(body['media']) ? (body['media'] as { media?: string; caption?: string }[]) : [];
}
