/** With an API key an event is a signal: the provider is asked for the current state, which counts more than what the event says. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { waitUntil } from '../support/wait-until.js';
import { documents, startBillingApp, type BillingApp } from './billing-app.js';
import { stripeLife, type StripeEvent } from './stripe-life.js';

describe('with an API key', () => {
  let app: BillingApp;
  let answer: { status: number; body: object } = { status: 500, body: {} };
  const asked: string[] = [];
  const provider = createServer((req, res) => {
    asked.push(`${req.method} ${req.url}`);
    res.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body));
  });

  before(async () => {
    await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve));
    app = await startBillingApp({ STRIPE_API_KEY: 'sk_test_key', STRIPE_API_URL: `http://127.0.0.1:${(provider.address() as AddressInfo).port}` });
  });
  after(async () => {
    await app.stop();
    provider.close();
    provider.closeAllConnections();
  });

  const beginning = (customer: string, subscription: string, accountId: string): StripeEvent[] => stripeLife({ customer, subscription, accountId, start: Math.floor(Date.now() / 1000) - 60, shape: 'new' }).slice(0, 3)
    .map((event) => ({ ...event, data: JSON.parse(JSON.stringify(event.data).replaceAll('price_basic', 'price_signpost_flat')) as StripeEvent['data'] }));

  it('what the provider answers wins over a late event', async () => {
    const { session, accountId } = await app.newcomer('fetched@example.com');
    const events = beginning('cus_f', 'sub_f', accountId);
    answer = { status: 200, body: { ...events[2]!.data.object, status: 'canceled' } };
    for (const event of events) assert.equal((await app.send(event)).status, 200);
    await waitUntil('the events to be applied', async () => (await documents(app.databaseName, 'billing_events')).filter(({ customer, outcome }) => customer === 'stripe:cus_f' && outcome === 'applied').length === 4);
    assert.ok(asked.includes('GET /v1/subscriptions/sub_f'));
    assert.match((await session.get('/billing')).text, /id="plan-name">Free</);
  });

  it('the events are folded as they came while the provider does not answer, and it is asked again', async () => {
    const { session, accountId } = await app.newcomer('silent@example.com');
    answer = { status: 500, body: { error: { message: 'down' } } };
    for (const event of beginning('cus_s', 'sub_s', accountId)) assert.equal((await app.send(event)).status, 200);
    await waitUntil('the plan', async () => /id="plan-name">Flat</.test((await session.get('/billing')).text), { timeoutMs: 20_000 });
    const waiting = (await documents(app.databaseName, 'billing_events')).filter(({ customer, outcome }) => customer === 'stripe:cus_s' && outcome === 'pending');
    assert.ok(waiting.length > 0);
    assert.match(String(waiting[0]!['reason']), /could not be asked/);
  });

  it('a checkout that can\'t be opened says so and changes nothing', async () => {
    const { session } = await app.newcomer('checkout@example.com');
    const page = await session.post('/billing/checkout', { plan: 'flat' }, { from: '/billing/change/flat' });
    assert.equal(page.status, 503);
    assert.match(page.text, /payment provider does not answer/);
    assert.equal((await session.post('/billing/checkout', { plan: 'nothing' })).status, 404);
    assert.match((await session.get('/billing/return?session_id=cs_x')).text, /is being confirmed/);
    answer = { status: 200, body: { id: 'cs_other', object: 'checkout.session', mode: 'subscription', client_reference_id: 'acc_somebody', customer: 'cus_o', subscription: 'sub_o', metadata: {} } };
    for (const link of ['/billing/return', '/billing/return?session_id=cs_other']) assert.doesNotMatch((await session.get(link)).text, /Thank you/, 'nobody is thanked for what others paid');
  });
});
