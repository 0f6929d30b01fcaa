/** A subscription's life as Stripe would tell it: trial, paid, failed, recovered, upgraded, cancelled; in the shapes of old and new API versions. */

export interface LifeOptions {
  customer: string;
  subscription: string;
  accountId: string;
  /** Unix seconds of its beginning. */
  start: number;
  shape: 'old' | 'new';
}

export type StripeEvent = { id: string; type: string; created: number; api_version: string; data: { object: Record<string, unknown>; previous_attributes?: Record<string, unknown> } } & Record<string, unknown>;

const DAY = 86_400;

export function stripeLife({ customer, subscription, accountId, start, shape }: LifeOptions): StripeEvent[] {
  let count = 0;
  const event = (type: string, created: number, object: Record<string, unknown>, previous?: Record<string, unknown>): StripeEvent => {
    count += 1;
    return {
      id: `evt_${subscription}_${String(count).padStart(3, '0')}`, object: 'event', type, created, api_version: shape === 'new' ? '2026-10-28.endive' : '2022-11-15', livemode: false,
      data: { object, ...(previous === undefined ? {} : { previous_attributes: previous }) },
    };
  };
  const sub = (status: string, price: string, periodEnd: number, more: Record<string, unknown> = {}): Record<string, unknown> => ({
    id: subscription, object: 'subscription', customer, status, cancel_at_period_end: false, cancel_at: null, metadata: { signpost_account: accountId },
    ...(shape === 'old' ? { current_period_end: periodEnd, plan: { id: price } } : {}),
    items: { data: [{ id: 'si_1', price: { id: price, lookup_key: null }, ...(shape === 'new' ? { current_period_end: periodEnd } : {}) }] },
    ...more,
  });
  const invoice = (id: string, periodEnd: number, more: Record<string, unknown> = {}): Record<string, unknown> => ({
    id, object: 'invoice', customer, amount_due: 1900, amount_paid: 1900, currency: 'eur', hosted_invoice_url: `https://invoice.example/${id}`,
    ...(shape === 'old' ? { subscription } : { parent: { type: 'subscription_details', subscription_details: { subscription, metadata: {} } } }),
    lines: { data: [{ period: { start: periodEnd - 30 * DAY, end: periodEnd } }] },
    ...more,
  });
  const trialEnd = start + 14 * DAY;
  const first = trialEnd + 30 * DAY;
  const second = first + 30 * DAY;
  return [
    event('checkout.session.completed', start, { id: 'cs_1', object: 'checkout.session', mode: 'subscription', client_reference_id: accountId, customer, subscription, payment_status: 'paid', metadata: {} }),
    event('customer.subscription.created', start, sub('incomplete', 'price_basic', trialEnd)),
    event('customer.subscription.updated', start, sub('trialing', 'price_basic', trialEnd, { trial_end: trialEnd }), { status: 'incomplete' }),
    event('invoice.paid', start, invoice('in_0', trialEnd, { amount_due: 0, amount_paid: 0 })),
    event('customer.subscription.trial_will_end', trialEnd - 3 * DAY, sub('trialing', 'price_basic', trialEnd, { trial_end: trialEnd })),
    event('customer.subscription.updated', trialEnd, sub('active', 'price_basic', first), { status: 'trialing' }),
    event('invoice.paid', trialEnd + 3600, invoice('in_1', first)),
    event('invoice.payment_failed', first + 3600, invoice('in_2', second, { amount_paid: 0, next_payment_attempt: first + 3 * DAY })),
    event('customer.subscription.updated', first + 3600, sub('past_due', 'price_basic', second), { status: 'active' }),
    event('invoice.payment_action_required', first + 2 * DAY, invoice('in_2', second, { amount_paid: 0 })),
    event('invoice.paid', first + 3 * DAY, invoice('in_2', second)),
    event('customer.subscription.updated', first + 3 * DAY, sub('active', 'price_basic', second), { status: 'past_due' }),
    event('customer.subscription.updated', first + 5 * DAY, sub('active', 'price_flat', second), { items: { data: [{ price: { id: 'price_basic' } }] } }),
    event('invoice.paid', first + 5 * DAY, invoice('in_3', second, { amount_due: 900, amount_paid: 900 })),
    event('customer.subscription.updated', first + 8 * DAY, sub('active', 'price_flat', second, { cancel_at_period_end: true, cancel_at: second }), { cancel_at_period_end: false }),
    event('charge.refunded', first + 9 * DAY, { id: 'ch_1', object: 'charge', customer, amount_refunded: 900, currency: 'eur' }),
    event('customer.subscription.deleted', second, sub('canceled', 'price_flat', second, { ended_at: second })),
  ];
}

/** The same life at other prices: `names` says what becomes of which. */
export function withPrice(life: StripeEvent[], names: Record<string, string>): StripeEvent[] {
  return life.map((event) => {
    const text = Object.entries(names).reduce((all, [from, to]) => all.replaceAll(`"${from}"`, `"${to}"`), JSON.stringify(event));
    return JSON.parse(text) as StripeEvent;
  });
}
