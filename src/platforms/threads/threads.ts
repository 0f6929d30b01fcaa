/** Threads: 500 characters (emoji by their bytes), text alone or with media, prepared in containers like Instagram. */
import { z } from 'zod';
import { ask } from '../network-call.js';
import { createContainer, findByText, preparing, publishWhenReady, type ContainerApi } from '../meta-graph/containers.js';
import { graphFailure } from '../meta-graph/graph-failures.js';
import { removeObject } from '../meta-graph/graph-remove.js';
import { longTokenOAuth } from '../meta-graph/long-token-oauth.js';
import type { Credentials, MediaItem, Platform, PlatformContent, PlatformIo, PublishResult } from '../platform.js';

const NAME = 'Threads';
const VERSION = 'v1.0';
const TIMEOUT_MS = 30_000;

const credentialsSchema = z.object({ accessToken: z.string(), userId: z.string(), username: z.string() });
const me = z.object({ id: z.string(), username: z.string(), name: z.string().optional(), threads_profile_picture_url: z.string().optional() });

/** `threadsOptions` as clients send them. */
const threadsOptions = z.object({
  thread: z.boolean().optional().meta({ title: 'Split the text into a thread at blank lines' }),
  threadNumber: z.boolean().optional().meta({ title: 'Number the items of a split text' }),
  mediaUrls: z.array(z.string().nullable()).optional().meta({ title: 'Media of the items of a split text' }),
  allowCountries: z.array(z.string().length(2, 'Use two-letter country codes.')).optional(),
}).loose();

export const threads = {
  id: 'threads',
  name: NAME,
  icon: 'threads',
  urls: { api: 'https://graph.threads.net', auth: 'https://graph.threads.net', consent: 'https://threads.net', web: 'https://www.threads.net' },
  consentLeadsTo: ['https://www.threads.net', 'https://www.threads.com', 'https://threads.com'],
  optionsKey: 'threadsOptions',
  options: threadsOptions,
  limits: {
    text: { max: 500, counting: 'threads', required: false },
    media: {
      min: 0, max: 20, kinds: ['image', 'video'], maxVideos: 20, mixed: true,
      image: { maxBytes: 8_000_000, types: ['image/jpeg', 'image/png'], minWidth: 320, minAspect: 0.1, maxAspect: 10 },
      video: { maxBytes: 1_000_000_000, types: ['video/mp4', 'video/quicktime'], maxSeconds: 300 },
    },
    publish: [{ max: 250, windowMs: 24 * 3600_000 }],
  },
  // What may get lost and be repeated is the container, which is not public.
  isIdempotent: true,
  publishTimeoutMs: 60_000,

  async verify(credentials, io) {
    const user = await readMe(io, credentialsSchema.parse(credentials).accessToken);
    return { remoteId: user.id, username: user.username, displayName: user.name ?? user.username, profileUrl: `${io.baseUrls.web}/@${user.username}`, avatarUrl: user.threads_profile_picture_url ?? null };
  },

  publish: (content, credentials, io) => prepare(content, {}, credentials, io),

  processing: {
    poll: (handle, credentials, io) => publishWhenReady(handle.endsWith(REPLY) ? repliesApi(credentials, io) : apiFor(credentials, io), handle, io),
    giveUpAfterMs: 24 * 3600_000,
    announces: 'published',
  },

  thread: {
    reply: (content, { parentId }, credentials, io) => reply(content, parentId, credentials, io),
    find: (content, _after, since, credentials, io) => findByText(repliesApi(credentials, io), content.text, since, io),
  },

  comment: {
    comment: (content, remoteId, credentials, io) => reply(content, remoteId, credentials, io),
    find: (content, _remoteId, since, credentials, io) => findByText(repliesApi(credentials, io), content.text, since, io),
  },

  oauth: longTokenOAuth({
    network: NAME, prefix: 'th', scope: 'threads_basic,threads_content_publish,threads_manage_replies,threads_read_replies,threads_delete', credentials: credentialsSchema,
    async whoIs(accessToken, io) {
      const user = await readMe(io, accessToken);
      return { userId: user.id, username: user.username };
    },
  }),

  lookUp: {
    find: (content, since, credentials, io) => findByText(apiFor(credentials, io), content.text, since, io),
  },

  remove: {
    async remove(remoteId, credentials, io) {
      const { accessToken } = credentialsSchema.parse(credentials);
      await removeObject(`${io.baseUrls.api}/${VERSION}/${encodeURIComponent(remoteId)}`, { network: NAME, timeoutMs: TIMEOUT_MS, token: accessToken }, io);
    },
  },
} satisfies Platform;

/** Ends the handle of a reply, which is listed apart: https://developers.facebook.com/docs/threads/reply-management */
const REPLY = ':reply';

function repliesApi(credentials: Credentials, io: PlatformIo): ContainerApi {
  return { ...apiFor(credentials, io), listPath: 'replies' };
}

async function reply(content: PlatformContent, parentId: string, credentials: Credentials, io: PlatformIo): Promise<PublishResult> {
  const prepared = await prepare(content, { reply_to_id: parentId }, credentials, io);
  return prepared.state === 'processing' ? { ...prepared, handle: `${prepared.handle}${REPLY}` } : prepared;
}

async function prepare(content: PlatformContent, more: Record<string, string>, credentials: Credentials, io: PlatformIo): Promise<PublishResult> {
  const api = apiFor(credentials, io);
  const { allowCountries } = threadsOptions.parse(content.options);
  const common = { text: content.text, ...more, ...(allowCountries === undefined ? {} : { allowlisted_country_codes: allowCountries.join(',') }) };
  const [first, ...others] = content.media;
  let container: string;
  if (first === undefined) container = await createContainer(api, { media_type: 'TEXT', ...common }, io);
  else if (others.length === 0) container = await createContainer(api, { ...mediaFields(first), ...common }, io);
  else {
    const children: string[] = [];
    for (const item of content.media) children.push(await createContainer(api, { ...mediaFields(item), is_carousel_item: 'true' }, io));
    container = await createContainer(api, { media_type: 'CAROUSEL', children: children.join(','), ...common }, io);
  }
  return preparing(container, content.text, content.media.some((item) => item.kind === 'video'), io);
}

function mediaFields(item: MediaItem): Record<string, string> {
  const altText: Record<string, string> = item.altText === undefined ? {} : { alt_text: item.altText };
  return item.kind === 'video' ? { media_type: 'VIDEO', video_url: item.url, ...altText } : { media_type: 'IMAGE', image_url: item.url, ...altText };
}

function apiFor(credentials: Credentials, io: PlatformIo): ContainerApi {
  const { userId, accessToken } = credentialsSchema.parse(credentials);
  return { network: NAME, root: `${io.baseUrls.api}/${VERSION}`, userId, accessToken, createPath: 'threads', publishPath: 'threads_publish', statusField: 'status', textField: 'text' };
}

async function readMe(io: PlatformIo, token: string): Promise<z.infer<typeof me>> {
  return ask(io, {
    network: NAME, effect: 'read', method: 'GET', url: `${io.baseUrls.api}/${VERSION}/me`, query: { fields: 'id,username,name,threads_profile_picture_url' }, timeoutMs: TIMEOUT_MS, token,
  }, me, graphFailure(NAME, 'read'));
}

