/** The program dies, or loses its database, at each step of a post's way; afterwards networks, API, documents and webhooks say the same. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { apiClient, connectChannel, createApiKey, signUp, type ApiClient } from '../../src/cli/newcomer.js';
import { judge } from '../support/fault-judge.js';
import type { KillPoint } from '../support/killable-program.js';
import { startProgram, temporaryFolder, type Program } from '../support/program.js';
import { startReceiver, type Receiver } from '../support/receiver.js';
import { waitUntil } from '../support/wait-until.js';

const MAIN = path.resolve(import.meta.dirname, '../support/killable-program.js');
/** Known by its idempotency key, found by a look-up, and never to be asked. */
const PLATFORMS = ['mastodon', 'twitter', 'discord'];

type Point = Omit<KillPoint, 'holding' | 'victim'> & { holding: string };
const POINTS: Record<string, Point> = {
  'before the post is stored': { collection: 'posts', method: 'insertMany', holding: '"scheduled"', when: 'before' },
  'after the post is stored, before the client is told': { collection: 'posts', method: 'insertMany', holding: '"scheduled"', when: 'after' },
  'between the claim and the intent': { collection: 'posts', method: 'update', holding: '"publication sending"', when: 'before' },
  'between the intent and the call': { collection: 'posts', method: 'update', holding: '"publication sending"', when: 'after' },
  'between a network\'s answer and the outcome': { collection: 'posts', method: 'update', holding: '"publication published"', when: 'before' },
  'between the last outcome and the relay of its events': { collection: 'posts', method: 'update', holding: '"post.published"', when: 'after' },
  'between the deliveries and their event': { collection: 'webhook_deliveries', method: 'insertMany', holding: '"post.published"', when: 'after' },
  'between the event and the emptied outbox': { collection: 'webhook_events', method: 'insertMany', holding: '"post.published"', when: 'after' },
};

function inTime(ms: number): string {
  return new Date(Date.now() + ms).toISOString();
}

describe('a post reaches its networks once and its owner hears of it', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let program: Program;
  let receiver: Receiver;
  let simulatorUrl: string;
  let key: string;
  const api = (): ApiClient => apiClient(program.url, key);
  const sent: { api(): ApiClient; id: string; text: string }[] = [];
  const start = (): Promise<Program> => startProgram({ dataDir: folder.path, main: MAIN, env: { LOG_LEVEL: 'fatal' } });
  const killAt = (point: Point, about: string, victim: KillPoint['victim']): Promise<void> => (
    writeFile(path.join(folder.path, 'kill-at'), JSON.stringify({ ...point, holding: [point.holding, about], victim } satisfies KillPoint))
  );

  before(async () => {
    folder = await temporaryFolder();
    receiver = await startReceiver();
    program = await start();
    const { session } = await signUp(program.url);
    for (const platform of PLATFORMS) simulatorUrl = await connectChannel(session, platform, 'ada');
    key = await createApiKey(session);
    const { status } = await api().post('/api/webhooks/endpoints', { url: receiver.url });
    assert.equal(status, 201);
  });
  after(async () => {
    await program.end('SIGKILL');
    await receiver.stop();
    await folder.remove();
  });

  /** As a client does it: asks again with the same key until there is an answer. @returns the post's id */
  async function send(text: string): Promise<string> {
    await waitUntil('the program to be ready', async () => (await fetch(new URL('/readyz', program.url))).ok);
    const body = { post: text, platforms: PLATFORMS, idempotencyKey: text, scheduleDate: inTime(3_600_000) };
    const id = await waitUntil('an answer', async () => (await api().post('/api/post', body).catch(() => null))?.body['id'], { timeoutMs: 60_000, everyMs: 100 });
    sent.push({ api, id: String(id), text });
    return String(id);
  }

  /** Only now, when all is prepared for it: on a busy machine a moment set before may have passed. */
  async function makeDue(id: string): Promise<void> {
    const { status, body } = await api().put('/api/post', { id, scheduleDate: inTime(500) });
    assert.equal(status, 200, JSON.stringify(body));
  }

  for (const [name, point] of Object.entries(POINTS)) {
    it(`when the program is killed ${name}`, { timeout: 120_000 }, async () => {
      const text = `Killed ${name.replace(/\W+/g, ' ')}.`;
      const isAboutText = point.method === 'insertMany' && point.collection === 'posts';
      if (isAboutText) await killAt(point, text, 'program');
      const sending = send(text);
      if (!isAboutText) {
        await killAt(point, await sending, 'program');
        await makeDue(await sending);
      }
      await program.ended();
      program = await start();
      if (isAboutText) await makeDue(await sending);
    });
  }

  for (const when of ['during', 'after'] as const) {
    it(`when the database is killed ${when} the write of an outcome, and comes back by itself`, async () => {
      const text = `Database killed ${when} an outcome.`;
      const id = await send(text);
      await killAt({ collection: 'posts', method: 'update', holding: '"publication published"', when }, id, 'database');
      await makeDue(id);
      await waitUntil('the database to be killed', () => !existsSync(path.join(folder.path, 'kill-at')));
    });
  }

  it('by the record of the networks, the API, the documents and the receiver alike', { timeout: 240_000 }, async (t) => {
    const verdict = await judge(sent, folder.path, simulatorUrl, receiver.received, (line) => t.diagnostic(line));
    assert.deepEqual(verdict.broken, []);
    assert.equal(verdict.publications, (Object.keys(POINTS).length + 2) * PLATFORMS.length);
  });
});
