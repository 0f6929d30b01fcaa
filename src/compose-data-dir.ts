/** Keeps a data directory to one process that writes it; a page of compose.ts. */
import { takeLock, type DataLock } from './embedded-mongodb/data-lock.js';
import { startProblem } from './lib/start-problem.js';

/** @throws Error with a plain message when another process has the directory */
export async function lockDataDir(dataDir: string): Promise<DataLock> {
  try {
    return await takeLock(dataDir);
  } catch (error) {
    const isTaken = error instanceof Error && 'code' in error && error.code === 'DATA_DIR_IN_USE';
    if (!isTaken) throw error;
    throw startProblem(`Another Signpost is running on the data directory ${dataDir}. Stop it first, or set DATA_DIR to another folder.`, error);
  }
}
