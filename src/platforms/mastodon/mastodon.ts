/** Mastodon: 500 characters (links count 23), real idempotency: the same key within an hour gives the same status. */
import { z } from 'zod';
import { inWords, rateLimited, rejected, signedOut } from '../failures.js';
import { ask, askToRemove, type NetworkAnswer, type NetworkCall } from '../network-call.js';
import { requestTokens } from '../oauth-tokens.js';
import type { MediaItem, Platform, PlatformContent, PlatformFailure, PlatformIo, PublishResult } from '../platform.js';

const NAME = 'Mastodon';
const TIMEOUT_MS = 30_000;

const credentialsSchema = z.object({ accessToken: z.string(), accountId: z.string() });
type MastodonCredentials = z.infer<typeof credentialsSchema>;

const account = z.object({ id: z.string(), acct: z.string(), display_name: z.string().optional(), url: z.string().optional(), avatar: z.string().optional() });
const status = z.object({ id: z.string(), url: z.string().nullable().optional() });
const statuses = z.array(z.object({ id: z.string(), url: z.string().nullable().optional(), created_at: z.string(), content: z.string() }));
const attachment = z.object({ id: z.string(), url: z.string().nullable().optional() });

const mastodonOptions = z.object({
  visibility: z.enum(['public', 'unlisted', 'private', 'direct']).optional(),
  sensitive: z.boolean().optional(),
  spoilerText: z.string().max(500).optional(),
  language: z.string().length(2, 'Use a two-letter language code.').optional(),
  altText: z.array(z.string().max(1500)).optional(),
}).loose();

export const mastodon = {
  id: 'mastodon',
  name: NAME,
  icon: 'mastodon',
  // Each server is a network of its own; an operator who registers the app at another server names it in the settings of real networks.
  urls: { api: 'https://mastodon.social', auth: 'https://mastodon.social', consent: 'https://mastodon.social', web: 'https://mastodon.social' },
  hasManyServers: true,
  optionsKey: 'mastodonOptions',
  options: mastodonOptions,
  limits: {
    text: { max: 500, counting: 'mastodon', required: false },
    media: {
      min: 0, max: 4, kinds: ['image', 'video'], maxVideos: 1, mixed: false,
      image: { maxBytes: 16_000_000, types: ['image/jpeg', 'image/png', 'image/gif', 'image/webp', 'image/heic', 'image/heif', 'image/avif'] },
      video: { maxBytes: 99_000_000, types: ['video/mp4', 'video/quicktime', 'video/webm'] },
    },
    publish: [{ max: 300, windowMs: 3 * 3600_000 }],
  },
  // The same key gives the same status for an hour; look-ups are sure by then.
  isIdempotent: true,
  publishTimeoutMs: 240_000,

  async verify(credentials, io) {
    const me = await readMe(io, credentialsSchema.parse(credentials).accessToken);
    return { remoteId: me.id, username: me.acct, displayName: me.display_name || me.acct, profileUrl: me.url ?? null, avatarUrl: me.avatar ?? null };
  },

  publish: (content, credentials, io) => post(content, null, credentialsSchema.parse(credentials), io),

  thread: {
    reply: (content, { parentId }, credentials, io) => post(content, parentId, credentialsSchema.parse(credentials), io),
  },

  oauth: {
    authorizeUrl({ state, redirectUri, codeChallenge }, io) {
      const query = new URLSearchParams({
        response_type: 'code', client_id: io.app.clientId, redirect_uri: redirectUri, state, scope: 'read:accounts read:statuses write:statuses write:media',
        code_challenge: codeChallenge, code_challenge_method: 'S256',
      });
      return `${io.baseUrls.consent}/oauth/authorize?${query.toString()}`;
    },
    async exchange({ code, redirectUri, codeVerifier }, io) {
      const tokens = await requestTokens(io, {
        network: NAME, url: `${io.baseUrls.auth}/oauth/token`,
        form: { grant_type: 'authorization_code', client_id: io.app.clientId, client_secret: io.app.clientSecret, redirect_uri: redirectUri, code, code_verifier: codeVerifier },
      });
      const me = await readMe(io, tokens.accessToken);
      return { credentials: { accessToken: tokens.accessToken, accountId: me.id }, expiresAt: tokens.expiresAt };
    },
  },

  lookUp: {
    async find(content, since, credentials, io) {
      const { accessToken, accountId } = credentialsSchema.parse(credentials);
      const latest = await ask(io, {
        ...base(accessToken), method: 'GET', url: `${io.baseUrls.api}/api/v1/accounts/${encodeURIComponent(accountId)}/statuses`, query: { limit: '40', exclude_reblogs: 'true' },
      }, statuses, mastodonFailure);
      const wanted = squeezed(content.text);
      const found = latest.find((item) => Date.parse(item.created_at) >= since.getTime() - 5000 && squeezed(textOfHtml(item.content)) === wanted);
      return found === undefined ? null : published(found);
    },
  },

  remove: {
    async remove(remoteId, credentials, io) {
      const { accessToken } = credentialsSchema.parse(credentials);
      await askToRemove(io, { ...base(accessToken), url: `${io.baseUrls.api}/api/v1/statuses/${encodeURIComponent(remoteId)}` }, mastodonFailure);
    },
  },

  comment: {
    comment: (content, remoteId, credentials, io) => post(content, remoteId, credentialsSchema.parse(credentials), io),
  },
} satisfies Platform;

