/** Judges a fault run: what the networks hold, what the API says, what is stored and what the receiver was told must all be the same. */
import path from 'node:path';
import { connectDatabase, type Database } from '../../src/db/database.js';
import { findEmbeddedMongodb } from '../../src/embedded-mongodb/start.js';
import { ErrorCode } from '../../src/lib/app-error.js';
import { findPlatform } from '../../src/platforms/registry.js';
import type { ListedPost } from '../../src/platforms/simulator/control-api.js';
import { foldStatus, isSettled, type Publication } from '../../src/posts/post.js';
import type { PostDoc } from '../../src/posts/post-doc.js';
import type { Sent } from './fault-herd.js';
import type { Received } from './receiver.js';
import { waitUntil } from './wait-until.js';

export interface Verdict {
  publications: number;
  published: number;
  unconfirmed: number;
  failed: number;
  events: number;
  webhookRequests: number;
  /** Each in words; empty when everything held. */
  broken: string[];
}

interface EventRow {
  _id: string;
  type: string;
  sequence: number;
  data: { postId: string; status: string; publications: { id: string; state: string }[]; publicationId?: string };
}

interface Facts {
  /** How often it was public, by network and text. */
  record: Map<string, number>;
  docs: Map<string, PostDoc>;
  events: Map<string, EventRow[]>;
  /** Requests by `webhook-id`. */
  received: Map<string, Received[]>;
}

const FINAL: Record<string, string> = { success: 'post.published', partial: 'post.partially_published', error: 'post.failed' };
const SETTLES_WITHIN_MS = 240_000;

/** Waits until nothing has anything left to do, then compares. */
export async function judge(sent: Sent[], dataDir: string, simulatorUrl: string, received: readonly Received[], say: (line: string) => void): Promise<Verdict> {
  const verdict: Verdict = { publications: 0, published: 0, unconfirmed: 0, failed: 0, events: 0, webhookRequests: received.length, broken: [] };
  const found = await waitUntil('the database', () => findEmbeddedMongodb(path.join(dataDir, 'mongodb')));
  const database = await connectDatabase(found.uri);
  try {
    await settled(database, sent.length, say).catch((error: unknown) => verdict.broken.push(String(error)));
    const facts = await gather(database, simulatorUrl, received);
    verdict.events = [...facts.events.values()].flat().length;
    for (const post of sent) await judgePost(post, facts, verdict);
  } finally {
    await database.close();
  }
  return verdict;
}

async function settled({ db }: Database, posts: number, say: (line: string) => void): Promise<void> {
  const busy = { $or: [{ lease: { $exists: true } }, { dueAt: { $exists: true } }, { outboxAt: { $exists: true } }] };
  let toldAt = performance.now();
  await waitUntil(`${posts} posts and their webhooks to be settled`, async () => {
    const open = (await db.collection('posts').countDocuments(busy)) + Math.max(0, posts - (await db.collection('posts').countDocuments()));
    const deliveries = await db.collection('webhook_deliveries').countDocuments({ state: { $in: ['waiting', 'sending'] } });
    if (performance.now() - toldAt > 10_000) {
      toldAt = performance.now();
      say(`${open} posts and ${deliveries} deliveries are not settled yet, e.g. ${JSON.stringify(await db.collection('posts').findOne(busy, { projection: { text: 1, lease: 1, dueAt: 1, 'publications.state': 1, 'publications.dueAt': 1 } }))}`);
    }
    return open === 0 && deliveries === 0;
  }, { timeoutMs: SETTLES_WITHIN_MS, everyMs: 250 });
}

async function gather({ db }: Database, simulatorUrl: string, received: readonly Received[]): Promise<Facts> {
  const { posts } = (await (await fetch(`${simulatorUrl}/simulator/posts`)).json()) as { posts: ListedPost[] };
  const record = new Map<string, number>();
  for (const { network, text } of posts) record.set(`${network} ${text}`, (record.get(`${network} ${text}`) ?? 0) + 1);
  const docs = await db.collection<PostDoc>('posts').find().toArray();
  const events = await db.collection<EventRow>('webhook_events').find({ 'data.postId': { $exists: true } }).sort({ sequence: 1 }).toArray();
  return {
    record,
    docs: new Map(docs.map((doc) => [doc._id, doc])),
    events: grouped(events, ({ data }) => data.postId),
    received: grouped([...received], ({ headers }) => String(headers['webhook-id'])),
  };
}

