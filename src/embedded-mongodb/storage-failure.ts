/** What a disk that takes no more looks like to a client, and how we keep away from its last bytes. */
import { statfsSync } from 'node:fs';
import { CommandError } from './command-error.js';

const FULL = /no space|ENOSPC|disk full|MDB_MAP_FULL|quota|EDQUOT|EFBIG|file too large/i;
/** LMDB reports a write that found only part of its room as an input/output error. */
const SHORT_WRITE = /input\/output error|EIO/i;
let reportedAt = -Infinity;

/** What a failed write to the disk looks like to a client; said on stderr too, at most every ten seconds. */
export function storageFailure(path: string, error: unknown, outcome = 'was not stored'): CommandError {
  const message = error instanceof Error ? error.message : String(error);
  const full = FULL.test(message) || (SHORT_WRITE.test(message) && freeBytes(path) < 1024 * 1024);
  if (performance.now() - reportedAt > 10_000) {
    reportedAt = performance.now();
    process.stderr.write(`embedded-mongodb: a write failed: ${full ? 'the disk is full' : error instanceof Error ? error.stack : message}\n`);
  }
  return full
    ? new CommandError(14031, `The disk of the database is full: the write ${outcome}. Free some space and try again.`)
    : new CommandError(8, `The disk of the database failed, the write ${outcome}: ${message}`);
}

/**
 * LMDB's text about a write that the system refused can be longer than the room it has for it, which ends the process: so the last of the disk is
 * left alone. A commit is smaller than this, but for a few that the largest messages make.
 */
const KEPT_FREE_BYTES = 32 * 1024 * 1024;
const LOOK_EVERY_MS = 50;
let lookedAt = -Infinity;
let wasRoomy = false;

/** @throws CommandError 14031 when the disk has hardly any room left */
export function requireFreeDisk(path: string): void {
  const now = performance.now();
  if (wasRoomy && now - lookedAt < LOOK_EVERY_MS) return;
  lookedAt = now;
  const free = freeBytes(path);
  wasRoomy = free > 32 * KEPT_FREE_BYTES;
  if (free < KEPT_FREE_BYTES) throw storageFailure(path, new Error('ENOSPC'));
}

function freeBytes(path: string): number {
  try {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize;
  } catch {
    return Infinity;
  }
}
