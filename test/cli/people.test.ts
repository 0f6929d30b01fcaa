/** `signpost create-account` and `reset-password`, beside a running program and without one. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { httpSession } from '../../src/cli/http-session.js';
import { apiClient, createApiKey, signUp } from '../../src/cli/newcomer.js';
import { runSignpost } from '../support/cli.js';
import { startProgram, temporaryFolder, type Program } from '../support/program.js';

describe('the operator', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let program: Program;

  before(async () => {
    folder = await temporaryFolder();
    // On a server: the first account only, by page.
    program = await startProgram({ dataDir: folder.path, env: { SIGNUP: 'closed' } });
  });
  after(async () => {
    await program.end('SIGKILL');
    await folder.remove();
  });

  async function signpost(...args: [string, ...string[]]): Promise<{ code: number | null; output: string; password: string }> {
    const { code, output } = await runSignpost(args, { DATA_DIR: folder.path, SIGNUP: 'closed' });
    return { code, output, password: /\n\n {2}(\S+)\n\n/.exec(output)?.[1] ?? '' };
  }

  const canSignIn = async (email: string, password: string): Promise<boolean> => {
    const session = httpSession(program.url);
    await session.post('/sign-in', { email, password }, { from: '/sign-in' });
    return (await session.get('/settings')).url.endsWith('/settings');
  };

  it('makes an account while sign-up is closed', async () => {
    await signUp(program.url, { email: 'ada@example.com' });
    const made = await signpost('create-account', 'ben@example.com');
    assert.equal(made.code, 0, made.output);
    assert.equal(await canSignIn('ben@example.com', made.password), true);
    const again = await signpost('create-account', 'Ben@example.com');
    assert.deepEqual([again.code, /an account with this email already/.test(again.output)], [1, true]);
  });

  it('gives a new password: the old one and every signed-in browser are out, API keys stay', async () => {
    const ada = httpSession(program.url);
    await ada.post('/sign-in', { email: 'ada@example.com', password: 'correct horse battery' }, { from: '/sign-in' });
    const api = apiClient(program.url, await createApiKey(ada));
    const { code, output, password } = await signpost('reset-password', 'ADA@example.com');
    assert.equal(code, 0, output);
    assert.match((await ada.get('/settings')).url, /sign-in/);
    assert.equal(await canSignIn('ada@example.com', 'correct horse battery'), false);
    assert.equal(await canSignIn('ada@example.com', password), true);
    assert.equal((await api.get('/api/user')).status, 200);
  });

  it('does both while Signpost is stopped, and is told what is wrong', async () => {
    await program.end('SIGTERM');
    const { code, output, password } = await signpost('reset-password', 'ada@example.com');
    assert.equal(code, 0, output);
    const nobody = await signpost('reset-password', 'nobody@example.com');
    assert.deepEqual([nobody.code, /no account with the email nobody@example\.com/.test(nobody.output)], [1, true]);
    assert.match((await signpost('reset-password', 'nonsense')).output, /not an email address/);
    assert.match((await signpost('create-account')).output, /Usage: npx signpost create-account EMAIL/);
    program = await startProgram({ dataDir: folder.path });
    assert.equal(await canSignIn('ada@example.com', password), true);
  });
});
