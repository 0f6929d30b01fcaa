/** Our own faults, and the provider's: what could not be stored is sent again, and one who hangs holds nobody up. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import express from 'express';
import { billingEventIndexes, createBillingEventStore } from '../../src/billing/billing-event-store.js';
import { billingIndexes, createBillingStore } from '../../src/billing/billing-store.js';
import { createFolding } from '../../src/billing/folding.js';
import { hookReceiver } from '../../src/billing/hook-receiver.js';
import { createIntake } from '../../src/billing/intake.js';
import { defaultPlans } from '../../src/billing/plan.js';
import { createStripeAdapter } from '../../src/billing/stripe/stripe-adapter.js';
import { connectDatabase, ensureIndexes } from '../../src/db/database.js';
import { systemClock } from '../../src/lib/clock.js';
import { createLogger } from '../../src/lib/logger.js';
import { mongodbUri, temporaryDatabase } from '../support/temporary-database.js';
import { waitUntil } from '../support/wait-until.js';
import { documents, SECRET, sendEvent, startBillingApp, type BillingApp } from './billing-app.js';
import { stripeLife, withPrice, type StripeEvent } from './stripe-life.js';

const beginning = (customer: string, accountId: string): StripeEvent[] => withPrice(
  stripeLife({ customer, subscription: customer.replace('cus', 'sub'), accountId, start: Math.floor(Date.now() / 1000) - 60, shape: 'new' }).slice(0, 3), { price_basic: 'price_signpost_flat' });

it('answers 503 while an event can\'t be stored, and takes the same one afterwards, once', async () => {
  const { db, name } = await temporaryDatabase();
  await ensureIndexes(db, [...billingEventIndexes, ...billingIndexes]);
  const log = createLogger('silent');
  const broken = await connectDatabase(mongodbUri(), name);
  await broken.close();
  const doorOn = (database: typeof db) => {
    const events = createBillingEventStore(database);
    const folding = createFolding({
      events, store: createBillingStore(database), plans: defaultPlans, clock: systemClock, planClock: systemClock, providers: new Set(['stripe']), api: null,
      existingAccounts: async (ids) => new Set(ids), onWritten: () => undefined, onChanged: () => undefined,
    });
    const intake = createIntake({ adapters: [createStripeAdapter({ secrets: [SECRET] })], events, folding, api: null, clock: systemClock, log });
    return { intake, door: hookReceiver({ intake, log }) };
  };
  const good = doorOn(db);
  let { door } = doorOn(broken.db);
  const server = createServer(express().use((req, res, next) => void door(req, res, next)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const [event] = beginning('cus_503', 'acc_1');
  const refused = await sendEvent(url, event!);
  assert.equal(refused.status, 503);
  assert.doesNotMatch(JSON.stringify(refused.body), /Mongo|at .*\.js/, 'nothing of our insides');
  const forged = await sendEvent(url, event!, { secret: 'whsec_of_somebody_else' });
  assert.equal(forged.status, 400, 'what is refused is refused, noted or not');
  door = good.door;
  assert.equal((await sendEvent(url, event!)).status, 200);
  assert.match(String((await sendEvent(url, event!)).body['message']), /Received before/);
  await good.intake.idle();
  const stored = await db.collection('billing_events').find().toArray();
  assert.deepEqual(stored.map(({ outcome }) => outcome), ['applied']);
  const bodies = await db.collection<{ raw: string }>('billing_bodies').find().toArray();
  assert.deepEqual(bodies.map(({ raw }) => JSON.parse(raw) as unknown), [event], 'the body as it came, beside what was read of it');
});

describe('a provider that never answers', () => {
  let app: BillingApp;
  let asked = 0;
  const provider = createServer(() => {
    asked += 1;
  });
  before(async () => {
    await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve));
    // Below a path, as behind a proxy.
    app = await startBillingApp({ STRIPE_API_KEY: 'sk_test_key', STRIPE_API_URL: `http://127.0.0.1:${(provider.address() as AddressInfo).port}/stripe` });
  });
  after(async () => {
    provider.closeAllConnections();
    provider.close();
    await app.stop();
  });

  it('delays nobody\'s plan for longer than a moment, and is asked again', async () => {
    const people = await Promise.all(Array.from({ length: 12 }, (_, i) => app.newcomer(`hang${i}@example.com`)));
    const sentAt = performance.now();
    await Promise.all(people.flatMap(({ accountId }, i) => beginning(`cus_hang${i}`, accountId).map((event) => app.send(event))));
    for (const { session } of people) await waitUntil('the plan', async () => /id="plan-name">Flat</.test((await session.get('/billing')).text));
    assert.ok(performance.now() - sentAt < 15_000, 'not one time-out after the other');
    assert.ok(asked > 0);
    const waiting = (await documents(app.databaseName, 'billing_events')).filter(({ outcome }) => outcome === 'pending');
    assert.equal(waiting.length, 36, 'each of them is looked at again');
  });
});

describe('what is stored of what can\'t be used', () => {
  let app: BillingApp;
  before(async () => {
    app = await startBillingApp();
  });
  after(() => app.stop());

  it('a huge body is refused and noted', async () => {
    assert.equal((await app.send('x'.repeat(600_000))).status, 413);
    await waitUntil('the note', async () => (await documents(app.databaseName, 'billing_refusals')).some(({ reason }) => /too large/.test(String(reason))));
  });

  it('a price that no plan has is said where the event stands, on the page, and no second subscription is sold beside it', async () => {
    const { session, accountId } = await app.newcomer('strange@example.com');
    for (const event of beginning('cus_strange', accountId)) await app.send(withPrice([event], { price_signpost_flat: 'price_unheard_of' })[0]!);
    await waitUntil('the notice', async () => /id="unknown-price"/.test((await session.get('/billing')).text));
    const [event] = (await documents(app.databaseName, 'billing_events')).filter(({ type }) => type === 'customer.subscription.created');
    assert.equal(event?.['outcome'], 'applied');
    assert.match(String(event?.['reason']), /No plan has its price price_unheard_of/);
    assert.equal((await session.post('/billing/checkout', { plan: 'flat' }, { from: '/billing/change/flat' })).status, 409);
  });

  it('an event that held nothing for Signpost is forgotten one day, and can be read again by a newer version', async () => {
    const { session } = await app.newcomer('reader@example.com');
    assert.ok(session);
    const at = Math.floor(Date.now() / 1000);
    await app.send({ id: 'evt_later', object: 'event', type: 'invoice.upcoming', created: at, data: { object: { id: 'in_1', customer: 'cus_1' } } });
    const stored = (await documents(app.databaseName, 'billing_events')).find(({ _id }) => _id === 'stripe:evt_later');
    assert.equal(stored?.['outcome'], 'ignored');
    assert.ok(stored?.['forgetAt'] instanceof Date && stored['forgetAt'] > new Date(Date.now() + 80 * 86_400_000));
  });
});
