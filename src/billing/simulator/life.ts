/** What happens to simulated subscriptions: paying, renewing, failing, changing, cancelling, and time; each step tells its events. */
import type { BillingWorld, SimulatedInvoice, SimulatedPrice, SimulatedSession, SimulatedSubscription } from './billing-world.js';
import { chargeObject, eventObject, invoiceObject, sessionObject, subscriptionObject, type StripeObject } from './stripe-objects.js';

const DAY_S = 86_400;
const TRIAL_DAYS = 14;
/** As Stripe does. */
const TOLD_BEFORE_TRIAL_END_DAYS = 3;
/** Providers give up after some weeks of trying. */
const GIVEN_UP_AFTER_DAYS = 21;

export type Life = ReturnType<typeof createLife>;

/** Each step returns the events that it tells, in order. */
export function createLife({ world, prices, publicUrl }: { world: BillingWorld; prices: readonly SimulatedPrice[]; publicUrl: () => string }) {
  const { state } = world;

  function priceOf(subscription: SimulatedSubscription): SimulatedPrice {
    return prices.find(({ id }) => id === subscription.priceId) ?? { id: subscription.priceId, lookupKey: null, name: subscription.priceId, amount: 0, currency: 'eur', interval: 'month' };
  }

  function told(type: string, subscription: SimulatedSubscription, previous?: StripeObject): StripeObject {
    return eventObject(world, type, subscriptionObject(subscription, priceOf(subscription)), previous);
  }

  function newInvoice(subscription: SimulatedSubscription, isPaid: boolean): SimulatedInvoice {
    const { amount, currency } = priceOf(subscription);
    const number = Object.keys(state.invoices).length + 1;
    const invoice = { id: world.newId('in'), subscription: subscription.id, number, amount, currency, created: world.now(), periodEnd: subscription.periodEnd, isPaid, isRefunded: false };
    state.invoices[invoice.id] = invoice;
    return invoice;
  }

  function toldInvoice(type: string, invoice: SimulatedInvoice, subscription: SimulatedSubscription, reason: string, nextAttempt: number | null = null): StripeObject {
    return eventObject(world, type, invoiceObject(invoice, subscription, reason, nextAttempt));
  }

  function roll(subscription: SimulatedSubscription): void {
    subscription.periodStart = subscription.periodEnd;
    subscription.periodEnd = addInterval(subscription.periodEnd, priceOf(subscription).interval);
  }

  function end(subscription: SimulatedSubscription): StripeObject[] {
    Object.assign(subscription, { status: 'canceled', endedAt: world.now(), openInvoice: null });
    return [told('customer.subscription.deleted', subscription)];
  }

  function renew(subscription: SimulatedSubscription): StripeObject[] {
    if (subscription.cancelAtPeriodEnd) return end(subscription);
    const previous = subscription.status === 'trialing' ? { status: 'trialing' } : {};
    subscription.status = 'active';
    roll(subscription);
    return [told('customer.subscription.updated', subscription, previous), toldInvoice('invoice.paid', newInvoice(subscription, true), subscription, 'subscription_cycle')];
  }

  function tellTrialEnd(subscription: SimulatedSubscription): StripeObject[] {
    subscription.isTrialEndTold = true;
    return [told('customer.subscription.trial_will_end', subscription)];
  }

  /** What time alone will do to a subscription next. */
  function nextStep(subscription: SimulatedSubscription): { at: number; happen(): StripeObject[] } | null {
    if (subscription.status === 'past_due') {
      const failedAt = state.invoices[subscription.openInvoice ?? '']?.created ?? world.now();
      return { at: failedAt + GIVEN_UP_AFTER_DAYS * DAY_S, happen: () => end(subscription) };
    }
    if (subscription.status === 'trialing' && !subscription.isTrialEndTold && !subscription.cancelAtPeriodEnd) {
      return { at: subscription.periodEnd - TOLD_BEFORE_TRIAL_END_DAYS * DAY_S, happen: () => tellTrialEnd(subscription) };
    }
    return subscription.status === 'active' || subscription.status === 'trialing' ? { at: subscription.periodEnd, happen: () => renew(subscription) } : null;
  }

  function fail(subscription: SimulatedSubscription, type: 'invoice.payment_failed' | 'invoice.payment_action_required'): StripeObject[] {
    if (subscription.status !== 'active' && subscription.status !== 'trialing') return [];
    const invoice = newInvoice(subscription, false);
    const { status } = subscription;
    Object.assign(subscription, { status: 'past_due', openInvoice: invoice.id });
    return [toldInvoice(type, invoice, subscription, 'subscription_cycle', world.now() + 3 * DAY_S), told('customer.subscription.updated', subscription, { status })];
  }

  return {
    priceOf,

    /** The checkout's button. */
    pay(session: SimulatedSession, hasTrial: boolean): StripeObject[] {
      if (session.isComplete || session.priceId === null) return [];
      const now = world.now();
      const customer = session.customer ?? world.newId('cus');
      state.customers[customer] ??= { id: customer, email: session.email };
      const subscription: SimulatedSubscription = {
        id: world.newId('sub'), customer, status: hasTrial ? 'trialing' : 'active', priceId: session.priceId, created: now, periodStart: now, periodEnd: now, cancelAtPeriodEnd: false, endedAt: null,
        trialEnd: hasTrial ? now + TRIAL_DAYS * DAY_S : null, isTrialEndTold: false, openInvoice: null, metadata: session.subscriptionMetadata,
      };
      subscription.periodEnd = subscription.trialEnd ?? addInterval(now, priceOf(subscription).interval);
      state.subscriptions[subscription.id] = subscription;
      Object.assign(session, { isComplete: true, customer, subscription: subscription.id });
      return [
        eventObject(world, 'checkout.session.completed', sessionObject(session, publicUrl())),
        told('customer.subscription.created', subscription),
        ...(hasTrial ? [] : [toldInvoice('invoice.paid', newInvoice(subscription, true), subscription, 'subscription_create')]),
      ];
    },

    change(subscription: SimulatedSubscription, priceId: string): StripeObject[] {
      if (subscription.status === 'canceled' || priceId === subscription.priceId || !prices.some(({ id }) => id === priceId)) return [];
      const before = subscriptionObject(subscription, priceOf(subscription));
      subscription.priceId = priceId;
      return [told('customer.subscription.updated', subscription, { items: before['items'] }), toldInvoice('invoice.paid', newInvoice(subscription, true), subscription, 'subscription_update')];
    },

    cancel(subscription: SimulatedSubscription, when: 'now' | 'period-end'): StripeObject[] {
      if (subscription.status === 'canceled') return [];
      if (when === 'now') return end(subscription);
      subscription.cancelAtPeriodEnd = true;
      return [told('customer.subscription.updated', subscription, { cancel_at_period_end: false, cancel_at: null })];
    },

    resume(subscription: SimulatedSubscription): StripeObject[] {
      if (subscription.status === 'canceled' || !subscription.cancelAtPeriodEnd) return [];
      subscription.cancelAtPeriodEnd = false;
      return [told('customer.subscription.updated', subscription, { cancel_at_period_end: true, cancel_at: subscription.periodEnd })];
    },

    /** The next charge is tried now, and the card is refused. */
    failPayment: (subscription: SimulatedSubscription) => fail(subscription, 'invoice.payment_failed'),

    /** The next charge is tried now, and the bank wants its customer to confirm it. */
    askBank: (subscription: SimulatedSubscription) => fail(subscription, 'invoice.payment_action_required'),

    pause(subscription: SimulatedSubscription): StripeObject[] {
      if (subscription.status !== 'active') return [];
      subscription.status = 'paused';
      return [told('customer.subscription.paused', subscription)];
    },

    unpause(subscription: SimulatedSubscription): StripeObject[] {
      if (subscription.status !== 'paused') return [];
      subscription.status = 'active';
      return [told('customer.subscription.resumed', subscription), ...(subscription.periodEnd <= world.now() ? renew(subscription) : [])];
    },

    /** Gives back what was paid last. */
    refund(subscription: SimulatedSubscription): StripeObject[] {
      const invoice = Object.values(state.invoices).filter((one) => one.subscription === subscription.id && one.isPaid && !one.isRefunded).at(-1);
      if (invoice === undefined) return [];
      invoice.isRefunded = true;
      return [eventObject(world, 'charge.refunded', chargeObject(invoice, subscription))];
    },

    payOpenInvoice(subscription: SimulatedSubscription): StripeObject[] {
      const invoice = subscription.openInvoice === null ? undefined : state.invoices[subscription.openInvoice];
      if (subscription.status !== 'past_due' || invoice === undefined) return [];
      invoice.isPaid = true;
      Object.assign(subscription, { status: 'active', openInvoice: null });
      return [toldInvoice('invoice.paid', invoice, subscription, 'subscription_cycle'), told('customer.subscription.updated', subscription, { status: 'past_due' })];
    },

    /** Passes days on for everybody, with the renewals and ends that fall due. */
    passTime(days: number): StripeObject[] {
      const until = world.now() + days * DAY_S;
      const events: StripeObject[] = [];
      for (;;) {
        const next = Object.values(state.subscriptions).map(nextStep).filter((step) => step !== null && step.at <= until).sort((a, b) => a!.at - b!.at)[0];
        if (!next) break;
        state.offsetS += Math.max(0, next.at - world.now());
        events.push(...next.happen());
      }
      state.offsetS += until - world.now();
      return events;
    },
  };
}

function addInterval(seconds: number, interval: 'month' | 'year'): number {
  const at = new Date(seconds * 1000);
  const months = interval === 'year' ? 12 : 1;
  const next = new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + months, 1, at.getUTCHours(), at.getUTCMinutes(), at.getUTCSeconds()));
  const lastDay = new Date(Date.UTC(next.getUTCFullYear(), next.getUTCMonth() + 1, 0)).getUTCDate();
  return Math.floor(next.setUTCDate(Math.min(at.getUTCDate(), lastDay)) / 1000);
}
