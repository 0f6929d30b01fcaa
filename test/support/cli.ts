/** Runs a command of `npx signpost` in a process of its own, as its own door does after the set-up. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';

const CLI = new URL('../../src/cli/cli.js', import.meta.url).href;

/** @param env settings besides; MONGODB_URI is not passed on unless it stands here */
export async function runSignpost([command, ...args]: readonly [string, ...string[]], env: Record<string, string>): Promise<{ code: number | null; output: string }> {
  const { MONGODB_URI: _, ...inherited } = process.env;
  const script = `const { runCommand } = await import(${JSON.stringify(CLI)}); process.exitCode = await runCommand(...${JSON.stringify([command, args])});`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { env: { ...inherited, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await once(child, 'close');
  assert.doesNotMatch(output, /\n\s+at /, 'a stack trace');
  return { code: child.exitCode, output };
}
