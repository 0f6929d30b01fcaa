/** Where views, public files and installed packages are, whatever folder the process was started from. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

function findProjectRoot(): string {
  let folder = path.dirname(fileURLToPath(import.meta.url));
  while (!existsSync(path.join(folder, 'package.json'))) {
    const parent = path.dirname(folder);
    if (parent === folder) throw new Error('Signpost is not complete: its package.json is missing.');
    folder = parent;
  }
  return folder;
}

/** Absolute path of the folder that holds package.json, views and public. */
export const projectRoot = findProjectRoot();
