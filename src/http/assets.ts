/** Serves `public/` at `/assets`, at addresses that carry a hash of the content, so that browsers may keep them for ever. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import express, { type RequestHandler } from 'express';
import { projectRoot } from './project-root.js';

const folder = path.join(projectRoot, 'public');
const hashes = new Map<string, string>();

/** @param file below `public/`, e.g. `css/app.css` */
export function asset(file: string): string {
  let hash = hashes.get(file);
  if (hash === undefined) {
    hash = createHash('sha256').update(readFileSync(path.join(folder, file))).digest('hex').slice(0, 12);
    hashes.set(file, hash);
  }
  return `/assets/${file}?v=${hash}`;
}

/** Without the right `?v=` (e.g. one module importing another) the browser has to ask again each time. */
export function assetFiles(): RequestHandler {
  return express.static(folder, {
    index: false,
    redirect: false,
    dotfiles: 'ignore',
    setHeaders(res, file) {
      const name = path.relative(folder, file).split(path.sep).join('/');
      const known = hashes.get(name);
      const asked = (res.req as express.Request).query['v'];
      res.setHeader('Cache-Control', known !== undefined && asked === known ? 'public, max-age=31536000, immutable' : 'public, no-cache');
    },
  });
}
