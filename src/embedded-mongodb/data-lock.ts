/** The lock file of a data directory: which process serves it, where it listens, and how to tell that it is gone. */
import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface LockHolder {
  pid: number;
  /** When the process started, by the operating system, so that another process with the same pid is told apart; null if unknown. */
  born: string | null;
  /** 0 until it listens. */
  port: number;
  /** The process that started it: a holder without one is on its way out. */
  parent: { pid: number; born: string | null } | null;
}

export interface DataLock {
  setPort(port: number): void;
  release(): void;
}

const FILE = 'embedded.lock';
const WAIT_MS = 3000;

/** An error with the code DATA_DIR_IN_USE that names the directory and the holder. */
export function inUseError(dir: string, pid: number): Error {
  return Object.assign(new Error(`The data directory ${dir} is in use by another embedded database (process ${pid}).`), { code: 'DATA_DIR_IN_USE', pid });
}

/** When a process started, as Linux tells it; null elsewhere. */
function bornAt(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot}:${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`;
  } catch {
    return null;
  }
}

function isAlive(holder: { pid: number; born: string | null }): boolean {
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const born = bornAt(holder.pid);
  return holder.born === null || born === null || born === holder.born;
}

/** Who holds the directory now, or null when nobody living does. */
export function readLock(dir: string): LockHolder | null {
  const holder = parseLock(join(dir, FILE));
  return holder && isAlive(holder) ? holder : null;
}

function parseLock(file: string): LockHolder | null {
  try {
    const { pid, born, port, parent } = JSON.parse(readFileSync(file, 'utf8')) as LockHolder;
    return Number.isInteger(pid) && pid > 0 ? { pid, born: born ?? null, port: port || 0, parent: parent ?? null } : null;
  } catch {
    return null;
  }
}

/**
 * Takes the lock. A living holder whose parent is gone is just shutting down: it is waited for, up to three seconds.
 * @throws Error with code DATA_DIR_IN_USE
 */
export async function takeLock(dir: string): Promise<DataLock> {
  mkdirSync(dir, { recursive: true });
  const file = join(dir, FILE);
  const until = Date.now() + WAIT_MS;
  for (;;) {
    if (tryCreate(file)) return ownLock(file);
    const holder = parseLock(file);
    if (holder && isAlive(holder)) {
      const orphan = holder.parent !== null && !isAlive(holder.parent);
      if (!orphan || Date.now() > until) throw inUseError(dir, holder.pid);
    } else if (!holder && isYoung(file)) {
      if (Date.now() > until) throw inUseError(dir, 0);
    } else takeAway(file, holder);
    await sleep(50);
  }
}

function content(port: number): string {
  const parent = { pid: process.ppid, born: bornAt(process.ppid) };
  return JSON.stringify({ pid: process.pid, born: bornAt(process.pid), port, parent });
}

/** Creates the file only if there is none: the moment at which one of two starters wins. */
function tryCreate(file: string): boolean {
  let handle: number;
  try {
    handle = openSync(file, 'wx', 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  try {
    writeSync(handle, content(0));
    closeSync(handle);
  } catch (error) {
    rmSync(file, { force: true });
    throw error;
  }
  return true;
}

/** A file without content may be one that its maker is about to fill. */
function isYoung(file: string): boolean {
  try {
    const handle = openSync(file, 'r');
    const { mtimeMs } = fstatSync(handle);
    closeSync(handle);
    return Date.now() - mtimeMs < 1000;
  } catch {
    return false;
  }
}

/** Moves a dead holder's file aside, unless somebody else has replaced it meanwhile. */
function takeAway(file: string, holder: LockHolder | null): void {
  const aside = `${file}.${process.pid}`;
  try {
    renameSync(file, aside);
  } catch {
    return;
  }
  const moved = parseLock(aside);
  const stolen = moved !== null && (moved.pid !== holder?.pid || moved.born !== holder.born) && isAlive(moved);
  if (stolen) {
    try {
      renameSync(aside, file);
    } catch {
      // its owner will notice and write it again
    }
    return;
  }
  rmSync(aside, { force: true });
}

function ownLock(file: string): DataLock {
  return {
    setPort: (port) => {
      const next = `${file}.next`;
      writeFileSync(next, content(port), { mode: 0o600 });
      renameSync(next, file);
    },
    release: () => {
      const holder = parseLock(file);
      if (holder?.pid === process.pid) rmSync(file, { force: true });
    },
  };
}
