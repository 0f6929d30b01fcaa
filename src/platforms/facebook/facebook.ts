/** Facebook Pages: text with a link, up to ten photos or one video, through the Graph API with a page's token. */
import { z } from 'zod';
import { ask, type NetworkCall } from '../network-call.js';
import { findComment, writeComment } from '../meta-graph/graph-comments.js';
import { graphFailure } from '../meta-graph/graph-failures.js';
import { removeObject } from '../meta-graph/graph-remove.js';
import { requestTokens } from '../oauth-tokens.js';
import { PlatformFailure, type Credentials, type Platform, type PlatformContent, type PlatformIo, type PublishResult } from '../platform.js';
import { pollShort, publishShort, shortProblems } from './facebook-shorts.js';
import { facebookOptions, targetingOf } from './facebook-options.js';

const NAME = 'Facebook';
const VERSION = 'v23.0';
const TIMEOUT_MS = 60_000;

/** A page's token from a long-lived user token doesn't expire: https://developers.facebook.com/docs/pages-api/ */
const credentialsSchema = z.object({ accessToken: z.string(), pageId: z.string(), username: z.string() });
type FacebookCredentials = z.infer<typeof credentialsSchema>;

const pages = z.object({ data: z.array(z.object({ id: z.string(), name: z.string(), access_token: z.string() })) });
const page = z.object({ id: z.string(), name: z.string(), username: z.string().optional(), link: z.string().optional(), picture: z.object({ data: z.object({ url: z.string() }) }).optional() });
const created = z.object({ id: z.string(), post_id: z.string().optional() });
const feed = z.object({ data: z.array(z.object({ id: z.string(), message: z.string().optional(), created_time: z.string() })) });

export const facebook = {
  id: 'facebook',
  name: NAME,
  icon: 'facebook',
  urls: { api: 'https://graph.facebook.com', auth: 'https://graph.facebook.com', consent: 'https://www.facebook.com', web: 'https://www.facebook.com' },
  consentLeadsTo: ['https://m.facebook.com'],
  optionsKey: 'faceBookOptions',
  options: facebookOptions,
  limits: {
    text: { max: 63_206, counting: 'characters', required: false },
    media: {
      min: 0, max: 10, kinds: ['image', 'video'], maxVideos: 1, mixed: false,
      image: { maxBytes: 10_000_000, types: ['image/jpeg', 'image/png', 'image/gif', 'image/bmp', 'image/tiff'] },
      video: { maxBytes: 2_000_000_000, types: ['video/mp4', 'video/quicktime'], maxSeconds: 1200 },
    },
  },
  alsoCheck: shortProblems,
  publishTimeoutMs: 120_000,

  async verify(credentials, io) {
    const { accessToken } = credentialsSchema.parse(credentials);
    const shown = await readPage(io, accessToken);
    const username = shown.username ?? shown.id;
    return { remoteId: shown.id, username, displayName: shown.name, profileUrl: shown.link ?? `${io.baseUrls.web}/${username}`, avatarUrl: shown.picture?.data.url ?? null };
  },

  async publish(content, credentials, io) {
    const mine = credentialsSchema.parse(credentials);
    const [first] = content.media;
    const { reels, stories, carousel } = facebookOptions.parse(content.options);
    if (reels === true || stories === true) return publishShort(content, stories === true ? 'story' : 'reel', { ...mine, root: root(io) }, io);
    if (carousel !== undefined) return create(`${mine.pageId}/feed`, { message: content.text, link: carousel.link, child_attachments: carousel.items, multi_share_end_card: false, ...common(content) }, mine, io);
    if (first?.kind === 'video') return publishVideo(content, mine, io);
    if (content.media.length === 1) return publishPhoto(content, mine, io);
    const photos: string[] = [];
    for (const item of content.media) {
      const { id } = await ask(io, {
        ...call(mine), effect: 'read', method: 'POST', url: `${root(io)}/${mine.pageId}/photos`, body: { url: item.url, published: false, ...caption(content, photos.length), ...altText(content, photos.length) },
      }, created, graphFailure(NAME, 'read'));
      photos.push(id);
    }
    const { link } = facebookOptions.parse(content.options);
    return create(`${mine.pageId}/feed`, {
      message: content.text, ...(link === undefined ? {} : { link }), ...(photos.length === 0 ? {} : { attached_media: photos.map((id) => ({ media_fbid: id })) }), ...common(content),
    }, mine, io);
  },

  processing: {
    poll: (handle, credentials, io) => pollShort(handle, { ...credentialsSchema.parse(credentials), root: root(io) }, io),
    giveUpAfterMs: 24 * 3600_000,
    announces: 'published',
  },

  oauth: {
    authorizeUrl({ state, redirectUri }, io) {
      const query = new URLSearchParams({
        client_id: io.app.clientId, redirect_uri: redirectUri, state, response_type: 'code', scope: 'pages_show_list,pages_read_engagement,pages_manage_posts,pages_manage_engagement',
      });
      return `${io.baseUrls.consent}/${VERSION}/dialog/oauth?${query.toString()}`;
    },
    async exchange({ code, redirectUri }, io) {
      const token = (form: Record<string, string>) => requestTokens(io, {
        network: NAME, method: 'GET', url: `${io.baseUrls.auth}/${VERSION}/oauth/access_token`, form: { client_id: io.app.clientId, client_secret: io.app.clientSecret, ...form },
      });
      const short = await token({ redirect_uri: redirectUri, code });
      const long = await token({ grant_type: 'fb_exchange_token', fb_exchange_token: short.accessToken });
      const { data } = await ask(io, {
        network: NAME, effect: 'read', method: 'GET', url: `${root(io)}/me/accounts`, query: { fields: 'id,name,access_token' }, timeoutMs: TIMEOUT_MS, token: long.accessToken,
      }, pages, graphFailure(NAME, 'read'));
      const [chosen] = data;
      if (chosen === undefined) throw graphFailure(NAME, 'read')({ status: 400, headers: {}, body: { error: { message: 'This account manages no Facebook Page.' } } }, io);
      const shown = await readPage(io, chosen.access_token);
      return { credentials: { accessToken: chosen.access_token, pageId: chosen.id, username: shown.username ?? shown.id }, expiresAt: null };
    },
  },

  lookUp: {
    // Stories, drafts and what Facebook is to publish later are not among a Page's posts.
    canFind({ options }) {
      const { stories, draft, scheduledPublishDate } = facebookOptions.parse(options);
      return stories !== true && draft !== true && scheduledPublishDate === undefined;
    },
    async find(content, since, credentials, io) {
      const mine = credentialsSchema.parse(credentials);
      const { data } = await ask(io, {
        ...call(mine), effect: 'read', method: 'GET', url: `${root(io)}/${mine.pageId}/posts`,
        query: { fields: 'id,message,created_time', since: String(Math.floor(since.getTime() / 1000) - 5), limit: '50' },
      }, feed, graphFailure(NAME, 'read'));
      const found = data.find((post) => (post.message ?? '').trim() === content.text.trim());
      if (found !== undefined) return published(found.id, io);
      // A reel is among them only once it was processed.
      if (facebookOptions.parse(content.options).reels === true) throw new PlatformFailure('unknown', 'Facebook does not show the reel yet. Look at the Page before you send it again.');
      return null;
    },
  },

  remove: {
    async remove(remoteId, credentials, io) {
      const mine = credentialsSchema.parse(credentials);
      await removeObject(`${root(io)}/${encodeURIComponent(remoteId)}`, call(mine), io);
    },
  },

  comment: {
    // The site takes 8,000 characters.
    limits: { text: { max: 8000, counting: 'utf16', required: true }, media: { min: 0, max: 0, kinds: [], maxVideos: 0, mixed: false } },
    async comment({ text }, remoteId, credentials, io) {
      return published(await writeComment(commentsWith(credentials, io), remoteId, text, io), io);
    },
    async find({ text }, remoteId, since, credentials, io) {
      const id = await findComment(commentsWith(credentials, io), remoteId, text, since, io);
      return id === null ? null : published(id, io);
    },
  },
} satisfies Platform;

