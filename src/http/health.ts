/** Two questions that supervisors ask: is the process alive, and can it work. */
import { Router } from 'express';

/** @param ready resolves when the database answers; rejects or hangs when it doesn't */
export function health(ready: () => Promise<unknown>): Router {
  const router = Router();
  router.get('/healthz', (_req, res) => void res.set('Cache-Control', 'no-store').json({ status: 'ok' }));
  router.get('/readyz', async (_req, res) => {
    res.set('Cache-Control', 'no-store');
    try {
      await withinMs(2_000, ready());
      res.json({ status: 'ok' });
    } catch {
      res.status(503).json({ status: 'error', message: 'The database does not answer.' });
    }
  });
  return router;
}

async function withinMs(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('too late')), ms);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
