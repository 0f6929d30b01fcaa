/** The part of Stripe's API that Signpost uses, as the official client calls it: form bodies with brackets, JSON answers. */
import express, { Router, type Request, type RequestHandler, type Response } from 'express';
import { z } from 'zod';
import type { BillingWorld, SimulatedPrice, SimulatedSession } from './billing-world.js';
import { sessionObject, subscriptionObject } from './stripe-objects.js';
import type { Life } from './life.js';

interface Deps {
  world: BillingWorld;
  life: Life;
  prices: readonly SimulatedPrice[];
  apiKey: string;
  publicUrl(): string;
}

const address = z.string().regex(/^https?:\/\//).max(2_000);
const metadata = z.record(z.string().max(40), z.string().max(500)).optional().transform((given) => given ?? {});

const checkoutSchema = z.looseObject({
  mode: z.literal('subscription'),
  line_items: z.array(z.looseObject({ price: z.string() })).length(1),
  success_url: address,
  cancel_url: address,
  client_reference_id: z.string().max(200).optional(),
  customer: z.string().optional(),
  customer_email: z.string().max(254).optional(),
  metadata,
  subscription_data: z.looseObject({ metadata }).optional(),
});
const portalSchema = z.looseObject({ customer: z.string(), return_url: address });

export function simulatorApi(deps: Deps): Router {
  const router = Router();
  router.use(requireKey(deps.apiKey), express.urlencoded({ extended: true, limit: '50kb' }));
  router.post('/checkout/sessions', (req, res) => createCheckout(deps, req, res));
  router.get('/checkout/sessions/:id', (req, res) => {
    const session = deps.world.state.sessions[req.params.id];
    if (session === undefined || session.kind !== 'checkout') return refuse(res, 404, `No such checkout.session: '${req.params.id.slice(0, 80)}'`);
    res.json(sessionObject(session, deps.publicUrl()));
  });
  router.post('/billing_portal/sessions', (req, res) => createPortal(deps, req, res));
  router.get('/subscriptions/:id', (req, res) => {
    const subscription = deps.world.state.subscriptions[req.params.id];
    if (subscription === undefined) return refuse(res, 404, `No such subscription: '${req.params.id.slice(0, 80)}'`);
    res.json(subscriptionObject(subscription, deps.life.priceOf(subscription)));
  });
  router.use((_req, res) => refuse(res, 404, 'The simulated provider does not know this address.'));
  return router;
}

function createCheckout({ world, prices, publicUrl }: Deps, req: Request, res: Response): void {
  const parsed = checkoutSchema.safeParse(req.body);
  if (!parsed.success) return refuse(res, 400, parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; '));
  const asked = parsed.data;
  const priceId = asked.line_items[0]!.price;
  if (!prices.some(({ id }) => id === priceId)) return refuse(res, 400, `No such price: '${priceId.slice(0, 80)}'`);
  const key = req.get('idempotency-key') ?? null;
  const same = key === null ? undefined : Object.values(world.state.sessions).find(({ idempotencyKey }) => idempotencyKey === key);
  const session: SimulatedSession = same ?? {
    id: world.newId('cs'), kind: 'checkout', customer: asked.customer ?? null, subscription: null, priceId, email: asked.customer_email ?? null, reference: asked.client_reference_id ?? null,
    metadata: asked.metadata, subscriptionMetadata: asked.subscription_data?.metadata ?? {}, successUrl: asked.success_url, cancelUrl: asked.cancel_url, isComplete: false, idempotencyKey: key,
  };
  world.state.sessions[session.id] = session;
  world.save();
  res.json(sessionObject(session, publicUrl()));
}

function createPortal({ world, publicUrl }: Deps, req: Request, res: Response): void {
  const parsed = portalSchema.safeParse(req.body);
  if (!parsed.success) return refuse(res, 400, 'customer and return_url are needed.');
  const { customer, return_url: returnUrl } = parsed.data;
  if (world.state.customers[customer] === undefined) return refuse(res, 404, `No such customer: '${customer.slice(0, 80)}'`);
  const session: SimulatedSession = {
    id: world.newId('bps'), kind: 'portal', customer, subscription: null, priceId: null, email: null, reference: null, metadata: {}, subscriptionMetadata: {},
    successUrl: returnUrl, cancelUrl: returnUrl, isComplete: false, idempotencyKey: null,
  };
  world.state.sessions[session.id] = session;
  world.save();
  res.json(sessionObject(session, publicUrl()));
}

function requireKey(apiKey: string): RequestHandler {
  return (req, res, next) => {
    if (req.get('authorization') === `Bearer ${apiKey}`) return next();
    refuse(res, 401, 'Invalid API Key provided.');
  };
}

function refuse(res: Response, status: number, message: string): void {
  res.status(status).json({ error: { type: 'invalid_request_error', message } });
}
