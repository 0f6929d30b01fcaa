/** LinkedIn: member posts of 3,000 characters with images, one video or one document, through the versioned Posts API. */
import { z } from 'zod';
import { ask, askToRemove, callNetwork, type NetworkCall } from '../network-call.js';
import type { Platform, PlatformContent, PlatformIo, PublishResult } from '../platform.js';
import { unspoken } from '../unspoken.js';
import { usualOAuth } from '../usual-oauth.js';
import { linkedinFailure } from './linkedin-failures.js';
import { littleText } from './little-text.js';
import { uploadAll, uploadHeaders } from './linkedin-media.js';

const NAME = 'LinkedIn';
const TIMEOUT_MS = 30_000;

const credentialsSchema = z.object({ accessToken: z.string(), refreshToken: z.string().nullable(), personId: z.string(), displayName: z.string() });
type LinkedinCredentials = z.infer<typeof credentialsSchema>;

const userinfo = z.object({ sub: z.string(), name: z.string().optional(), picture: z.string().optional() });
const posts = z.object({ elements: z.array(z.object({ id: z.string(), commentary: z.string().optional(), createdAt: z.number().optional() })) });

const linkedinOptions = z.object({
  altText: z.array(z.string().max(4086)).optional(),
  titles: z.array(z.string().max(400)).optional(),
  title: z.string().max(400, 'The title must have at most 400 characters.').optional(),
  visibility: z.enum(['public', 'connections', 'loggedin']).optional(),
  disableShare: z.boolean().optional(),
  thumbNail: unspoken("Signpost can't set a video's image at LinkedIn. Leave this out."),
  targeting: unspoken("Signpost can't choose who sees a post at LinkedIn. Leave this out."),
}).loose();

export const linkedin = {
  id: 'linkedin',
  name: NAME,
  icon: 'linkedin',
  urls: { api: 'https://api.linkedin.com', auth: 'https://www.linkedin.com', consent: 'https://www.linkedin.com', web: 'https://www.linkedin.com' },
  optionsKey: 'linkedInOptions',
  options: linkedinOptions,
  limits: {
    text: { max: 3000, counting: 'utf16', required: false },
    media: {
      min: 0, max: 9, kinds: ['image', 'video', 'document'], maxVideos: 1, maxDocuments: 1, mixed: false,
      image: { maxBytes: 5_000_000, types: ['image/jpeg', 'image/png', 'image/gif'], maxPixels: 36_152_320 },
      video: { maxBytes: 500_000_000, types: ['video/mp4'], minSeconds: 3, maxSeconds: 1800, minAspect: 1 / 2.4, maxAspect: 2.4 },
      document: { maxBytes: 100_000_000, types: ['application/pdf', 'application/msword', 'application/vnd.openxmlformats-officedocument.wordprocessingml.document', 'application/vnd.ms-powerpoint', 'application/vnd.openxmlformats-officedocument.presentationml.presentation'] },
    },
    publish: [{ max: 150, windowMs: 24 * 3600_000 }],
  },
  publishTimeoutMs: 180_000,

  async verify(credentials, io) {
    const me = await readMe(io, credentialsSchema.parse(credentials).accessToken);
    return { remoteId: `urn:li:person:${me.sub}`, username: me.name ?? me.sub, displayName: me.name ?? me.sub, profileUrl: null, avatarUrl: me.picture ?? null };
  },

  async publish(content, credentials, io) {
    const mine = credentialsSchema.parse(credentials);
    const options = linkedinOptions.parse(content.options);
    const author = authorOf(mine);
    const media = await uploadAll(content, { author, accessToken: mine.accessToken, altText: options.altText, titles: options.titles ?? (options.title === undefined ? undefined : [options.title]) }, io);
    const call: NetworkCall = {
      ...base(mine), effect: 'create', method: 'POST', url: `${io.baseUrls.api}/rest/posts`,
      body: {
        author, commentary: littleText(content.text), visibility: VISIBILITY[options.visibility ?? 'public'], lifecycleState: 'PUBLISHED', isReshareDisabledByAuthor: options.disableShare ?? false,
        distribution: { feedDistribution: 'MAIN_FEED', targetEntities: [], thirdPartyDistributionChannels: [] }, ...(media === null ? {} : { content: media }),
      },
    };
    const answer = await callNetwork(io, call);
    if (answer.status >= 400) throw linkedinFailure(answer, io);
    // The id comes in a header, the body is empty: https://learn.microsoft.com/linkedin/marketing/community-management/shares/posts-api
    const id = answer.headers['x-restli-id'] ?? answer.headers['x-linkedin-id'];
    if (id === undefined) return (await findPost(content, new Date(io.now().getTime() - 60_000), mine, io)) ?? { state: 'published', remoteId: '', url: null };
    return published(id, io);
  },

  oauth: usualOAuth({
    // Approved apps get refresh tokens; for others the 60 days of the access token are all.
    network: NAME, scope: 'openid profile w_member_social', consentPath: '/oauth/v2/authorization', tokenPath: '/oauth/v2/accessToken', appBy: 'form', credentials: credentialsSchema,
    async whoIs({ accessToken }, io) {
      const { sub, name } = await readMe(io, accessToken);
      return { personId: sub, displayName: name ?? sub };
    },
  }),

  lookUp: {
    find: (content, since, credentials, io) => findPost(content, since, credentialsSchema.parse(credentials), io),
  },

  remove: {
    async remove(remoteId, credentials, io) {
      const mine = credentialsSchema.parse(credentials);
      await askToRemove(io, { ...base(mine), headers: { ...uploadHeaders, 'x-restli-method': 'DELETE' }, url: `${io.baseUrls.api}/rest/posts/${encodeURIComponent(remoteId)}` }, linkedinFailure);
    },
  },

  comment: {
    // The site takes 1,250 characters.
    limits: { text: { max: 1250, counting: 'utf16', required: true }, media: { min: 0, max: 0, kinds: [], maxVideos: 0, mixed: false } },
    async comment({ text }, remoteId, credentials, io) {
      const mine = credentialsSchema.parse(credentials);
      const { id } = await ask(io, {
        ...base(mine), effect: 'create', method: 'POST', url: `${io.baseUrls.api}/rest/socialActions/${encodeURIComponent(remoteId)}/comments`,
        body: { actor: authorOf(mine), object: remoteId, message: { text } },
      }, z.object({ id: z.union([z.string(), z.number()]) }), linkedinFailure);
      return { state: 'published', remoteId: String(id), url: `${io.baseUrls.web}/feed/update/${remoteId}` };
    },
  },
} satisfies Platform;

