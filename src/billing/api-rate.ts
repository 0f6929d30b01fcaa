/** Calls of the API a minute, by plan; counted in this process alone. */
import { Router } from 'express';
import { actorOf } from '../http/actor.js';
import { AppError, ErrorCode } from '../lib/app-error.js';
import type { Clock } from '../lib/clock.js';
import type { Plan } from './plan.js';

const MINUTE_MS = 60_000;
/** A changed plan counts after this long at the latest. */
const PLAN_KEPT_MS = 5_000;
const MOST_ACCOUNTS = 50_000;

interface Window {
  minute: number;
  calls: number;
  limit: number | null;
  readAt: number;
}

export function apiRate({ planOf, clock }: { planOf(accountId: string): Promise<Plan>; clock: Clock }): Router {
  const windows = new Map<string, Window>();
  const router = Router();
  router.use(async (req, res, next) => {
    const { accountId } = actorOf(req);
    const now = clock.now().getTime();
    const minute = Math.floor(now / MINUTE_MS);
    if (windows.size > MOST_ACCOUNTS) windows.clear();
    const known = windows.get(accountId);
    const limit = known !== undefined && now - known.readAt < PLAN_KEPT_MS ? known.limit : (await planOf(accountId)).limits.apiCallsPerMinute;
    // Read again: others may have come while the plan was looked up.
    const current = windows.get(accountId);
    const calls = (current?.minute === minute ? current.calls : 0) + 1;
    windows.set(accountId, { minute, calls, limit, readAt: known !== undefined && limit === known.limit && now - known.readAt < PLAN_KEPT_MS ? known.readAt : now });
    if (limit === null) return next();
    res.set({ 'X-RateLimit-Limit': String(limit), 'X-RateLimit-Remaining': String(Math.max(0, limit - calls)) });
    if (calls <= limit) return next();
    const retryAfterS = Math.max(1, Math.ceil(((minute + 1) * MINUTE_MS - now) / 1000));
    next(new AppError('too-many', ErrorCode.planLimit, `Your plan allows ${limit} calls of the API a minute. Try again in ${retryAfterS} s.`, { retryAfterS }));
  });
  return router;
}
