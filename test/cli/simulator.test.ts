import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { runSignpost } from '../support/cli.js';
import { startProgram, temporaryFolder, type Program } from '../support/program.js';

describe('the simulated networks alone', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let program: Program;

  before(async () => {
    folder = await temporaryFolder();
    program = await startProgram({ dataDir: folder.path });
  });
  after(async () => {
    await program.end('SIGTERM');
    await folder.remove();
  });

  it('leave the journal of a running Signpost alone, and say so', async () => {
    const { code, output } = await runSignpost(['simulator'], { DATA_DIR: folder.path, SIMULATOR_PORT: '0' });
    assert.equal(code, 1, output);
    assert.match(output, /Another Signpost is running on the data directory .*Stop it first, or set DATA_DIR to another folder\./);
    assert.doesNotMatch(output, /\n\s+at /, 'a stack trace');
  });
});
