/** The simulated provider's two pages: a checkout, and a portal where a person changes, cancels, fails a payment or passes time. */
import { fileURLToPath } from 'node:url';
import ejs from 'ejs';
import express, { Router, type Request, type Response } from 'express';
import { z } from 'zod';
import type { BillingWorld, SimulatedPrice, SimulatedSession, SimulatedSubscription } from './billing-world.js';
import type { EventSender } from './event-sender.js';
import type { Life } from './life.js';
import type { StripeObject } from './stripe-objects.js';

interface Deps {
  world: BillingWorld;
  life: Life;
  prices: readonly SimulatedPrice[];
  sender: EventSender;
  /** Path below which the pages are. */
  base: string;
}

const views = fileURLToPath(new URL('../../../../views/billing-simulator/', import.meta.url));

const actionSchema = z.looseObject({
  do: z.enum(['change', 'cancel', 'cancel-now', 'resume', 'fail', 'ask-bank', 'pay', 'pause', 'unpause', 'refund', 'pass-time']),
  subscription: z.string().max(80).optional(),
  price: z.string().max(200).optional(),
  days: z.coerce.number().int().min(1).max(400).optional(),
  trial: z.literal('on').optional(),
  shuffle: z.literal('on').optional(),
  duplicate: z.literal('on').optional(),
});

export function simulatorPages(deps: Deps): Router {
  const router = Router();
  const form = express.urlencoded({ extended: false, limit: '20kb' });
  router.get('/checkout/:id', (req, res) => showCheckout(deps, req, res));
  router.post('/checkout/:id', form, (req, res) => pay(deps, req, res));
  router.get('/portal/:id', (req, res) => showPortal(deps, req, res));
  router.post('/portal/:id', form, (req, res) => act(deps, req, res));
  router.get('/', (_req, res) => sendPage(deps, res, 'problem', { title: 'Simulated payments', message: 'This stands in for a payment provider. Start from the page "Plan and billing" of Signpost.' }));
  router.use((_req, res) => nothingHere(deps, res));
  return router;
}

function sessionOf({ world }: Deps, req: Request, kind: SimulatedSession['kind']): SimulatedSession | null {
  const id = String(req.params['id']);
  const session = Object.hasOwn(world.state.sessions, id) ? world.state.sessions[id] : undefined;
  return session !== undefined && session.kind === kind ? session : null;
}

function showCheckout(deps: Deps, req: Request, res: Response): void {
  const session = sessionOf(deps, req, 'checkout');
  if (session === null) return nothingHere(deps, res);
  if (session.isComplete) return sendPage(deps, res, 'problem', { title: 'Already paid', message: 'This checkout is complete. Go back to Signpost.' });
  const price = deps.prices.find(({ id }) => id === session.priceId);
  sendPage(deps, res, 'checkout', { title: 'Simulated checkout', session, price, priceText: priceText(price) }, session);
}

async function pay(deps: Deps, req: Request, res: Response): Promise<void> {
  const session = sessionOf(deps, req, 'checkout');
  if (session === null) return nothingHere(deps, res);
  const { trial, shuffle, duplicate } = actionSchema.partial().catch({}).parse(req.body);
  const events = deps.life.pay(session, trial === 'on');
  remember(deps, events);
  // As at the real one: the browser goes back at once, the events come when they come.
  void deps.sender.sendAll(events, { shuffle: shuffle === 'on', duplicate: duplicate === 'on' });
  res.redirect(303, session.successUrl.replaceAll('{CHECKOUT_SESSION_ID}', session.id));
}

/** What happened and what is to be told of it, in one write. */
function remember({ world }: Deps, events: StripeObject[]): void {
  world.state.unsent.push(...events);
  world.save();
}

function showPortal(deps: Deps, req: Request, res: Response): void {
  const session = sessionOf(deps, req, 'portal');
  if (session === null) return nothingHere(deps, res);
  const subscriptions = Object.values(deps.world.state.subscriptions).filter(({ customer }) => customer === session.customer).sort((a, b) => b.created - a.created);
  sendPage(deps, res, 'portal', {
    title: 'Simulated customer portal', session, prices: deps.prices, priceText, sent: deps.sender.sent.slice(0, 12), today: dayText(deps.world.now()),
    subscriptions: subscriptions.map((subscription) => ({ ...subscription, priceName: deps.life.priceOf(subscription).name, until: dayText(subscription.periodEnd) })),
  }, session);
}

async function act(deps: Deps, req: Request, res: Response): Promise<void> {
  const session = sessionOf(deps, req, 'portal');
  const asked = actionSchema.safeParse(req.body).data;
  if (session === null || asked === undefined) return nothingHere(deps, res);
  const subscription = Object.values(deps.world.state.subscriptions).find(({ id, customer }) => id === asked.subscription && customer === session.customer);
  const events = asked.do === 'pass-time' ? deps.life.passTime(asked.days ?? 31) : subscription === undefined ? [] : eventsOf(deps.life, subscription, asked);
  remember(deps, events);
  await deps.sender.sendAll(events, { shuffle: asked.shuffle === 'on', duplicate: asked.duplicate === 'on' });
  res.redirect(303, `${deps.base}/portal/${session.id}`);
}

function eventsOf(life: Life, subscription: SimulatedSubscription, asked: z.output<typeof actionSchema>): StripeObject[] {
  switch (asked.do) {
    case 'change': return life.change(subscription, asked.price ?? '');
    case 'cancel': return life.cancel(subscription, 'period-end');
    case 'cancel-now': return life.cancel(subscription, 'now');
    case 'resume': return life.resume(subscription);
    case 'fail': return life.failPayment(subscription);
    case 'ask-bank': return life.askBank(subscription);
    case 'pay': return life.payOpenInvoice(subscription);
    case 'pause': return life.pause(subscription);
    case 'unpause': return life.unpause(subscription);
    case 'refund': return life.refund(subscription);
    default: return [];
  }
}

function priceText(price: SimulatedPrice | undefined): string {
  return price === undefined ? '' : `${(price.amount / 100).toFixed(2)} ${price.currency.toUpperCase()} a ${price.interval}`;
}

function dayText(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, 10);
}

function nothingHere(deps: Deps, res: Response): void {
  sendPage(deps, res.status(404), 'problem', { title: 'Nothing here', message: 'This simulated page does not exist.' });
}

function sendPage({ base }: Deps, res: Response, view: string, model: Record<string, unknown>, session?: SimulatedSession): void {
  const back = session === undefined ? '' : ` ${new URL(session.successUrl).origin} ${new URL(session.cancelUrl).origin}`;
  res.set({
    'Content-Security-Policy': `default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'; form-action 'self'${back}`,
    'X-Content-Type-Options': 'nosniff', 'Referrer-Policy': 'no-referrer', 'Cache-Control': 'no-store',
  });
  ejs.renderFile(`${views}${view}.ejs`, { ...model, base }, { cache: true }).then(
    (html: string) => res.type('html').send(html),
    (error: unknown) => res.status(500).type('text').send(`This page can't be shown: ${error instanceof Error ? error.message : 'unknown error'}`),
  );
}
