/** Starts the embedded server as a child process, or finds the one that already serves a data directory. */
import { fork, type ChildProcess } from 'node:child_process';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readLock } from './data-lock.js';

export interface EmbeddedMongodb {
  /** For the official driver: `mongodb://127.0.0.1:<port>/?directConnection=true`. */
  uri: string;
  port: number;
  pid: number;
  /** Flushes, closes and waits for the process to end. */
  stop(): Promise<void>;
}

export interface StartOptions {
  /** The directory of the files; made when it is missing. */
  dataDir: string;
  /** 0 or left out: a free port of the server's choice. */
  port?: number;
  /** How long a commit may wait for the disk when nobody asks for it; 100 ms when left out. */
  flushEveryMs?: number;
  /** Beyond this much of the data file in memory the server lets go of it; 160 MiB when left out. */
  maxMappedBytes?: number;
  /** Every commit waits for the disk: slow, and the only way where the system can't tell one start of the machine from another. */
  flushEachCommit?: boolean;
  /** Called when the process ends without `stop` having been called. */
  onExit?: (code: number | null, signal: string | null) => void;
}

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 8000;

function uriOf(port: number): string {
  return `mongodb://127.0.0.1:${port}/?directConnection=true`;
}

/** What commands decode and encode is gone in a moment: with more room it is collected half as often. Only a busy server takes it. */
const ROOM_FOR_THE_NEW = '--max-semi-space-size=32';

/**
 * Starts the server and resolves when it listens.
 * @throws Error with code DATA_DIR_IN_USE when another server has the directory; other errors say what is wrong with the files.
 */
export async function startEmbeddedMongodb(options: StartOptions): Promise<EmbeddedMongodb> {
  const child = fork(fileURLToPath(new URL('./server-process.js', import.meta.url)), [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], execArgv: [ROOM_FOR_THE_NEW] });
  const exited = new Promise<void>((done) => child.once('exit', () => done()));
  const dataDir = resolve(options.dataDir);
  const { onExit: _onExit, ...tuning } = options;
  const port = await listening(child, { ...tuning, type: 'start', dataDir, port: options.port ?? 0 }).catch((error: unknown) => {
    throw explainExit(error, dataDir);
  });
  let stopping: Promise<void> | null = null;
  child.once('exit', (code, signal) => {
    if (!stopping) options.onExit?.(code, signal);
  });
  const stop = (): Promise<void> => (stopping ??= endChild(child, exited));
  return { uri: uriOf(port), port, pid: child.pid!, stop };
}

function listening(child: ChildProcess, start: Record<string, unknown>): Promise<number> {
  return new Promise((done, fail) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      fail(new Error(`The embedded database did not start within ${START_TIMEOUT_MS / 1000} s.`));
    }, START_TIMEOUT_MS);
    const onExit = (code: number | null, signal: string | null): void => {
      clearTimeout(timer);
      fail(Object.assign(new Error(`The embedded database ended before it was ready (exit code ${code}, signal ${signal}).`), { signal }));
    };
    child.once('error', fail);
    child.once('exit', onExit);
    child.once('message', (message: { type: string; port: number; message: string; code?: string }) => {
      clearTimeout(timer);
      child.off('exit', onExit);
      if (message.type === 'listening') done(message.port);
      else fail(Object.assign(new Error(message.message), message.code ? { code: message.code } : {}));
    });
    child.send(start);
  });
}

/** A process that the system ended while it read its files has met pages that are missing or damaged. */
function explainExit(error: unknown, dataDir: string): unknown {
  const { signal } = error as { signal?: string };
  if (signal !== 'SIGBUS' && signal !== 'SIGSEGV' && signal !== 'SIGABRT') return error;
  return Object.assign(new Error(`The data file in ${dataDir} is damaged or incomplete: it could not be read. Nothing was changed. Restore a backup.`), { code: 'DATA_FILE_UNUSABLE' });
}

async function endChild(child: ChildProcess, exited: Promise<void>): Promise<void> {
  if (child.connected) child.send({ type: 'stop' });
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(timer);
}

/** The server that is running on a data directory (started by this or another process), or null. */
export async function findEmbeddedMongodb(dataDir: string): Promise<{ uri: string; port: number; pid: number } | null> {
  const holder = readLock(resolve(dataDir));
  return holder && holder.port > 0 ? { uri: uriOf(holder.port), port: holder.port, pid: holder.pid } : null;
}
