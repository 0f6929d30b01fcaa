/** Uploaded files as anybody sees them who has their address, and the addresses that take one file each. Nothing of them is ever run. */
import { Router, type ErrorRequestHandler, type NextFunction, type Request, type Response } from 'express';
import { statusOf } from '../http/errors.js';
import { readQuery } from '../http/input.js';
import { AppError, ErrorCode } from '../lib/app-error.js';
import { mediaIdIn, pathOf } from './media.js';
import { tokenSchema } from './media-schemas.js';
import type { MediaService } from './media-service.js';

/** Mounted at `/`, before sessions. */
export function mediaPublic(media: MediaService, folder: string): Router {
  const router = Router();
  router.get('/media/:name', async (req: Request, res: Response, next: NextFunction) => {
    const id = mediaIdIn(`http://here${req.path}`);
    if (id === null) return next();
    await show(media, folder, id, req, res);
  });
  router.options('/media/uploads/:id', (_req, res) => {
    res.set({ ...ANY_ORIGIN, 'Access-Control-Allow-Methods': 'PUT', 'Access-Control-Allow-Headers': 'Content-Type', 'Access-Control-Max-Age': '600', Allow: 'PUT, OPTIONS' }).status(204).end();
  });
  router.put('/media/uploads/:id', (req: Request, res: Response) => take(media, req, res), answerInJson);
  return router;
}

/** Whoever has such an address may use it from any page: the address is all that counts, no cookie does. */
const ANY_ORIGIN = { 'Access-Control-Allow-Origin': '*' };

const HEADERS = {
  // Enough for the viewers that browsers make of an image or a video, and for nothing else.
  'Content-Security-Policy': "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox",
  'X-Content-Type-Options': 'nosniff',
  // Other sites and networks may show it: that is what its address is for.
  'Cross-Origin-Resource-Policy': 'cross-origin',
  'Access-Control-Allow-Origin': '*',
  'X-Robots-Tag': 'noindex',
};

async function show(media: MediaService, folder: string, id: string, req: Request, res: Response): Promise<void> {
  const file = await media.findPublic(id);
  if (file === null || req.path !== pathOf(file)) return gone(res);
  // Documents can hold scripts of their own, so browsers save them instead of opening them.
  if (file.type.kind === 'document') res.set('Content-Disposition', `attachment; filename="${file.id}.${file.type.extension}"`);
  // A page's header: what is shown alone in a sandbox is none.
  res.removeHeader('Origin-Agent-Cluster');
  res.set({ ...HEADERS, 'Content-Type': file.type.contentType });
  await new Promise<void>((resolve, reject) => {
    res.sendFile(media.diskPathOf(id), { root: folder, dotfiles: 'allow', maxAge: '1h', lastModified: false }, (error?: NodeJS.ErrnoException | null) => {
      if (error === undefined || error === null || res.headersSent) return resolve();
      // `send` takes back its headers before it says this.
      const status = (error as { status?: number }).status;
      if (status === 416 || status === 412) res.status(status).end();
      else if (status === 404) gone(res);
      else return reject(error);
      resolve();
    });
  });
}

function gone(res: Response): void {
  res.status(404).set({ 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store' }).end('There is no such file. It may have been deleted, or its time is over.\n');
}

async function take(media: MediaService, req: Request, res: Response): Promise<void> {
  const id = String(req.params['id']);
  const { token } = readQuery(req, tokenSchema);
  const actor = await media.announcedBy(id, token);
  if (actor === null) throw new AppError('not-found', ErrorCode.notFound, 'This upload address is not known: it was used already, or its half hour is over. Ask for another one.');
  const received = await media.receive(actor, req).catch((error: unknown) => {
    // The client left: nobody hears what is wrong with that.
    if (error instanceof AppError || !req.destroyed) throw error;
    return null;
  });
  if (received === null) return;
  try {
    const file = await media.keepAnnounced(actor, id, token, received);
    res.set(ANY_ORIGIN).json({ status: 'success', id: file.id, url: media.urlOf(file) });
  } finally {
    await media.discard(received);
  }
}

/** Programs call these addresses, although they lie outside `/api`. */
const answerInJson: ErrorRequestHandler = (error: unknown, _req, res, next) => {
  if (!(error instanceof AppError) || res.headersSent) return next(error);
  res.set(ANY_ORIGIN).status(statusOf(error, 'api')).json({ action: 'media', status: 'error', code: error.code, message: error.message, ...error.details });
};
