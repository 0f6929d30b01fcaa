/** Google Business Profile (gmb): a local post of 1,500 characters with at most one photo. */
import { z } from 'zod';
import { googleFailure } from '../google/google-failures.js';
import { googleAuthorizeUrl, googleGrant, googleTokens } from '../google/google-oauth.js';
import { rejected } from '../failures.js';
import { ask, askToRemove, type NetworkCall } from '../network-call.js';
import type { Platform, PlatformContent, PlatformIo, PublishResult } from '../platform.js';
import { eventOf, gmbOptions, offerOf } from './gmb-options.js';

const NAME = 'Google Business Profile';
const TIMEOUT_MS = 30_000;

/** Google spreads this API over several hosts; on the simulator all of them are one. */
const ACCOUNTS_HOST = 'https://mybusinessaccountmanagement.googleapis.com';
const LOCATIONS_HOST = 'https://mybusinessbusinessinformation.googleapis.com';
const POSTS_HOST = 'https://mybusiness.googleapis.com';

const credentialsSchema = z.object({ accessToken: z.string(), refreshToken: z.string(), location: z.string() });
type GmbCredentials = z.infer<typeof credentialsSchema>;

const accounts = z.object({ accounts: z.array(z.object({ name: z.string() })).default([]) });
const locations = z.object({ locations: z.array(z.object({ name: z.string(), title: z.string(), metadata: z.object({ mapsUri: z.string().optional() }).optional() })).default([]) });
const localPost = z.object({ name: z.string(), state: z.string().optional(), searchUrl: z.string().optional() });
const localPosts = z.object({ localPosts: z.array(z.object({ name: z.string(), summary: z.string().optional(), createTime: z.string(), state: z.string().optional(), searchUrl: z.string().optional() })).default([]) });

export const gmb = {
  id: 'gmb',
  name: NAME,
  icon: 'google',
  urls: { api: POSTS_HOST, auth: 'https://oauth2.googleapis.com', consent: 'https://accounts.google.com', web: 'https://business.google.com' },
  optionsKey: 'gmbOptions',
  options: gmbOptions,
  limits: {
    text: { max: 1500, counting: 'characters', required: false },
    media: { min: 0, max: 1, kinds: ['image'], maxVideos: 0, mixed: false, image: { minBytes: 10_240, maxBytes: 5_000_000, types: ['image/jpeg', 'image/png'], minWidth: 250 } },
  },
  publishTimeoutMs: TIMEOUT_MS,

  async verify(credentials, io) {
    const { accessToken, location } = credentialsSchema.parse(credentials);
    const mine = (await readLocations(accessToken, io)).find((candidate) => candidate.path === location);
    if (mine === undefined) throw rejected('The business location is not there any more. Connect the channel again.');
    return { remoteId: location, username: mine.title, displayName: mine.title, profileUrl: mine.mapsUri, avatarUrl: null };
  },

  async publish(content, credentials, io) {
    const mine = credentialsSchema.parse(credentials);
    const post = await ask(io, { ...base(mine), effect: 'create', method: 'POST', url: `${host(io, POSTS_HOST)}/v4/${mine.location}/localPosts`, body: bodyOf(content) }, localPost, googleFailure(NAME));
    return outcome(post);
  },

  processing: {
    async poll(handle, credentials, io) {
      const mine = credentialsSchema.parse(credentials);
      return outcome(await ask(io, { ...base(mine), effect: 'read', method: 'GET', url: `${host(io, POSTS_HOST)}/v4/${handle}` }, localPost, googleFailure(NAME)));
    },
    giveUpAfterMs: 24 * 3600_000,
    announces: 'published',
  },

  oauth: {
    authorizeUrl: (request, io) => googleAuthorizeUrl(request, 'https://www.googleapis.com/auth/business.manage', io),
    async exchange({ code, redirectUri, codeVerifier }, io) {
      const tokens = await googleTokens(NAME, { grant_type: 'authorization_code', code, redirect_uri: redirectUri, code_verifier: codeVerifier }, io);
      const [first] = await readLocations(tokens.accessToken, io);
      if (first === undefined) throw rejected('This Google account manages no business location. Add one at business.google.com, then connect it.');
      return googleGrant(tokens, { location: first.path });
    },
    async refresh(credentials, io) {
      const { accessToken: _old, ...rest } = credentialsSchema.parse(credentials);
      return googleGrant(await googleTokens(NAME, { grant_type: 'refresh_token', refresh_token: rest.refreshToken }, io), rest);
    },
  },

  lookUp: {
    async find(content, since, credentials, io) {
      const mine = credentialsSchema.parse(credentials);
      const { localPosts: latest } = await ask(io, { ...base(mine), effect: 'read', method: 'GET', url: `${host(io, POSTS_HOST)}/v4/${mine.location}/localPosts`, query: { pageSize: '100' } }, localPosts, googleFailure(NAME));
      const found = latest.find((post) => (post.summary ?? '').trim() === content.text.trim() && Date.parse(post.createTime) >= since.getTime() - 5000);
      return found === undefined ? null : outcome(found);
    },
  },

  remove: {
    async remove(remoteId, credentials, io) {
      const mine = credentialsSchema.parse(credentials);
      await askToRemove(io, { ...base(mine), url: `${host(io, POSTS_HOST)}/v4/${remoteId}` }, googleFailure(NAME));
    },
  },
} satisfies Platform;

