/**
 * A herd of posts while worker, web process and database are killed (`kill -9`) at random moments and the networks misbehave, judged by the
 * simulated networks' own record of what became public.
 */
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { apiClient, connectChannel, createApiKey, signUp, type ApiClient } from '../../src/cli/newcomer.js';
import { findEmbeddedMongodb } from '../../src/embedded-mongodb/start.js';
import { ErrorCode } from '../../src/lib/app-error.js';
import { findPlatform } from '../../src/platforms/registry.js';
import type { ListedPost } from '../../src/platforms/simulator/control-api.js';
import { startProgram, startWorker, temporaryFolder, type Program } from './program.js';
import { waitUntil } from './wait-until.js';

export interface FaultRunOptions {
  kills: number;
  /** Seeds the moments, the victims and the networks' faults. */
  seed: number;
  accounts: number;
  posts: number;
  say(line: string): void;
}

export interface FaultRunResult {
  kills: Record<Victim, number>;
  publications: number;
  published: number;
  unconfirmed: number;
  failed: number;
  /** Each in words; empty when everything held. */
  broken: string[];
  tookMs: number;
}

type Victim = 'worker' | 'web' | 'database';

const PLATFORMS = ['bluesky', 'twitter', 'mastodon', 'linkedin', 'threads', 'discord'];
const FAULTS = ['error-after-accept', 'reset-after-accept', 'html-after-accept', 'reset-before-accept', 'server-error', 'html-error'];
const BETWEEN_KILLS_MS = { from: 300, to: 2_500 };
const FAST_PROGRAM = path.resolve(import.meta.dirname, 'fast-program.js');

interface Sent {
  api: () => ApiClient;
  id: string;
  text: string;
}

export async function runFaults(options: FaultRunOptions): Promise<FaultRunResult> {
  const startedAt = performance.now();
  const random = seeded(options.seed);
  const folder = await temporaryFolder();
  const programs = { web: await startProgram({ dataDir: folder.path, main: FAST_PROGRAM, env: { LOG_LEVEL: 'fatal' } }), worker: await startFastWorker(folder.path) };
  try {
    const { clients, simulatorUrl } = await settleIn(programs, options.accounts);
    await misbehave(simulatorUrl, options.seed);
    const spanMs = Math.max(4_000, options.kills * (BETWEEN_KILLS_MS.from + BETWEEN_KILLS_MS.to));
    const sent = await scheduleAll(clients, options.posts, Date.now() + 1_500, spanMs, random);
    options.say(`${sent.length} posts on ${PLATFORMS.length} networks each are due within ${Math.round(spanMs / 1_000)} s`);
    const kills = await killAround(folder.path, programs, options, random);
    await fetch(`${simulatorUrl}/simulator/faults`, { method: 'DELETE' });
    const result = await judge(sent, simulatorUrl, options.say);
    return { ...result, kills, tookMs: performance.now() - startedAt };
  } finally {
    await programs.worker.end('SIGKILL');
    await programs.web.end('SIGKILL');
    await folder.remove();
  }
}

function startFastWorker(dataDir: string): Promise<Program> {
  return startWorker({ dataDir, main: FAST_PROGRAM, env: { LOG_LEVEL: 'fatal' } });
}

async function settleIn(programs: { web: Program }, accounts: number): Promise<{ clients: (() => ApiClient)[]; simulatorUrl: string }> {
  const clients: (() => ApiClient)[] = [];
  let simulatorUrl = '';
  for (let i = 0; i < accounts; i++) {
    const { session } = await signUp(programs.web.url, { email: `herd${i}@example.com` });
    for (const platform of PLATFORMS) simulatorUrl = await connectChannel(session, platform, platform === 'bluesky' ? `herd${i}.bsky.social` : `herd${i}`);
    const key = await createApiKey(session);
    clients.push(() => apiClient(programs.web.url, key));
  }
  return { clients, simulatorUrl };
}

async function misbehave(simulatorUrl: string, seed: number): Promise<void> {
  for (const [i, kind] of FAULTS.entries()) await addFault(simulatorUrl, { kind, act: 'publish', probability: 0.04, seed: seed + i });
  // Others say that their day's share is used up.
  await addFault(simulatorUrl, { kind: 'rate-limited', network: 'mastodon', act: 'publish', probability: 0.04, seed: seed + 50, options: { after: '1' } });
  await addFault(simulatorUrl, { kind: 'slow', act: 'publish', probability: 0.2, seed: seed + 51, options: { ms: '700' } });
}

async function addFault(simulatorUrl: string, rule: Record<string, unknown>): Promise<void> {
  const answer = await fetch(`${simulatorUrl}/simulator/faults`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(rule) });
  if (answer.status !== 201) throw new Error(`the simulator refused a fault: ${await answer.text()}`);
}

