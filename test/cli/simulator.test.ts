import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { startProgram, temporaryFolder, type Program } from '../support/program.js';

const CLI = new URL('../../src/cli/cli.js', import.meta.url).href;

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
    const script = `const { runCommand } = await import(${JSON.stringify(CLI)}); process.exitCode = await runCommand('simulator', []);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { env: { ...process.env, DATA_DIR: folder.path, SIMULATOR_PORT: '0' }, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await once(child, 'close');
    assert.equal(child.exitCode, 1, output);
    assert.match(output, /Another Signpost is running on the data directory .*Stop it first, or set DATA_DIR to another folder\./);
    assert.doesNotMatch(output, /\n\s+at /, 'a stack trace');
  });
});
