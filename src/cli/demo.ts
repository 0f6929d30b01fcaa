/** `npm run demo`: a throw-away instance, three simulated channels and a local receiver; prints each step, exits 0 only if all of it happened. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { compose } from '../compose.js';
import { readConfig } from '../config.js';
import { createLogger } from '../lib/logger.js';
import { apiClient, connectChannel, createApiKey, signUp, type ApiClient } from './newcomer.js';
import { startReceiver, type Received, type Receiver } from './receiver.js';
import { checkSignatures } from './signature-check.js';

const SECRET = 'a secret that only the demonstration knows';
const DEADLINE_MS = 50_000;
const AHEAD_MS = 3_000;

/** @returns the exit code: 0 everything happened, 1 something is missing */
export async function demo(): Promise<number> {
  const startedAt = performance.now();
  const say = (step: string, detail: string): void => console.log(`${((performance.now() - startedAt) / 1000).toFixed(1).padStart(5)} s  ${step.padEnd(18)} ${detail}`);
  const dataDir = await mkdtemp(path.join(tmpdir(), 'signpost-demo-'));
  const log = createLogger('fatal');
  const app = await compose(readConfig({ HOST: '127.0.0.1', PORT: '0', SIMULATOR_PORT: '0', DATA_DIR: dataDir, LOG_LEVEL: 'fatal' }), { log });
  const receiver = await startReceiver();
  try {
    const { url } = await app.start();
    say('started', `${url}, with simulated networks and data that are gone at the end`);
    await Promise.race([story(url, receiver, say), deadline(), interruption()]);
    say('done', 'everything happened as it should');
    return 0;
  } catch (error) {
    console.error(`\nSomething is missing: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  } finally {
    await receiver.stop();
    await app.stop();
    await rm(dataDir, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}

type Say = (step: string, detail: string) => void;

async function story(url: string, receiver: Receiver, say: Say): Promise<void> {
  const { session, email } = await signUp(url);
  say('signed up', email);
  for (const [platform, handle] of [['bluesky', 'ada.bsky.social'], ['twitter', 'ada'], ['tiktok', 'ada']] as const) {
    await connectChannel(session, platform, handle);
    say('connected', `@${handle} on ${platform}, through its consent page`);
  }
  const api = apiClient(url, await createApiKey(session, 'Demonstration'));
  say('API key made', 'the rest is done by API');
  await register(api, receiver, say);

  const text = await schedule(api, { post: 'Hello from Signpost.', platforms: ['bluesky', 'twitter'] }, say);
  const video = await schedule(api, { post: 'A clip from Signpost.', platforms: ['tiktok'], mediaUrls: ['https://media.example.com/clip.mp4'] }, say);
  await Promise.all([
    follow(api, text, say),
    follow(api, video, say),
    hear(receiver, text, undefined, say),
    hear(receiver, video, undefined, say).then(() => hear(receiver, video, 'tikTokPublished', say)),
  ]);
  const heard = receiver.received.filter((request) => eventOf(request).action === 'scheduled').length;
  if (heard !== 3) throw new Error(`3 webhooks were due, ${heard} came`);
}

async function register(api: ApiClient, receiver: Receiver, say: Say): Promise<void> {
  const { status, body } = await api.post('/api/hook/webhook', { action: 'scheduled', url: `${receiver.url}/hook`, secret: SECRET });
  if (status !== 200) throw new Error(`the webhook was not registered: ${JSON.stringify(body)}`);
  say('webhook registered', `${receiver.url}/hook for the action "scheduled"`);
}

/** @returns the post's id */
async function schedule(api: ApiClient, post: object, say: Say): Promise<string> {
  const scheduleDate = new Date(Math.ceil((Date.now() + AHEAD_MS) / 1000) * 1000).toISOString();
  const { status, body } = await api.post('/api/post', { ...post, scheduleDate });
  if (status !== 200 || body['status'] !== 'scheduled' || typeof body['id'] !== 'string') throw new Error(`the post was not scheduled: ${JSON.stringify(body)}`);
  say('scheduled', `${body['id']} for ${scheduleDate}: ${JSON.stringify(body['post'])}`);
  return body['id'];
}

/** Waits until the post is published on every channel, and shows where. */
async function follow(api: ApiClient, id: string, say: Say): Promise<void> {
  for (;;) {
    const { body } = await api.get(`/api/post/${id}`);
    const rows = (Array.isArray(body['postIds']) ? body['postIds'] : []) as { status?: string; id?: unknown; platform?: string; postUrl?: string }[];
    if (body['status'] === 'error') throw new Error(`${id} failed: ${JSON.stringify(body['errors'])}`);
    if (body['status'] === 'success' && rows.length > 0 && rows.every((row) => row.id !== 'pending')) {
      for (const row of rows) say('published', `${id} on ${row.platform ?? '?'}: ${row.postUrl ?? String(row.id)}`);
      return;
    }
    await wait(100);
  }
}

async function hear(receiver: Receiver, id: string, subAction: string | undefined, say: Say): Promise<void> {
  const what = `the webhook ${subAction ?? 'scheduled'} of ${id}`;
  const request = await receiver.waitFor(what, (candidate) => eventOf(candidate).id === id && eventOf(candidate).subAction === subAction, DEADLINE_MS);
  const problems = checkSignatures(request, SECRET);
  if (problems.length > 0) throw new Error(`${what} is not signed as it should be: ${problems.join('; ')}`);
  if (eventOf(request).status !== 'success') throw new Error(`${what} says ${request.raw.toString()}`);
  say('webhook received', `${subAction ?? 'scheduled'} of ${id}, both signatures verified`);
}

function eventOf(request: Received): { action?: unknown; id?: unknown; subAction?: unknown; status?: unknown } {
  return (request.json ?? {}) as { action?: unknown };
}

async function deadline(): Promise<never> {
  await wait(DEADLINE_MS, undefined, { ref: false });
  throw new Error(`not everything happened within ${DEADLINE_MS / 1000} s`);
}

function interruption(): Promise<never> {
  return new Promise((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => reject(new Error(`${signal} ended it early`)));
  });
}