/** https://developers.google.com/my-business/reference/rest/v4/accounts.locations.localPosts */
function bodyOf(content: PlatformContent): Record<string, unknown> {
  const { callToAction, event, offer } = gmbOptions.parse(content.options);
  return {
    languageCode: 'en', summary: content.text, topicType: offer !== undefined ? 'OFFER' : event !== undefined ? 'EVENT' : 'STANDARD',
    ...(content.media.length === 0 ? {} : { media: content.media.map((item) => ({ mediaFormat: 'PHOTO', sourceUrl: item.url })) }),
    ...(callToAction === undefined ? {} : { callToAction: { actionType: callToAction.actionType.toUpperCase(), ...(callToAction.url === undefined ? {} : { url: callToAction.url }) } }),
    ...(event === undefined && offer === undefined ? {} : { event: eventOf(event ?? offer!) }), ...(offer === undefined ? {} : { offer: offerOf(offer) }),
  };
}

function outcome({ name, state, searchUrl }: z.infer<typeof localPost>): PublishResult {
  if (state === 'REJECTED') throw rejected("Google refused the post: it breaks the content policy. Change it and send it again.", { details: state });
  if (state === 'PROCESSING') return { state: 'processing', handle: name, pollAfterMs: 5000 };
  return { state: 'published', remoteId: name, url: searchUrl ?? null };
}

async function readLocations(accessToken: string, io: PlatformIo): Promise<{ path: string; title: string; mapsUri: string | null }[]> {
  const call = { network: NAME, effect: 'read', method: 'GET', timeoutMs: TIMEOUT_MS, token: accessToken } as const;
  const { accounts: mine } = await ask(io, { ...call, url: `${host(io, ACCOUNTS_HOST)}/v1/accounts` }, accounts, googleFailure(NAME));
  const found: { path: string; title: string; mapsUri: string | null }[] = [];
  for (const account of mine) {
    const answer = await ask(io, { ...call, url: `${host(io, LOCATIONS_HOST)}/v1/${account.name}/locations`, query: { readMask: 'name,title,metadata' } }, locations, googleFailure(NAME));
    for (const location of answer.locations) found.push({ path: `${account.name}/${location.name}`, title: location.title, mapsUri: location.metadata?.mapsUri ?? null });
  }
  return found;
}

function host(io: PlatformIo, real: string): string {
  return io.baseUrls.api === POSTS_HOST ? real : io.baseUrls.api;
}

function base({ accessToken }: GmbCredentials): Pick<NetworkCall, 'network' | 'timeoutMs' | 'token'> {
  return { network: NAME, timeoutMs: TIMEOUT_MS, token: accessToken };
}
