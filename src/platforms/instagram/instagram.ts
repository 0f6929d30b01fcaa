/** Instagram (professional accounts): 1 to 10 images or videos, prepared in containers, public when the container is published. */
import { z } from 'zod';
import { ask } from '../network-call.js';
import { findComment, writeComment } from '../meta-graph/graph-comments.js';
import { createContainer, findByText, preparing, publishWhenReady, type ContainerApi } from '../meta-graph/containers.js';
import { graphFailure } from '../meta-graph/graph-failures.js';
import { longTokenOAuth } from '../meta-graph/long-token-oauth.js';
import type { Credentials, MediaItem, Platform, PlatformContent, PlatformIo } from '../platform.js';
import { instagramOptions, shapeProblems } from './instagram-options.js';

const NAME = 'Instagram';
const VERSION = 'v23.0';
const TIMEOUT_MS = 30_000;

const credentialsSchema = z.object({ accessToken: z.string(), userId: z.string(), username: z.string() });
const me = z.object({ user_id: z.union([z.string(), z.number()]), username: z.string(), name: z.string().optional(), profile_picture_url: z.string().optional() });

export const instagram = {
  id: 'instagram',
  name: NAME,
  icon: 'instagram',
  urls: { api: 'https://graph.instagram.com', auth: 'https://api.instagram.com', consent: 'https://www.instagram.com', web: 'https://www.instagram.com' },
  optionsKey: 'instagramOptions',
  options: instagramOptions,
  limits: {
    text: { max: 2200, counting: 'characters', required: false, maxHashtags: 30, maxMentions: 20 },
    media: {
      min: 1, max: 10, kinds: ['image', 'video'], maxVideos: 10, mixed: true,
      image: { maxBytes: 8_000_000, types: ['image/jpeg'], minAspect: 0.8, maxAspect: 1.91 },
      video: { maxBytes: 300_000_000, types: ['video/mp4', 'video/quicktime'], minSeconds: 3, maxSeconds: 900 },
    },
    publish: [{ max: 50, windowMs: 24 * 3600_000 }],
  },
  alsoCheck: shapeProblems,
  // What may get lost and be repeated is the container, which is not public.
  isIdempotent: true,
  publishTimeoutMs: 60_000,

  async verify(credentials, io) {
    const user = await readMe(io, credentialsSchema.parse(credentials).accessToken);
    return {
      remoteId: String(user.user_id), username: user.username, displayName: user.name ?? user.username,
      profileUrl: `${io.baseUrls.web}/${user.username}`, avatarUrl: user.profile_picture_url ?? null,
    };
  },

  async publish(content, credentials, io) {
    const api = apiFor(credentials, io);
    const container = content.media.length > 1 ? await createCarousel(api, content, io) : await createContainer(api, fieldsOf(content, content.media[0]!, 0), io);
    return preparing(container, content.text, content.media.some((item) => item.kind === 'video'), io);
  },

  processing: {
    poll: (handle, credentials, io) => publishWhenReady(apiFor(credentials, io), handle, io),
    giveUpAfterMs: 24 * 3600_000,
    announces: 'published',
  },

  oauth: longTokenOAuth({
    network: NAME, prefix: 'ig', scope: 'instagram_business_basic,instagram_business_content_publish,instagram_business_manage_comments', credentials: credentialsSchema,
    async whoIs(accessToken, io) {
      const user = await readMe(io, accessToken);
      return { userId: String(user.user_id), username: user.username };
    },
  }),

  lookUp: {
    // Only the container's publication makes anything public, and that is asked for after its handle was stored.
    find: (content, since, credentials, io) => findByText(apiFor(credentials, io), content.text, since, io),
  },

  comment: {
    // The app takes 2,200 characters.
    limits: { text: { max: 2200, counting: 'utf16', required: true }, media: { min: 0, max: 0, kinds: [], maxVideos: 0, mixed: false } },
    async comment({ text }, remoteId, credentials, io) {
      return { state: 'published', remoteId: await writeComment(commentsWith(credentials, io), remoteId, text, io), url: null };
    },
    async find({ text }, remoteId, since, credentials, io) {
      const id = await findComment(commentsWith(credentials, io), remoteId, text, since, io);
      return id === null ? null : { state: 'published', remoteId: id, url: null };
    },
  },
} satisfies Platform;

