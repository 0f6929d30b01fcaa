/** The key that seals secrets at rest: from the settings, or from a file that is made once in the data directory. */
import { createHash, hkdfSync, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { startProblem } from './start-problem.js';

const FILE = 'secret.key';

/**
 * @param secretKey the `SECRET_KEY` setting, or null
 * @param dataDir where `secret.key` is kept, readable by its owner only
 * @throws Error with a plain message when the file can't be read or is not a key
 */
export function loadSecretKey(secretKey: string | null, dataDir: string): Buffer {
  if (secretKey !== null) return createHash('sha256').update(secretKey).digest();
  const file = path.join(dataDir, FILE);
  const text = readOrMake(file, () => randomBytes(48).toString('base64'));
  if (text.length < 32) throw startProblem(`${file} is not a key of Signpost's: restore it from a backup, or set SECRET_KEY.`);
  return createHash('sha256').update(text).digest();
}

/** Tells two keys apart without saying anything about them. */
export function keyFingerprint(key: Buffer): string {
  return createHash('sha256').update('signpost key fingerprint').update(key).digest('hex').slice(0, 16);
}

/** A key for one purpose, so that no two purposes share bytes. @returns 64 hex digits */
export function deriveKey(key: Buffer, purpose: string): string {
  return Buffer.from(hkdfSync('sha256', key, 'signpost', purpose, 32)).toString('hex');
}

/** A name for whoever works on this data directory, the same at every start. */
export function dataDirId(dataDir: string): string {
  return readOrMake(path.join(dataDir, 'instance.id'), () => randomBytes(12).toString('hex'));
}

function readOrMake(file: string, make: () => string): string {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  try {
    // `wx` fails when the file is there, so two starts at once end up with one content.
    writeFileSync(file, `${make()}\n`, { mode: 0o600, flag: 'wx', flush: true });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
  return readFileSync(file, 'utf8').trim();
}
