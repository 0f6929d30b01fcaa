/** YouTube: one video with a title, uploaded in a session, public (or as visible as asked) after its processing. */
import { z } from 'zod';
import { googleGrant, googleTokens, googleAuthorizeUrl } from '../google/google-oauth.js';
import { googleFailure } from '../google/google-failures.js';
import { rejected, unreachable } from '../failures.js';
import { ask, askToRemove, callNetwork, readAnswer, type NetworkCall } from '../network-call.js';
import type { Platform, PlatformContent, PlatformIo, PublishResult } from '../platform.js';
import { youtubeOptions } from './youtube-options.js';

const NAME = 'YouTube';
const TIMEOUT_MS = 30_000;

const credentialsSchema = z.object({ accessToken: z.string(), refreshToken: z.string(), channelId: z.string(), username: z.string(), uploads: z.string() });
type YoutubeCredentials = z.infer<typeof credentialsSchema>;

const channels = z.object({
  items: z.array(z.object({
    id: z.string(), snippet: z.object({ title: z.string(), customUrl: z.string().optional(), thumbnails: z.object({ default: z.object({ url: z.string() }).optional() }).optional() }),
    contentDetails: z.object({ relatedPlaylists: z.object({ uploads: z.string() }) }),
  })).default([]),
});
const video = z.object({ id: z.string() });
const comment = z.object({ textOriginal: z.string().optional(), textDisplay: z.string(), publishedAt: z.string() });
const commentThreads = z.object({ items: z.array(z.object({ id: z.string(), snippet: z.object({ topLevelComment: z.object({ snippet: comment }) }) })) });
const videos = z.object({ items: z.array(z.object({ id: z.string(), status: z.object({ uploadStatus: z.string(), failureReason: z.string().optional(), rejectionReason: z.string().optional() }) })).default([]) });
const playlist = z.object({ items: z.array(z.object({ snippet: z.object({ title: z.string(), description: z.string(), publishedAt: z.string(), resourceId: z.object({ videoId: z.string() }) }) })).default([]) });

export const youtube = {
  id: 'youtube',
  name: NAME,
  icon: 'youtube',
  urls: { api: 'https://www.googleapis.com', auth: 'https://oauth2.googleapis.com', consent: 'https://accounts.google.com', web: 'https://www.youtube.com' },
  optionsKey: 'youTubeOptions',
  options: youtubeOptions,
  limits: {
    text: { max: 5000, counting: 'characters', maxBytes: 5000, required: false, forbidden: '<>' },
    media: { min: 1, max: 1, kinds: ['video'], maxVideos: 1, mixed: false, requires: ['video'], video: { maxBytes: 256_000_000_000, maxSeconds: 12 * 3600 } },
    publish: [{ max: 100, windowMs: 24 * 3600_000 }],
  },
  publishTimeoutMs: 600_000,

  async verify(credentials, io) {
    const { id, snippet } = await readChannel(io, credentialsSchema.parse(credentials).accessToken);
    const username = (snippet.customUrl ?? id).replace(/^@/, '');
    return { remoteId: id, username, displayName: snippet.title, profileUrl: `${io.baseUrls.web}/${snippet.customUrl ?? `channel/${id}`}`, avatarUrl: snippet.thumbnails?.default?.url ?? null };
  },

  async publish(content, credentials, io) {
    const mine = credentialsSchema.parse(credentials);
    const { data, contentType } = await io.readMedia(content.media[0]!);
    const session = await openSession(content, data.byteLength, contentType, mine, io);
    // The upload itself makes the video; an abandoned session makes nothing.
    const call: NetworkCall = { ...base(mine), effect: 'create', method: 'PUT', url: session, headers: { 'content-type': contentType }, body: data, timeoutMs: 540_000 };
    const answer = await callNetwork(io, call);
    if (answer.status >= 400) throw googleFailure(NAME)(answer, io);
    return processing(readAnswer(call, video, answer).id);
  },

  processing: {
    async poll(handle, credentials, io) {
      const { items } = await ask(io, {
        ...base(credentialsSchema.parse(credentials)), effect: 'read', method: 'GET', url: `${io.baseUrls.api}/youtube/v3/videos`, query: { part: 'status', id: handle },
      }, videos, googleFailure(NAME));
      const [found] = items;
      if (found === undefined || found.status.uploadStatus === 'deleted') throw rejected('YouTube no longer has the video. It was deleted there.', { details: 'deleted' });
      const { uploadStatus, failureReason, rejectionReason } = found.status;
      if (uploadStatus === 'failed') throw rejected(`YouTube couldn't process the video (${failureReason ?? 'no reason given'}). Use MP4 with H.264 and send it again.`, { details: failureReason ?? uploadStatus });
      if (uploadStatus === 'rejected') throw rejected(`YouTube rejected the video (${rejectionReason ?? 'no reason given'}).`, { details: rejectionReason ?? uploadStatus });
      return uploadStatus === 'processed' ? published(handle, io) : processing(handle);
    },
    giveUpAfterMs: 24 * 3600_000,
    announces: 'published',
  },

  oauth: {
    authorizeUrl: (request, io) => googleAuthorizeUrl(request, 'https://www.googleapis.com/auth/youtube.upload https://www.googleapis.com/auth/youtube.force-ssl', io),
    async exchange({ code, redirectUri, codeVerifier }, io) {
      const tokens = await googleTokens(NAME, { grant_type: 'authorization_code', code, redirect_uri: redirectUri, code_verifier: codeVerifier }, io);
      const { id, snippet, contentDetails } = await readChannel(io, tokens.accessToken);
      return googleGrant(tokens, { channelId: id, username: snippet.customUrl ?? id, uploads: contentDetails.relatedPlaylists.uploads });
    },
    async refresh(credentials, io) {
      const { accessToken: _old, ...rest } = credentialsSchema.parse(credentials);
      return googleGrant(await googleTokens(NAME, { grant_type: 'refresh_token', refresh_token: rest.refreshToken }, io), rest);
    },
  },

  lookUp: {
    async find(content, since, credentials, io) {
      const mine = credentialsSchema.parse(credentials);
      const { items } = await ask(io, {
        ...base(mine), effect: 'read', method: 'GET', url: `${io.baseUrls.api}/youtube/v3/playlistItems`, query: { part: 'snippet', playlistId: mine.uploads, maxResults: '50' },
      }, playlist, googleFailure(NAME));
      const { title } = youtubeOptions.parse(content.options);
      const found = items.find(({ snippet }) => snippet.title === title && snippet.description.trim() === content.text.trim() && Date.parse(snippet.publishedAt) >= since.getTime() - 5000);
      return found === undefined ? null : processing(found.snippet.resourceId.videoId);
    },
  },

  remove: {
    async remove(remoteId, credentials, io) {
      await askToRemove(io, { ...base(credentialsSchema.parse(credentials)), url: `${io.baseUrls.api}/youtube/v3/videos`, query: { id: remoteId } }, googleFailure(NAME));
    },
  },

  comment: {
    // The site takes 10,000 characters.
    limits: { text: { max: 10000, counting: 'utf16', required: true }, media: { min: 0, max: 0, kinds: [], maxVideos: 0, mixed: false } },
    async comment({ text }, remoteId, credentials, io) {
      const { id } = await ask(io, {
        ...base(credentialsSchema.parse(credentials)), effect: 'create', method: 'POST', url: `${io.baseUrls.api}/youtube/v3/commentThreads`, query: { part: 'snippet' },
        body: { snippet: { videoId: remoteId, topLevelComment: { snippet: { textOriginal: text } } } },
      }, video, googleFailure(NAME));
      return commented(id, remoteId, io);
    },
    async find({ text }, remoteId, since, credentials, io) {
      const { items } = await ask(io, {
        ...base(credentialsSchema.parse(credentials)), effect: 'read', method: 'GET', url: `${io.baseUrls.api}/youtube/v3/commentThreads`,
        query: { part: 'snippet', videoId: remoteId, order: 'time', maxResults: '50', textFormat: 'plainText' },
      }, commentThreads, googleFailure(NAME));
      const from = since.getTime() - 5000;
      const found = items.find(({ snippet: { topLevelComment: { snippet } } }) => (snippet.textOriginal ?? snippet.textDisplay).trim() === text.trim() && Date.parse(snippet.publishedAt) >= from);
      return found === undefined ? null : commented(found.id, remoteId, io);
    },
  },
} satisfies Platform;

