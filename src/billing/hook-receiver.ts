/** The door for billing providers: `POST /hooks/billing/:provider`. No session, no CSRF; mounted before both. */
import express, { Router, type ErrorRequestHandler, type Request, type Response } from 'express';
import type { Logger } from '../lib/logger.js';
import type { Intake } from './intake.js';

/** Stripe's largest events are some 100 kB. */
const LIMIT_BYTES = 512 * 1024;

export function hookReceiver({ intake, log }: { intake: Pick<Intake, 'receive' | 'noteRefusal'>; log: Logger }): Router {
  const router = Router();
  // The raw bytes are what was signed, whatever content type they claim.
  const raw = express.raw({ type: () => true, limit: LIMIT_BYTES, inflate: false });
  router.post('/hooks/billing/:provider', raw, (req, res) => receive(intake, req, res));
  router.all('/hooks/billing/:provider', (_req, res) => void res.status(405).set('Allow', 'POST').json({ status: 'error', code: 405, message: 'Send events with POST.' }));
  const note = (provider: string, reason: string): void => void intake.noteRefusal(provider, reason).catch((error: unknown) => log.error({ err: error }, 'a refused billing event could not be noted'));
  const failed: ErrorRequestHandler = (error: unknown, req, res, next) => {
    if (!req.path.startsWith('/hooks/billing/')) return next(error);
    const { type, status } = error as { type?: string; status?: number };
    const isTheirs = status !== undefined && status >= 400 && status < 500;
    if (isTheirs) note(req.path.split('/')[3] ?? '', type === 'entity.too.large' ? 'The event is too large.' : 'The body could not be read.');
    if (type === 'entity.too.large') return void res.status(413).json({ status: 'error', code: 413, message: 'The event is too large.' });
    if (isTheirs) return void res.status(400).json({ status: 'error', code: 400, message: 'The body could not be read.' });
    // Ours to mend: the provider tries again.
    log.error({ err: error }, 'a billing event could not be stored');
    res.status(503).set('Retry-After', '30').json({ status: 'error', code: 503, message: 'The event could not be stored. Send it again.' });
  };
  router.use(failed);
  return router;
}

async function receive(intake: Pick<Intake, 'receive'>, req: Request, res: Response): Promise<void> {
  const headers: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(req.headers)) headers[name] = Array.isArray(value) ? value.join(',') : value;
  const body: unknown = req.body;
  const { status, message } = await intake.receive(String(req.params['provider']), Buffer.isBuffer(body) ? body : Buffer.alloc(0), headers);
  res.status(status).json({ status: status === 200 ? 'received' : 'error', ...(status === 200 ? {} : { code: status }), message });
}
