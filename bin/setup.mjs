/** Set-up that a start does by itself: installs what the lockfile names when it isn't there, compiles when the sources changed. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { withLock } from './lock.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const at = (...parts) => path.join(root, ...parts);
/** Address of a file of the project, for `import()`. */
export const fromRoot = (file) => pathToFileURL(at(file)).href;
export const projectRoot = root;

const STAMP = 'dist/.signpost-build';
const BUILD_INFO = 'dist/.tsbuildinfo';

/**
 * Installs and compiles what is missing or out of date; costs some 20 ms when nothing is. Safe when two run at once.
 * Ends the process with a plain message when it can't.
 */
export async function setUp() {
  if (isInstalled() && isBuilt()) return;
  await withLock(at('.setup.lock'), async () => {
    if (!isInstalled()) await install();
    if (!isBuilt()) await build();
  });
}

/** What npm wrote about the last finished install has to agree with the lockfile. */
function isInstalled() {
  const modules = lstatSync(at('node_modules'), { throwIfNoEntry: false });
  // A link is somebody's own arrangement.
  if (modules?.isSymbolicLink()) return true;
  if (modules === undefined || !existsSync(at('node_modules/.package-lock.json'))) return false;
  const wanted = readJson('package-lock.json').packages;
  const present = readJson('node_modules/.package-lock.json').packages;
  return Object.entries(wanted).every(([name, { version, optional }]) => {
    if (name === '') return true;
    // Optional ones for other systems are left out by npm.
    if (present[name] === undefined) return optional === true;
    return present[name].version === version && existsSync(at(name));
  });
}

async function install() {
  say('Installing the libraries that package-lock.json names (once, about half a minute) ...');
  const flags = ['ci', '--include=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const npm = process.env.npm_execpath;
  const code = npm?.endsWith('.js') ? await runTool(process.execPath, [npm, ...flags]) : await runTool('npm', flags);
  if (code !== 0) stop(`npm ci failed (exit code ${code}); what npm says above tells why. Mend it and start again: nothing else was changed.`);
}

function isBuilt() {
  if (!existsSync(at(STAMP)) || !sources().every((file) => existsSync(outputOf(file)))) return false;
  return readFileSync(at(STAMP), 'utf8') === fingerprint();
}

/** Changes with every source, the compiler's settings and versions, and with a build that somebody made by hand. */
function fingerprint() {
  const hash = createHash('sha256');
  for (const file of ['tsconfig.json', 'package-lock.json', 'package.json', ...sources()]) hash.update(`${file}\0`).update(readFileSync(at(file)));
  const info = statSync(at(BUILD_INFO), { throwIfNoEntry: false });
  return hash.update(`${info?.mtimeMs}`).digest('hex');
}

function sources() {
  return [...filesIn('src'), ...filesIn('test')].filter((file) => file.endsWith('.ts')).sort((a, b) => (a < b ? -1 : 1));
}

function filesIn(folder) {
  if (!existsSync(at(folder))) return [];
  return readdirSync(at(folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(root, path.join(entry.parentPath ?? entry.path, entry.name)).split(path.sep).join('/'));
}

async function build() {
  say('Compiling ...');
  mkdirSync(at('dist'), { recursive: true });
  rmSync(at(STAMP), { force: true });
  removeOrphans();
  // The compiler's notes would hide that outputs are gone.
  if (!sources().every((file) => existsSync(outputOf(file)))) rmSync(at(BUILD_INFO), { force: true });
  const code = await runTool(process.execPath, [at('node_modules/typescript/bin/tsc'), '-p', '.']);
  if (code !== 0) stop('The sources did not compile; the messages above say where.');
  writeFileSync(at(STAMP), fingerprint());
}

/** Outputs of sources that no longer exist would still run as tests. */
function removeOrphans() {
  const known = new Set(sources().map(outputOf));
  for (const file of [...filesIn('dist/src'), ...filesIn('dist/test')]) {
    if (/\.js(\.map)?$/.test(file) && !known.has(at(file.replace(/\.map$/, '')))) rmSync(at(file));
  }
}

function outputOf(source) {
  return at('dist', source.replace(/\.ts$/, '.js'));
}

/** Runs a tool in the project's folder, its output shown on stderr. @returns its exit code */
export function runTool(file, args, env = process.env) {
  return new Promise((resolve) => {
    // npm is a .cmd file on Windows, which only a shell can start.
    const child = spawn(file, args, { cwd: root, env, stdio: ['ignore', 2, 2], shell: process.platform === 'win32' && file === 'npm' });
    const forward = (signal) => child.kill(signal);
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, forward);
    const done = (code) => {
      for (const signal of ['SIGINT', 'SIGTERM']) process.off(signal, forward);
      resolve(code);
    };
    child.on('error', (error) => {
      console.error(`${file} could not be started: ${error.message}`);
      done(1);
    });
    child.on('exit', (code, signal) => (signal === null ? done(code) : process.exit(signal === 'SIGINT' ? 130 : 143)));
  });
}

function readJson(file) {
  return JSON.parse(readFileSync(at(file), 'utf8'));
}

function say(text) {
  console.error(text);
}

function stop(message) {
  console.error(`\n${message}`);
  process.exit(1);
}
