/** A lock between processes, as a file that names its holder; a dead holder's lock is taken over. */
import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';

/**
 * Runs `work` while nobody else on this machine holds the lock; waits as long as its holder lives.
 * @param file path of the lock file
 */
export async function withLock(file, work) {
  let told = false;
  while (!take(file)) {
    if (!told) console.error('Waiting for another start of Signpost that is setting up ...');
    told = true;
    await wait(200);
  }
  const release = () => rmSync(file, { force: true });
  process.on('exit', release);
  try {
    return await work();
  } finally {
    process.off('exit', release);
    release();
  }
}

function take(file) {
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  const holder = read(file);
  if (holder === null || !isDead(file, holder)) return false;
  // Two may see the dead holder at once: a rename has one winner, and who moved a newer lock away puts it back.
  const aside = `${file}.${process.pid}`;
  try {
    renameSync(file, aside);
    if (read(aside) !== holder) renameSync(aside, file);
    else rmSync(aside, { force: true });
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  return false;
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

function isDead(file, holder) {
  // Made, but its holder's number not yet written: that takes no seconds while the holder lives.
  if (holder === '') return Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()) > 5_000;
  // After a restart of the machine (or in a container) our own number may be on an old lock.
  if (Number(holder) === process.pid) return true;
  try {
    process.kill(Number(holder), 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH' || error.code === 'ERR_INVALID_ARG_TYPE';
  }
}
