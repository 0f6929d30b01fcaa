/** Everything that `npm test` does: type check (the build did it), lint, then the tests against one embedded database or MONGODB_URI. */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { fromRoot, projectRoot, runTool } from './setup.mjs';

/**
 * @param args parts of file names, which choose those files; what matches no file is looked for in the tests' names
 * @returns the exit code
 */
export async function runTests(args) {
  const files = testFiles();
  const wanted = args.map((arg) => arg.replace(/\.ts$/, '.js'));
  const chosen = files.filter((file) => wanted.some((part) => file.includes(part)));
  const names = wanted.every((part) => files.some((file) => file.includes(part))) ? [] : args.filter((_, i) => !files.some((file) => file.includes(wanted[i])));

  const lintCode = args.length > 0 ? 0 : await lint();
  const temporary = await mkdtemp(path.join(tmpdir(), 'signpost-test-'));
  const database = await startDatabase(path.join(temporary, 'database'));
  try {
    const summaryFile = path.join(temporary, 'summary.json');
    const testCode = await runNodeTests(chosen.length > 0 ? chosen : files, names, summaryFile, { ...process.env, MONGODB_URI: database.uri });
    report({ lintCode, testCode, checked: args.length === 0, database: database.label }, summaryFile);
    return lintCode === 0 && testCode === 0 ? 0 : 1;
  } finally {
    await database.stop();
    await rm(temporary, { recursive: true, force: true });
  }
}

function testFiles() {
  return readdirSync(path.join(projectRoot, 'dist/test'), { recursive: true })
    .filter((file) => file.endsWith('.test.js'))
    .map((file) => path.posix.join('dist/test', file.split(path.sep).join('/')))
    .sort();
}

async function lint() {
  console.error('Linting ...');
  return runTool(process.execPath, [path.join(projectRoot, 'node_modules/oxlint/bin/oxlint'), '--type-aware', '--deny-warnings', 'src', 'test', 'bin']);
}

async function startDatabase(dataDir) {
  if (process.env.MONGODB_URI) return { uri: process.env.MONGODB_URI, label: 'the MongoDB of MONGODB_URI', stop: async () => {} };
  const { startEmbeddedMongodb } = await import(fromRoot('dist/src/embedded-mongodb/start.js'));
  const server = await startEmbeddedMongodb({ dataDir });
  return { uri: server.uri, label: 'the embedded database', stop: () => server.stop() };
}

function runNodeTests(files, names, summaryFile, env) {
  const args = [
    '--enable-source-maps', '--test', '--test-timeout=300000', `--test-concurrency=${Math.min(4, Math.max(2, availableParallelism()))}`,
    '--test-reporter=spec', '--test-reporter-destination=stdout',
    `--test-reporter=${fromRoot('bin/test-summary.mjs')}`, `--test-reporter-destination=${summaryFile}`,
    ...names.map((name) => `--test-name-pattern=${name}`),
    ...files,
  ];
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd: projectRoot, env, stdio: ['ignore', 'inherit', 'inherit'] });
    const forward = (signal) => child.kill(signal);
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, forward);
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

function report({ lintCode, testCode, checked, database }, summaryFile) {
  const { passed, failed, skipped } = readSummary(summaryFile);
  console.log('\nSummary');
  if (checked) console.log('  type check  passed');
  if (checked) console.log(`  lint        ${lintCode === 0 ? 'passed' : 'FAILED'}`);
  console.log(`  tests       ${passed} passed, ${failed.length} failed, ${skipped.length} skipped, on ${database}`);
  for (const name of failed) console.log(`    failed: ${name}`);
  for (const name of skipped) console.log(`    skipped: ${name}`);
  if (testCode !== 0 && failed.length === 0) console.log('  The test run itself ended with an error; see above.');
}

function readSummary(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { passed: 0, failed: [], skipped: [] };
  }
}
