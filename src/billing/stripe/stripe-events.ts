/** From Stripe's events to ours. Pure. */
import type { z } from 'zod';
import type { BillingEvent, BillingFact, SubscriptionSnapshot, SubscriptionStatus } from '../subscription.js';
import { ACCOUNT_FIELD, accountIn, chargeShape, checkoutShape, customerShape, invoiceShape, subscriptionShape, webAddress, type eventShape } from './stripe-shapes.js';

type StripeEvent = z.output<typeof eventShape>;
type Read = BillingEvent | string;

/** Who speaks Stripe's language: Stripe, or the simulated provider, whose customers must never count as Stripe's. */
export type StripeProvider = 'stripe' | 'simulated';

/** Makes an event in our words of one in Stripe's. */
type Make = (customer: string, subscription: string | null, accountId: string | null, fact: BillingFact) => BillingEvent;

const STATUS: ReadonlyMap<string, SubscriptionStatus> = new Map([
  ['incomplete', 'incomplete'], ['incomplete_expired', 'ended'], ['trialing', 'trialing'], ['active', 'active'], ['past_due', 'past-due'], ['unpaid', 'unpaid'], ['paused', 'paused'], ['canceled', 'ended'],
] as const);

/** @returns the event, or the reason why there is nothing in it for us */
export function readStripeEvent(event: StripeEvent, provider: StripeProvider): Read {
  const { type, data } = event;
  const made: Make = (customer, subscription, accountId, fact) => ({
    id: `${provider}:${event.id}`, provider, type, occurredAt: event.created, customer: `${provider}:${customer}`, subscription, accountId, fact,
  });
  if (type.startsWith('customer.subscription.')) return readSubscriptionEvent(event, made);
  if (type === 'checkout.session.completed') return readCheckout(event, made);
  if (type === 'invoice.paid' || type === 'invoice.payment_failed' || type === 'invoice.payment_action_required') return readInvoice(event, made);
  if (type === 'charge.refunded') {
    const charge = chargeShape.safeParse(data.object).data;
    if (charge === undefined || charge.customer === null) return 'The refund names no customer.';
    return made(charge.customer, null, null, { kind: 'refund', charge: charge.id, amount: charge.amount_refunded ?? 0, currency: charge.currency ?? '' });
  }
  if (type === 'customer.deleted') {
    const customer = customerShape.safeParse(data.object).data;
    return customer === undefined ? 'The event holds no customer.' : made(customer.id, null, accountIn(customer.metadata[ACCOUNT_FIELD]), { kind: 'customer-deleted' });
  }
  return `Signpost does nothing about ${type.slice(0, 100)}.`;
}

const CHANGES: Record<string, 'created' | 'updated' | 'ended'> = {
  'customer.subscription.created': 'created', 'customer.subscription.updated': 'updated', 'customer.subscription.paused': 'updated', 'customer.subscription.resumed': 'updated',
  'customer.subscription.deleted': 'ended',
};

function readSubscriptionEvent(event: StripeEvent, made: Make): Read {
  const subscription = subscriptionShape.safeParse(event.data.object).data;
  if (subscription === undefined || subscription.customer === null) return 'The event holds no subscription of a customer.';
  const accountId = accountIn(subscription.metadata[ACCOUNT_FIELD]);
  if (event.type === 'customer.subscription.trial_will_end') return made(subscription.customer, subscription.id, accountId, { kind: 'trial-ending', trialEnd: subscription.trial_end });
  const change = CHANGES[event.type];
  if (change === undefined) return `Signpost does nothing about ${event.type.slice(0, 100)}.`;
  const snapshot = snapshotOf(subscription);
  const previous = previousOf(event.data.previous_attributes);
  return made(subscription.customer, subscription.id, accountId, {
    kind: 'subscription', change, snapshot: change === 'ended' ? { ...snapshot, status: 'ended' } : snapshot, ...(Object.keys(previous).length === 0 ? {} : { previous }),
  });
}

