/** Renders pages: every view gets the user, the CSRF token, the current path, flash messages and the formatting of times. */
import path from 'node:path';
import ejs from 'ejs';
import type { Application, Request, Response } from 'express';
import { asset } from './assets.js';
import { projectRoot } from './project-root.js';
import { formatTime, zoneName } from './time-text.js';
import { vendor } from './vendor.js';

export interface Flash {
  kind: 'success' | 'info' | 'warning' | 'danger';
  message: string;
}

declare module 'express-session' {
  interface SessionData {
    flash?: Flash[];
  }
}

/** A message for the next page that this visitor sees. */
export function flash(req: Request, kind: Flash['kind'], message: string): void {
  if (req.session === undefined) return;
  req.session.flash = [...(req.session.flash ?? []), { kind, message }];
}

/**
 * @param view e.g. `posts/list` for views/posts/list.ejs
 * @param model the view's own data; may override the shared names
 */
export function render(res: Response, view: string, model: object = {}): void {
  const req = res.req;
  if (!res.hasHeader('Cache-Control')) res.set('Cache-Control', 'private, no-cache');
  res.render(view, { ...shared(req), flash: takeFlash(req), ...model });
}

/** The same without answering: for fragments that travel by server-sent events. */
export function renderText(req: Request, view: string, model: object = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    req.app.render(view, { ...shared(req), flash: [], ...model }, (error, text) => (error ? reject(error) : resolve(text)));
  });
}

function takeFlash(req: Request): Flash[] {
  const messages = req.session?.flash ?? [];
  if (messages.length > 0) delete req.session.flash;
  return messages;
}

function shared(req: Request): Record<string, unknown> {
  const timeZone = req.user?.actor.timeZone ?? 'UTC';
  return {
    user: req.user ?? null,
    // A function: pages without a form shouldn't start a session for a passer-by.
    csrfToken: () => req.csrfToken?.() ?? '',
    currentPath: req.originalUrl.split('?', 1)[0],
    requestId: req.requestId,
    timeZone,
    zoneName: (at?: Date) => zoneName(timeZone, at),
    formatTime: (at: Date) => formatTime(at, timeZone),
    asset,
    vendor,
  };
}

/** EJS with views/ as root, and the model as data only: no key of it can become an option of the template engine. */
export function useViews(app: Application): void {
  const views = path.join(projectRoot, 'views');
  const engine = (file: string, data: object, done: (error: unknown, text?: string) => void): void => {
    ejs.renderFile(file, data as ejs.Data, { cache: true, views: [views] }).then((text) => done(null, text), done);
  };
  app.set('views', views);
  app.set('view engine', 'ejs');
  app.enable('view cache');
  app.engine('ejs', engine as Parameters<Application['engine']>[1]);
}
