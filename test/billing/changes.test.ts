/** What an account's own endpoint is told of each change, and what happens by the clock alone. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { startReceiver, type Receiver } from '../support/receiver.js';
import { waitUntil } from '../support/wait-until.js';
import { startBillingApp, type BillingApp } from './billing-app.js';
import { stripeLife, withPrice, type StripeEvent } from './stripe-life.js';

const DAY = 86_400;
const TRIAL_AND_MONTH_S = 44 * DAY;

type Told = Record<string, string | null>;

describe('an account\'s endpoint', () => {
  let app: BillingApp;
  let receiver: Receiver;
  before(async () => {
    app = await startBillingApp();
    receiver = await startReceiver();
  });
  after(async () => {
    await app.stop();
    await receiver.stop();
  });

  const dataOf = (json: unknown): Told => (json as { data: Told }).data;
  const next = async (what: string, seen: number, matches: (told: Told) => boolean): Promise<Told> => {
    const request = await receiver.waitFor(what, (one) => receiver.received.indexOf(one) >= seen && (one.json as { type?: string }).type === 'subscription.changed' && matches(dataOf(one.json)));
    return dataOf(request.json);
  };

  it('is told of each change of a subscription\'s life, in order', async () => {
    const { session, api, accountId } = await app.newcomer('told@example.com');
    assert.equal((await api.post('/api/webhooks/endpoints', { url: receiver.url, events: ['subscription.changed'] })).status, 201);
    // The failed payment is an hour old, so that its time of grace runs; what comes later in the life is told early.
    const start = Math.floor(Date.now() / 1000) - TRIAL_AND_MONTH_S - 2 * 3600;
    const life = withPrice(stripeLife({ customer: 'cus_told', subscription: 'sub_told', accountId, start, shape: 'new' }), { price_basic: 'price_signpost_flat', price_flat: 'price_signpost_flat' });
    const send = async (...positions: number[]): Promise<number> => {
      const seen = receiver.received.length;
      for (const position of positions) assert.equal((await app.send(life[position]!)).status, 200);
      return seen;
    };
    assert.deepEqual(await next('the trial', await send(0, 1, 2, 3), ({ status }) => status === 'trialing').then(({ plan, previousPlan, source }) => [plan, previousPlan, source]), ['flat', 'free', 'subscription']);
    const trialEnd = new Date((start + 14 * DAY) * 1000).toISOString();
    assert.equal((await next('the end of the trial coming near', await send(4), ({ trialEndsAt }) => trialEndsAt !== null))['trialEndsAt'], trialEnd);
    await waitUntil('the notice', async () => /id="trial-ends"/.test((await session.get('/billing')).text));
    const paid = await next('the first payment', await send(5, 6), ({ status }) => status === 'active');
    assert.deepEqual([paid['trialEndsAt'], paid['periodEnd']], [null, new Date((start + TRIAL_AND_MONTH_S) * 1000).toISOString()]);
    const failed = await next('the failed payment', await send(7, 8), ({ status, graceUntil }) => status === 'past-due' && graceUntil !== null);
    assert.equal(failed['graceUntil'], new Date((start + TRIAL_AND_MONTH_S + 3600 + 7 * DAY) * 1000).toISOString());
    assert.equal(failed['plan'], 'flat');
    const recovered = await next('the recovery', await send(9, 10, 11), ({ status, graceUntil }) => status === 'active' && graceUntil === null);
    assert.equal(recovered['periodEnd'], new Date((start + TRIAL_AND_MONTH_S + 30 * DAY) * 1000).toISOString(), 'renewed for another month');
    const leaving = await next('the cancellation', await send(12, 13, 14), ({ cancelAt }) => cancelAt !== null);
    assert.equal(leaving['plan'], 'flat', 'until the end of what is paid for');
    const ended = await next('the end', await send(15, 16), ({ plan }) => plan === 'free');
    assert.deepEqual([ended['previousPlan'], ended['status']], ['flat', 'none']);
    const seen = receiver.received.length;
    await session.post('/billing/accounts', { account: accountId, plan: 'flat' }, { from: '/billing/accounts' });
    const byHand = await next('the plan set by hand', seen, ({ source }) => source === 'hand');
    assert.deepEqual([byHand['plan'], byHand['previousPlan']], ['flat', 'free']);
    const sequences = receiver.received.map(({ headers }) => headers['webhook-id']);
    assert.equal(new Set(sequences).size, sequences.length, 'each change once');
    assert.match((await session.get('/billing')).text, /Refunded/);
  });

  it('is told once that the posts of the month are used up', async () => {
    const { api } = await app.newcomer('quota@example.com');
    const seen = receiver.received.length;
    assert.equal((await api.post('/api/webhooks/endpoints', { url: receiver.url, events: ['quota.reached'] })).status, 201);
    const at = new Date(Date.now() + 2 * DAY * 1000).toISOString();
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) ids.push(String((await api.post('/api/post', { post: `Post ${i}`, platforms: ['bluesky'], scheduleDate: at })).body['id']));
    const told = await receiver.waitFor('quota.reached', (one) => receiver.received.indexOf(one) >= seen);
    const { type, data } = told.json as { type: string; data: Record<string, unknown> };
    assert.equal(type, 'quota.reached');
    assert.deepEqual([data['plan'], data['limit'], data['what']], ['free', 5, 'postsPerMonth']);
    assert.ok(new Date(String(data['resetsAt'])) > new Date());
    // Given back and reached again is no news.
    assert.equal((await api.delete('/api/post', { id: ids[0] })).status, 200);
    assert.equal((await api.post('/api/post', { post: 'Again', platforms: ['bluesky'], scheduleDate: at })).status, 200);
    assert.equal((await api.post('/api/post', { post: 'Too many', platforms: ['bluesky'], scheduleDate: at })).status, 429);
    const { body } = await api.get('/api/events');
    assert.equal((body['events'] as { type: string }[]).filter((event) => event.type === 'quota.reached').length, 1);
  });
});

describe('by the clock alone', () => {
  let app: BillingApp;
  let aheadMs = 0;
  before(async () => {
    app = await startBillingApp({}, { clock: { now: () => new Date(Date.now() + aheadMs) } });
  });
  after(() => app.stop());

  const flat = (customer: string, accountId: string): StripeEvent[] => withPrice(
    stripeLife({ customer, subscription: customer.replace('cus', 'sub'), accountId, start: Math.floor(Date.now() / 1000) - TRIAL_AND_MONTH_S - 2 * 3600, shape: 'new' }), { price_basic: 'price_signpost_flat', price_flat: 'price_signpost_flat' });

  it('a payment that stays open ends the plan after the time of grace, and one that was cancelled ends with its period', async () => {
    aheadMs = 0;
    const owing = await app.newcomer('owing@example.com');
    const leaving = await app.newcomer('leaving@example.com');
    const life = flat('cus_owing', owing.accountId).slice(0, 9);
    for (const event of life) await app.send(event);
    for (const event of flat('cus_leaving', leaving.accountId).slice(0, 15)) await app.send(event);
    const page = async ({ session }: typeof owing): Promise<string> => (await session.get('/billing')).text;
    await waitUntil('the banner', async () => /id="payment-problem"[^]*The last payment failed/.test(await page(owing)));
    assert.match(await page(owing), /id="plan-name">Flat</);
    assert.match((await owing.session.get('/')).text, /The last payment failed\./);
    const nextAttempt = new Date(Number(life[7]!.data.object['next_payment_attempt']) * 1000).toISOString();
    assert.match(await page(owing), new RegExp(`Next charge</dt><dd><time datetime="${nextAttempt}`), 'what is open is charged next');
    await owing.session.post('/billing/accounts', { account: owing.accountId, plan: 'flat' }, { from: '/billing/accounts' });
    assert.match(await page(owing), /set by an administrator[^]*Next charge/, 'a plan by hand ends no payments');
    await owing.session.post('/billing/accounts', { account: owing.accountId, plan: '' }, { from: '/billing/accounts' });
    await waitUntil('the cancellation', async () => /It is cancelled and is not charged again/.test(await page(leaving)));
    const at = new Date(Date.now() + 60 * DAY * 1000).toISOString();
    for (let i = 0; i < 7; i++) assert.equal((await owing.api.post('/api/post', { post: `Post ${i}`, platforms: ['bluesky'], scheduleDate: at })).status, 200);

    aheadMs = 8 * DAY * 1000;
    assert.match(await page(owing), /id="plan-name">Free</, 'seen at once, before any sweep');
    assert.match(await page(owing), /was not paid in time/);
    assert.match((await owing.session.get('/')).text, /was not paid in time: you have the plan Free now/, 'also where one looks first');
    assert.match(await page(leaving), /id="plan-name">Flat</);
    await waitUntil('the posts that are too many to be held', async () => /2 posts are held/.test(await page(owing)), { timeoutMs: 20_000 });

    aheadMs = 31 * DAY * 1000;
    assert.match(await page(leaving), /id="plan-name">Free</, 'though nobody told of the end');
  });
});