/** Stripe allows no more in one subscription. */
const MOST_ITEMS = 20;

export function snapshotOf(subscription: z.output<typeof subscriptionShape>): SubscriptionSnapshot {
  const [first, ...further] = subscription.items?.data ?? [];
  const furtherPrices = further.slice(0, MOST_ITEMS).map((item) => ({ priceId: item.price?.id ?? item.plan?.id ?? null, lookupKey: item.price?.lookup_key ?? null }));
  const periodEnd = first?.current_period_end ?? subscription.current_period_end;
  return {
    status: STATUS.get(subscription.status) ?? 'unknown',
    priceId: first?.price?.id ?? first?.plan?.id ?? subscription.plan?.id ?? null,
    lookupKey: first?.price?.lookup_key ?? null,
    ...(furtherPrices.length === 0 ? {} : { furtherPrices }),
    periodEnd,
    cancelAt: subscription.cancel_at ?? (subscription.cancel_at_period_end === true ? periodEnd : null),
    trialEnd: subscription.trial_end,
  };
}

/** The fields of the snapshot that Stripe says have changed, as they were. */
function previousOf(given: unknown): Partial<SubscriptionSnapshot> {
  if (typeof given !== 'object' || given === null) return {};
  const before = subscriptionShape.safeParse({ id: 'before', ...given }).data;
  if (before === undefined) return {};
  const snapshot = snapshotOf(before);
  return {
    ...('status' in given ? { status: snapshot.status } : {}),
    ...(before.items?.data[0]?.price?.id || before.plan?.id ? { priceId: snapshot.priceId } : {}),
    ...('trial_end' in given ? { trialEnd: snapshot.trialEnd } : {}),
    ...('cancel_at' in given ? { cancelAt: before.cancel_at } : {}),
    ...(before.items?.data[0]?.current_period_end || 'current_period_end' in given ? { periodEnd: snapshot.periodEnd } : {}),
  };
}

function readCheckout(event: StripeEvent, made: Make): Read {
  const session = checkoutShape.safeParse(event.data.object).data;
  if (session === undefined || session.customer === null) return 'The checkout names no customer.';
  if (session.mode !== null && session.mode !== 'subscription') return 'The checkout was not for a subscription.';
  const accountId = accountIn(session.client_reference_id, session.metadata[ACCOUNT_FIELD]);
  return made(session.customer, session.subscription, accountId, { kind: 'link' });
}

function readInvoice(event: StripeEvent, made: Make): Read {
  const invoice = invoiceShape.safeParse(event.data.object).data;
  if (invoice === undefined || invoice.customer === null) return 'The event holds no invoice of a customer.';
  const details = invoice.parent?.subscription_details;
  const outcome = ({ 'invoice.paid': 'paid', 'invoice.payment_failed': 'failed', 'invoice.payment_action_required': 'action-required' } as const)[event.type as 'invoice.paid'];
  // A credit for what is no longer wanted names the period that was paid before, which may end a year later.
  const ends = (invoice.lines?.data ?? []).filter(({ amount }) => (amount ?? 0) >= 0).map((row) => row.period?.end ?? null).filter((end) => end !== null);
  const paidUntil = outcome === 'paid' && ends.length > 0 ? ends.reduce((latest, end) => (end > latest ? end : latest)) : null;
  const accountId = accountIn(details?.metadata[ACCOUNT_FIELD], invoice.subscription_details?.metadata[ACCOUNT_FIELD]);
  return made(invoice.customer, details?.subscription ?? invoice.subscription, accountId, {
    kind: 'payment',
    paidUntil,
    invoice: {
      id: invoice.id, at: event.created, amount: (outcome === 'paid' ? invoice.amount_paid : invoice.amount_due) ?? 0, currency: invoice.currency ?? '',
      outcome, url: webAddress(invoice.hosted_invoice_url), nextAttemptAt: invoice.next_payment_attempt,
    },
  });
}
