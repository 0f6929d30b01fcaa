/** Code for receivers that checks a signature, by language: files that the page shows, the docs link to and a test runs. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { projectRoot } from '../http/project-root.js';

export interface Snippet {
  language: string;
  /** Name of its file below `SNIPPETS_FOLDER`. */
  file: string;
  code: string;
}

export const SNIPPETS_FOLDER = path.join(projectRoot, 'views/webhooks/snippets');

const FILES: readonly [language: string, file: string][] = [['Node.js', 'verify.mjs'], ['Python', 'verify.py'], ['PHP', 'verify.php'], ['Go', 'verify.go']];

export const SNIPPETS: readonly Snippet[] = FILES.map(([language, file]) => ({ language, file, code: readFileSync(path.join(SNIPPETS_FOLDER, file), 'utf8') }));
