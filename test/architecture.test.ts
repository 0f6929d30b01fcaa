/** The plan of the house as a test: who imports whom, who reads the environment, who names a platform, what docs and settings say. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { SETTING_NAMES } from '../src/config.js';
import { faultKinds } from '../src/platforms/simulator/faults.js';
import { PUBLIC_EVENT_TYPES } from '../src/webhooks/event.js';

const root = path.resolve(import.meta.dirname, '../..');

/** docs/architecture.md, "Who may import whom". A room may always import itself. */
const TABLE: Record<string, string[]> = {
  publishing: ['posts', 'channels', 'platforms', 'accounts'],
  posts: ['channels', 'accounts', 'media', 'platforms'],
  sources: ['posts', 'accounts'],
  insights: ['posts', 'channels', 'platforms', 'accounts'],
  channels: ['platforms', 'accounts'],
  webhooks: ['accounts'],
  billing: ['accounts'],
  media: ['accounts'],
  accounts: [],
  platforms: ['lib'],
  http: ['lib'],
  jobs: ['lib', 'db'],
  db: ['lib'],
  lib: [],
  'embedded-mongodb': [],
  'config.ts': ['platforms'],
};
const DOMAINS = ['publishing', 'posts', 'sources', 'insights', 'channels', 'webhooks', 'billing', 'media', 'accounts'];
const SHELLS = ['http', 'jobs', 'db', 'lib'];
/** They build things, or are started by hand: they may import everything. */
const isBuilder = (room: string): boolean => room === 'cli' || /^(compose|main)\b.*\.ts$/.test(room);

/** Where a platform may be named outside `platforms/`: sample data, and formats of messages to chats that are platforms too. */
const MAY_NAME_PLATFORMS = new Set(['webhooks/chat-messages.ts', 'cli/demo.ts', 'cli/seed.ts']);
const MOST_LINES = 400;
const MANY_LINES = 300;

interface Source {
  /** Path below src. */
  file: string;
  text: string;
  /** Text without comments. */
  code: string;
  imports: { specifier: string; typeOnly: boolean }[];
}

const sources: Source[] = filesBelow('src')
  .filter((file) => file.endsWith('.ts'))
  .map((file) => {
    const text = readFileSync(path.join(root, 'src', file), 'utf8');
    return { file, text, code: withoutComments(text), imports: importsOf(text) };
  });

test('imports follow the table of docs/architecture.md', () => {
  const wrong = sources.flatMap(({ file, imports }) =>
    imports.flatMap(({ specifier }) => {
      if (!specifier.startsWith('.')) return [];
      const target = path.posix.join(path.posix.dirname(file), specifier).replace(/\.js$/, '.ts');
      const [from, to] = [roomOf(file), roomOf(target)];
      if (from === to || isBuilder(from) || isAllowed(from, to)) return [];
      return [`${file} imports ${target}: ${from} may not import ${to}`];
    }),
  );
  assert.deepEqual(wrong, []);
});

test('no domain imports the store of another', () => {
  const wrong = sources.flatMap(({ file, imports }) =>
    imports.flatMap(({ specifier }) => {
      if (!specifier.startsWith('.') || !specifier.endsWith('-store.js')) return [];
      const target = path.posix.join(path.posix.dirname(file), specifier);
      return roomOf(file) === roomOf(target) || isBuilder(roomOf(file)) ? [] : [`${file} imports ${target}`];
    }),
  );
  assert.deepEqual(wrong, []);
});

