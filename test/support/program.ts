/** Starts the real program as a process of its own, as `npm start` does, and ends it in several ways. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { waitUntil } from './wait-until.js';

export interface Program {
  /** Where it said that it runs. */
  url: string;
  pid: number;
  /** What it printed so far, standard output and error together. */
  output(): string;
  /** Resolves when it has ended, by whatever. */
  ended(): Promise<void>;
  /** Sends the signal and waits for the end. @returns its exit code, or the signal that ended it, and how long it took */
  end(signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL'): Promise<{ code: number | string; tookMs: number }>;
}

export interface ProgramOptions {
  dataDir: string;
  /** Settings besides: PORT is 0 unless given, and MONGODB_URI is not passed on unless it stands here. */
  env?: Record<string, string>;
  /** Another file to start, compiled. */
  main?: string;
  /** Leads a process group of its own, to which the database belongs too: `process.kill(-pid)` reaches them all. */
  ownGroup?: boolean;
}

const MAIN = path.resolve(import.meta.dirname, '../../src/main.js');

const END_WITH_PARENT = pathToFileURL(path.resolve(import.meta.dirname, 'end-with-parent.js')).href;
const STARTS_WITHIN_MS = 60_000;

/** @throws Error with its output when it ends, or has said nothing within a minute */
export function startProgram(options: ProgramOptions): Promise<Program> {
  return start(options, /Signpost runs at (http:\/\/\S+)/);
}

/** Starts another worker beside a program that runs on this data directory; `url` is '' unless PORT is given. */
export function startWorker(options: ProgramOptions): Promise<Program> {
  return start({ ...options, env: { PORT: '', ROLES: 'worker', ...options.env } }, /A worker of Signpost runs.*?(?:(http:\/\/\S+)\/healthz.*)?\n/);
}

async function start(options: ProgramOptions, greeting: RegExp): Promise<Program> {
  const { child, output } = launch(options);
  const url = await waitUntil('the program to say where it runs', () => {
    if (hasEnded(child)) throw new Error(`the program ended instead of starting:\n${output()}`);
    const said = greeting.exec(output());
    return said === null ? null : (said[1] ?? '');
  }, { timeoutMs: STARTS_WITHIN_MS }).catch((error: unknown) => {
    child.kill('SIGKILL');
    throw new Error(`${String(error)}\n${output()}`, { cause: error });
  });
  const ended = async (): Promise<void> => {
    if (!hasEnded(child)) await once(child, 'exit');
  };
  return {
    url,
    pid: child.pid ?? -1,
    output,
    ended,
    async end(signal) {
      const startedAt = performance.now();
      const over = ended();
      child.kill(signal);
      await over;
      return { code: child.exitCode ?? child.signalCode ?? -1, tookMs: performance.now() - startedAt };
    },
  };
}

/** Starts the program and kills it after that time, wherever it is by then. */
export async function killWhileStarting(options: ProgramOptions, afterMs: number): Promise<void> {
  const { child } = launch(options);
  const ended = once(child, 'exit');
  setTimeout(() => child.kill('SIGKILL'), afterMs);
  await ended;
}

/** For a start that is expected to fail. */
export async function runProgram(options: ProgramOptions): Promise<{ code: number | string; output: string }> {
  const { child, output } = launch(options);
  await once(child, 'close');
  return { code: child.exitCode ?? child.signalCode ?? -1, output: output() };
}

/** A folder for one test's data, removed by `remove`. */
export async function temporaryFolder(): Promise<{ path: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'signpost-'));
  return { path: folder, remove: () => rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }) };
}

function launch({ dataDir, env = {}, main = MAIN, ownGroup = false }: ProgramOptions): { child: ChildProcess; output: () => string } {
  const { MONGODB_URI: _, SIMULATOR_PORT: _port, ROLES: _roles, ...inherited } = process.env;
  const child = spawn(process.execPath, ['--enable-source-maps', '--import', END_WITH_PARENT, main], {
    env: { ...inherited, HOST: '127.0.0.1', PORT: '0', DATA_DIR: dataDir, LOG_LEVEL: 'warn', ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    detached: ownGroup,
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return { child, output: () => text };
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
