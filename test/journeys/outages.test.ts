/** What a post meets besides a kill: a stop in the middle of it, a network or a disk that is gone for a while, a start on what a dead run left. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { apiClient, connectChannel, createApiKey, signUp, type ApiClient } from '../../src/cli/newcomer.js';
import { connectDatabase } from '../../src/db/database.js';
import { findEmbeddedMongodb } from '../../src/embedded-mongodb/start.js';
import { judge } from '../support/fault-judge.js';
import { startProgram, temporaryFolder, type Program } from '../support/program.js';
import { startReceiver, type Receiver } from '../support/receiver.js';
import { waitUntil } from '../support/wait-until.js';

const MAIN = path.resolve(import.meta.dirname, '../support/fast-program.js');
const PLATFORMS = ['mastodon', 'twitter'];
const PRLIMIT = '/usr/bin/prlimit';

/** Writes large and small documents until stopped, so that what comes free is taken again at once. */
function keepFull(uri: string): { refused(): number; stop(): Promise<void> } {
  let refused = 0;
  let isOver = false;
  const work = (async () => {
    const database = await connectDatabase(uri);
    const filler = database.db.collection('filler');
    for (let i = 0; !isOver; i++) await filler.insertOne({ filler: 'x'.repeat([20_000, 1_000, 10][i % 3]!) }).catch(() => void refused++);
    await database.close();
  })();
  return {
    refused: () => refused,
    async stop() {
      isOver = true;
      await work;
    },
  };
}

describe('a post survives', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let program: Program;
  let receiver: Receiver;
  let simulatorUrl: string;
  let key: string;
  const api = (): ApiClient => apiClient(program.url, key);
  const sent: { api(): ApiClient; id: string; text: string }[] = [];
  const start = async (): Promise<void> => {
    program = await startProgram({ dataDir: folder.path, main: MAIN, env: { LOG_LEVEL: 'fatal' }, ownGroup: true });
  };

  before(async () => {
    folder = await temporaryFolder();
    receiver = await startReceiver();
    await start();
    const { session } = await signUp(program.url);
    for (const platform of PLATFORMS) simulatorUrl = await connectChannel(session, platform, 'ada');
    key = await createApiKey(session);
    assert.equal((await api().post('/api/webhooks/endpoints', { url: receiver.url })).status, 201);
  });
  after(async () => {
    await program.end('SIGKILL');
    await receiver.stop();
    await folder.remove();
  });

  async function schedule(text: string, inMs = 1_000): Promise<string> {
    const { body } = await api().post('/api/post', { post: text, platforms: PLATFORMS, scheduleDate: new Date(Date.now() + inMs).toISOString() });
    assert.equal(typeof body['id'], 'string', JSON.stringify(body));
    sent.push({ api, id: String(body['id']), text });
    return String(body['id']);
  }

  async function becomes(id: string, ...words: string[]): Promise<void> {
    await waitUntil(`post ${id} to be ${words.join(' or ')}`, async () => words.includes(String((await api().get(`/api/post/${id}`)).body['status'])), { timeoutMs: 60_000, everyMs: 50 });
  }

  it('a stop while its networks are at it: their answers are waited for', async () => {
    const id = await schedule('Stopped with an answer to come. [[fault: slow ms=1500]]');
    await becomes(id, 'processing');
    const { code } = await program.end('SIGTERM');
    assert.equal(code, 0, program.output());
    await start();
    await becomes(id, 'success');
  });

  it('a stop while its networks never answer: they are asked after the next start', async () => {
    const id = await schedule('Stopped without an answer. [[fault: timeout-after-accept]]');
    await becomes(id, 'processing');
    const { tookMs } = await program.end('SIGTERM');
    assert.ok(tookMs < 11_000, `took ${tookMs} ms`);
    await start();
    await becomes(id, 'success');
  });

  it('networks that can not be reached for a while', async () => {
    const answer = await fetch(`${simulatorUrl}/simulator/outage`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ ms: 4_000 }) });
    assert.equal(answer.status, 200);
    const id = await schedule('Sent to networks that are down.');
    await becomes(id, 'processing');
    await becomes(id, 'success');
  });

  it('the death of all processes at once, with a start right after it', async () => {
    for (const round of [1, 2, 3]) {
      const id = await schedule(`Killed with everything, round ${round}. [[fault: slow ms=800]]`);
      await becomes(id, 'processing');
      process.kill(-program.pid, 'SIGKILL');
      await program.ended();
      await start();
    }
  });

  it('the death of the program alone, with a start while its database is still there', async () => {
    const found = await findEmbeddedMongodb(path.join(folder.path, 'mongodb'));
    await schedule('Killed, the database left behind.');
    process.kill(program.pid, 'SIGKILL');
    await program.ended();
    await start();
    const next = await findEmbeddedMongodb(path.join(folder.path, 'mongodb'));
    assert.notEqual(next?.pid, found?.pid);
    assert.equal(next?.port, found?.port, 'workers find it where it was');
  });

  it('a disk that is full while it is due', { skip: existsSync(PRLIMIT) ? false : 'prlimit is not there to make the disk look full' }, async () => {
    const found = await findEmbeddedMongodb(path.join(folder.path, 'mongodb'));
    assert.ok(found !== null);
    const ids = [await schedule('Due on a full disk. [[fault: slow ms=1000]]', 2_000), await schedule('Due on a full disk too.', 2_500)];
    const limit = (bytes: string): Buffer => execFileSync(PRLIMIT, ['--pid', String(found.pid), `--fsize=${bytes}:unlimited`]);
    limit(String(statSync(path.join(folder.path, 'mongodb', 'embedded.mdb')).size));
    const filling = keepFull(found.uri);
    try {
      const dueBy = Date.now() + 4_000;
      await waitUntil('writes to be refused', () => filling.refused() > 0);
      // There may be room for a small one now and then.
      const text = 'Written on a full disk.';
      const { status, body } = await api().post('/api/post', { post: text, platforms: PLATFORMS, scheduleDate: new Date(Date.now() + 5_000).toISOString() });
      if (status === 200) sent.push({ api, id: String(body['id']), text });
      else assert.ok(status >= 500 && status < 600 && !/\n\s+at |lmdb/.test(JSON.stringify(body)), JSON.stringify({ status, body }));
      await waitUntil('their time to pass', () => Date.now() > dueBy);
    } finally {
      await filling.stop();
      // Should the full disk have ended it, the one that was started after it has no limit.
      if ((await findEmbeddedMongodb(path.join(folder.path, 'mongodb')))?.pid === found.pid) limit('unlimited');
    }
    for (const id of ids) await becomes(id, 'success');
  });

  it('and is public once, and told of, by the record of all', { timeout: 240_000 }, async (t) => {
    const verdict = await judge(sent, folder.path, simulatorUrl, receiver.received, (line) => t.diagnostic(line));
    assert.deepEqual(verdict.broken, []);
    assert.equal(verdict.unconfirmed + verdict.failed, 0);
  });
});
