/** `signpost backup`, `restore` and `migrate`, on a data directory that the real program used. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { apiClient, createApiKey, signUp } from '../../src/cli/newcomer.js';
import { runSignpost } from '../support/cli.js';
import { startProgram, temporaryFolder, type Program } from '../support/program.js';
import { dropDatabase, temporaryDatabaseName, uriOfDatabase } from '../support/temporary-database.js';

describe('copies of the embedded database', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let program: Program;
  let key: string;
  let laterKey: string;

  before(async () => {
    folder = await temporaryFolder();
    program = await startProgram({ dataDir: dataDir() });
    key = await createApiKey((await signUp(program.url)).session);
  });
  after(async () => {
    await program.end('SIGKILL');
    await folder.remove();
  });

  const dataDir = (): string => path.join(folder.path, 'data');
  const file = (): string => path.join(folder.path, 'backup');

  const signpost = (args: readonly [string, ...string[]], env: Record<string, string> = {}): ReturnType<typeof runSignpost> => runSignpost(args, { DATA_DIR: dataDir(), ...env });

  const works = async (text: string): Promise<boolean> => (await apiClient(program.url, text).get('/api/user')).status === 200;

  it('are made while Signpost runs, and never over an existing file', async () => {
    const first = await signpost(['backup', file()]);
    assert.equal(first.code, 0, first.output);
    assert.match(first.output, /Copied \d+ documents[\s\S]*secret\.key/);
    const second = await signpost(['backup', file()]);
    assert.equal(second.code, 1);
    assert.match(second.output, /exists already/);
  });

  it('are refused in words when an address makes no sense, and the command ends', async () => {
    const { code, output } = await signpost(['migrate', '--to', 'nonsense'], { DATA_DIR: path.join(folder.path, 'elsewhere') });
    assert.equal(code, 1);
    assert.match(output, /not an address/);
  });

  it('are not put back, nor carried elsewhere, while Signpost runs', async () => {
    assert.equal((await signpost(['restore', file()])).code, 1);
    const { code, output } = await signpost(['migrate', '--to', 'mongodb://127.0.0.1:1/']);
    assert.equal(code, 1);
    assert.match(output, /Stop it first/);
  });

  it('bring back what was there when they were made', async () => {
    laterKey = await createApiKey((await signUp(program.url, { email: 'later@example.com' })).session);
    assert.equal(await works(laterKey), true);
    assert.equal((await program.end('SIGTERM')).code, 0);
    const { code, output } = await signpost(['restore', file()]);
    assert.equal(code, 0, output);
    assert.match(output, /Restored \d+ documents[\s\S]*is kept as/);
    program = await startProgram({ dataDir: dataDir() });
    assert.equal(await works(key), true);
    assert.equal(await works(laterKey), false);
  });

  it('are carried to a MongoDB, on which Signpost goes on', async () => {
    await program.end('SIGTERM');
    const name = temporaryDatabaseName();
    try {
      const { code, output } = await signpost(['migrate', '--to', uriOfDatabase(name)]);
      assert.equal(code, 0, output);
      program = await startProgram({ dataDir: dataDir(), env: { MONGODB_URI: uriOfDatabase(name) } });
      assert.equal(await works(key), true);
      await program.end('SIGTERM');
      const back = path.join(folder.path, 'back');
      const returned = await signpost(['migrate', '--from', uriOfDatabase(name)], { DATA_DIR: back });
      assert.equal(returned.code, 0, returned.output);
      assert.match(returned.output, /verifying signpost\.\w+: \d+ of \d+|copying/);
      assert.equal((await signpost(['migrate', '--from', uriOfDatabase(name)], { DATA_DIR: back })).code, 1, 'over documents that are there');
    } finally {
      await program.end('SIGKILL');
      await dropDatabase(name);
    }
  });

  it('are not made of a MongoDB of one\'s own, and wrong calls are answered with the usage', async () => {
    assert.match((await signpost(['backup', file()], { MONGODB_URI: 'mongodb://127.0.0.1:1/x' })).output, /mongodump/);
    for (const args of [['backup'], ['restore'], ['migrate'], ['migrate', 'mongodb://127.0.0.1:1']] as const) {
      const { code, output } = await signpost(args);
      assert.equal(code, 1);
      assert.match(output, /Usage: npx signpost/);
    }
    const unknown = await signpost(['nonsense']);
    assert.equal(unknown.code, 2);
    assert.match(unknown.output, /There is no command "nonsense"/);
  });
});
