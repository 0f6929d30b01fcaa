/** Events in every subset, order and repetition come to the same state; and that state is the right one at each point of a life. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import Stripe from 'stripe';
import { fold } from '../../src/billing/fold.js';
import { defaultPlans, type PlanBook } from '../../src/billing/plan.js';
import { createStripeAdapter } from '../../src/billing/stripe/stripe-adapter.js';
import { entitlementOf, type BillingEvent } from '../../src/billing/subscription.js';
import { stripeLife, type StripeEvent } from './stripe-life.js';

const SECRET = 'whsec_fold';
const START = 1_780_000_000;
const DAY = 86_400;
const ACCOUNT = 'acc_01k0example0000000000000000';
const adapter = createStripeAdapter({ secrets: [SECRET] });

const plans: PlanBook = {
  graceDays: 7,
  plans: [
    defaultPlans.plans[0]!,
    { ...defaultPlans.plans[1]!, key: 'basic', name: 'Basic', prices: ['price_basic'], lookupKeys: [] },
    { ...defaultPlans.plans[1]!, key: 'flat', name: 'Flat', prices: ['price_flat'], lookupKeys: [] },
  ],
};

/** Through the adapter's own door: signed, verified, read. */
function read(event: StripeEvent): BillingEvent[] {
  const payload = JSON.stringify(event);
  const header = Stripe.webhooks.generateTestHeaderString({ payload, secret: SECRET });
  const verified = adapter.verify(Buffer.from(payload), { 'stripe-signature': header }, new Date());
  assert.equal(verified.outcome, 'told');
  return verified.outcome === 'told' && verified.told.event !== null ? [verified.told.event] : [];
}

for (const shape of ['old', 'new'] as const) {
  describe(`a life told in the ${shape} API version`, () => {
    const life = stripeLife({ customer: 'cus_1', subscription: 'sub_1', accountId: ACCOUNT, start: START, shape }).flatMap(read);

    it('reads every event of it', () => assert.equal(life.length, 17));

    it('ends the same for every subset, order and repetition', () => {
      const positions = life.map((_event, i) => i);
      fc.assert(fc.property(fc.subarray(positions), fc.infiniteStream(fc.nat()), (subset, stream) => {
        const random = stream[Symbol.iterator]();
        const next = (): number => random.next().value as number;
        const inOrder = subset.map((i) => life[i]!);
        const doubled = inOrder.flatMap((event) => Array.from({ length: 1 + (next() % 3) }, () => event));
        const shuffled = doubled.map((event) => ({ event, key: next() })).sort((a, b) => a.key - b.key).map(({ event }) => event);
        assert.deepEqual(fold(shuffled), fold(inOrder));
      }), { numRuns: 2_000 });
    });

    it('ends ended, with every invoice, whatever came last', () => {
      fc.assert(fc.property(fc.shuffledSubarray(life, { minLength: life.length }), (shuffled) => {
        const state = fold(shuffled);
        assert.equal(state.accountId, ACCOUNT);
        assert.equal(state.subscriptions.length, 1);
        assert.equal(state.subscriptions[0]?.snapshot.status, 'ended');
        assert.notEqual(state.subscriptions[0]?.endedAt, null);
        assert.deepEqual(state.invoices.map(({ id, outcome }) => `${id} ${outcome}`), ['ch_1 refunded', 'in_3 paid', 'in_2 paid', 'in_1 paid', 'in_0 paid']);
      }), { numRuns: 300 });
    });

    it('gives the right plan at each point of it', () => {
      const at = (seconds: number, now = seconds): string => {
        const state = fold(life.filter(({ occurredAt }) => occurredAt.getTime() / 1000 <= seconds));
        const { plan, graceUntil } = entitlementOf(state.subscriptions, null, plans, new Date(now * 1000));
        return `${plan.key}${graceUntil === null ? '' : ' in grace'}`;
      };
      const first = START + 44 * DAY;
      const second = first + 30 * DAY;
      assert.equal(at(START - 1), 'free');
      assert.equal(at(START), 'basic');
      assert.equal(at(START + 14 * DAY), 'basic');
      assert.equal(at(first + 3600), 'basic in grace');
      assert.equal(at(first + 3600, first + 3600 + 7 * DAY + 1), 'free in grace', 'the grace time is over');
      assert.equal(at(first + 3 * DAY), 'basic');
      assert.equal(at(first + 5 * DAY), 'flat');
      assert.equal(at(first + 8 * DAY), 'flat', 'cancelled, but paid until the end of the period');
      assert.equal(at(first + 8 * DAY, second + 1), 'free', 'even when nobody tells of the end');
      assert.equal(at(second), 'free');
    });
  });
}

