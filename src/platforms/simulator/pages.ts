/** Renders the simulator's few pages, each under a strict content security policy of its own. */
import { fileURLToPath } from 'node:url';
import ejs from 'ejs';
import type { Response } from 'express';

const views = fileURLToPath(new URL('../../../../views/simulator/', import.meta.url));

interface PageOptions {
  status?: number;
  /** Origin that a form's answer may redirect to, besides the simulator itself. */
  formTarget?: string;
}

/** @param view name of a file in views/simulator, without its extension */
export function sendPage(res: Response, view: string, model: Record<string, unknown> & { title: string }, options: PageOptions = {}): void {
  res.status(options.status ?? 200);
  res.set('Content-Security-Policy', [
    "default-src 'none'", "style-src 'self'", "img-src 'self' data: https: http:", "base-uri 'none'", "frame-ancestors 'none'",
    `form-action 'self'${options.formTarget === undefined ? '' : ` ${options.formTarget}`}`,
  ].join('; '));
  res.set('X-Content-Type-Options', 'nosniff');
  res.set('Referrer-Policy', 'no-referrer');
  res.set('Cache-Control', 'no-store');
  ejs.renderFile(`${views}${view}.ejs`, model, { cache: true }).then(
    (html: string) => res.type('html').send(html),
    (error: unknown) => res.status(500).type('text').send(`This page can't be shown: ${error instanceof Error ? error.message : 'unknown error'}`),
  );
}
