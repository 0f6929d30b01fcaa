/** Snapchat (public profiles): one image or video as a story, a saved story or a spotlight; files are encrypted before upload. */
import { createCipheriv, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { inWords, rateLimited, rejected, signedOut } from '../failures.js';
import { ask, callNetwork, type NetworkAnswer, type NetworkCall } from '../network-call.js';
import type { Platform, PlatformContent, PlatformFailure, PlatformIo } from '../platform.js';
import { usualOAuth } from '../usual-oauth.js';

const NAME = 'Snapchat';
const TIMEOUT_MS = 30_000;
/** Larger files are sent in parts of this size: https://developers.snap.com/api/marketing-api/Public-Profile-API/ProfileAssetManagement */
const PART_BYTES = 32 * 1024 * 1024;

const credentialsSchema = z.object({ accessToken: z.string(), refreshToken: z.string().nullable(), profileId: z.string(), username: z.string() });
type SnapchatCredentials = z.infer<typeof credentialsSchema>;

const profile = z.object({ public_profiles: z.array(z.object({ public_profile: z.object({ id: z.string(), display_name: z.string().optional(), snap_user_name: z.string().optional() }) })).min(1) });
const media = z.object({ media_id: z.string(), add_path: z.string(), finalize_path: z.string() });

const snapChatOptions = z.object({
  savedStory: z.boolean().optional(),
  spotlight: z.boolean().optional(),
  title: z.string().max(45, 'The title must have at most 45 characters.').optional(),
  locale: z.string().optional(),
}).loose();

export const snapchat = {
  id: 'snapchat',
  name: NAME,
  icon: 'snapchat',
  urls: { api: 'https://businessapi.snapchat.com', auth: 'https://accounts.snapchat.com', consent: 'https://accounts.snapchat.com', web: 'https://www.snapchat.com' },
  optionsKey: 'snapChatOptions',
  options: snapChatOptions,
  limits: {
    // Shown with spotlights only; stories have no text.
    text: { max: 160, counting: 'characters', required: false },
    media: {
      min: 1, max: 1, kinds: ['image', 'video'], maxVideos: 1, mixed: false,
      // Upright, 9:16 with a little room.
      image: { maxBytes: 20_000_000, types: ['image/jpeg', 'image/png'], minAspect: 0.5, maxAspect: 0.6 },
      video: { maxBytes: 500_000_000, types: ['video/mp4'], minSeconds: 5, maxSeconds: 60, minAspect: 0.5, maxAspect: 0.6 },
    },
  },
  alsoCheck: ({ media, options }) => {
    if (options['spotlight'] !== true) return [];
    if (options['savedStory'] === true) return [{ field: 'spotlight', message: 'This is asked for as a spotlight and as a saved story. Choose one of them.' }];
    return media[0]?.kind === 'image' ? [{ field: 'spotlight', message: 'Snapchat takes videos only for a spotlight. Use a video, or post it as a story.' }] : [];
  },
  publishTimeoutMs: 240_000,

  async verify(credentials, io) {
    const mine = await readProfile(io, credentialsSchema.parse(credentials).accessToken);
    const username = mine.snap_user_name ?? mine.id;
    return { remoteId: mine.id, username, displayName: mine.display_name ?? username, profileUrl: `${io.baseUrls.web}/add/${username}`, avatarUrl: null };
  },

  async publish(content, credentials, io) {
    const mine = credentialsSchema.parse(credentials);
    const mediaId = await upload(content, mine, io);
    const { path, body } = requestOf(content, mediaId);
    const call: NetworkCall = { ...base(mine), effect: 'create', method: 'POST', url: `${io.baseUrls.api}/v1/public_profiles/${mine.profileId}/${path}`, body };
    const answer = await ask(io, call, z.record(z.string(), z.unknown()), snapchatFailure);
    const id = idIn(answer[path]) ?? mediaId;
    return { state: 'published', remoteId: id, url: `${io.baseUrls.web}/add/${mine.username}/${id}` };
  },

  oauth: usualOAuth({
    network: NAME, scope: 'snapchat-profile-api', consentPath: '/login/oauth2/authorize', tokenPath: '/login/oauth2/access_token', appBy: 'form', credentials: credentialsSchema,
    async whoIs({ accessToken }, io) {
      const { id, snap_user_name: username } = await readProfile(io, accessToken);
      return { profileId: id, username: username ?? id };
    },
  }),
} satisfies Platform;

function requestOf(content: PlatformContent, mediaId: string): { path: 'stories' | 'saved_stories' | 'spotlights'; body: Record<string, unknown> } {
  const { savedStory, spotlight, title, locale } = snapChatOptions.parse(content.options);
  if (spotlight === true) {
    if (content.media[0]?.kind !== 'video') throw rejected('Snapchat takes videos only for a spotlight. Use a video, or post it as a story.');
    return { path: 'spotlights', body: { media_id: mediaId, description: content.text, locale: locale ?? 'en_US', skip_save_to_profile: false } };
  }
  if (savedStory === true) return { path: 'saved_stories', body: { saved_stories: [{ title: title ?? content.text.slice(0, 45), snap_sources: [{ media_id: mediaId }] }] } };
  return { path: 'stories', body: { media_id: mediaId } };
}

/** Nothing of this is public. */
async function upload(content: PlatformContent, mine: SnapchatCredentials, io: PlatformIo): Promise<string> {
  const item = content.media[0]!;
  const { data } = await io.readMedia(item);
  const [key, iv] = [randomBytes(32), randomBytes(16)];
  const cipher = createCipheriv('aes-256-cbc', key, iv);
  const encrypted = Buffer.concat([cipher.update(data), cipher.final()]);
  const begun = await ask(io, {
    ...base(mine), effect: 'read', method: 'POST', url: `${io.baseUrls.api}/v1/public_profiles/${mine.profileId}/media`,
    body: { type: item.kind === 'video' ? 'VIDEO' : 'IMAGE', name: content.idempotencyKey, key: key.toString('base64'), iv: iv.toString('base64') },
  }, media, snapchatFailure);
  for (let part = 0; part * PART_BYTES < encrypted.length; part++) {
    const form = new FormData();
    form.set('action', 'ADD');
    form.set('part_number', String(part + 1));
    form.set('file', new Blob([encrypted.subarray(part * PART_BYTES, (part + 1) * PART_BYTES)]), 'part');
    await accepted({ ...base(mine), effect: 'read', method: 'POST', url: addressOf(begun.add_path, io), body: form, timeoutMs: 60_000 }, io);
  }
  const form = new FormData();
  form.set('action', 'FINALIZE');
  await accepted({ ...base(mine), effect: 'read', method: 'POST', url: addressOf(begun.finalize_path, io), body: form }, io);
  return begun.media_id;
}

async function accepted(call: NetworkCall, io: PlatformIo): Promise<void> {
  const answer = await callNetwork(io, call);
  if (answer.status >= 400) throw snapchatFailure(answer, io);
}

/** Paths come with or without their host. */
function addressOf(path: string, io: PlatformIo): string {
  return /^https?:/.test(path) ? path : `${io.baseUrls.api}${path}`;
}

/** Answers list what was made, each wrapped in its kind: `{"stories":[{"story":{"id":...}}]}`. */
function idIn(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if ('id' in value && typeof value.id === 'string') return value.id;
  return Object.values(value).map(idIn).find((id) => id !== undefined);
}

async function readProfile(io: PlatformIo, token: string): Promise<z.infer<typeof profile>['public_profiles'][number]['public_profile']> {
  const answer = await ask(io, { network: NAME, effect: 'read', method: 'GET', url: `${io.baseUrls.api}/v1/public_profiles/my_profile`, timeoutMs: TIMEOUT_MS, token }, profile, snapchatFailure);
  return answer.public_profiles[0]!.public_profile;
}

function base({ accessToken }: SnapchatCredentials): Pick<NetworkCall, 'network' | 'timeoutMs' | 'token'> {
  return { network: NAME, timeoutMs: TIMEOUT_MS, token: accessToken };
}

const snapError = z.object({ debug_message: z.string().optional(), display_message: z.string().optional(), error_code: z.string().optional() });

function snapchatFailure(answer: NetworkAnswer, io: PlatformIo): PlatformFailure {
  const { debug_message: debug, display_message: shown, error_code: code } = snapError.safeParse(answer.body).data ?? {};
  const words = shown ?? debug ?? `HTTP ${answer.status}`;
  const options = { status: answer.status, details: [code, debug].filter((part) => part !== undefined).join(': ') || words };
  if (answer.status === 429) return rateLimited(NAME, io, answer, options);
  if (/suspended|locked/i.test(words)) return rejected('Snapchat has suspended or locked this profile. Sign in at Snapchat to see why.', options);
  if (answer.status === 401) return signedOut(NAME, options);
  return rejected(`Snapchat refused the post: ${inWords(words)} Change it and send it again.`, options);
}
