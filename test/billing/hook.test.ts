/** Events from the provider at the door: the right status each time, stored with a reason, folded once, and seen at once. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import Stripe from 'stripe';
import { httpSession } from '../../src/cli/http-session.js';
import { connectDatabase } from '../../src/db/database.js';
import { uriOfDatabase } from '../support/temporary-database.js';
import { waitUntil } from '../support/wait-until.js';
import { documents, SECRET, startBillingApp, type BillingApp } from './billing-app.js';
import { stripeLife, type StripeEvent } from './stripe-life.js';

const OLD_SECRET = 'whsec_of_before';
let count = 0;

/** The first part of a life that begins now: checkout, created, active. */
function beginning(accountId: string): { events: StripeEvent[]; customer: string; subscription: string } {
  count += 1;
  const [customer, subscription] = [`cus_${count}`, `sub_${count}`];
  const life = stripeLife({ customer, subscription, accountId, start: Math.floor(Date.now() / 1000) - 60, shape: 'new' });
  for (const event of life) {
    const text = JSON.stringify(event.data).replaceAll('price_basic', 'price_signpost_flat');
    event.data = JSON.parse(text) as StripeEvent['data'];
  }
  return { events: life.slice(0, 4), customer, subscription };
}

describe('the door for Stripe\'s events', () => {
  let app: BillingApp;
  before(async () => {
    app = await startBillingApp({ STRIPE_WEBHOOK_SECRETS: `${OLD_SECRET}, ${SECRET}` });
  });
  after(() => app.stop());

  const stored = async (id: string) => (await documents(app.databaseName, 'billing_events')).find(({ _id }) => _id === `stripe:${id}`);
  const planOf = async (session: Awaited<ReturnType<BillingApp['newcomer']>>['session']): Promise<string> => /id="plan-name">([^<]*)</.exec((await session.get('/billing')).text)?.[1] ?? '';

  it('refuses what isn\'t Stripe\'s, or not now, with 400 and a reason that is kept', async () => {
    const [event] = beginning('acc_nobody').events;
    const payload = JSON.stringify(event);
    const old = Math.floor(Date.now() / 1000) - 301;
    for (const [what, answer] of [
      ['another secret', await app.send(payload, { secret: 'whsec_of_somebody_else' })],
      ['an old timestamp', await app.send(payload, { timestamp: old })],
      ['a changed body', await app.send(`${payload} `, { header: Stripe.webhooks.generateTestHeaderString({ payload, secret: SECRET }) })],
      ['no signature', await app.send(payload, { header: '' })],
      ['a torn header', await app.send(payload, { header: 't=,v1=' })],
      ['no body', await app.send('', { header: 't=1,v1=00' })],
      ['not JSON', await app.send('not json at all')],
      ['not an event', await app.send({ hello: 'world' })],
    ] as const) assert.equal(answer.status, 400, what);
    assert.equal(await stored(event!.id), undefined, 'nothing of it was taken');
    const refusals = await documents(app.databaseName, 'billing_refusals');
    assert.ok(refusals.some(({ reason }) => /does not match/.test(String(reason))));
    assert.ok(refusals.some(({ reason }) => /older than 5 minutes/.test(String(reason))));
  });

  it('takes either secret while one is being changed, and a clock that is a little off', async () => {
    const [first, second, third] = beginning('acc_nobody').events;
    assert.equal((await app.send(first!, { secret: OLD_SECRET })).status, 200);
    assert.equal((await app.send(second!, { timestamp: Math.floor(Date.now() / 1000) - 200 })).status, 200);
    assert.equal((await app.send(third!, { timestamp: Math.floor(Date.now() / 1000) + 200 })).status, 200);
  });

  it('answers 413 for a huge body, 405 for GET, 404 for an unknown provider, and survives odd encodings', async () => {
    assert.equal((await app.send('x'.repeat(600_000))).status, 413);
    assert.equal((await fetch(`${app.url}/hooks/billing/stripe`)).status, 405);
    assert.equal((await fetch(`${app.url}/hooks/billing/nobody`, { method: 'POST', body: '{}' })).status, 404);
    assert.equal((await fetch(`${app.url}/hooks/billing/stripe`, { method: 'POST', body: 'x', headers: { 'content-encoding': 'gzip' } })).status, 400);
  });

  it('answers 200 for what it ignores, and says why', async () => {
    const at = Math.floor(Date.now() / 1000);
    const event = { id: 'evt_unknown', object: 'event', type: 'capability.updated', created: at, api_version: '2026-10-28.endive', data: { object: { id: 'x' } } };
    assert.equal((await app.send(event)).status, 200);
    assert.equal((await stored('evt_unknown'))?.['outcome'], 'ignored');
    assert.match(String((await stored('evt_unknown'))?.['reason']), /does nothing about capability.updated/);
    assert.equal((await app.send({ id: 'evt_thin', object: 'v2.core.event', type: 'v1.billing.meter.no_meter_found', created: new Date().toISOString(), related_object: null })).status, 200);
    assert.match(String((await stored('evt_thin'))?.['reason']), /Thin events/);
    const broken = { id: 'evt_broken', object: 'event', type: 'customer.subscription.updated', created: at, data: { object: { id: 'sub_x', customer: null } } };
    assert.equal((await app.send(broken)).status, 200);
    assert.equal((await stored('evt_broken'))?.['outcome'], 'ignored');
  });

  it('created, renewed and cancelled are seen in the page within a second without a reload, once for duplicates', async () => {
    const { session, accountId } = await app.newcomer('live@example.com');
    assert.equal(await planOf(session), 'Free');
    await session.post('/inbox/endpoint', {}, { from: '/inbox' });
    const stream = await session.request(`${app.url}/billing/live?version=${/live\?version=([^"]+)"/.exec((await session.get('/billing')).text)?.[1] ?? ''}`);
    const reader = stream.body!.getReader();
    const { events } = beginning(accountId);
    for (const event of [...events].reverse()) assert.equal((await app.send(event)).status, 200);
    const seenSoon = async (pattern: RegExp): Promise<void> => {
      const sentAt = performance.now();
      let text = '';
      while (!pattern.test(text)) text += new TextDecoder().decode((await reader.read()).value);
      assert.ok(performance.now() - sentAt < 1_000, `${String(pattern)} within a second`);
    };
    await seenSoon(/id="plan-name">Flat</);
    const told = (type: string, id: string, object: object): object => ({ ...events[2]!, id, type, created: events[2]!.created + 10, data: { object: { ...events[2]!.data.object, ...object } } });
    const renewedUntil = Math.floor(Date.now() / 1000) + 60 * 86_400;
    const items = { data: [{ id: 'si_1', price: { id: 'price_signpost_flat', lookup_key: null }, current_period_end: renewedUntil }] };
    assert.equal((await app.send(told('customer.subscription.updated', 'evt_live_renewed', { status: 'active', items }))).status, 200);
    await seenSoon(new RegExp(`Next charge</dt><dd>\\s*<time datetime="${new Date(renewedUntil * 1000).toISOString()}"`));
    assert.equal((await app.send(told('customer.subscription.deleted', 'evt_live_cancelled', { status: 'canceled', items }))).status, 200);
    await seenSoon(/id="plan-name">Free</);
    await reader.cancel();
    for (const event of events) assert.match(String((await app.send(event)).body['message']), /Received before/);
    assert.equal(await planOf(session), 'Free');
    await waitUntil('the events to be applied', async () => (await stored(events[0]!.id))?.['outcome'] === 'applied');
    const recorded = (await documents(app.databaseName, 'webhook_events')).filter(({ accountId: of, type }) => of === accountId && type === 'subscription.changed');
    assert.ok(recorded.length >= 3 && recorded.length <= events.length + 2);
    assert.equal((recorded.at(-1)?.['data'] as Record<string, unknown> | undefined)?.['plan'], 'free');
  });

  it('parks what nobody can place, and applies it when the checkout says whose it is', async () => {
    const { session, accountId } = await app.newcomer('parked@example.com');
    const { events } = beginning(accountId);
    const [checkout, ...rest] = events;
    for (const event of rest) delete (event.data.object as { metadata?: unknown }).metadata;
    for (const event of rest) await app.send(event);
    await waitUntil('it to be parked', async () => (await stored(rest[0]!.id))?.['outcome'] === 'parked');
    assert.equal(await planOf(session), 'Free');
    await app.send(checkout!);
    await waitUntil('the plan', async () => (await planOf(session)) === 'Flat');
    assert.equal((await stored(rest[0]!.id))?.['outcome'], 'applied');
  });

  it('takes an event for an account that doesn\'t exist, and one with a price that no plan has', async () => {
    const { events } = beginning('acc_01k0deleted00000000000000');
    for (const event of events) assert.equal((await app.send(event)).status, 200);
    await waitUntil('the reason', async () => /does not exist/.test(String((await stored(events[1]!.id))?.['reason'])));
    const { session, accountId } = await app.newcomer('price@example.com');
    const strange = beginning(accountId);
    for (const event of strange.events) {
      event.data = JSON.parse(JSON.stringify(event.data).replaceAll('price_signpost_flat', 'price_unheard_of')) as StripeEvent['data'];
      assert.equal((await app.send(event)).status, 200);
    }
    await waitUntil('them to be applied', async () => (await stored(strange.events[1]!.id))?.['outcome'] === 'applied');
    assert.equal(await planOf(session), 'Free');
  });

  it('shows administrators the events and sets a plan by hand; others see nothing of it', async () => {
    const { session } = await app.newcomer('other@example.com');
    assert.equal((await session.get('/billing/events')).status, 403);
    assert.equal((await session.post('/billing/accounts', { account: 'acc_1', plan: 'flat' })).status, 403);
  });
});

