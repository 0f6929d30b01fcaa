/** Bluesky: text of 300 graphemes, answers at once, and record keys that the client chooses make every create safe to repeat. */
import { z } from 'zod';
import { callNetwork, readAnswer, type NetworkCall } from '../network-call.js';
import type { Credentials, Platform, PlatformContent, PlatformIo, PublishResult } from '../platform.js';
import { blueskyFailure, isMissingRecord, isTakenKey } from './bluesky-failures.js';
import { blueskyOptions, buildPost } from './bluesky-record.js';
import { appPassword, blueskyCredentials as credentialsSchema, blueskyOAuth, type BlueskyCredentials } from './bluesky-session.js';
import { recordKey } from './record-key.js';

const NAME = 'Bluesky';
const COLLECTION = 'app.bsky.feed.post';
const TIMEOUT_MS = 30_000;

const created = z.object({ uri: z.string().startsWith('at://'), cid: z.string() });
const session = z.object({ did: z.string(), handle: z.string() });
const profile = z.object({ displayName: z.string().optional(), avatar: z.string().optional() });

export const bluesky = {
  id: 'bluesky',
  name: NAME,
  icon: 'bluesky',
  urls: { api: 'https://bsky.social', auth: 'https://bsky.social', consent: 'https://bsky.social', web: 'https://bsky.app' },
  hasManyServers: true,
  optionsKey: 'blueSkyOptions',
  options: blueskyOptions,
  limits: {
    // https://docs.bsky.app/docs/advanced-guides/posts and the lexicon app.bsky.feed.post
    text: { max: 300, counting: 'graphemes', maxBytes: 3000, required: false },
    // Four images or one video: the lexicons app.bsky.embed.images and app.bsky.embed.video
    media: {
      min: 0, max: 4, kinds: ['image', 'video'], maxVideos: 1, mixed: false,
      image: { maxBytes: 1_000_000, types: ['image/jpeg', 'image/png', 'image/webp', 'image/gif'] }, video: { maxBytes: 100_000_000, types: ['video/mp4'], maxSeconds: 180 },
    },
    // 5,000 points an hour and 35,000 a day, a create costs 3: https://docs.bsky.app/docs/advanced-guides/rate-limits
    publish: [{ max: 1666, windowMs: 3600_000 }, { max: 11_666, windowMs: 24 * 3600_000 }],
  },
  // The record's key is ours, made from the idempotency key.
  isIdempotent: true,
  publishTimeoutMs: 180_000,

  async verify(credentials, io) {
    const { accessToken } = credentialsSchema.parse(credentials);
    const me = await read(io, accessToken, 'com.atproto.server.getSession', {}, session);
    const shown = await read(io, accessToken, 'app.bsky.actor.getProfile', { actor: me.did }, profile);
    return {
      remoteId: me.did,
      username: me.handle,
      displayName: shown.displayName ?? me.handle,
      profileUrl: `${io.baseUrls.web}/profile/${me.handle}`,
      avatarUrl: shown.avatar ?? null,
    };
  },

  publish: (content, credentials, io) => post(content, null, credentialsSchema.parse(credentials), io),

  thread: {
    async reply(content, after, credentials, io) {
      const mine = credentialsSchema.parse(credentials);
      return post(content, { root: await reference(after.rootId, mine, io), parent: await reference(after.parentId, mine, io) }, mine, io);
    },
  },

  comment: {
    async comment(content, remoteId, credentials, io) {
      const mine = credentialsSchema.parse(credentials);
      const root = await reference(remoteId, mine, io);
      return post(content, { root, parent: root }, mine, io);
    },
  },

  oauth: blueskyOAuth,
  connectFields: appPassword,

  lookUp: {
    // The record key follows from the publication, so one read answers for certain whether it is there.
    async find(content: PlatformContent, _since: Date, credentials: Credentials, io: PlatformIo) {
      return findRecord(recordKey(content), credentialsSchema.parse(credentials), io);
    },
  },

  remove: {
    async remove(remoteId, credentials, io) {
      const { accessToken, did } = credentialsSchema.parse(credentials);
      const answer = await callNetwork(io, {
        network: NAME, effect: 'read', method: 'POST', url: xrpc(io, 'com.atproto.repo.deleteRecord'), timeoutMs: TIMEOUT_MS, token: accessToken,
        body: { repo: did, collection: COLLECTION, rkey: remoteId.split('/').at(-1) },
      });
      if (answer.status >= 400) throw blueskyFailure(answer, io);
    },
  },
} satisfies Platform;

async function post(content: PlatformContent, reply: { root: Reference; parent: Reference } | null, mine: BlueskyCredentials, io: PlatformIo): Promise<PublishResult> {
  const rkey = recordKey(content);
  const record = await buildPost(content, mine.accessToken, io);
  const call: NetworkCall = {
    network: NAME, effect: 'create', method: 'POST', url: xrpc(io, 'com.atproto.repo.createRecord'), timeoutMs: TIMEOUT_MS, token: mine.accessToken,
    body: { repo: mine.did, collection: COLLECTION, rkey, record: reply === null ? record : { ...record, reply } },
  };
  const answer = await callNetwork(io, call);
  if (isTakenKey(answer)) return (await findRecord(rkey, mine, io)) ?? published(`at://${mine.did}/${COLLECTION}/${rkey}`, mine, io);
  if (answer.status >= 400) throw blueskyFailure(answer, io);
  return published(readAnswer(call, created, answer).uri, mine, io);
}

interface Reference {
  uri: string;
  cid: string;
}

/** A reply names what it answers by address and content hash. */
function reference(uri: string, { accessToken }: BlueskyCredentials, io: PlatformIo): Promise<Reference> {
  const [repo = '', collection = '', rkey = ''] = uri.replace(/^at:\/\//, '').split('/');
  return read(io, accessToken, 'com.atproto.repo.getRecord', { repo, collection, rkey }, created);
}

async function read<T>(io: PlatformIo, token: string, method: string, query: Record<string, string>, schema: z.ZodType<T>): Promise<T> {
  const call: NetworkCall = { network: NAME, effect: 'read', method: 'GET', url: xrpc(io, method), query, timeoutMs: TIMEOUT_MS, token };
  const answer = await callNetwork(io, call);
  if (answer.status >= 400) throw blueskyFailure(answer, io);
  return readAnswer(call, schema, answer);
}

async function findRecord(rkey: string, mine: BlueskyCredentials, io: PlatformIo): Promise<PublishResult | null> {
  const call: NetworkCall = {
    network: NAME, effect: 'read', method: 'GET', url: xrpc(io, 'com.atproto.repo.getRecord'), timeoutMs: TIMEOUT_MS, token: mine.accessToken,
    query: { repo: mine.did, collection: COLLECTION, rkey },
  };
  const answer = await callNetwork(io, call);
  if (isMissingRecord(answer)) return null;
  if (answer.status >= 400) throw blueskyFailure(answer, io);
  return published(readAnswer(call, z.object({ uri: z.string() }), answer).uri, mine, io);
}

function published(uri: string, { handle }: BlueskyCredentials, io: PlatformIo): PublishResult {
  return { state: 'published', remoteId: uri, url: `${io.baseUrls.web}/profile/${handle}/post/${uri.split('/').at(-1)}` };
}

function xrpc(io: PlatformIo, method: string): string {
  return `${io.baseUrls.api}/xrpc/${method}`;
}
