/** Telegram: a bot posts to a channel; no consent page, and bots can't read what they posted. */
import { z } from 'zod';
import { inWords, rateLimited, rejected, signedOut } from '../failures.js';
import { callNetwork, readAnswer, type NetworkAnswer, type NetworkCall } from '../network-call.js';
import { PlatformFailure, type MediaItem, type Platform, type PlatformContent, type PlatformIo, type PublishResult } from '../platform.js';

const NAME = 'Telegram';

const credentialsSchema = z.object({ accessToken: z.string(), chatId: z.string() });
type TelegramCredentials = z.infer<typeof credentialsSchema>;

const chat = z.object({ id: z.number(), title: z.string().optional(), username: z.string().optional(), type: z.string() });
const message = z.object({ message_id: z.number(), chat });

export const telegram = {
  id: 'telegram',
  name: NAME,
  icon: 'telegram',
  urls: { api: 'https://api.telegram.org', auth: 'https://api.telegram.org', consent: 'https://t.me', web: 'https://t.me' },
  optionsKey: null,
  limits: {
    text: { max: 4096, counting: 'utf16', required: false, maxWithMedia: 1024 },
    media: { min: 0, max: 10, kinds: ['image', 'video', 'document'], maxVideos: 10, mixed: true, image: { maxBytes: 5_000_000, minAspect: 1 / 20, maxAspect: 20 }, video: { maxBytes: 20_000_000 }, document: { maxBytes: 20_000_000 } },
    publish: [{ max: 20, windowMs: 60_000 }],
  },
  // https://core.telegram.org/bots/api#sendmediagroup
  alsoCheck: ({ media }) => (media.length > 1 && media.some(({ kind }) => kind === 'document') && media.some(({ kind }) => kind !== 'document' && kind !== 'unknown')
    ? [{ field: 'mediaUrls', message: "Telegram doesn't show documents in one album with images or videos. Use one kind." }] : []),
  hasNumericIds: true,
  publishTimeoutMs: 60_000,

  async verify(credentials, io) {
    const mine = credentialsSchema.parse(credentials);
    const shown = await botCall(io, mine, 'getChat', { chat_id: mine.chatId }, 'read', chat);
    const name = shown.title ?? shown.username ?? String(shown.id);
    return { remoteId: String(shown.id), username: shown.username ?? name, displayName: name, profileUrl: shown.username === undefined ? null : `${io.baseUrls.web}/${shown.username}`, avatarUrl: null };
  },

  async publish(content, credentials, io) {
    const mine = credentialsSchema.parse(credentials);
    if (content.media.length > 1) {
      const [first] = await botCall(io, mine, 'sendMediaGroup', { chat_id: mine.chatId, media: albumOf(content) }, 'create', z.array(message).min(1));
      return published(first!, io);
    }
    const [item] = content.media;
    const sent = item === undefined
      ? await botCall(io, mine, 'sendMessage', { chat_id: mine.chatId, text: content.text }, 'create', message)
      : await botCall(io, mine, METHODS[item.kind], { chat_id: mine.chatId, [FIELDS[item.kind]]: item.url, caption: content.text }, 'create', message);
    return published(sent, io);
  },

  connectFields: {
    help: 'Talk to @BotFather at Telegram to make a bot, add the bot to your channel as an administrator that may post, then paste its token here.',
    simulatedSource: '/botfather',
    fields: [
      { name: 'botToken', label: 'Bot token', help: 'Looks like 123456789:AAExample.', isSecret: true },
      { name: 'chatId', label: 'Channel', help: "Your channel's @name, or its number such as -1001234567890.", isSecret: false },
    ],
    async grant({ botToken = '', chatId = '' }, io) {
      const token = botToken.trim();
      if (!/^\d+:[\w-]{10,}$/.test(token)) throw rejected('This is not a bot token. It looks like 123456789:AAExample; @BotFather shows it.');
      const mine = { accessToken: token, chatId: chatId.trim() };
      await botCall(io, mine, 'getMe', {}, 'read', z.object({ id: z.number(), is_bot: z.boolean() }));
      const shown = await botCall(io, mine, 'getChat', { chat_id: mine.chatId }, 'read', chat);
      // The number stays the same when the channel is renamed.
      return { credentials: { accessToken: token, chatId: String(shown.id) }, expiresAt: null };
    },
  },

  remove: {
    async remove(remoteId, credentials, io) {
      const mine = credentialsSchema.parse(credentials);
      const gone = (error: unknown): void => {
        if (!(error instanceof PlatformFailure) || !/message to delete not found/i.test(error.options.details ?? '')) throw error;
      };
      await botCall(io, mine, 'deleteMessage', { chat_id: mine.chatId, message_id: Number(remoteId) }, 'read', z.literal(true)).catch(gone);
    },
  },
} satisfies Platform;

