/** Reddit: a title and a subreddit are needed; refusals, rate limits too, come with status 200. */
import { z } from 'zod';
import { inWords, rateLimited, rejected, signedOut } from '../failures.js';
import { callNetwork, readAnswer, type NetworkAnswer, type NetworkCall } from '../network-call.js';
import type { Platform, PlatformContent, PlatformFailure, PlatformIo } from '../platform.js';
import { usualOAuth } from '../usual-oauth.js';

const NAME = 'Reddit';
const TIMEOUT_MS = 30_000;

const credentialsSchema = z.object({ accessToken: z.string(), refreshToken: z.string().nullable(), username: z.string() });
type RedditCredentials = z.infer<typeof credentialsSchema>;

const me = z.object({ id: z.string(), name: z.string(), icon_img: z.string().optional() });
const submitted = z.object({ json: z.object({ data: z.object({ name: z.string(), url: z.string().optional() }) }) });
const listing = z.object({ data: z.object({ children: z.array(z.object({ data: z.object({ name: z.string(), title: z.string(), selftext: z.string().optional(), created_utc: z.number(), permalink: z.string() }) })) }) });
/** The submission, then its comments, the last of which may only stand for more: https://www.reddit.com/dev/api#GET_comments_{article} */
const articleWithComments = z.tuple([z.unknown(), z.object({ data: z.object({ children: z.array(z.object({ data: z.object({ name: z.string(), body: z.string().optional(), created_utc: z.number().optional() }) })) }) })]);
const commented = z.object({ json: z.object({ data: z.object({ things: z.array(z.object({ data: z.object({ name: z.string().optional(), id: z.string().optional() }) })) }) }) });

const redditOptions = z.object({
  title: z.string('Reddit needs a title.').min(1, 'Reddit needs a title.').max(300, 'The title must have at most 300 characters.'),
  subreddit: z.string('Reddit needs the name of a subreddit, such as test.').regex(/^(\/?r\/)?\w{2,24}$|^u_[\w-]{3,20}$/, 'This must be the name of a subreddit, such as test.'),
  link: z.url('This must be an http(s) address.').optional(),
}).loose();

export const reddit = {
  id: 'reddit',
  name: NAME,
  icon: 'reddit',
  urls: { api: 'https://oauth.reddit.com', auth: 'https://www.reddit.com', consent: 'https://www.reddit.com', web: 'https://www.reddit.com' },
  optionsKey: 'redditOptions',
  options: redditOptions,
  limits: {
    text: { max: 40_000, counting: 'characters', required: false },
    media: { min: 0, max: 1, kinds: ['image'], maxVideos: 0, mixed: false, image: { maxBytes: 20_000_000, types: ['image/jpeg', 'image/png', 'image/gif'] } },
    publish: [{ max: 100, windowMs: 60_000 }],
    // What it takes in a minute is counted by app, whatever the account.
    concurrent: 10,
  },
  publishTimeoutMs: TIMEOUT_MS,

  async verify(credentials, io) {
    const user = await readMe(io, credentialsSchema.parse(credentials).accessToken);
    return { remoteId: `t2_${user.id}`, username: user.name, displayName: user.name, profileUrl: `${io.baseUrls.web}/user/${user.name}`, avatarUrl: user.icon_img?.replaceAll('&amp;', '&') ?? null };
  },

  async publish(content, credentials, io) {
    const mine = credentialsSchema.parse(credentials);
    const { data } = (await redditCall(io, { ...base(mine), effect: 'create', method: 'POST', url: `${io.baseUrls.api}/api/submit`, body: formOf(content) }, submitted)).json;
    return { state: 'published', remoteId: data.name, url: data.url ?? `${io.baseUrls.web}/comments/${data.name.replace(/^t3_/, '')}` };
  },

  oauth: usualOAuth({
    network: NAME, scope: 'identity submit read history edit', consentPath: '/api/v1/authorize', tokenPath: '/api/v1/access_token', appBy: 'basic', credentials: credentialsSchema,
    // Without this the access lasts an hour.
    consentFields: { duration: 'permanent' },
    whoIs: async ({ accessToken }, io) => ({ username: (await readMe(io, accessToken)).name }),
  }),

  lookUp: {
    async find(content, since, credentials, io) {
      const mine = credentialsSchema.parse(credentials);
      const { data } = await redditCall(io, { ...base(mine), effect: 'read', method: 'GET', url: `${io.baseUrls.api}/user/${encodeURIComponent(mine.username)}/submitted`, query: { limit: '50', raw_json: '1' } }, listing);
      const { title } = redditOptions.parse(content.options);
      const from = since.getTime() / 1000 - 5;
      const found = data.children.find(({ data: post }) => post.created_utc >= from && post.title === title && isSameBody(post.selftext, content));
      return found === undefined ? null : { state: 'published', remoteId: found.data.name, url: `${io.baseUrls.web}${found.data.permalink}` };
    },
  },

  remove: {
    async remove(remoteId, credentials, io) {
      await redditCall(io, { ...base(credentialsSchema.parse(credentials)), effect: 'read', method: 'POST', url: `${io.baseUrls.api}/api/del`, body: new URLSearchParams({ id: remoteId }).toString() }, z.unknown());
    },
  },

  comment: {
    // The site takes 10,000 characters.
    limits: { text: { max: 10000, counting: 'utf16', required: true }, media: { min: 0, max: 0, kinds: [], maxVideos: 0, mixed: false } },
    async comment({ text }, remoteId, credentials, io) {
      const body = new URLSearchParams({ api_type: 'json', thing_id: remoteId, text }).toString();
      const { json } = await redditCall(io, { ...base(credentialsSchema.parse(credentials)), effect: 'create', method: 'POST', url: `${io.baseUrls.api}/api/comment`, body }, commented);
      const made = json.data.things[0]?.data;
      return { state: 'published', remoteId: made?.name ?? made?.id ?? '', url: null };
    },
    async find({ text }, remoteId, since, credentials, io) {
      const article = remoteId.replace(/^t3_/, '');
      const [, { data }] = await redditCall(io, {
        ...base(credentialsSchema.parse(credentials)), effect: 'read', method: 'GET', url: `${io.baseUrls.api}/comments/${encodeURIComponent(article)}`, query: { sort: 'new', depth: '1', limit: '50', raw_json: '1' },
      }, articleWithComments);
      const from = since.getTime() / 1000 - 5;
      const found = data.children.find(({ data: comment }) => (comment.body ?? '').trim() === text.trim() && (comment.created_utc ?? 0) >= from);
      return found === undefined ? null : { state: 'published', remoteId: found.data.name, url: null };
    },
  },
} satisfies Platform;