describe('facts that arrive within one second', () => {
  const base = stripeLife({ customer: 'cus_1', subscription: 'sub_1', accountId: ACCOUNT, start: START, shape: 'new' });
  const update = (id: string, from: string, to: string): StripeEvent => {
    const event = structuredClone(base[5]!);
    event.id = id;
    event.data.object['status'] = to;
    event.data.previous_attributes = { status: from };
    return event;
  };

  it('are put in order by what each says was there before', () => {
    // By their ids they would come the other way round.
    const chain = [update('evt_c', 'incomplete', 'trialing'), update('evt_b', 'trialing', 'active'), update('evt_a', 'active', 'past_due')].flatMap(read);
    fc.assert(fc.property(fc.shuffledSubarray(chain, { minLength: 3 }), (shuffled) => {
      assert.equal(fold(shuffled).subscriptions[0]?.snapshot.status, 'past-due');
    }));
  });

  it('never bring an ended subscription back, even when they happened later', () => {
    const ended = base.at(-1)!;
    const late = structuredClone(base[12]!);
    late.id = 'evt_late';
    late.created = ended.created + DAY;
    const state = fold([late, ended].flatMap(read));
    assert.equal(state.subscriptions[0]?.snapshot.status, 'ended');
  });
});

describe('what else may happen to a subscription', () => {
  const base = stripeLife({ customer: 'cus_1', subscription: 'sub_1', accountId: ACCOUNT, start: START, shape: 'new' });
  const active = base[5]!;
  const at = (seconds: number, type: string, object: object): StripeEvent => ({ ...active, id: `evt_at_${seconds}_${type}`, type, created: active.created + seconds, data: { object: { ...object } } });
  const planNow = (events: StripeEvent[]): string => entitlementOf(fold(events.flatMap(read)).subscriptions, null, plans, new Date((active.created + 100) * 1000)).plan.key;

  it('paused, it gives nothing; resumed, it gives its plan again', () => {
    const paused = at(10, 'customer.subscription.paused', { ...active.data.object, status: 'paused' });
    const resumed = at(20, 'customer.subscription.resumed', active.data.object);
    assert.equal(planNow([active]), 'basic');
    assert.equal(planNow([paused, active]), 'free');
    assert.equal(planNow([resumed, paused, active]), 'basic');
  });

  it('for several things at once, it gives the plan that any of them stands for', () => {
    const items = (...prices: string[]) => ({ data: prices.map((id) => ({ price: { id, lookup_key: null }, current_period_end: active.created + 30 * DAY })) });
    assert.equal(planNow([at(10, 'customer.subscription.updated', { ...active.data.object, items: items('price_support', 'price_basic') })]), 'basic');
    assert.equal(planNow([at(10, 'customer.subscription.updated', { ...active.data.object, items: items('price_basic', 'price_support', 'price_flat') })]), 'flat', 'the one that is worth most');
    assert.equal(planNow([at(10, 'customer.subscription.updated', { ...active.data.object, items: items('price_support', 'price_seats') })]), 'free');
  });

  it('changed from a year to a month, its next charge is in a month, though the credit names the year', () => {
    const month = active.created + 30 * DAY;
    const update = at(10, 'customer.subscription.updated', { ...active.data.object, items: { data: [{ price: { id: 'price_flat', lookup_key: null }, current_period_end: month }] } });
    const lines = { data: [{ amount: -17_000, period: { end: active.created + 360 * DAY } }, { amount: 1900, period: { end: month } }] };
    const paid = at(10, 'invoice.paid', { id: 'in_change', object: 'invoice', customer: 'cus_1', amount_paid: 0, amount_due: 0, currency: 'eur', lines, parent: { subscription_details: { subscription: 'sub_1', metadata: {} } } });
    assert.equal(fold([active, update, paid].flatMap(read)).subscriptions[0]?.snapshot.periodEnd?.getTime(), month * 1000);
  });

  it('a status that is too new to be known changes nothing', () => {
    assert.equal(planNow([active, at(10, 'customer.subscription.updated', { ...active.data.object, status: 'hibernating' })]), 'basic');
    assert.equal(planNow([active, at(10, 'customer.subscription.updated', { ...active.data.object, status: 'constructor' })]), 'basic');
    assert.equal(planNow([at(10, 'customer.subscription.created', { ...active.data.object, status: 'hibernating' })]), 'free', 'and gives nothing by itself');
  });

  it('a deleted customer has nothing any more, whenever that is told', () => {
    const deleted = at(10, 'customer.deleted', { id: 'cus_1', object: 'customer', metadata: {} });
    assert.equal(planNow([deleted, active]), 'free');
    assert.equal(planNow([active, at(20, 'customer.subscription.updated', active.data.object), deleted]), 'free');
  });

  it('refunds of one charge are one line with all that was given back', () => {
    const refund = (seconds: number, amount: number): StripeEvent => at(seconds, 'charge.refunded', { id: 'ch_1', object: 'charge', customer: 'cus_1', amount_refunded: amount, currency: 'eur' });
    const { invoices } = fold([refund(20, 900), refund(10, 400)].flatMap(read));
    assert.deepEqual(invoices.map(({ id, amount, outcome }) => [id, amount, outcome]), [['ch_1', 900, 'refunded']]);
  });
});