const METHODS = { image: 'sendPhoto', video: 'sendVideo', document: 'sendDocument', unknown: 'sendDocument' } as const satisfies Record<MediaItem['kind'], string>;
const FIELDS = { image: 'photo', video: 'video', document: 'document', unknown: 'document' } as const satisfies Record<MediaItem['kind'], string>;

/** The first item's caption is shown for the whole album. */
function albumOf({ media, text }: PlatformContent): unknown[] {
  return media.map((item, i) => ({ type: FIELDS[item.kind], media: item.url, ...(i === 0 ? { caption: text } : {}) }));
}

function published({ message_id: id, chat: where }: z.infer<typeof message>, io: PlatformIo): PublishResult {
  const path = where.username ?? `c/${String(where.id).replace(/^-100/, '')}`;
  return { state: 'published', remoteId: String(id), url: `${io.baseUrls.web}/${path}/${id}` };
}

async function botCall<T>(io: PlatformIo, { accessToken }: TelegramCredentials, method: string, body: Record<string, unknown>, effect: NetworkCall['effect'], schema: z.ZodType<T>): Promise<T> {
  const call: NetworkCall = { network: NAME, effect, method: 'POST', url: `${io.baseUrls.api}/bot${accessToken}/${method}`, timeoutMs: 45_000, body };
  const answer = await callNetwork(io, call);
  if (answer.status >= 400) throw telegramFailure(answer, io);
  return readAnswer(call, z.object({ ok: z.literal(true), result: schema }), answer).result;
}

const botError = z.object({ description: z.string().optional(), parameters: z.object({ retry_after: z.number().optional() }).optional() });

const MAY_NOT_POST = /kicked|not a member|need administrator rights|CHAT_WRITE_FORBIDDEN|not enough rights/i;
const NOT_FETCHED = /wrong file identifier|failed to get HTTP URL content|wrong type of the web page/i;

/** https://core.telegram.org/bots/api#making-requests */
function telegramFailure(answer: NetworkAnswer, io: PlatformIo): PlatformFailure {
  const { description: words = `HTTP ${answer.status}`, parameters } = botError.safeParse(answer.body).data ?? {};
  const options = { status: answer.status, details: words };
  const retryAfterS = parameters?.retry_after;
  if (answer.status === 429) return rateLimited(NAME, io, answer, { ...options, ...(retryAfterS === undefined ? {} : { retryAt: new Date(io.now().getTime() + retryAfterS * 1000) }) });
  if (answer.status === 401 || answer.status === 404) return signedOut(NAME, options);
  if (/deactivated|banned/i.test(words)) return rejected('Telegram has deactivated or banned this channel or bot. Open it at Telegram to see why.', options);
  if (MAY_NOT_POST.test(words)) return rejected('The bot may not post to the channel. Make it an administrator there that may post, then send it again.', options);
  if (/chat not found/i.test(words)) return rejected("Telegram doesn't know the channel, or the bot is not in it. Add the bot, then send it again.", { ...options, field: 'chatId' });
  if (/too long/i.test(words)) return rejected('The text is too long for Telegram: at most 4,096 characters, with media 1,024. Shorten it.', options);
  if (NOT_FETCHED.test(words)) return rejected("Telegram couldn't fetch a media file from its address. Check that it is public and at most 20 MB (photos 5 MB).", options);
  return rejected(`Telegram refused the message: ${inWords(words)} Change it and send it again.`, options);
}
