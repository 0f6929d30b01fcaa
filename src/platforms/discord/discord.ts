/** Discord: messages through a channel's webhook, whose address the owner copies there; Discord can't be asked what a webhook has posted. */
import { z } from 'zod';
import { inWords, rateLimited, rejected, signedOut } from '../failures.js';
import { ask, askToRemove, type NetworkAnswer } from '../network-call.js';
import type { Platform, PlatformContent, PlatformFailure, PlatformIo } from '../platform.js';

const NAME = 'Discord';
const TIMEOUT_MS = 30_000;
const WEBHOOK_URL = /^https?:\/\/[^/]+\/(?:\w+\/)?api\/(?:v\d+\/)?webhooks\/(\d{15,25})\/([\w-]{20,100})\/?$/;

/** The webhook's own token is all that is needed; it works until the webhook is deleted. */
const credentialsSchema = z.object({ accessToken: z.string(), webhookId: z.string(), channelId: z.string(), guildId: z.string().nullable() });

const webhook = z.object({ id: z.string(), name: z.string().nullable().optional(), channel_id: z.string(), guild_id: z.string().nullable().optional(), avatar: z.string().nullable().optional() });
const message = z.object({ id: z.string(), channel_id: z.string() });

const discordOptions = z.object({
  username: z.string().max(80, 'At most 80 characters.').regex(/^(?!.*(clyde|discord)).*$/is, 'Discord takes no name with "clyde" or "discord" in it.').optional(),
  suppressEmbeds: z.boolean().optional(),
}).loose();

export const discord = {
  id: 'discord',
  name: NAME,
  icon: 'discord',
  urls: { api: 'https://discord.com/api/v10', auth: 'https://discord.com/api', consent: 'https://discord.com', web: 'https://discord.com' },
  optionsKey: 'discordOptions',
  options: discordOptions,
  limits: {
    text: { max: 2000, counting: 'characters', required: false },
    media: { min: 0, max: 10, kinds: ['image', 'video', 'document'], maxVideos: 10, mixed: true, image: { maxBytes: 10_000_000 }, video: { maxBytes: 10_000_000 }, document: { maxBytes: 10_000_000 } },
    publish: [{ max: 5, windowMs: 2000 }],
  },
  publishTimeoutMs: 180_000,

  async verify(credentials, io) {
    const { webhookId, accessToken, guildId, channelId } = credentialsSchema.parse(credentials);
    const shown = await ask(io, { network: NAME, effect: 'read', method: 'GET', url: `${io.baseUrls.api}/webhooks/${webhookId}/${accessToken}`, timeoutMs: TIMEOUT_MS }, webhook, discordFailure);
    const name = shown.name ?? 'webhook';
    return { remoteId: shown.id, username: name, displayName: name, profileUrl: `${io.baseUrls.web}/channels/${guildId ?? '@me'}/${channelId}`, avatarUrl: null };
  },

  async publish(content, credentials, io) {
    const { webhookId, accessToken, guildId } = credentialsSchema.parse(credentials);
    const sent = await ask(io, {
      network: NAME, effect: 'create', method: 'POST', url: `${io.baseUrls.api}/webhooks/${webhookId}/${accessToken}`, query: { wait: 'true' }, timeoutMs: 60_000, body: await bodyOf(content, io),
    }, message, discordFailure);
    return { state: 'published', remoteId: sent.id, url: `${io.baseUrls.web}/channels/${guildId ?? '@me'}/${sent.channel_id}/${sent.id}` };
  },

  connectFields: {
    help: 'At Discord, open the settings of the channel, then Integrations, then Webhooks: make a webhook and copy its URL. Its name and picture are those of your posts.',
    simulatedSource: '/webhooks',
    fields: [{ name: 'webhookUrl', label: 'Webhook URL', help: 'Looks like https://discord.com/api/webhooks/123456789012345678/AbC...', isSecret: true }],
    async grant({ webhookUrl = '' }, io) {
      // Only id and token are taken: whatever host is typed, nothing but Discord is called.
      const [, id, token] = WEBHOOK_URL.exec(webhookUrl.trim()) ?? [];
      if (id === undefined || token === undefined) throw rejected("This is not a webhook's URL. It looks like https://discord.com/api/webhooks/123456789012345678/AbC...");
      const given = await ask(io, { network: NAME, effect: 'read', method: 'GET', url: `${io.baseUrls.api}/webhooks/${id}/${token}`, timeoutMs: TIMEOUT_MS }, webhook, discordFailure);
      return { credentials: { accessToken: token, webhookId: id, channelId: given.channel_id, guildId: given.guild_id ?? null }, expiresAt: null };
    },
  },

  remove: {
    async remove(remoteId, credentials, io) {
      const { webhookId, accessToken } = credentialsSchema.parse(credentials);
      const url = `${io.baseUrls.api}/webhooks/${webhookId}/${accessToken}/messages/${encodeURIComponent(remoteId)}`;
      // A webhook that is gone answers 404 too.
      await askToRemove(io, { network: NAME, url, timeoutMs: TIMEOUT_MS }, discordFailure, ({ body }) => discordError.safeParse(body).data?.code === UNKNOWN_MESSAGE);
    },
  },
} satisfies Platform;

/** Files go along as multipart beside `payload_json`: https://discord.com/developers/docs/reference#uploading-files */
async function bodyOf(content: PlatformContent, io: PlatformIo): Promise<unknown> {
  const { username, suppressEmbeds } = discordOptions.parse(content.options);
  const payload = {
    content: content.text,
    // A scheduled text must not ping a whole server by accident.
    allowed_mentions: { parse: ['users', 'roles'] },
    ...(username === undefined ? {} : { username }), ...(suppressEmbeds === true ? { flags: 4 } : {}),
  };
  if (content.media.length === 0) return payload;
  const form = new FormData();
  form.set('payload_json', JSON.stringify({ ...payload, attachments: content.media.map((item, id) => ({ id, filename: fileName(item.url), ...(item.altText === undefined ? {} : { description: item.altText }) })) }));
  for (const [i, item] of content.media.entries()) {
    const { data, contentType } = await io.readMedia(item);
    form.set(`files[${i}]`, new Blob([Buffer.from(data)], { type: contentType }), fileName(item.url));
  }
  return form;
}

function fileName(url: string): string {
  return new URL(url).pathname.split('/').at(-1) || 'file';
}

const discordError = z.object({ message: z.string().optional(), code: z.number().optional(), retry_after: z.number().optional() });

const GONE = new Set([10_015, 50_027]);
const UNKNOWN_MESSAGE = 10_008;
const FORBIDDEN = new Set([40_333, 50_013, 50_001]);

function discordFailure(answer: NetworkAnswer, io: PlatformIo): PlatformFailure {
  const { message: words = `HTTP ${answer.status}`, code = 0, retry_after: retryAfterS } = discordError.safeParse(answer.body).data ?? {};
  const options = { status: answer.status, details: code === 0 ? words : `${words} (code ${code})` };
  if (answer.status === 429) return rateLimited(NAME, io, answer, { ...options, ...(retryAfterS === undefined ? {} : { retryAt: new Date(io.now().getTime() + retryAfterS * 1000) }) });
  if (answer.status === 401 || GONE.has(code)) return signedOut(NAME, options);
  if (FORBIDDEN.has(code)) return rejected("Discord doesn't let the webhook post there. Check the channel's permissions.", options);
  if (answer.status === 413 || code === 40_005) return rejected('A file is too large for Discord: at most 10 MB together. Use smaller ones.', options);
  return rejected(`Discord refused the message: ${inWords(words)} Change it and send it again.`, options);
}