async function scheduleAll(clients: (() => ApiClient)[], posts: number, from: number, spanMs: number, random: () => number): Promise<Sent[]> {
  const sent: Sent[] = [];
  for (let i = 0; i < posts; i++) {
    const api = clients[i % clients.length]!;
    const text = `Herd ${i} ${Math.floor(random() * 1e9).toString(36)}`;
    const scheduleDate = new Date(from + Math.floor(random() * spanMs)).toISOString();
    const { body } = await api().post('/api/post', { post: text, platforms: PLATFORMS, scheduleDate });
    if (body['status'] !== 'scheduled') throw new Error(`a post was refused: ${JSON.stringify(body)}`);
    sent.push({ api, id: String(body['id']), text });
  }
  return sent;
}

async function killAround(dataDir: string, programs: { web: Program; worker: Program }, options: FaultRunOptions, random: () => number): Promise<Record<Victim, number>> {
  const kills = { worker: 0, web: 0, database: 0 };
  for (let i = 0; i < options.kills; i++) {
    await wait(BETWEEN_KILLS_MS.from + random() * (BETWEEN_KILLS_MS.to - BETWEEN_KILLS_MS.from));
    const victim = (['worker', 'web', 'database'] as const)[options.kills < 6 ? i % 3 : Math.floor(random() * 3)]!;
    kills[victim] += 1;
    if (victim === 'worker') {
      await programs.worker.end('SIGKILL');
      programs.worker = await startFastWorker(dataDir);
    } else if (victim === 'web') {
      await programs.web.end('SIGKILL');
      programs.web = await startProgram({ dataDir, main: FAST_PROGRAM, env: { LOG_LEVEL: 'fatal' } });
    } else {
      const database = await findEmbeddedMongodb(path.join(dataDir, 'mongodb'));
      if (database !== null) process.kill(database.pid, 'SIGKILL');
    }
    if ((i + 1) % 10 === 0) options.say(`${i + 1} kills`);
  }
  return kills;
}

async function judge(sent: Sent[], simulatorUrl: string, say: (line: string) => void): Promise<Omit<FaultRunResult, 'kills' | 'tookMs'>> {
  const result = { publications: 0, published: 0, unconfirmed: 0, failed: 0, broken: [] as string[] };
  const answers = new Map<string, Record<string, unknown>>();
  const open = new Set(sent);
  let toldAt = performance.now();
  await waitUntil('every post to be settled', async () => {
    for (const post of open) {
      const answer = await post.api().get(`/api/post/${post.id}`).catch(() => null);
      if (answer === null || answer.status !== 200) return false;
      if (!['success', 'error', 'partial'].includes(String(answer.body['status'])) || JSON.stringify(answer.body['postIds']).includes('"pending"')) continue;
      answers.set(post.id, answer.body);
      open.delete(post);
    }
    if (performance.now() - toldAt > 10_000) {
      toldAt = performance.now();
      const [first] = open;
      say(`${open.size} posts are not settled yet, e.g. ${JSON.stringify((await first?.api().get(`/api/post/${first.id}`).catch(() => null))?.body)}`);
    }
    return open.size === 0;
  }, { timeoutMs: 180_000, everyMs: 250 }).catch((error: unknown) => {
    for (const post of open) result.broken.push(`lost: post ${post.id} "${post.text}" is not settled (${String(error)})`);
  });
  const record = await recordOf(simulatorUrl);
  for (const post of sent) judgePost(post, answers.get(post.id), record, result);
  return result;
}

function judgePost({ id, text }: Sent, answer: Record<string, unknown> | undefined, record: Map<string, number>, result: Omit<FaultRunResult, 'kills' | 'tookMs'>): void {
  if (answer === undefined) return;
  const errors = (answer['errors'] ?? []) as { platform?: string; code?: number; message?: string }[];
  for (const platform of PLATFORMS) {
    result.publications += 1;
    const times = record.get(`${platform} ${text}`) ?? 0;
    const error = errors.find((row) => row.platform === platform);
    const isDoubtful = error?.code === OUTCOME_UNKNOWN;
    if (isDoubtful) result.unconfirmed += 1;
    else if (error !== undefined) result.failed += 1;
    else result.published += 1;
    const canBeAsked = findPlatform(platform)?.lookUp !== undefined;
    if (times > 1) result.broken.push(`public ${times} times on ${platform}: post ${id} "${text}"`);
    if (error === undefined && times === 0) result.broken.push(`called published, but not there: ${platform}, post ${id} "${text}"`);
    if (error !== undefined && !isDoubtful && times > 0) result.broken.push(`called failed (${error.message ?? ''}), but there: ${platform}, post ${id} "${text}"`);
    if (isDoubtful && canBeAsked) result.broken.push(`left in doubt on ${platform}, which can be asked: post ${id}`);
  }
}

const OUTCOME_UNKNOWN = ErrorCode.outcomeUnknown;

async function recordOf(simulatorUrl: string): Promise<Map<string, number>> {
  const response = await fetch(`${simulatorUrl}/simulator/posts`);
  const { posts } = (await response.json()) as { posts: ListedPost[] };
  const times = new Map<string, number>();
  for (const { network, text, handle } of posts) {
    if (handle === '') continue;
    times.set(`${network} ${text}`, (times.get(`${network} ${text}`) ?? 0) + 1);
  }
  return times;
}

/** Mulberry32: the same seed gives the same run of numbers. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
