/** A second provider behind the same seam: Paddle's events, verified and folded into the same words. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { describe, it } from 'node:test';
import { fold } from '../../src/billing/fold.js';
import { createPaddleAdapter } from '../../src/billing/paddle/paddle-adapter.js';
import type { BillingEvent } from '../../src/billing/subscription.js';

const SECRET = 'pdl_ntfset_test';
const NOW = new Date('2026-11-01T12:00:00Z');
const ACCOUNT = 'acc_01k0example0000000000000000';
const adapter = createPaddleAdapter({ secrets: ['pdl_old', SECRET] });

const sign = (body: string, at = NOW, secret = SECRET): string => {
  const ts = Math.floor(at.getTime() / 1000);
  return `ts=${ts};h1=${createHmac('sha256', secret).update(`${ts}:${body}`).digest('hex')}`;
};
const event = (id: string, type: string, at: string, data: object): string => JSON.stringify({
  event_id: id, event_type: type, occurred_at: at, notification_id: `ntf_${id}`,
  data: { customer_id: 'ctm_1', custom_data: { signpost_account: ACCOUNT }, ...data },
});
const subscription = (status: string, more: object = {}): object => ({
  id: 'sub_p', status, items: [{ price: { id: 'pri_flat', product_id: 'pro_1' } }], current_billing_period: { starts_at: '2026-11-01T00:00:00Z', ends_at: '2026-12-01T00:00:00Z' }, scheduled_change: null, ...more,
});
const read = (body: string): BillingEvent => {
  const verified = adapter.verify(Buffer.from(body), { 'paddle-signature': sign(body) }, NOW);
  assert.ok(verified.outcome === 'told' && verified.told.event !== null, JSON.stringify(verified));
  return verified.told.event;
};

describe('Paddle\'s events', () => {
  const created = event('evt_1', 'subscription.created', '2026-11-01T00:00:00.100Z', subscription('trialing'));

  it('are refused when they are not Paddle\'s, changed or old', () => {
    const outcome = (header: string | undefined, body = created): string => adapter.verify(Buffer.from(body), { 'paddle-signature': header }, NOW).outcome;
    assert.equal(outcome(sign(created)), 'told');
    assert.equal(outcome(sign(created, NOW, 'pdl_old')), 'told', 'several secrets');
    assert.equal(outcome(sign(created, NOW, 'another')), 'refused');
    assert.equal(outcome(sign(created), `${created} `), 'refused');
    assert.equal(outcome(sign(created, new Date(NOW.getTime() - 301_000))), 'refused');
    assert.equal(outcome(undefined), 'refused');
    assert.equal(outcome('ts=;h1='), 'refused');
    assert.equal(outcome(sign('no json'), 'no json'), 'unreadable');
  });

  it('fold to the same state in any order', () => {
    const life = [
      created,
      event('evt_2', 'subscription.activated', '2026-11-01T01:00:00Z', subscription('active')),
      event('evt_3', 'transaction.completed', '2026-11-01T01:00:00Z', { id: 'txn_1', subscription_id: 'sub_p', details: { totals: { grand_total: '1900', currency_code: 'EUR' } }, billing_period: { ends_at: '2026-12-01T00:00:00Z' } }),
      event('evt_4', 'subscription.updated', '2026-11-05T00:00:00Z', subscription('active', { scheduled_change: { action: 'cancel', effective_at: '2026-12-01T00:00:00Z' } })),
    ].map(read);
    const state = fold(life);
    assert.deepEqual(fold([...life].reverse()), state);
    assert.equal(state.accountId, ACCOUNT);
    assert.equal(state.subscriptions[0]?.snapshot.status, 'active');
    assert.equal(state.subscriptions[0]?.snapshot.priceId, 'pri_flat');
    assert.equal(state.subscriptions[0]?.snapshot.cancelAt?.toISOString(), '2026-12-01T00:00:00.000Z');
    assert.deepEqual(state.invoices.map(({ id, amount, currency, outcome }) => [id, amount, currency, outcome]), [['txn_1', 1900, 'eur', 'paid']]);
    const ended = read(event('evt_5', 'subscription.canceled', '2026-12-01T00:00:00Z', subscription('canceled')));
    assert.equal(fold([ended, ...life]).subscriptions[0]?.snapshot.status, 'ended');
  });

  it('name every price of a subscription for several things', () => {
    const items = [{ price: { id: 'pri_support' } }, { price: { id: 'pri_flat', custom_data: { lookup_key: 'flat' } } }];
    const { fact } = read(event('evt_items', 'subscription.updated', '2026-11-02T00:00:00Z', subscription('active', { items })));
    assert.ok(fact.kind === 'subscription');
    assert.deepEqual([fact.snapshot.priceId, fact.snapshot.furtherPrices], ['pri_support', [{ priceId: 'pri_flat', lookupKey: 'flat' }]]);
  });

  it('mean the same as Stripe\'s, each in its own words', () => {
    const statusOf = (type: string, status: string): string | undefined => {
      const { fact } = read(event(`evt_${type}`, type, '2026-11-02T00:00:00Z', subscription(status)));
      return fact.kind === 'subscription' ? fact.snapshot.status : undefined;
    };
    assert.equal(statusOf('subscription.trialing', 'trialing'), 'trialing');
    assert.equal(statusOf('subscription.past_due', 'past_due'), 'past-due');
    assert.equal(statusOf('subscription.paused', 'paused'), 'paused');
    assert.equal(statusOf('subscription.resumed', 'active'), 'active');
    assert.equal(statusOf('subscription.canceled', 'canceled'), 'ended');
    assert.equal(statusOf('subscription.updated', 'a-new-word'), 'unknown');
    const failed = read(event('evt_f', 'transaction.payment_failed', '2026-11-02T00:00:00Z', { id: 'txn_2', subscription_id: 'sub_p', details: { totals: { grand_total: '1900', currency_code: 'EUR' } } }));
    assert.ok(failed.fact.kind === 'payment' && failed.fact.invoice.outcome === 'failed');
    const other = adapter.verify(Buffer.from(event('evt_o', 'product.created', '2026-11-02T00:00:00Z', { id: 'pro_1' })), { 'paddle-signature': sign(event('evt_o', 'product.created', '2026-11-02T00:00:00Z', { id: 'pro_1' })) }, NOW);
    assert.ok(other.outcome === 'told' && other.told.event === null && other.told.reason !== null, 'what it ignores is said');
  });
});