test('no file imports back into one that builds', () => {
  const wrong = sources.flatMap(({ file, imports }) =>
    isBuilder(roomOf(file)) ? [] : imports.filter(({ specifier }) => /\/(compose[\w-]*|main|config)\.js$|\/cli\//.test(specifier)).map(({ specifier }) => `${file} imports ${specifier}`),
  );
  assert.deepEqual(wrong, []);
});

test('adapters see no database, web server or configuration', () => {
  const forbidden = new Set(['mongodb', 'agenda', 'express', 'ejs', 'passport']);
  const wrong = sources
    .filter(({ file }) => file.startsWith('platforms/') && !file.startsWith('platforms/simulator/'))
    .flatMap(({ file, imports }) => imports.filter(({ specifier }) => forbidden.has(specifier)).map(({ specifier }) => `${file} imports ${specifier}`));
  assert.deepEqual(wrong, []);
});

test('only stores, the database room and the builders speak to MongoDB', () => {
  const mayImport = (file: string) => file.endsWith('-store.ts') || ['db', 'jobs', 'embedded-mongodb'].includes(roomOf(file)) || isBuilder(roomOf(file)) || file === 'http/sessions.ts';
  const wrong = sources
    .filter(({ file }) => !mayImport(file))
    .flatMap(({ file, imports }) => imports.filter(({ specifier, typeOnly }) => specifier === 'mongodb' && !typeOnly).map(() => file));
  assert.deepEqual(wrong, []);
});

test('only config.ts reads settings from the environment', () => {
  const wrong = sources.filter(({ file, code }) => file !== 'config.ts' && /process\.env\s*(\.|\[|\?\.)/.test(code)).map(({ file }) => file);
  assert.deepEqual(wrong, []);
});

test('nothing outside platforms/ names a platform', () => {
  const folders = readdirSync(path.join(root, 'src/platforms'), { withFileTypes: true }).filter((entry) => entry.isDirectory() && entry.name !== 'simulator');
  if (folders.length === 0) return;
  const names = new RegExp(`\\b(${folders.map((entry) => entry.name).join('|')})\\b`, 'i');
  const wrong = sources
    .filter(({ file }) => !file.startsWith('platforms/') && !MAY_NAME_PLATFORMS.has(file))
    .flatMap(({ file, code }) => code.split('\n').flatMap((line) => (names.test(line) ? [`${file}: ${line.trim()}`] : [])));
  assert.deepEqual(wrong, []);
});

test('every file says in its first line what it is for, and none has a name that says nothing', () => {
  const nameless = sources.filter(({ file }) => /(^|\/)(utils?|helpers?|types|index|common|misc)\.ts$/.test(file)).map(({ file }) => file);
  assert.deepEqual(nameless, []);
  const silent = sources.filter(({ text }) => !/^\/\*\*(\n \*)? \S/.test(text)).map(({ file }) => file);
  assert.deepEqual(silent, []);
});

test(`files stay small: reported over ${MANY_LINES} lines, refused over ${MOST_LINES}`, (t) => {
  const lengths = sources.map(({ file, text }) => ({ file, lines: text.split('\n').length }));
  for (const { file, lines } of lengths) if (lines > MANY_LINES) t.diagnostic(`src/${file} has ${lines} lines`);
  assert.deepEqual(lengths.filter(({ lines }) => lines > MOST_LINES), []);
});

test('.env.example and docs/configuration.md name the settings that config.ts reads, and no others', () => {
  const example = readFileSync(path.join(root, '.env.example'), 'utf8');
  const inExample = [...example.matchAll(/^#? ?([A-Z][A-Z0-9_]*)=/gm)].map((match) => match[1] ?? '');
  assert.deepEqual(inExample.sort(), [...SETTING_NAMES].sort());
  const guide = readFileSync(path.join(root, 'docs/configuration.md'), 'utf8');
  const inGuide = [...guide.matchAll(/^\| `([A-Z][A-Z0-9_]*)`/gm)].map((match) => match[1] ?? '');
  assert.deepEqual(inGuide.sort(), [...SETTING_NAMES].sort());
});

test('docs/simulator.md names every failure that the simulated networks know', () => {
  const guide = readFileSync(path.join(root, 'docs/simulator.md'), 'utf8');
  assert.deepEqual(Object.keys(faultKinds).filter((kind) => !guide.includes(`\`${kind}\``)), []);
});

test('docs/webhooks.md names every event that endpoints can ask for', () => {
  const guide = readFileSync(path.join(root, 'docs/webhooks.md'), 'utf8');
  assert.deepEqual(PUBLIC_EVENT_TYPES.filter((type) => !guide.includes(`\`${type}\``)), []);
});

test('package-lock.json holds every package of every system, so that npm ci takes it anywhere', () => {
  type Entry = Partial<Record<'dependencies' | 'optionalDependencies' | 'devDependencies', Record<string, string>>>;
  const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')) as { packages: Record<string, Entry> };
  const missing = Object.entries(packages).flatMap(([at, entry]) =>
    Object.keys({ ...entry.dependencies, ...entry.optionalDependencies, ...(at === '' ? entry.devDependencies : {}) })
      .filter((name) => !foldersAbove(at).some((folder) => packages[`${folder}node_modules/${name}`] !== undefined))
      .map((name) => `${at} needs ${name}`),
  );
  assert.deepEqual(missing, []);
});

test('links between the documents lead somewhere', () => {
  const documents = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...filesBelow('docs').map((file) => `docs/${file}`)].filter((file) => file.endsWith('.md'));
  const broken = documents.flatMap((file) => {
    const text = readFileSync(path.join(root, file), 'utf8');
    const prose = text.replace(/```[\s\S]*?```/g, '');
    return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
      .map((match) => match[1] ?? '')
      .filter((link) => !/^[a-z]+:/.test(link) && !leadsSomewhere(file, link))
      .map((link) => `${file}: ${link}`);
  });
  assert.deepEqual(broken, []);
});

function leadsSomewhere(from: string, link: string): boolean {
  const [target = '', anchor] = link.split('#');
  const file = target === '' ? from : path.posix.join(path.posix.dirname(from), target);
  if (!existsSync(path.join(root, file))) return false;
  if (anchor === undefined || !file.endsWith('.md')) return true;
  const headings = [...readFileSync(path.join(root, file), 'utf8').matchAll(/^#+ (.+)$/gm)].map((match) => match[1] ?? '');
  return headings.some((heading) => heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '').trim().replace(/\s/g, '-') === anchor);
}

/** Where npm would look for what a package at `at` needs, as prefixes of lockfile keys. */
function foldersAbove(at: string): string[] {
  const parts = at === '' ? [] : at.split('/node_modules/');
  return ['', ...parts.map((_, i) => `${parts.slice(0, i + 1).join('/node_modules/')}/`)];
}

function isAllowed(from: string, to: string): boolean {
  const listed = TABLE[from];
  if (listed === undefined) return false;
  return listed.includes(to) || (DOMAINS.includes(from) && SHELLS.includes(to));
}

/** The folder below src, or the file's own name when it lies in src itself. */
function roomOf(file: string): string {
  return file.split('/')[0] ?? file;
}

function importsOf(text: string): { specifier: string; typeOnly: boolean }[] {
  const statements = [...text.matchAll(/^(?:import|export)\b\s*([^'";]*?\bfrom\s*)?['"]([^'"]+)['"]/gm)].map((match) => ({
    specifier: match[2] ?? '',
    typeOnly: /^\s*type\b/.test(match[1] ?? ''),
  }));
  const dynamic = [...text.matchAll(/\bimport\(\s*['"]([^'"]+)['"]/g)].map((match) => ({ specifier: match[1] ?? '', typeOnly: false }));
  return [...statements, ...dynamic];
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, '')).replace(/(^|[\s;{}(,])\/\/.*$/gm, '$1');
}

function filesBelow(folder: string): string[] {
  return readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(path.join(root, folder), path.join(entry.parentPath, entry.name)).split(path.sep).join('/'));
}