async function judgePost(sent: Sent, facts: Facts, verdict: Verdict): Promise<void> {
  const broken = (what: string): void => void verdict.broken.push(`${what}: post ${sent.id} "${sent.text}"`);
  const doc = facts.docs.get(sent.id);
  if (doc === undefined) return broken('lost');
  if (!doc.publications.every(isSettled) || doc.lease !== undefined || doc.dueAt !== undefined || doc.outbox.length > 0) return broken(`not settled (${doc.publications.map(({ state }) => state).join(', ')})`);
  if (doc.status !== foldStatus(doc.publications)) broken(`its status is ${doc.status}, its publications say ${foldStatus(doc.publications)}`);
  const { body } = await sent.api().get(`/api/post/${sent.id}`);
  const word = doc.status === 'success' ? 'success' : 'error';
  if (body['status'] !== word) broken(`stored as ${doc.status}, but the API says ${JSON.stringify(body['status'])}`);
  for (const publication of doc.publications) judgePublication(publication, doc, body, facts, verdict, broken);
  judgeEvents(doc, facts, broken);
}

function judgePublication(publication: Publication, doc: PostDoc, body: Record<string, unknown>, { record }: Facts, verdict: Verdict, broken: (what: string) => void): void {
  const { platform, state } = publication;
  const times = record.get(`${platform} ${doc.text}`) ?? 0;
  verdict.publications += 1;
  if (state === 'published' || state === 'unconfirmed' || state === 'failed') verdict[state] += 1;
  const mayBeAsked = findPlatform(platform)?.lookUp !== undefined;
  if (times > 1) broken(`public ${times} times on ${platform}`);
  if (state === 'published' && times === 0) broken(`called published, but not on ${platform}`);
  if (state !== 'published' && state !== 'unconfirmed' && times > 0) broken(`called ${state}, but public on ${platform}`);
  if (state === 'unconfirmed' && mayBeAsked) broken(`left in doubt on ${platform}, which can be asked`);
  const last = doc.history.findLast((entry) => entry.publicationId === publication.id || (doc.publications.length === 1 && entry.what === 'publication sending'))?.what;
  if (last !== `publication ${state}`) broken(`${state} on ${platform}, but its history ends with "${last ?? 'nothing'}"`);
  const rows = ((state === 'published' ? body['postIds'] : body['errors']) ?? []) as { platform: string; code?: number }[];
  const row = rows.find((candidate) => candidate.platform === platform);
  if (row === undefined) broken(`${state} on ${platform}, but the API does not list it so`);
  if (state === 'unconfirmed' && row?.code !== ErrorCode.outcomeUnknown) broken(`in doubt on ${platform}, but the API gives code ${row?.code}`);
}

/** One final event and one for each publication, numbered without a gap, and each of them received. */
function judgeEvents(doc: PostDoc, { events, received }: Facts, broken: (what: string) => void): void {
  const told = events.get(doc._id) ?? [];
  if (told.map(({ sequence }) => sequence).join() !== Array.from({ length: doc.sequence }, (_, i) => i + 1).join()) broken(`its events are ${told.map(({ sequence }) => sequence).join()} of ${doc.sequence}`);
  const final = told.filter(({ type }) => Object.values(FINAL).includes(type));
  if (final.length !== 1 || final[0]!.type !== FINAL[doc.status]) broken(`stored as ${doc.status}, but its final events are ${final.map(({ type }) => type).join() || 'none'}`);
  for (const { id, state, platform } of doc.publications) {
    const own = told.filter(({ type, data }) => type.startsWith('publication.') && data.publicationId === id).map(({ type }) => type);
    if (own.join() !== `publication.${state}`) broken(`${state} on ${platform}, but its events are ${own.join() || 'none'}`);
    if (final[0]?.data.publications.find((snapshot) => snapshot.id === id)?.state !== state) broken(`${state} on ${platform}, but the final event says otherwise`);
  }
  for (const { _id, type } of told.filter((event) => event.type !== 'post.accepted')) {
    const requests = received.get(_id) ?? [];
    if (requests.length === 0) broken(`its ${type} reached nobody`);
    if (requests.some(({ raw }) => !raw.equals(requests[0]!.raw))) broken(`its ${type} came in several forms`);
  }
}

function grouped<T>(items: T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
}
