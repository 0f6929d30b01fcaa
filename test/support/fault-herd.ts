/** The posts of a fault run: some scheduled before the first kill, some written while the killing goes on, as a client would that repeats what failed. */
import { setTimeout as wait } from 'node:timers/promises';
import { apiClient, connectChannel, createApiKey, signUp, type ApiAnswer, type ApiClient } from '../../src/cli/newcomer.js';
import type { Program } from './program.js';

export const PLATFORMS = ['bluesky', 'twitter', 'mastodon', 'linkedin', 'threads', 'discord'];
const FAULTS = ['error-after-accept', 'reset-after-accept', 'html-after-accept', 'reset-before-accept', 'server-error', 'html-error'];
/** Written by hand for at once, not for later. */
const AT_ONCE = 0.3;

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

/** Posts for random moments of the span, all stored before this resolves. */
export async function scheduleAhead(writers: Writer[], posts: number, spanMs: number, random: () => number): Promise<Sent[]> {
  const from = Date.now() + 1_500;
  const planned = Array.from({ length: posts }, (_, i) => ({
    writer: writers[i % writers.length]!, text: `Ahead ${i} ${numeral(random)}`, scheduleDate: new Date(from + Math.floor(random() * spanMs)).toISOString(),
  }));
  return Promise.all(planned.map(async ({ writer, text, scheduleDate }): Promise<Sent> => {
    const { body } = await writer.api().post('/api/post', { post: text, platforms: PLATFORMS, scheduleDate });
    if (typeof body['id'] !== 'string') throw new Error(`a post was refused: ${JSON.stringify(body)}`);
    return { api: () => writer.api(), id: String(body['id']), text };
  }));
}

/**
 * Writes posts evenly over the span. A request whose answer did not come is repeated with the same idempotency key until one comes.
 * @returns what was written, and how many requests were repeated, when the last one has its answer
 */
export async function writeMeanwhile(writers: Writer[], posts: number, spanMs: number, random: () => number): Promise<{ sent: Sent[]; repeats: number }> {
  const planned = Array.from({ length: posts }, (_, i) => ({ writer: writers[i % writers.length]!, text: `Meanwhile ${i} ${numeral(random)}`, atOnce: random() < AT_ONCE }));
  let repeats = 0;
  const sent = await Promise.all(planned.map(async ({ writer, text, atOnce }, i): Promise<Sent> => {
    await wait((i + 1) * (spanMs / posts));
    const later = atOnce ? {} : { scheduleDate: new Date(Date.now() + 1_500).toISOString() };
    for (;;) {
      const answer: ApiAnswer | null = await writer.api().post('/api/post', { post: text, platforms: PLATFORMS, idempotencyKey: text, ...later }).catch(() => null);
      const id = answer?.body['id'];
      if (typeof id === 'string') return { api: () => writer.api(), id, text };
      if (answer !== null && answer.status < 500) throw new Error(`a post was refused: ${JSON.stringify(answer.body)}`);
      repeats += 1;
      await wait(500);
    }
  }));
  return { sent, repeats };
}

function numeral(random: () => number): string {
  return Math.floor(random() * 1e9).toString(36);
}
