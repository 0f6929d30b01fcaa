/** For administrators: what providers told us and what became of it, and which plan each account has. */
import { Router, type Request, type RequestHandler, type Response } from 'express';
import { z } from 'zod';
import { actorOf } from '../http/actor.js';
import { goTo } from '../http/forms.js';
import { readBody, readQuery } from '../http/input.js';
import { flash, render } from '../http/render.js';
import { AppError, ErrorCode } from '../lib/app-error.js';
import type { BillingEventStore } from './billing-event-store.js';
import type { BillingService } from './billing-service.js';
import type { Intake } from './intake.js';
import type { UsageService } from './usage-service.js';

export interface AdminPagesDeps {
  billing: BillingService;
  intake: Pick<Intake, 'replay'>;
  events: Pick<BillingEventStore, 'list' | 'find' | 'bodyOf' | 'listRefusals'>;
  usage: UsageService;
  /** Newest first. */
  listAccounts(after: string | null, limit: number): Promise<{ accountId: string; email: string; timeZone: string; createdAt: Date }[]>;
}

const PAGE = 25;
const accountId = z.string().regex(/^acc_[0-9a-z]{1,40}$/, 'There is no such account.');
const eventQuery = z.object({
  outcome: z.enum(['pending', 'applied', 'parked', 'ignored']).optional().catch(undefined),
  before: z.string().max(400).regex(/^\d{1,15}_/).transform((text) => ({ receivedAt: new Date(Number(text.slice(0, text.indexOf('_')))), id: text.slice(text.indexOf('_') + 1) })).optional().catch(undefined),
});
const eventId = z.object({ id: z.string().min(1).max(300) });
const accountQuery = z.object({ after: accountId.optional().catch(undefined) });
const planForm = z.object({ account: accountId, plan: z.string('Choose a plan.').max(40, 'There is no such plan.') });

export function adminPages(deps: AdminPagesDeps): Router {
  const router = Router();
  const guarded = (route: (req: Request, res: Response) => Promise<void>): RequestHandler => async (req, res) => {
    if (!actorOf(req).isAdministrator) throw new AppError('forbidden', ErrorCode.forbidden, 'This page is for administrators of this Signpost.');
    await route(req, res);
  };
  router.get('/billing/accounts', guarded((req, res) => accounts(deps, req, res)));
  router.post('/billing/accounts', guarded((req, res) => setPlan(deps, req, res)));
  router.get('/billing/events', guarded((req, res) => events(deps, req, res)));
  router.get('/billing/event', guarded((req, res) => event(deps, req, res)));
  router.post('/billing/event/replay', guarded((req, res) => replay(deps, req, res)));
  return router;
}

async function accounts({ billing, usage, listAccounts }: AdminPagesDeps, req: Request, res: Response): Promise<void> {
  const { after } = readQuery(req, accountQuery);
  const found = await listAccounts(after ?? null, PAGE + 1);
  const shown = found.slice(0, PAGE);
  const [views, used] = await Promise.all([billing.overview(shown.map((account) => account.accountId)), usage.usageOfMany(shown)]);
  const last = shown.at(-1);
  render(res, 'billing/accounts', {
    accounts: shown.map((account) => ({ ...account, view: views.get(account.accountId), used: used.get(account.accountId) ?? 0 })),
    plans: billing.plans.plans,
    older: found.length > PAGE && last !== undefined ? `/billing/accounts?after=${last.accountId}` : null,
  });
}

async function setPlan({ billing }: AdminPagesDeps, req: Request, res: Response): Promise<void> {
  const { account, plan } = readBody(req, planForm);
  await billing.setPlan(actorOf(req), account, plan === '' ? null : plan);
  flash(req, 'success', plan === '' ? 'The account has what its subscription gives again.' : 'The plan is set.');
  goTo(req, res, '/billing/accounts');
}

async function events({ events: stored }: AdminPagesDeps, req: Request, res: Response): Promise<void> {
  const query = readQuery(req, eventQuery);
  const [found, refusals] = await Promise.all([stored.list(query, PAGE + 1), stored.listRefusals(20)]);
  const shown = found.slice(0, PAGE);
  const last = shown.at(-1);
  const filter = query.outcome === undefined ? '' : `outcome=${query.outcome}&`;
  render(res, 'billing/events', {
    events: shown, refusals, outcome: query.outcome ?? '',
    older: found.length > PAGE && last !== undefined ? `/billing/events?${filter}before=${encodeURIComponent(`${last.receivedAt.getTime()}_${last.id}`)}` : null,
  });
}

async function event({ events: stored }: AdminPagesDeps, req: Request, res: Response): Promise<void> {
  const found = await stored.find(readQuery(req, eventId).id);
  if (found === null) throw new AppError('not-found', ErrorCode.notFound, 'There is no such event.');
  const body = await stored.bodyOf(found.id);
  render(res, 'billing/event', { event: found, body: body === null ? null : pretty(body) });
}

async function replay({ intake }: AdminPagesDeps, req: Request, res: Response): Promise<void> {
  const { id } = readBody(req, eventId);
  const isOurs = await intake.replay(id);
  flash(req, isOurs ? 'success' : 'info', isOurs ? 'Replayed: everything that is known about its customer was put together again.' : 'There is still nothing in it for Signpost.');
  goTo(req, res, `/billing/event?id=${encodeURIComponent(id)}`);
}

function pretty(raw: string): string {
  try {
    return JSON.stringify(JSON.parse(raw), null, 2);
  } catch {
    return raw;
  }
}