const VISIBILITY = { public: 'PUBLIC', connections: 'CONNECTIONS', loggedin: 'LOGGED_IN' } as const;

async function findPost(content: PlatformContent, since: Date, mine: LinkedinCredentials, io: PlatformIo): Promise<PublishResult | null> {
  const { elements } = await ask(io, {
    ...base(mine), headers: { ...uploadHeaders, 'x-restli-method': 'FINDER' }, effect: 'read', method: 'GET', url: `${io.baseUrls.api}/rest/posts`, query: { q: 'author', author: authorOf(mine), count: '50', sortBy: 'CREATED' },
  }, posts, linkedinFailure);
  const wanted = littleText(content.text).trim();
  const found = elements.find((post) => (post.commentary ?? '').trim() === wanted && (post.createdAt ?? Infinity) >= since.getTime() - 5000);
  return found === undefined ? null : published(found.id, io);
}

function published(urn: string, io: PlatformIo): PublishResult {
  return { state: 'published', remoteId: urn, url: `${io.baseUrls.web}/feed/update/${urn}` };
}

function readMe(io: PlatformIo, token: string): Promise<z.infer<typeof userinfo>> {
  return ask(io, { network: NAME, effect: 'read', method: 'GET', url: `${io.baseUrls.api}/v2/userinfo`, timeoutMs: TIMEOUT_MS, token }, userinfo, linkedinFailure);
}

function authorOf({ personId }: LinkedinCredentials): string {
  return `urn:li:person:${personId}`;
}

function base({ accessToken }: LinkedinCredentials): Pick<NetworkCall, 'network' | 'timeoutMs' | 'token' | 'headers'> {
  return { network: NAME, timeoutMs: TIMEOUT_MS, token: accessToken, headers: uploadHeaders };
}

