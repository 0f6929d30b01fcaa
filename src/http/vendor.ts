/** Serves an allow-list of files from installed packages at versioned addresses, cached for ever. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { Router } from 'express';

const require = createRequire(import.meta.url);
const compress = promisify(gzip);

/** Package and the files of it that browsers may have, by the short name that views use. */
const FILES = {
  'bootstrap.css': ['bootstrap', 'dist/css/bootstrap.min.css'],
  'bootstrap.js': ['bootstrap', 'dist/js/bootstrap.bundle.min.js'],
  'htmx.js': ['htmx.org', 'dist/htmx.min.js'],
  'htmx-sse.js': ['htmx.org', 'dist/ext/hx-sse.min.js'],
} as const;

export type VendorFile = keyof typeof FILES;

const TYPES: Record<string, string> = { '.css': 'text/css; charset=utf-8', '.js': 'text/javascript; charset=utf-8' };
const IMMUTABLE = 'public, max-age=31536000, immutable';

const installed = new Map(Object.entries(FILES).map(([name, [pkg, file]]) => [name, locate(pkg, file)] as const));

function locate(pkg: string, file: string): { url: string; file: string } {
  const manifest = require.resolve(`${pkg}/package.json`);
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
  return { url: `/vendor/${pkg}@${version}/${path.basename(file)}`, file: path.join(path.dirname(manifest), file) };
}

/** @returns the address of a vendored file, e.g. `/vendor/bootstrap@5.3.8/bootstrap.min.css` */
export function vendor(name: VendorFile): string {
  return installed.get(name)!.url;
}

export function vendorFiles(): Router {
  const router = Router();
  for (const { url, file } of installed.values()) {
    const plain = readFileSync(file);
    const packed = compress(plain);
    router.get(url, async (req, res) => {
      res.set({ 'Cache-Control': IMMUTABLE, 'Content-Type': TYPES[path.extname(file)]!, Vary: 'Accept-Encoding' });
      if (!req.acceptsEncodings('gzip')) return void res.send(plain);
      res.set('Content-Encoding', 'gzip').send(await packed);
    });
  }
  return router;
}
