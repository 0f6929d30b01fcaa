/** The set-up that every start does by itself, tried on a small project of its own. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { temporaryFolder } from '../support/program.js';

const root = path.resolve(import.meta.dirname, '../../..');

describe('the set-up before a start', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  const at = (...parts: string[]): string => path.join(folder.path, ...parts);
  const write = (file: string, text: string): void => {
    mkdirSync(path.dirname(at(file)), { recursive: true });
    writeFileSync(at(file), text);
  };

  beforeEach(async () => {
    folder = await temporaryFolder();
    cpSync(path.join(root, 'bin'), at('bin'), { recursive: true });
    for (const file of ['package.json', 'package-lock.json', 'tsconfig.json']) cpSync(path.join(root, file), at(file));
    symlinkSync(path.join(root, 'node_modules'), at('node_modules'));
    write('src/main.ts', 'console.log(`started with ${process.argv.length} arguments`);\nexport {};\n');
    write('test/kept.test.ts', 'export {};\n');
  });
  afterEach(() => folder.remove());

  async function signpost(...args: string[]): Promise<{ code: number | null; output: string }> {
    const child = spawn(process.execPath, ['bin/signpost.mjs', ...args], { cwd: folder.path, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await once(child, 'close');
    return { code: child.exitCode, output };
  }

  it('compiles what is not compiled, starts it, and compiles nothing the second time', async () => {
    const first = await signpost('start');
    assert.equal(first.code, 0, first.output);
    assert.match(first.output, /Compiling[\s\S]*started with/);
    const builtAt = statSync(at('dist/src/main.js')).mtimeMs;
    const second = await signpost('start');
    assert.doesNotMatch(second.output, /Compiling/);
    assert.match(second.output, /started with/);
    assert.equal(statSync(at('dist/src/main.js')).mtimeMs, builtAt);
  });

  it('compiles again after a change, and again when outputs were removed', async () => {
    await signpost('build');
    write('src/main.ts', 'console.log("changed");\nexport {};\n');
    assert.match((await signpost('start')).output, /Compiling[\s\S]*changed/);
    rmSync(at('dist/src'), { recursive: true });
    assert.match((await signpost('start')).output, /Compiling[\s\S]*changed/);
  });

  it('removes what was compiled from sources that are gone', async () => {
    write('test/gone.test.ts', 'export {};\n');
    await signpost('build');
    assert.ok(existsSync(at('dist/test/gone.test.js')));
    rmSync(at('test/gone.test.ts'));
    await signpost('build');
    assert.ok(!existsSync(at('dist/test/gone.test.js')));
    assert.ok(existsSync(at('dist/test/kept.test.js')));
  });

  it('starts nothing when the sources do not compile, however often it is tried', async () => {
    await signpost('build');
    write('src/main.ts', 'const wrong: number = "text";\nconsole.log(`started ${wrong}`);\n');
    for (const attempt of [1, 2]) {
      const { code, output } = await signpost('start');
      assert.equal(code, 1, `attempt ${attempt}`);
      assert.match(output, /src\/main\.ts\(1,7\)[\s\S]*did not compile/);
      assert.doesNotMatch(output, /started/);
    }
  });

  it('lets two starts at once wait for each other', async () => {
    const [one, two] = await Promise.all([signpost('start'), signpost('start')]);
    for (const { code, output } of [one, two]) {
      assert.equal(code, 0, output);
      assert.match(output, /started with/);
    }
    assert.equal([one, two].filter(({ output }) => output.includes('Compiling')).length, 1, 'one of them compiled');
    assert.ok(!existsSync(at('.setup.lock')));
  });

  it('takes over the lock of a start that died', async () => {
    const dead = spawn(process.execPath, ['-e', '']);
    await once(dead, 'exit');
    write('.setup.lock', String(dead.pid));
    assert.equal((await signpost('build')).code, 0);
    assert.ok(!existsSync(at('.setup.lock')));
  });

  it('hands every other command to the command line, and its exit code on', async () => {
    write('src/cli/cli.ts', 'export async function runCommand(name: string, args: string[]): Promise<number> { console.log(`asked for ${name} with ${args.join()}`); return 2; }\n');
    const { code, output } = await signpost('backup', 'a', 'b');
    assert.equal(code, 2);
    assert.match(output, /asked for backup with a,b/);
  });
});
