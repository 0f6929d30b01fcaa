/** The program as a whole: it starts, refuses a second start on its data, stops in order, and finds everything again. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { apiClient, createApiKey, signUp } from '../../src/cli/newcomer.js';
import { runProgram, startProgram, temporaryFolder, type Program } from '../support/program.js';
import { dropDatabase, temporaryDatabaseName, uriOfDatabase } from '../support/temporary-database.js';

describe('the program with its embedded database', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let program: Program;

  before(async () => {
    folder = await temporaryFolder();
    program = await startProgram({ dataDir: folder.path });
  });
  after(async () => {
    await program.end('SIGKILL');
    await folder.remove();
  });

  it('says where it runs and what to do next, and is healthy and ready', async () => {
    assert.match(program.output(), /Signpost runs at http:\/\/127\.0\.0\.1:\d+\n.*sign up/s);
    for (const path of ['/healthz', '/readyz']) assert.equal((await fetch(new URL(path, program.url))).status, 200, path);
  });

  it('refuses a second start on the same data directory and says so', async () => {
    const second = await runProgram({ dataDir: folder.path });
    assert.equal(second.code, 1);
    assert.match(second.output, /already|in use|another/i);
    assert.doesNotMatch(second.output, /\n\s+at /, 'a stack trace');
    assert.equal((await fetch(new URL('/readyz', program.url))).status, 200, 'the first one goes on');
  });

  it('refuses a port that is taken and says so', async () => {
    const other = await temporaryFolder();
    const second = await runProgram({ dataDir: other.path, env: { PORT: new URL(program.url).port } });
    await other.remove();
    assert.equal(second.code, 1);
    assert.match(second.output, /Port \d+ is taken/);
  });

  it('refuses settings that break a rule, and lists every one', async () => {
    const refused = await runProgram({ dataDir: folder.path, env: { PORT: 'many', SIGNUP: 'perhaps' } });
    assert.equal(refused.code, 1);
    assert.match(refused.output, /PORT: must be a number/);
    assert.match(refused.output, /SIGNUP: must be open, closed or auto/);
  });

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`stops in order on ${signal} within 10 s, and the next start finds everything as it was`, async () => {
      const email = `${signal.toLowerCase()}@example.com`;
      const { session } = await signUp(program.url, { email });
      const key = await createApiKey(session);
      // A browser keeps its connection and its stream open.
      const stream = await session.request('/healthz');
      await stream.arrayBuffer();
      const { code, tookMs } = await program.end(signal);
      assert.equal(code, 0, program.output());
      assert.ok(tookMs < 10_000, `took ${tookMs} ms`);
      program = await startProgram({ dataDir: folder.path });
      assert.doesNotMatch(program.output(), /first account/);
      const { status } = await apiClient(program.url, key).get('/api/user');
      assert.equal(status, 200);
    });
  }

  it('finds everything again after kill -9', async () => {
    const { session } = await signUp(program.url, { email: 'killed@example.com' });
    const key = await createApiKey(session);
    await program.end('SIGKILL');
    program = await startProgram({ dataDir: folder.path });
    const { status } = await apiClient(program.url, key).get('/api/user');
    assert.equal(status, 200);
  });
});

describe('the program with a MongoDB of its own', () => {
  it('starts no embedded database', async () => {
    const folder = await temporaryFolder();
    const databaseName = temporaryDatabaseName();
    const program = await startProgram({ dataDir: folder.path, env: { MONGODB_URI: uriOfDatabase(databaseName) } });
    try {
      const { session } = await signUp(program.url);
      assert.match(await createApiKey(session), /\S{20,}/);
      assert.equal(existsSync(path.join(folder.path, 'mongodb')), false);
      assert.equal((await program.end('SIGTERM')).code, 0);
    } finally {
      await program.end('SIGKILL');
      await dropDatabase(databaseName);
      await folder.remove();
    }
  });

  it('says so when it can not be reached', async () => {
    const folder = await temporaryFolder();
    const refused = await runProgram({ dataDir: folder.path, env: { MONGODB_URI: 'mongodb://127.0.0.1:1/signpost?serverSelectionTimeoutMS=500' } });
    await folder.remove();
    assert.equal(refused.code, 1);
    assert.doesNotMatch(refused.output, /\n\s+at /, 'a stack trace');
  });
});
