/** Copies of a data directory: `backup` takes a consistent one while the server runs, `restore` puts it back. */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, statSync, copyFileSync, constants } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { loadCatalog } from './catalog.js';
import { dataFileError, formatOf, inspectFile, readEverything } from './data-file.js';
import { takeLock } from './data-lock.js';
import { FILE_NAME, FORMAT_VERSION, openStore } from './store.js';

export interface CopyProgress {
  phase: 'copying' | 'checking' | 'done';
  bytes: number;
  totalBytes: number;
}

type OnProgress = (progress: CopyProgress) => void;

export interface CopyResult {
  file: string;
  bytes: number;
  collections: number;
  documents: number;
}

function syncFile(path: string): void {
  const handle = openSync(path, 'r');
  fsyncSync(handle);
  closeSync(handle);
}

/** Makes a rename last; not every system lets a directory be opened for that. */
function syncDirectory(path: string): void {
  try {
    syncFile(path);
  } catch {
    // then the system does it in its own time
  }
}

function sizeOf(path: string): number {
  return existsSync(path) ? statSync(path).size : 0;
}

/**
 * Writes one consistent copy of the database in `dataDir` to `file`, whether or not a server is running on it; clients are not held up.
 * @throws Error when there is no database or `file` exists already
 */
export async function backup(options: { dataDir: string; file: string; onProgress?: OnProgress }): Promise<CopyResult> {
  const file = resolve(options.file);
  const source = join(resolve(options.dataDir), FILE_NAME);
  if (inspectFile(source) === 'absent') throw new Error(`There is no database in ${options.dataDir}.`);
  if (existsSync(file)) throw new Error(`${file} exists already: a backup never overwrites a file.`);
  mkdirSync(dirname(file), { recursive: true });
  const partial = `${file}.partial`;
  rmSync(partial, { force: true });
  const totalBytes = sizeOf(source);
  const timer = setInterval(() => options.onProgress?.({ phase: 'copying', bytes: sizeOf(partial), totalBytes }), 250);
  const store = openStore(resolve(options.dataDir), { readOnly: true });
  try {
    await store.env.backup(partial, false);
  } finally {
    clearInterval(timer);
    await store.close();
  }
  syncFile(partial);
  options.onProgress?.({ phase: 'checking', bytes: sizeOf(partial), totalBytes });
  const counted = await examine(partial);
  renameSync(partial, file);
  syncDirectory(dirname(file));
  options.onProgress?.({ phase: 'done', bytes: sizeOf(file), totalBytes });
  return { file, bytes: sizeOf(file), ...counted };
}

/** Opens a copy and reads all of it. @throws Error when it is no database of this program */
async function examine(file: string): Promise<{ collections: number; documents: number }> {
  if (inspectFile(file) === 'absent') throw dataFileError(file, 'is missing or empty.');
  const store = openStore(dirname(file), { file: basename(file), readOnly: true });
  try {
    const format = formatOf(store);
    if (format > FORMAT_VERSION) throw dataFileError(file, `was written by a newer version of this program (format ${format}).`);
    readEverything(store);
    const { collections } = loadCatalog(store);
    return { collections: collections.size, documents: [...collections.values()].reduce((sum, collection) => sum + collection.count, 0) };
  } finally {
    await store.close();
    rmSync(`${file}-lock`, { force: true });
  }
}

/**
 * Puts a backup in place of the database in `dataDir`, which no server may be using. What was there is kept beside it.
 * @returns what was restored, and where the former file is kept (null if there was none)
 * @throws Error with code DATA_DIR_IN_USE, or when the backup is not usable
 */
export async function restore(options: { file: string; dataDir: string; onProgress?: OnProgress }): Promise<CopyResult & { kept: string | null }> {
  const file = resolve(options.file);
  const dataDir = resolve(options.dataDir);
  if (!existsSync(file)) throw new Error(`There is no file ${file}.`);
  if (inspectFile(file) === 'absent') throw dataFileError(file, 'is empty.');
  const lock = await takeLock(dataDir);
  const partial = join(dataDir, `${FILE_NAME}.restoring`);
  try {
    const totalBytes = sizeOf(file);
    rmSync(partial, { force: true });
    options.onProgress?.({ phase: 'copying', bytes: 0, totalBytes });
    copyFileSync(file, partial, constants.COPYFILE_FICLONE);
    syncFile(partial);
    options.onProgress?.({ phase: 'checking', bytes: totalBytes, totalBytes });
    const counted = await examine(partial);
    const target = join(dataDir, FILE_NAME);
    const kept = existsSync(target) ? `${target}.before-restore-${new Date().toISOString().replaceAll(/[:.]/g, '-')}` : null;
    if (kept) renameSync(target, kept);
    for (const belonging of ['-lock', '-sync']) rmSync(`${target}${belonging}`, { force: true });
    renameSync(partial, target);
    syncDirectory(dataDir);
    options.onProgress?.({ phase: 'done', bytes: totalBytes, totalBytes });
    return { file: target, bytes: totalBytes, ...counted, kept };
  } finally {
    for (const belonging of ['', '-lock']) rmSync(`${partial}${belonging}`, { force: true });
    lock.release();
  }
}
