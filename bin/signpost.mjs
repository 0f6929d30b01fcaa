#!/usr/bin/env node
/**
 * The one door from the command line: checks Node, does what set-up is missing, then runs the command in this process,
 * so that Ctrl-C and SIGTERM reach it directly. Plain Node without dependencies: it runs before anything is installed.
 */
import { existsSync } from 'node:fs';

const wanted = [20, 19];
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < wanted[0] || (major === wanted[0] && minor < wanted[1])) {
  console.error(`Signpost needs Node.js ${wanted.join('.')} or newer; this is ${process.versions.node}. Install a newer one from https://nodejs.org and try again.`);
  process.exit(1);
}

const [command = 'start', ...args] = process.argv.slice(2);
process.setSourceMapsEnabled(true);
const { setUp, fromRoot } = await import('./setup.mjs');
await setUp();
await run();

async function run() {
  if (command === 'build') return;
  if (command === 'test') {
    const { runTests } = await import('./test.mjs');
    process.exitCode = await runTests(args);
    return;
  }
  if (command === 'bench') {
    const { runBench } = await import(fromRoot('dist/test/bench/bench.js'));
    process.exitCode = await runBench(args);
    return;
  }
  // What the environment says wins over the file. Tests don't read it: they must not touch the database that it names.
  if (existsSync('.env')) process.loadEnvFile('.env');
  if (command === 'worker') process.env.ROLES = 'worker';
  if (command === 'start' || command === 'worker') {
    await import(fromRoot('dist/src/main.js'));
    return;
  }
  const { runCommand } = await import(fromRoot('dist/src/cli/cli.js'));
  process.exitCode = await runCommand(command, args);
}
