/** Tells which machine this is and whether a process of it still lives, so that what a dead one held is taken over at once. */
import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/**
 * Processes with the same id see each other's process numbers. On Linux it names the boot and the process namespace, so that two containers are
 * never taken for one machine; elsewhere it is the host's name.
 */
export function machineId(): string {
  const facts = [hostname(), readOr(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()), readOr(() => readlinkSync('/proc/self/ns/pid'))];
  return createHash('sha256').update(facts.join('\n')).digest('hex').slice(0, 24);
}

/** When a process started, as Linux tells it, so that another one with the same number is told apart; null elsewhere. */
export function bornAt(pid: number): string | null {
  const stat = readOr(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  return stat === '' ? null : (stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null);
}

export function isProcessAlive({ pid, born }: { pid: number; born: string | null }): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return false;
  }
  const now = bornAt(pid);
  return born === null || now === null || now === born;
}

function readOr(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}
