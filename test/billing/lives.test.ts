/** Lives told to two processes at once, in any order and more than once, end stored as they would have in order. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import Stripe from 'stripe';
import { billingEventIndexes, createBillingEventStore } from '../../src/billing/billing-event-store.js';
import { billingIndexes, createBillingStore } from '../../src/billing/billing-store.js';
import { fold } from '../../src/billing/fold.js';
import { createFolding } from '../../src/billing/folding.js';
import { createIntake } from '../../src/billing/intake.js';
import { defaultPlans } from '../../src/billing/plan.js';
import { createStripeAdapter } from '../../src/billing/stripe/stripe-adapter.js';
import { ensureIndexes } from '../../src/db/database.js';
import { systemClock } from '../../src/lib/clock.js';
import { createLogger } from '../../src/lib/logger.js';
import { temporaryDatabase } from '../support/temporary-database.js';
import { stripeLife, type StripeEvent } from './stripe-life.js';

const SECRET = 'whsec_lives';
const { db } = await temporaryDatabase();

/** One process: everything of its own but the database. */
function newProcess() {
  const events = createBillingEventStore(db);
  const store = createBillingStore(db);
  const folding = createFolding({
    events, store, plans: defaultPlans, clock: systemClock, planClock: systemClock, providers: new Set(['stripe']), api: null,
    existingAccounts: async (ids) => new Set(ids), onWritten: () => undefined, onChanged: () => undefined,
  });
  const adapter = createStripeAdapter({ secrets: [SECRET] });
  return { adapter, store, intake: createIntake({ adapters: [adapter], events, folding, api: null, clock: systemClock, log: createLogger('silent') }) };
}

it('any subset, order and repetition, told to two processes at once, is stored as the same state', async () => {
  await ensureIndexes(db, [...billingEventIndexes, ...billingIndexes]);
  const processes = [newProcess(), newProcess()];
  const { adapter, store } = processes[0]!;
  let count = 0;
  const deliver = async (event: StripeEvent, to: number): Promise<void> => {
    const payload = JSON.stringify(event);
    const header = Stripe.webhooks.generateTestHeaderString({ payload, secret: SECRET });
    assert.equal((await processes[to]!.intake.receive('stripe', Buffer.from(payload), { 'stripe-signature': header })).status, 200);
  };
  const read = (event: StripeEvent) => {
    const verified = adapter.read(Buffer.from(JSON.stringify(event)));
    return verified.outcome === 'told' && verified.told.event !== null ? [verified.told.event] : [];
  };
  const positions = Array.from({ length: 17 }, (_, i) => i);
  await fc.assert(fc.asyncProperty(fc.subarray(positions, { minLength: 1 }), fc.infiniteStream(fc.nat()), fc.boolean(), async (subset, stream, isNew) => {
    const random = stream[Symbol.iterator]();
    const draw = (): number => random.next().value as number;
    const n = (count += 1);
    const life = stripeLife({ customer: `cus_${n}`, subscription: `sub_${n}`, accountId: `acc_${n}`, start: 1_780_000_000, shape: isNew ? 'new' : 'old' });
    const told = subset.flatMap((i) => Array.from({ length: 1 + (draw() % 3) }, () => life[i]!)).map((event) => ({ event, key: draw() })).sort((a, b) => a.key - b.key);
    await Promise.all(told.map(({ event }) => deliver(event, draw() % 2)));
    for (const { intake } of processes) await intake.idle();
    const want = fold(subset.flatMap((i) => read(life[i]!)));
    const [customer] = await store.findCustomers([`stripe:cus_${n}`]);
    assert.ok(customer);
    assert.deepEqual({ accountId: customer.accountId, isDeleted: customer.isDeleted, subscriptions: customer.subscriptions, invoices: customer.invoices }, want);
    if (want.accountId === null) return;
    const account = await store.findAccount(want.accountId);
    assert.deepEqual(account?.subscriptions, want.subscriptions);
    assert.equal(await db.collection('billing_events').countDocuments({ customer: `stripe:cus_${n}`, outcome: 'pending' }), 0);
  }), { numRuns: 40 });
});
