/** The page "Plan and billing": what the account has, what it used, what a change would mean, and the ways to the provider's pages. */
import { Router, type Request, type Response } from 'express';
import { z } from 'zod';
import type { Actor } from '../accounts/actor.js';
import { actorOf } from '../http/actor.js';
import { goTo } from '../http/forms.js';
import { readBody, readQuery } from '../http/input.js';
import { sse } from '../http/live.js';
import { flash, render, renderText } from '../http/render.js';
import { AppError, ErrorCode } from '../lib/app-error.js';
import type { Notifier } from '../lib/notifier.js';
import type { BillingService } from './billing-service.js';
import { limitRows, priceText, stateView } from './billing-views.js';
import { findPlan, rankOf, type Plan } from './plan.js';
import type { UsageService } from './usage-service.js';

export interface BillingPagesDeps {
  billing: BillingService;
  usage: UsageService;
  /** How many waiting posts a plan would hold. */
  wouldHold(accountId: string, plan: Plan): Promise<number>;
  countProfiles(actor: Actor): Promise<number>;
  countEndpoints(actor: Actor): Promise<number>;
  /** Of uploaded files. */
  mediaBytesOf(accountId: string): Promise<number>;
  countHeld(accountId: string): Promise<number>;
  /** Changes with the held posts; cheap. */
  heldVersion(accountId: string): Promise<string | null>;
  notifier: Notifier;
  isSimulated: boolean;
}

const LIVE_EVERY_MS = 800;
const planSchema = z.object({ plan: z.string('Choose a plan.').max(40, 'There is no such plan.') });
const returnSchema = z.object({ session_id: z.string().max(255).optional().catch(undefined) });

export function billingPages(deps: BillingPagesDeps): Router {
  const router = Router();
  router.get('/billing', (req, res) => show(deps, req, res));
  router.get('/billing/live', (req, res) => live(deps, req, res));
  router.get('/billing/change/:plan', (req, res) => preview(deps, req, res));
  router.get('/billing/return', (req, res) => comeBack(deps, req, res));
  router.post('/billing/checkout', async (req, res) => {
    goTo(req, res, await deps.billing.checkout(actorOf(req), readBody(req, planSchema).plan));
  });
  router.post('/billing/portal', async (req, res) => goTo(req, res, await deps.billing.portal(actorOf(req))));
  return router;
}

async function stateOf(deps: BillingPagesDeps, actor: Actor): Promise<ReturnType<typeof stateView>> {
  const [view, usage, profiles, endpoints, mediaBytes, held] = await Promise.all([
    deps.billing.viewOf(actor.accountId), deps.usage.usageOf(actor.accountId), deps.countProfiles(actor), deps.countEndpoints(actor), deps.mediaBytesOf(actor.accountId), deps.countHeld(actor.accountId),
  ]);
  return stateView({ view, usage, profiles, endpoints, mediaBytes, held, plans: deps.billing.plans, isSimulated: deps.isSimulated, hasPortal: deps.billing.hasPortal(view.account), now: deps.billing.planNow() });
}

/** Cheap: asked again and again while the page is open. */
async function versionOf({ billing, usage, mediaBytesOf, heldVersion }: BillingPagesDeps, { accountId }: Actor): Promise<string> {
  const [{ account, plan, source, graceUntil }, { used, month }, mediaBytes, held] = await Promise.all([billing.viewOf(accountId), usage.usageOf(accountId), mediaBytesOf(accountId), heldVersion(accountId)]);
  return [account?.version ?? 0, plan.key, source, graceUntil?.getTime() ?? '', used, month, mediaBytes, held ?? ''].join('.');
}

async function show(deps: BillingPagesDeps, req: Request, res: Response): Promise<void> {
  const actor = actorOf(req);
  const version = await versionOf(deps, actor);
  render(res, 'billing/billing', { state: await stateOf(deps, actor), version, isAdministrator: actor.isAdministrator });
}

async function live(deps: BillingPagesDeps, req: Request, res: Response): Promise<void> {
  const actor = actorOf(req);
  sse(req, res, {
    subscribe: (listener) => deps.notifier.subscribe(`account:${actor.accountId}:billing`, listener),
    everyMs: LIVE_EVERY_MS,
    ...(typeof req.query['version'] === 'string' ? { shown: req.query['version'] } : {}),
    read: () => versionOf(deps, actor),
    fragment: async () => renderText(req, 'billing/_state', { state: await stateOf(deps, actor) }),
  });
}

/** What a change of plan means, before it is done. */
async function preview(deps: BillingPagesDeps, req: Request, res: Response): Promise<void> {
  const actor = actorOf(req);
  const { billing } = deps;
  const plan = findPlan(billing.plans, String(req.params['plan']));
  if (plan === null) throw new AppError('not-found', ErrorCode.notFound, 'There is no such plan.');
  const [view, held] = await Promise.all([billing.viewOf(actor.accountId), deps.wouldHold(actor.accountId, plan)]);
  render(res, 'billing/change', {
    plan, current: view.plan, rows: limitRows(view.plan, plan), priceText, held, canPay: billing.canPay,
    isUpgrade: rankOf(billing.plans, plan.key) > rankOf(billing.plans, view.plan.key), isSame: plan.key === view.plan.key,
    hasSubscription: view.subscription !== null && view.subscription.endedAt === null, hasPortal: billing.hasPortal(view.account),
    periodEnd: view.subscription?.snapshot.periodEnd ?? null,
  });
}

async function comeBack(deps: BillingPagesDeps, req: Request, res: Response): Promise<void> {
  const actor = actorOf(req);
  const { session_id: sessionId } = readQuery(req, returnSchema);
  // Anybody may have made this link: who paid nothing is thanked for nothing.
  if (sessionId === undefined || !(await deps.billing.returned(actor, sessionId))) return goTo(req, res, '/billing');
  const { plan } = await deps.billing.viewOf(actor.accountId);
  flash(req, 'success', plan.price === null ? 'Thank you. The payment is being confirmed; your plan changes here as soon as it is.' : `Thank you. Your plan is ${plan.name} now.`);
  goTo(req, res, '/billing');
}