function commented(id: string, videoId: string, io: PlatformIo): PublishResult {
  return { state: 'published', remoteId: id, url: `${io.baseUrls.web}/watch?v=${videoId}&lc=${id}` };
}

/** https://developers.google.com/youtube/v3/guides/using_resumable_upload_protocol */
async function openSession(content: PlatformContent, bytes: number, contentType: string, mine: YoutubeCredentials, io: PlatformIo): Promise<string> {
  const options = youtubeOptions.parse(content.options);
  const answer = await callNetwork(io, {
    ...base(mine), effect: 'read', method: 'POST', url: `${io.baseUrls.api}/upload/youtube/v3/videos`,
    query: { uploadType: 'resumable', part: 'snippet,status', ...(options.notifySubscribers === undefined ? {} : { notifySubscribers: String(options.notifySubscribers) }) },
    headers: { 'x-upload-content-length': String(bytes), 'x-upload-content-type': contentType },
    body: {
      snippet: { title: options.title, description: content.text, categoryId: String(options.categoryId ?? 24), ...(options.tags === undefined ? {} : { tags: options.tags }) },
      status: {
        // A video that is to be published later has to be private until then.
        privacyStatus: options.publishAt === undefined ? (options.visibility ?? 'private') : 'private', selfDeclaredMadeForKids: options.madeForKids ?? false,
        ...(options.publishAt === undefined ? {} : { publishAt: options.publishAt }), ...(options.containsSyntheticMedia === undefined ? {} : { containsSyntheticMedia: options.containsSyntheticMedia }),
      },
    },
  });
  if (answer.status >= 400) throw googleFailure(NAME)(answer, io);
  const { location } = answer.headers;
  if (location === undefined) throw unreachable(NAME, { details: 'The upload session has no address.' });
  return location;
}

function processing(id: string): PublishResult {
  return { state: 'processing', handle: id, pollAfterMs: 10_000 };
}

function published(id: string, io: PlatformIo): PublishResult {
  return { state: 'published', remoteId: id, url: `${io.baseUrls.web}/watch?v=${id}` };
}

async function readChannel(io: PlatformIo, token: string): Promise<z.infer<typeof channels>['items'][number]> {
  const { items } = await ask(io, {
    network: NAME, effect: 'read', method: 'GET', url: `${io.baseUrls.api}/youtube/v3/channels`, query: { part: 'snippet,contentDetails', mine: 'true' }, timeoutMs: TIMEOUT_MS, token,
  }, channels, googleFailure(NAME));
  const [channel] = items;
  if (channel === undefined) throw rejected('This Google account has no YouTube channel. Make one at YouTube, then connect it.');
  return channel;
}

function base({ accessToken }: YoutubeCredentials): Pick<NetworkCall, 'network' | 'timeoutMs' | 'token'> {
  return { network: NAME, timeoutMs: TIMEOUT_MS, token: accessToken };
}
