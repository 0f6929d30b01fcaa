/** The simulated provider's objects and events in the shapes of Stripe's current API version. */
import type { BillingWorld, SimulatedInvoice, SimulatedPrice, SimulatedSession, SimulatedSubscription } from './billing-world.js';

export const API_VERSION = '2026-10-28.endive';

export type StripeObject = Record<string, unknown>;

export function subscriptionObject(subscription: SimulatedSubscription, price: SimulatedPrice): StripeObject {
  return {
    id: subscription.id, object: 'subscription', customer: subscription.customer, status: subscription.status, created: subscription.created,
    cancel_at_period_end: subscription.cancelAtPeriodEnd, cancel_at: subscription.cancelAtPeriodEnd ? subscription.periodEnd : null,
    ended_at: subscription.endedAt, trial_end: subscription.trialEnd, metadata: subscription.metadata, livemode: false,
    items: {
      object: 'list',
      data: [{
        id: subscription.id.replace(/^sub/, 'si'), object: 'subscription_item', quantity: 1,
        current_period_start: subscription.periodStart, current_period_end: subscription.periodEnd,
        price: { id: price.id, object: 'price', lookup_key: price.lookupKey, unit_amount: price.amount, currency: price.currency, recurring: { interval: price.interval } },
      }],
    },
  };
}

export function invoiceObject(invoice: SimulatedInvoice, subscription: SimulatedSubscription, reason: string, nextAttempt: number | null): StripeObject {
  return {
    id: invoice.id, object: 'invoice', customer: subscription.customer, status: invoice.isPaid ? 'paid' : 'open', billing_reason: reason, created: invoice.created,
    amount_due: invoice.amount, amount_paid: invoice.isPaid ? invoice.amount : 0, currency: invoice.currency, attempt_count: 1, next_payment_attempt: nextAttempt,
    hosted_invoice_url: null, livemode: false,
    parent: { type: 'subscription_details', subscription_details: { subscription: subscription.id, metadata: subscription.metadata } },
    lines: { object: 'list', data: [{ object: 'line_item', amount: invoice.amount, period: { start: subscription.periodStart, end: invoice.periodEnd } }] },
  };
}

export function chargeObject(invoice: SimulatedInvoice, subscription: SimulatedSubscription): StripeObject {
  return {
    id: invoice.id.replace(/^in/, 'ch'), object: 'charge', customer: subscription.customer, amount: invoice.amount, amount_refunded: invoice.isRefunded ? invoice.amount : 0,
    refunded: invoice.isRefunded, currency: invoice.currency, livemode: false,
  };
}

export function sessionObject(session: SimulatedSession, publicUrl: string): StripeObject {
  if (session.kind === 'portal') return { id: session.id, object: 'billing_portal.session', customer: session.customer, return_url: session.cancelUrl, url: `${publicUrl}/portal/${session.id}`, livemode: false };
  return {
    id: session.id, object: 'checkout.session', mode: 'subscription', status: session.isComplete ? 'complete' : 'open', payment_status: session.isComplete ? 'paid' : 'unpaid',
    customer: session.customer, subscription: session.subscription, client_reference_id: session.reference, metadata: session.metadata,
    url: session.isComplete ? null : `${publicUrl}/checkout/${session.id}`, livemode: false,
  };
}

export function eventObject(world: BillingWorld, type: string, object: StripeObject, previous?: StripeObject): StripeObject {
  return {
    id: world.newId('evt'), object: 'event', type, created: world.now(), api_version: API_VERSION, livemode: false, pending_webhooks: 1,
    data: { object, ...(previous === undefined ? {} : { previous_attributes: previous }) },
  };
}