async function post(content: PlatformContent, replyTo: string | null, { accessToken }: MastodonCredentials, io: PlatformIo): Promise<PublishResult> {
  const options = mastodonOptions.parse(content.options);
  const mediaIds: string[] = [];
  for (const [i, item] of content.media.entries()) mediaIds.push(await upload(item, item.altText ?? options.altText?.[i], accessToken, io));
  const call: NetworkCall = {
    ...base(accessToken), effect: 'create', method: 'POST', url: `${io.baseUrls.api}/api/v1/statuses`, headers: { 'idempotency-key': content.idempotencyKey },
    body: {
      status: content.text, ...(mediaIds.length > 0 ? { media_ids: mediaIds } : {}), ...(replyTo === null ? {} : { in_reply_to_id: replyTo }),
      ...(options.visibility === undefined ? {} : { visibility: options.visibility }), ...(options.sensitive === undefined ? {} : { sensitive: options.sensitive }),
      ...(options.spoilerText === undefined ? {} : { spoiler_text: options.spoilerText }), ...(options.language === undefined ? {} : { language: options.language }),
    },
  };
  return published(await ask(io, call, status, mastodonFailure));
}

/** 202: still processed; attaching it before it is ready would be refused: https://docs.joinmastodon.org/methods/media/ */
async function upload(item: MediaItem, altText: string | undefined, accessToken: string, io: PlatformIo): Promise<string> {
  const { data, contentType } = await io.readMedia(item);
  const form = new FormData();
  form.set('file', new Blob([Buffer.from(data)], { type: contentType }), 'media');
  if (altText !== undefined) form.set('description', altText);
  let media = await ask(io, { ...base(accessToken), method: 'POST', url: `${io.baseUrls.api}/api/v2/media`, timeoutMs: 90_000, body: form }, attachment, mastodonFailure);
  const giveUpAt = Date.now() + 45_000;
  while (media.url === null || media.url === undefined) {
    if (Date.now() > giveUpAt) throw rejected("Mastodon couldn't process a media file in time. Use a smaller one.", { details: item.url });
    await new Promise((resolve) => setTimeout(resolve, 1000));
    media = await ask(io, { ...base(accessToken), method: 'GET', url: `${io.baseUrls.api}/api/v1/media/${media.id}` }, attachment, mastodonFailure);
  }
  return media.id;
}

function published({ id, url }: z.infer<typeof status>): PublishResult {
  return { state: 'published', remoteId: id, url: url ?? null };
}

function readMe(io: PlatformIo, token: string): Promise<z.infer<typeof account>> {
  return ask(io, { ...base(token), method: 'GET', url: `${io.baseUrls.api}/api/v1/accounts/verify_credentials` }, account, mastodonFailure);
}

function base(token: string): Pick<NetworkCall, 'network' | 'effect' | 'timeoutMs' | 'token'> {
  return { network: NAME, effect: 'read', timeoutMs: TIMEOUT_MS, token };
}

const mastodonError = z.object({ error: z.string() });

function mastodonFailure(answer: NetworkAnswer, io: PlatformIo): PlatformFailure {
  const words = mastodonError.safeParse(answer.body).data?.error ?? `HTTP ${answer.status}`;
  const options = { status: answer.status, details: words };
  if (answer.status === 429) return rateLimited(NAME, io, answer, options);
  if (/suspended|disabled|pending approval/i.test(words)) return rejected('This account is suspended, disabled or not approved yet at Mastodon. Sign in there to see why.', options);
  if (answer.status === 401 || (answer.status === 403 && /token|scope/i.test(words))) return signedOut(NAME, options);
  return rejected(`Mastodon refused the post: ${inWords(words)} Change it and send it again.`, options);
}

/** Statuses come as HTML: paragraphs and line breaks, links with parts of their address hidden. */
function textOfHtml(html: string): string {
  return html.replace(/<br\s*\/?>/gi, '\n').replace(/<\/p>\s*<p[^>]*>/gi, '\n\n').replace(/<[^>]+>/g, '')
    .replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&amp;', '&');
}

function squeezed(text: string): string {
  return text.normalize('NFC').replace(/\s+/g, ' ').trim();
}