/** https://www.reddit.com/dev/api#POST_api_submit: an image goes as a link to its address, as text posts take none. */
function formOf(content: PlatformContent): string {
  const { title, subreddit, link } = redditOptions.parse(content.options);
  const url = link ?? content.media[0]?.url;
  const kind: Record<string, string> = url === undefined ? { kind: 'self', text: content.text } : { kind: 'link', url, ...(content.text === '' ? {} : { text: content.text }) };
  return new URLSearchParams({ api_type: 'json', sr: subreddit.replace(/^\/?r\//, ''), title, resubmit: 'true', sendreplies: 'true', ...kind }).toString();
}

function isSameBody(selftext: string | undefined, content: PlatformContent): boolean {
  return selftext === undefined || selftext === '' || selftext.trim() === content.text.trim();
}

const redditErrors = z.object({ json: z.object({ errors: z.array(z.array(z.string().nullable())) }) });

async function redditCall<T>(io: PlatformIo, call: NetworkCall, schema: z.ZodType<T>): Promise<T> {
  const answer = await callNetwork(io, call);
  const [first] = redditErrors.safeParse(answer.body).data?.json.errors ?? [];
  if (first !== undefined) throw refusal(first[0] ?? '', first[1] ?? '', answer, io);
  if (answer.status >= 400) throw httpFailure(answer, io);
  return readAnswer(call, schema, answer);
}

const REFUSALS: Record<string, string> = {
  SUBREDDIT_NOEXIST: "The subreddit doesn't exist. Check its name in redditOptions.subreddit.",
  SUBREDDIT_NOTALLOWED: "The subreddit doesn't let this account post. Join it, or choose another one.",
  SUBMIT_VALIDATION_FLAIR_REQUIRED: 'The subreddit wants a flair, which Signpost cannot set. Choose another one.',
  NO_SELFS: 'The subreddit takes no text posts. Add a link or an image.',
  NO_LINKS: 'The subreddit takes text posts only. Remove the link or image.',
  NO_IMAGES: 'The subreddit takes no images. Remove the image, or choose another subreddit.',
  TOO_LONG: 'The text or title is too long for Reddit. Shorten it.',
  ALREADY_SUB: 'This link was submitted there before. Use another link or subreddit.',
  USER_SUSPENDED: 'Reddit has suspended this account. Sign in at Reddit to see why.',
};

/** A rate limit says its time in words: "... try again in 9 minutes". */
function refusal(code: string, words: string, answer: NetworkAnswer, io: PlatformIo): PlatformFailure {
  const options = { status: answer.status, details: `${code}: ${words}` };
  if (code === 'RATELIMIT') {
    const wait = /(\d+)\s*(millisecond|second|minute|hour)/i.exec(words);
    const unitMs = { millisecond: 1, second: 1000, minute: 60_000, hour: 3600_000 }[wait?.[2]?.toLowerCase() ?? 'minute'] ?? 60_000;
    return rateLimited(NAME, io, answer, { ...options, retryAt: new Date(io.now().getTime() + Number(wait?.[1] ?? 10) * unitMs) });
  }
  return rejected(REFUSALS[code] ?? `Reddit refused the post: ${inWords(words === '' ? code : words)} Change it and send it again.`, options);
}

function httpFailure(answer: NetworkAnswer, io: PlatformIo): PlatformFailure {
  const words = z.object({ message: z.string() }).safeParse(answer.body).data?.message ?? `HTTP ${answer.status}`;
  const options = { status: answer.status, details: words };
  if (answer.status === 429) {
    // Reddit's reset header counts seconds from now.
    const resetS = Number(answer.headers['x-ratelimit-reset'] ?? NaN);
    return rateLimited(NAME, io, answer, { ...options, retryAt: new Date(io.now().getTime() + (Number.isFinite(resetS) ? resetS : 600) * 1000) });
  }
  if (answer.status === 401) return signedOut(NAME, options);
  return rejected(`Reddit refused the post: ${inWords(words)} Change it and send it again.`, options);
}

async function readMe(io: PlatformIo, accessToken: string): Promise<z.infer<typeof me>> {
  return redditCall(io, { ...base({ accessToken, refreshToken: null, username: '' }), effect: 'read', method: 'GET', url: `${io.baseUrls.api}/api/v1/me`, query: { raw_json: '1' } }, me);
}

function base({ accessToken }: RedditCredentials): Pick<NetworkCall, 'network' | 'timeoutMs' | 'token' | 'headers'> {
  return { network: NAME, timeoutMs: TIMEOUT_MS, token: accessToken, headers: { 'content-type': 'application/x-www-form-urlencoded' } };
}

