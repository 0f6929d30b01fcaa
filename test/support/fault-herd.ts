/** Those who write the posts of a fault run, what the networks do wrong meanwhile, and the posts. */
import { setTimeout as wait } from 'node:timers/promises';
import { apiClient, connectChannel, createApiKey, signUp, type ApiAnswer, type ApiClient } from '../../src/cli/newcomer.js';
import type { Program } from './program.js';

export const PLATFORMS = ['bluesky', 'twitter', 'mastodon', 'linkedin', 'threads', 'discord'];
const FAULTS = ['error-after-accept', 'reset-after-accept', 'html-after-accept', 'reset-before-accept', 'server-error', 'html-error'];
/** The share that is written for at once, not for later. */
const AT_ONCE = 0.2;
const DUE_WITHIN_MS = 6_000;

export interface Sent {
  /** The address of the pages may change with a restart. */
  api(): ApiClient;
  id: string;
  text: string;
}

export interface Writer {
  api(): ApiClient;
  handle: string;
}

/** @returns the writers, one for each account, and where the simulated networks are */
export async function settleIn(web: () => Program, accounts: number, receiverUrl: string): Promise<{ writers: Writer[]; simulatorUrl: string }> {
  const writers: Writer[] = [];
  let simulatorUrl = '';
  for (let i = 0; i < accounts; i++) {
    const { session } = await signUp(web().url, { email: `herd${i}@example.com` });
    for (const platform of PLATFORMS) simulatorUrl = await connectChannel(session, platform, platform === 'bluesky' ? `herd${i}.bsky.social` : `herd${i}`);
    const key = await createApiKey(session);
    const writer = { api: () => apiClient(web().url, key), handle: `herd${i}` };
    const { status, body } = await writer.api().post('/api/webhooks/endpoints', { url: `${receiverUrl}/${writer.handle}` });
    if (status !== 201) throw new Error(`an endpoint was refused: ${JSON.stringify(body)}`);
    writers.push(writer);
  }
  return { writers, simulatorUrl };
}

export async function misbehave(simulatorUrl: string, seed: number): Promise<void> {
  for (const [i, kind] of FAULTS.entries()) await addFault(simulatorUrl, { kind, act: 'publish', probability: 0.04, seed: seed + i });
  // Others say that their day's share is used up.
  await addFault(simulatorUrl, { kind: 'rate-limited', network: 'mastodon', act: 'publish', probability: 0.04, seed: seed + 50, options: { after: '1' } });
  await addFault(simulatorUrl, { kind: 'slow', act: 'publish', probability: 0.2, seed: seed + 51, options: { ms: '700' } });
}

async function addFault(simulatorUrl: string, rule: Record<string, unknown>): Promise<void> {
  const answer = await fetch(`${simulatorUrl}/simulator/faults`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(rule) });
  if (answer.status !== 201) throw new Error(`the simulator refused a fault: ${await answer.text()}`);
}

export interface Herd {
  /** Begins to write so many posts: some for at once, most for a moment within the next seconds. */
  write(posts: number): void;
  /** @returns what was written, and how many requests had to be repeated, when the last one has its answer */
  written(): Promise<{ sent: Sent[]; repeats: number }>;
}

/** Writes as a client would: a request whose answer did not come is repeated with the same idempotency key until one comes. */
export function createHerd(writers: Writer[], random: () => number): Herd {
  const writing: Promise<Sent>[] = [];
  let repeats = 0;

  async function writeOne(writer: Writer, text: string, inMs: number | null): Promise<Sent> {
    const time = inMs === null ? {} : { scheduleDate: new Date(Date.now() + inMs).toISOString() };
    for (;;) {
      const answer: ApiAnswer | null = await writer.api().post('/api/post', { post: text, platforms: PLATFORMS, idempotencyKey: text, ...time }).catch(() => null);
      const id = answer?.body['id'];
      if (typeof id === 'string') return { api: () => writer.api(), id, text };
      if (answer !== null && answer.status < 500) throw new Error(`a post was refused: ${JSON.stringify(answer.body)}`);
      repeats += 1;
      await wait(500);
    }
  }

  return {
    write(posts) {
      for (let i = 0; i < posts; i++) {
        const number = writing.length;
        const inMs = random() < AT_ONCE ? null : DUE_WITHIN_MS * random();
        const one = writeOne(writers[number % writers.length]!, `Post ${number} ${Math.floor(random() * 1e9).toString(36)}`, inMs);
        one.catch(() => undefined);
        writing.push(one);
      }
    },
    async written() {
      return { sent: await Promise.all(writing), repeats };
    },
  };
}
