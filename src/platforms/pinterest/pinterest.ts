/** Pinterest: pins on a board, with one image, a carousel or a video. */
import { z } from 'zod';
import { inWords, rateLimited, rejected, signedOut, unreachable } from '../failures.js';
import { ask, askToRemove, callNetwork, type NetworkAnswer, type NetworkCall } from '../network-call.js';
import type { Platform, PlatformContent, PlatformFailure, PlatformIo, PublishResult } from '../platform.js';
import { usualOAuth } from '../usual-oauth.js';

const NAME = 'Pinterest';
const TIMEOUT_MS = 30_000;

const credentialsSchema = z.object({ accessToken: z.string(), refreshToken: z.string().nullable(), username: z.string() });
type PinterestCredentials = z.infer<typeof credentialsSchema>;

const user = z.object({ username: z.string(), id: z.string().optional(), business_name: z.string().nullable().optional(), profile_image: z.string().nullable().optional() });
const boards = z.object({ items: z.array(z.object({ id: z.string(), name: z.string() })) });
const pin = z.object({ id: z.string() });
const pins = z.object({ items: z.array(z.object({ id: z.string(), created_at: z.string(), title: z.string().nullable().optional(), description: z.string().nullable().optional() })) });
const registered = z.object({ media_id: z.string(), upload_url: z.string(), upload_parameters: z.record(z.string(), z.string()) });
const mediaState = z.object({ status: z.enum(['registered', 'processing', 'succeeded', 'failed']) });

const pinterestOptions = z.object({
  boardId: z.string().optional(),
  title: z.string().max(100, 'The title must have at most 100 characters.').optional(),
  link: z.url('This must be an http(s) address.').max(2048).optional(),
  note: z.string().max(1000).optional(),
  altText: z.string().max(500, 'At most 500 characters.').optional(),
  thumbNail: z.url('This must be the address of an image.').optional(),
  carouselOptions: z.array(z.object({ title: z.string().optional(), link: z.string().optional(), description: z.string().optional() })).optional(),
}).loose();

export const pinterest = {
  id: 'pinterest',
  name: NAME,
  icon: 'pinterest',
  urls: { api: 'https://api.pinterest.com', auth: 'https://api.pinterest.com', consent: 'https://www.pinterest.com', web: 'https://www.pinterest.com' },
  // Visitors are sent to a host of their country.
  consentLeadsTo: ['https://*.pinterest.com'],
  optionsKey: 'pinterestOptions',
  options: pinterestOptions,
  limits: {
    text: { max: 500, counting: 'characters', required: false },
    media: {
      min: 1, max: 5, kinds: ['image', 'video'], maxVideos: 1, mixed: false,
      image: { maxBytes: 20_000_000, types: ['image/jpeg', 'image/png', 'image/gif', 'image/webp'] }, video: { maxBytes: 2_000_000_000, types: ['video/mp4', 'video/quicktime'], minSeconds: 4, maxSeconds: 900 },
    },
  },
  alsoCheck: ({ media, options }) => (media[0]?.kind === 'video' && options['thumbNail'] === undefined
    ? [{ field: 'thumbNail', message: 'Pinterest needs a cover image for a video. Set pinterestOptions.thumbNail to its address.' }] : []),
  publishTimeoutMs: 180_000,

  async verify(credentials, io) {
    const me = await readMe(io, credentialsSchema.parse(credentials).accessToken);
    return { remoteId: me.id ?? me.username, username: me.username, displayName: me.business_name ?? me.username, profileUrl: `${io.baseUrls.web}/${me.username}/`, avatarUrl: me.profile_image ?? null };
  },

  async publish(content, credentials, io) {
    const mine = credentialsSchema.parse(credentials);
    const options = pinterestOptions.parse(content.options);
    const boardId = options.boardId ?? (await firstBoard(mine, io));
    const source = await mediaSource(content, mine, io);
    const altText = content.media[0]?.altText ?? options.altText;
    const made = await ask(io, {
      ...base(mine), effect: 'create', method: 'POST', url: `${io.baseUrls.api}/v5/pins`,
      body: {
        board_id: boardId, description: content.text, media_source: source, ...(options.title === undefined ? {} : { title: options.title }),
        ...(options.link === undefined ? {} : { link: options.link }), ...(altText === undefined ? {} : { alt_text: altText }), ...(options.note === undefined ? {} : { note: options.note }),
      },
    }, pin, pinterestFailure);
    return published(made.id, io);
  },

  oauth: usualOAuth({
    network: NAME, scope: 'user_accounts:read,boards:read,pins:read,pins:write', consentPath: '/oauth/', tokenPath: '/v5/oauth/token', appBy: 'basic', credentials: credentialsSchema,
    whoIs: async ({ accessToken }, io) => ({ username: (await readMe(io, accessToken)).username }),
  }),

  lookUp: {
    async find(content, since, credentials, io) {
      const mine = credentialsSchema.parse(credentials);
      const { items } = await ask(io, { ...base(mine), effect: 'read', method: 'GET', url: `${io.baseUrls.api}/v5/pins`, query: { page_size: '100' } }, pins, pinterestFailure);
      const found = items.find((item) => (item.description ?? '').trim() === content.text.trim() && utc(item.created_at) >= since.getTime() - 5000);
      return found === undefined ? null : published(found.id, io);
    },
  },

  remove: {
    async remove(remoteId, credentials, io) {
      await askToRemove(io, { ...base(credentialsSchema.parse(credentials)), url: `${io.baseUrls.api}/v5/pins/${encodeURIComponent(remoteId)}` }, pinterestFailure);
    },
  },
} satisfies Platform;