function commentsWith(credentials: Credentials, io: PlatformIo): Parameters<typeof writeComment>[0] {
  const { accessToken } = credentialsSchema.parse(credentials);
  return { network: NAME, timeoutMs: TIMEOUT_MS, token: accessToken, root: root(io), fields: { text: 'message', at: 'created_time' } };
}

function publishPhoto(content: PlatformContent, mine: FacebookCredentials, io: PlatformIo): Promise<PublishResult> {
  return create(`${mine.pageId}/photos`, { url: content.media[0]!.url, caption: content.text, ...altText(content, 0), ...common(content) }, mine, io);
}

function publishVideo(content: PlatformContent, mine: FacebookCredentials, io: PlatformIo): Promise<PublishResult> {
  const { title, thumbNail } = facebookOptions.parse(content.options);
  return create(`${mine.pageId}/videos`, {
    file_url: content.media[0]!.url, description: content.text, ...(title === undefined ? {} : { title }), ...(thumbNail === undefined ? {} : { thumb: thumbNail }), ...common(content),
  }, mine, io);
}

async function create(path: string, body: Record<string, unknown>, mine: FacebookCredentials, io: PlatformIo): Promise<PublishResult> {
  const { id, post_id: postId } = await ask(io, { ...call(mine), effect: 'create', method: 'POST', url: `${root(io)}/${path}`, body }, created, graphFailure(NAME, 'create'));
  return published(postId ?? id, io);
}

function published(id: string, io: PlatformIo): PublishResult {
  return { state: 'published', remoteId: id, url: `${io.baseUrls.web}/${id}` };
}

function common({ options }: PlatformContent): Record<string, unknown> {
  const { draft, scheduledPublishDate, targeting, locationId } = facebookOptions.parse(options);
  return {
    ...(draft === true ? { published: false, unpublished_content_type: 'DRAFT' } : {}),
    ...(scheduledPublishDate === undefined ? {} : { published: false, scheduled_publish_time: Math.floor(Date.parse(scheduledPublishDate) / 1000) }),
    ...(targeting === undefined ? {} : { targeting: targetingOf(targeting) }), ...(locationId === undefined ? {} : { place: String(locationId) }),
  };
}

/** One of several photos may have words of its own. */
function caption({ options }: PlatformContent, index: number): Record<string, string> {
  const text = facebookOptions.parse(options).mediaCaptions?.[index];
  return text === undefined ? {} : { caption: text };
}

function altText({ media, options }: PlatformContent, index: number): Record<string, string> {
  const text = media[index]?.altText ?? facebookOptions.parse(options).altText?.[index];
  return text === undefined ? {} : { alt_text_custom: text };
}

function readPage(io: PlatformIo, token: string): Promise<z.infer<typeof page>> {
  return ask(io, { network: NAME, effect: 'read', method: 'GET', url: `${root(io)}/me`, query: { fields: 'id,name,username,link,picture' }, timeoutMs: TIMEOUT_MS, token }, page, graphFailure(NAME, 'read'));
}

function call({ accessToken }: FacebookCredentials): Pick<NetworkCall, 'network' | 'timeoutMs' | 'token'> {
  return { network: NAME, timeoutMs: TIMEOUT_MS, token: accessToken };
}

function root(io: PlatformIo): string {
  return `${io.baseUrls.api}/${VERSION}`;
}