describe('the administrator', () => {
  let app: BillingApp;
  before(async () => {
    app = await startBillingApp();
  });
  after(() => app.stop());

  it('sees events with their outcome, replays one, and sets a plan by hand', async () => {
    const { session, accountId, api } = await app.newcomer('admin@example.com');
    const { events } = beginning(accountId);
    for (const event of events) await app.send(event);
    await waitUntil('the plan', async () => /id="plan-name">Flat</.test((await session.get('/billing')).text));
    const list = await session.get('/billing/events');
    assert.match(list.text, /customer\.subscription\.created/);
    assert.match(list.text, /Applied/);
    const id = `stripe:${events[1]!.id}`;
    assert.match((await session.get(`/billing/event?id=${encodeURIComponent(id)}`)).text, /&#34;api_version&#34;/);
    const replayed = await session.post('/billing/event/replay', { id });
    assert.match(replayed.text, /Replayed/);
    assert.match((await session.get('/billing')).text, /id="plan-name">Flat</);
    const set = await session.post('/billing/accounts', { account: accountId, plan: 'free' }, { from: '/billing/accounts' });
    assert.match(set.text, /The plan is set/);
    assert.match((await session.get('/billing')).text, /id="plan-name">Free</);
    for (let i = 0; i < 5; i++) assert.equal((await api.post('/api/post', { post: `Post ${i}`, platforms: ['bluesky'], scheduleDate: new Date(Date.now() + 86_400_000).toISOString() })).status, 200);
    assert.equal((await api.post('/api/post', { post: 'Sixth', platforms: ['bluesky'], scheduleDate: new Date(Date.now() + 86_400_000).toISOString() })).status, 429);
    const nobody = await session.post('/billing/accounts', { account: 'acc_01k0nobody', plan: 'flat' }, { from: '/billing/accounts' });
    assert.deepEqual([nobody.status, /There is no such account/.test(nobody.text)], [404, true]);
    assert.equal((await session.post('/billing/accounts', { account: accountId, plan: 'nothing' }, { from: '/billing/accounts' })).status, 404);
    await session.post('/billing/accounts', { account: accountId, plan: '' }, { from: '/billing/accounts' });
    assert.match((await session.get('/billing')).text, /id="plan-name">Flat</);
  });

  it('replays an event that an older version found nothing in, from the body that it kept', async () => {
    const { session, accountId } = await app.newcomer('replayed@example.com');
    const admin = httpSession(app.url);
    await admin.post('/sign-in', { email: 'admin@example.com', password: 'correct horse battery' }, { from: '/sign-in' });
    const [, created] = beginning(accountId).events;
    created!.data.object['status'] = 'active';
    await app.send(created!);
    await waitUntil('the plan', async () => /id="plan-name">Flat</.test((await session.get('/billing')).text));
    const { db, close } = await connectDatabase(uriOfDatabase(app.databaseName), app.databaseName);
    const id = `stripe:${created!.id}`;
    await db.collection<{ _id: string }>('billing_events').updateOne({ _id: id }, { $set: { event: null, customer: null, outcome: 'ignored', reason: 'Signpost does nothing about it.' } });
    const other = beginning(accountId).events[0]!;
    other.data.object['customer'] = created!.data.object['customer'];
    await app.send(other);
    await waitUntil('the plan to be gone', async () => /id="plan-name">Free</.test((await session.get('/billing')).text));
    assert.match((await admin.post('/billing/event/replay', { id }, { from: '/billing/events' })).text, /Replayed/);
    assert.match((await session.get('/billing')).text, /id="plan-name">Flat</);
    const stored = await db.collection<{ _id: string; outcome: string }>('billing_events').findOne({ _id: id });
    assert.equal(stored?.outcome, 'applied');
    await db.collection<{ _id: string }>('billing_bodies').deleteOne({ _id: id });
    assert.match((await admin.get(`/billing/event?id=${encodeURIComponent(id)}`)).text, /body is no longer kept/);
    await close();
  });

  it('keeps the oldest posts over a downgrade, holds the rest, and lets them go on after an upgrade', async () => {
    const { session, accountId, api } = await app.newcomer('holds@example.com');
    const admin = httpSession(app.url);
    await admin.post('/sign-in', { email: 'admin@example.com', password: 'correct horse battery' }, { from: '/sign-in' });
    await admin.post('/billing/accounts', { account: accountId, plan: 'flat' }, { from: '/billing/accounts' });
    const ids: string[] = [];
    for (let i = 0; i < 8; i++) ids.push(String((await api.post('/api/post', { post: `Post ${i}`, platforms: ['bluesky'], scheduleDate: new Date(Date.now() + 86_400_000).toISOString() })).body['id']));
    await admin.post('/billing/accounts', { account: accountId, plan: 'free' }, { from: '/billing/accounts' });
    const statuses = async (): Promise<unknown[]> => Promise.all(ids.map(async (id) => (await api.get(`/api/post/${id}`)).body['status']));
    await waitUntil('three to be held', async () => (await statuses()).filter((status) => status === 'paused').length === 3);
    assert.deepEqual(await statuses(), [...Array<string>(5).fill('pending'), ...Array<string>(3).fill('paused')]);
    assert.match((await session.get(`/posts/${ids[7]}`)).text, /Held: your plan Free allows 5 posts a month/);
    assert.match((await session.get('/billing')).text, /3 posts are held/);
    assert.match((await session.get('/billing')).text, /5 of 5/);
    await admin.post('/billing/accounts', { account: accountId, plan: 'flat' }, { from: '/billing/accounts' });
    await waitUntil('all to go on', async () => (await statuses()).every((status) => status === 'pending'));
  });
});