async function firstBoard(mine: PinterestCredentials, io: PlatformIo): Promise<string> {
  const { items } = await ask(io, { ...base(mine), effect: 'read', method: 'GET', url: `${io.baseUrls.api}/v5/boards`, query: { page_size: '25' } }, boards, pinterestFailure);
  const [board] = items;
  if (board === undefined) throw rejected('This Pinterest account has no board. Make one there, or name one in pinterestOptions.boardId.');
  return board.id;
}

async function mediaSource(content: PlatformContent, mine: PinterestCredentials, io: PlatformIo): Promise<Record<string, unknown>> {
  const { thumbNail, carouselOptions } = pinterestOptions.parse(content.options);
  const first = content.media[0]!;
  if (first.kind === 'video') {
    if (thumbNail === undefined) throw rejected('Pinterest needs a cover image for a video. Set pinterestOptions.thumbNail to its address.');
    return { source_type: 'video_id', media_id: await uploadVideo(content, mine, io), cover_image_url: thumbNail };
  }
  if (content.media.length === 1) return { source_type: 'image_url', url: first.url };
  return { source_type: 'multiple_image_urls', items: content.media.map((item, i) => ({ url: item.url, ...carouselOptions?.[i] })) };
}

/** https://developers.pinterest.com/docs/work-with-organic-content-and-users/create-boards-and-pins/#creating-video-pins */
async function uploadVideo(content: PlatformContent, mine: PinterestCredentials, io: PlatformIo): Promise<string> {
  const media = await ask(io, { ...base(mine), effect: 'read', method: 'POST', url: `${io.baseUrls.api}/v5/media`, body: { media_type: 'video' } }, registered, pinterestFailure);
  const { data, contentType } = await io.readMedia(content.media[0]!);
  const form = new FormData();
  for (const [name, value] of Object.entries(media.upload_parameters)) form.set(name, value);
  form.set('file', new Blob([Buffer.from(data)], { type: contentType }), 'video');
  const uploaded = await callNetwork(io, { network: NAME, effect: 'read', method: 'POST', url: media.upload_url, timeoutMs: 120_000, body: form });
  if (uploaded.status >= 400) throw rejected("Pinterest didn't take the video. Use another file.", { status: uploaded.status });
  for (let tries = 0; tries < 60; tries++) {
    const { status } = await ask(io, { ...base(mine), effect: 'read', method: 'GET', url: `${io.baseUrls.api}/v5/media/${media.media_id}` }, mediaState, pinterestFailure);
    if (status === 'succeeded') return media.media_id;
    if (status === 'failed') throw rejected("Pinterest couldn't process the video. Use MP4 or MOV with H.264.");
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  throw unreachable(NAME, { details: 'The video is still being processed.' });
}

function published(id: string, io: PlatformIo): PublishResult {
  return { state: 'published', remoteId: id, url: `${io.baseUrls.web}/pin/${id}/` };
}

/** Pinterest's times are UTC, written without saying so. */
function utc(time: string): number {
  return Date.parse(/[zZ]|[+-]\d\d:\d\d$/.test(time) ? time : `${time}Z`);
}

function readMe(io: PlatformIo, token: string): Promise<z.infer<typeof user>> {
  return ask(io, { network: NAME, effect: 'read', method: 'GET', url: `${io.baseUrls.api}/v5/user_account`, timeoutMs: TIMEOUT_MS, token }, user, pinterestFailure);
}

function base({ accessToken }: PinterestCredentials): Pick<NetworkCall, 'network' | 'timeoutMs' | 'token'> {
  return { network: NAME, timeoutMs: TIMEOUT_MS, token: accessToken };
}

const pinterestError = z.object({ code: z.number().optional(), message: z.string().optional() });

const REFUSALS: Record<number, string> = {
  40: 'The board does not exist or is not yours. Choose another one in pinterestOptions.boardId.',
  235: "Pinterest couldn't fetch the image from its address. Check that it is public.",
  236: 'Pinterest blocks this link as spam. Use another one.',
};

function pinterestFailure(answer: NetworkAnswer, io: PlatformIo): PlatformFailure {
  const { code = 0, message: words = `HTTP ${answer.status}` } = pinterestError.safeParse(answer.body).data ?? {};
  const options = { status: answer.status, details: `${words} (code ${code})` };
  if (answer.status === 429 || code === 8 || code === 9) return rateLimited(NAME, io, answer, options);
  if (/suspended|deactivated/i.test(words)) return rejected('Pinterest has suspended this account. Sign in at Pinterest to see why.', options);
  if (answer.status === 401 || code === 2 || code === 3) return signedOut(NAME, options);
  return rejected(REFUSALS[code] ?? `Pinterest refused the pin: ${inWords(words)} Change it and send it again.`, options);
}
