/** The inbox's door: `POST /inbox/:token`, for programs. No session, no CSRF; mounted before both. */
import express, { Router, type ErrorRequestHandler, type Request, type Response } from 'express';
import type { InboxService } from './inbox-service.js';

const LIMIT_BYTES = 256 * 1024;

export function inboxReceiver({ inbox }: { inbox: InboxService }): Router {
  const router = Router();
  // The raw bytes are what was signed; whatever content type they claim.
  const raw = express.raw({ type: () => true, limit: LIMIT_BYTES, inflate: false });
  router.post('/inbox/:token', (req, res, next) => {
    // `/inbox/clear` and the like are pages.
    if (!/^[A-Za-z0-9_-]{20,64}$/.test(req.params.token)) return next('router');
    raw(req, res, next);
  }, (req, res) => receive(inbox, req, res));
  router.use(tooLarge);
  return router;
}

async function receive(inbox: InboxService, req: Request, res: Response): Promise<void> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(req.headers)) {
    if (value !== undefined) headers[name] = (Array.isArray(value) ? value.join(', ') : value).slice(0, 2_000);
  }
  const body: unknown = req.body;
  const known = await inbox.receive(String(req.params['token']), headers, Buffer.isBuffer(body) ? body : Buffer.alloc(0));
  if (known) res.status(200).json({ status: 'received' });
  else res.status(404).json({ status: 'error', code: 404, message: 'There is no such inbox.' });
}

const tooLarge: ErrorRequestHandler = (error: { type?: string }, _req, res, next) => {
  if (error.type === 'entity.too.large') return void res.status(413).json({ status: 'error', code: 413, message: 'An inbox takes at most 256 KB.' });
  if (error.type === 'encoding.unsupported') return void res.status(415).json({ status: 'error', code: 415, message: 'An inbox takes uncompressed bodies only.' });
  next(error);
};