function commentsWith(credentials: Credentials, io: PlatformIo): Parameters<typeof writeComment>[0] {
  const { accessToken } = credentialsSchema.parse(credentials);
  return { network: NAME, timeoutMs: TIMEOUT_MS, token: accessToken, root: `${io.baseUrls.api}/${VERSION}`, fields: { text: 'text', at: 'timestamp' } };
}

async function createCarousel(api: ContainerApi, content: PlatformContent, io: PlatformIo): Promise<string> {
  const children: string[] = [];
  for (const [i, item] of content.media.entries()) children.push(await createContainer(api, { ...mediaFields(content, item, i), is_carousel_item: 'true' }, io));
  return createContainer(api, { media_type: 'CAROUSEL', children: children.join(','), caption: content.text, ...commonFields(content) }, io);
}

function fieldsOf(content: PlatformContent, item: MediaItem, index: number): Record<string, string> {
  return { ...mediaFields(content, item, index), caption: content.text, ...commonFields(content) };
}

function mediaFields(content: PlatformContent, item: MediaItem, index: number): Record<string, string> {
  const options = instagramOptions.parse(content.options);
  const isAlone = content.media.length === 1;
  if (item.kind === 'video') {
    return {
      video_url: item.url, media_type: options.stories === true ? 'STORIES' : isAlone ? 'REELS' : 'VIDEO',
      ...(isAlone && options.shareReelsFeed !== undefined ? { share_to_feed: String(options.shareReelsFeed) } : {}),
      ...(options.thumbNail === undefined ? {} : { cover_url: options.thumbNail }),
      ...(options.thumbNailOffset === undefined ? {} : { thumb_offset: String(options.thumbNailOffset) }),
      ...(options.audioName === undefined ? {} : { audio_name: options.audioName }),
    };
  }
  const altText = item.altText ?? (Array.isArray(options.altText) ? options.altText[index] : options.altText);
  return { image_url: item.url, ...(options.stories === true ? { media_type: 'STORIES' } : {}), ...(altText === undefined ? {} : { alt_text: altText }) };
}

function commonFields(content: PlatformContent): Record<string, string> {
  const { locationId, userTags, collaborators, isAIGenerated, trialParams } = instagramOptions.parse(content.options);
  return {
    ...(locationId === undefined ? {} : { location_id: String(locationId) }),
    ...(userTags === undefined ? {} : { user_tags: JSON.stringify(userTags) }),
    ...(collaborators === undefined ? {} : { collaborators: JSON.stringify(collaborators) }),
    ...(isAIGenerated === true ? { is_ai_generated: 'true' } : {}),
    ...(trialParams === undefined ? {} : { trial_params: JSON.stringify({ graduation_strategy: trialParams.graduationStrategy }) }),
  };
}

function apiFor(credentials: Credentials, io: PlatformIo): ContainerApi {
  const { userId, accessToken } = credentialsSchema.parse(credentials);
  return { network: NAME, root: `${io.baseUrls.api}/${VERSION}`, userId, accessToken, createPath: 'media', publishPath: 'media_publish', statusField: 'status_code', textField: 'caption' };
}

async function readMe(io: PlatformIo, token: string): Promise<z.infer<typeof me>> {
  return ask(io, {
    network: NAME, effect: 'read', method: 'GET', url: `${io.baseUrls.api}/${VERSION}/me`, query: { fields: 'user_id,username,name,profile_picture_url' }, timeoutMs: TIMEOUT_MS, token,
  }, me, graphFailure(NAME, 'read'));
}