it('folds any events at all to the same state in any order', () => {
  const event = fc.record({
    id: fc.integer({ min: 0, max: 30 }).map((n) => `stripe:evt_${n}`),
    provider: fc.constant('stripe'),
    type: fc.constant('x'),
    occurredAt: fc.integer({ min: 0, max: 5 }).map((s) => new Date(s * 1000)),
    customer: fc.constant('stripe:cus_1'),
    subscription: fc.constantFrom('sub_1', 'sub_2'),
    accountId: fc.constantFrom(null, 'acc_1', 'acc_2'),
    fact: fc.oneof(
      fc.record({
        kind: fc.constant('subscription' as const),
        change: fc.constantFrom('created' as const, 'updated' as const, 'ended' as const, 'fetched' as const),
        snapshot: fc.record({
          status: fc.constantFrom('incomplete' as const, 'trialing' as const, 'active' as const, 'past-due' as const, 'unpaid' as const, 'paused' as const, 'unknown' as const),
          priceId: fc.constantFrom('price_basic', 'price_flat'), lookupKey: fc.constant(null), periodEnd: fc.constant(null), cancelAt: fc.constant(null), trialEnd: fc.constant(null),
        }),
        previous: fc.record({ status: fc.constantFrom('active' as const, 'trialing' as const) }),
      }),
      fc.record({
        kind: fc.constant('payment' as const),
        paidUntil: fc.option(fc.integer({ min: 1, max: 9 }).map((s) => new Date(s * 1000))),
        invoice: fc.record({
          id: fc.constantFrom('in_1', 'in_2'), at: fc.constant(new Date(0)), amount: fc.constant(1), currency: fc.constant('eur'),
          outcome: fc.constantFrom('paid' as const, 'failed' as const, 'action-required' as const), url: fc.constant(null), nextAttemptAt: fc.constant(null),
        }),
      }),
      fc.constant({ kind: 'customer-deleted' as const }),
      fc.constant({ kind: 'link' as const }),
    ),
  });
  const distinct = fc.uniqueArray(event, { selector: ({ id }) => id, maxLength: 14 });
  fc.assert(fc.property(distinct.chain((events) => fc.tuple(fc.constant(events), fc.shuffledSubarray(events, { minLength: events.length }))), ([events, shuffled]) => {
    assert.deepEqual(fold(shuffled), fold(events));
  }), { numRuns: 2_000 });
});
