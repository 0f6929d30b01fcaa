/**
 * How Instagram and Threads publish: media is prepared in a container, which becomes public only when it is published. So a lost answer
 * to the preparation costs nothing, and a container can be published once only: together that makes publishing safe to repeat.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { rejected, unreachable } from '../failures.js';
import { ask, type NetworkCall } from '../network-call.js';
import { PlatformFailure, type PlatformIo, type PublishResult } from '../platform.js';
import { graphFailure } from './graph-failures.js';

/** What differs between the two. */
export interface ContainerApi {
  network: string;
  /** E.g. `https://graph.threads.net/v1.0`. */
  root: string;
  userId: string;
  accessToken: string;
  /** Paths below the user: `media` or `threads`, `media_publish` or `threads_publish`. */
  createPath: string;
  publishPath: string;
  /** Path below the user where what is published is listed; left out: `createPath`. */
  listPath?: string;
  /** Field that tells a container's state: `status_code` or `status`. */
  statusField: 'status_code' | 'status';
  /** Field of the text in the list of what is published: `caption` or `text`. */
  textField: 'caption' | 'text';
}

const TIMEOUT_MS = 30_000;
/** What is published is listed by then, or never. */
const LISTED_WITHIN_MS = 10 * 60_000;
const created = z.object({ id: z.string() });
const containerState = z.object({ status_code: z.string().optional(), status: z.string().optional() });
const published = z.object({ id: z.string(), permalink: z.string().optional() });
const listed = z.object({ data: z.array(z.object({ id: z.string(), caption: z.string().optional(), text: z.string().optional(), timestamp: z.string(), permalink: z.string().optional() })) });

/** Prepares a container. @returns its id; nothing is public yet */
export async function createContainer(api: ContainerApi, fields: Record<string, string>, io: PlatformIo): Promise<string> {
  const call: NetworkCall = { ...base(api), method: 'POST', url: `${api.root}/${api.userId}/${api.createPath}`, body: fields };
  return (await ask(io, call, created, graphFailure(api.network, 'read'))).id;
}

/**
 * How the first step of a post ends: its container is being prepared. The handle also keeps when and of what text, since a published
 * container doesn't name its post.
 */
export function preparing(container: string, text: string, hasVideo: boolean, io: PlatformIo): PublishResult {
  return { state: 'processing', handle: [container, io.now().getTime(), digestOf(text)].join(':'), pollAfterMs: hasVideo ? 5000 : 500 };
}

/** Publishes the container when it is ready. Safe to repeat: what was published already is found. */
export async function publishWhenReady(api: ContainerApi, handle: string, io: PlatformIo): Promise<PublishResult> {
  const [container = '', since = '', digest = ''] = handle.split(':');
  const status = await containerStatus(api, container, io);
  if (status === 'IN_PROGRESS') return { state: 'processing', handle, pollAfterMs: 5000 };
  if (status === 'EXPIRED') throw rejected(`${api.network} let the prepared post expire after 24 hours. Send it again.`, { details: 'EXPIRED' });
  if (status === 'ERROR') throw rejected(`${api.network} couldn't process the media. Use another file: JPEG, or MP4 or MOV with H.264.`, { details: 'ERROR' });
  if (status === 'PUBLISHED') return findPublished(api, digest, new Date(Number(since)), io);
  const call: NetworkCall = { ...base(api), method: 'POST', url: `${api.root}/${api.userId}/${api.publishPath}`, body: { creation_id: container } };
  try {
    const { id } = await ask(io, call, created, graphFailure(api.network, 'read'));
    return await asPublished(api, id, io);
  } catch (error) {
    // Two workers may ask at once, or an earlier answer got lost: refused because it is published already is a success.
    if (error instanceof PlatformFailure && error.kind === 'rejected' && (await containerStatus(api, container, io)) === 'PUBLISHED') return findPublished(api, digest, new Date(Number(since)), io);
    throw error;
  }
}

/** Finds the newest post with this text. */
export function findByText(api: ContainerApi, text: string, since: Date, io: PlatformIo): Promise<PublishResult | null> {
  return findByDigest(api, digestOf(text), since, io);
}

async function findByDigest(api: ContainerApi, digest: string, since: Date, io: PlatformIo): Promise<PublishResult | null> {
  const { data } = await ask(io, {
    ...base(api), method: 'GET', url: `${api.root}/${api.userId}/${api.listPath ?? api.createPath}`, query: { fields: `id,${api.textField},timestamp,permalink`, limit: '50' },
  }, listed, graphFailure(api.network, 'read'));
  const from = since.getTime() - 5000;
  const found = data.find((post) => digestOf(post[api.textField] ?? '') === digest && Date.parse(post.timestamp) >= from);
  return found === undefined ? null : { state: 'published', remoteId: found.id, url: found.permalink ?? null };
}

function digestOf(text: string): string {
  return createHash('sha256').update(text.trim()).digest('base64url').slice(0, 22);
}

async function containerStatus(api: ContainerApi, container: string, io: PlatformIo): Promise<string> {
  const call: NetworkCall = { ...base(api), method: 'GET', url: `${api.root}/${container}`, query: { fields: `id,${api.statusField}` } };
  const answer = await ask(io, call, containerState, graphFailure(api.network, 'read'));
  return answer[api.statusField] ?? 'IN_PROGRESS';
}

async function findPublished(api: ContainerApi, digest: string, since: Date, io: PlatformIo): Promise<PublishResult> {
  const found = await findByDigest(api, digest, since, io);
  // Stories are listed nowhere: that it is public is certain all the same.
  if (found === null && io.now().getTime() - since.getTime() > LISTED_WITHIN_MS) return { state: 'published', remoteId: '', url: null };
  if (found === null) throw unreachable(api.network, { details: 'The container is published, its post is not listed yet.' });
  return found;
}

async function asPublished(api: ContainerApi, id: string, io: PlatformIo): Promise<PublishResult> {
  // It is public already: a failing look at its address must not make it look as if it weren't.
  const url = await ask(io, { ...base(api), method: 'GET', url: `${api.root}/${id}`, query: { fields: 'id,permalink' } }, published, graphFailure(api.network, 'read'))
    .then((post) => post.permalink ?? null, () => null);
  return { state: 'published', remoteId: id, url };
}

function base(api: ContainerApi): Pick<NetworkCall, 'network' | 'effect' | 'timeoutMs' | 'token'> {
  return { network: api.network, effect: 'read', timeoutMs: TIMEOUT_MS, token: api.accessToken };
}
