/** Quotas: kept exactly under concurrency, counted once per post, given back when nothing went out, and said where they are reached. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { ApiClient } from '../../src/cli/newcomer.js';
import { temporaryFolder } from '../support/program.js';
import { waitUntil } from '../support/wait-until.js';
import { startBillingApp, type BillingApp } from './billing-app.js';

const at = new Date(Date.now() + 2 * 86_400_000).toISOString();

describe('the Free plan', () => {
  let app: BillingApp;
  before(async () => {
    app = await startBillingApp();
  });
  after(() => app.stop());

  const write = (api: ApiClient, text: string, more: object = {}) =>
    api.post('/api/post', { post: text, platforms: ['bluesky'], scheduleDate: at, ...more });

  it('takes exactly one of fifty posts at once when four of five are used', async () => {
    const { api } = await app.newcomer('many@example.com');
    for (let i = 0; i < 4; i++) assert.equal((await write(api, `Before ${i}`)).status, 200);
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => write(api, `At once ${i}`)));
    assert.equal(answers.filter(({ status }) => status === 200).length, 1);
    assert.equal(answers.filter(({ status }) => status === 429).length, 49);
    const history = await api.get('/api/history?limit=100');
    assert.equal((history.body['history'] as unknown[]).length, 5);
  });

  it('says what is reached, when it begins anew and where the plan is changed', async () => {
    const { api, session } = await app.newcomer('full@example.com');
    for (let i = 0; i < 5; i++) await write(api, `Post ${i}`);
    const { status, body } = await write(api, 'One too many');
    assert.equal(status, 429);
    assert.equal(body['code'], 920);
    assert.equal(body['status'], 'error');
    assert.match(String(body['message']), /plan Free allows 5 posts a month/);
    const limit = body['limit'] as Record<string, unknown>;
    assert.deepEqual([limit['limit'], limit['used'], limit['plan']], [5, 5, 'free']);
    assert.ok(new Date(String(limit['resetsAt'])) > new Date());
    const page = await session.post('/posts', { post: 'From the page', platforms: 'bluesky', when: 'now' }, { from: '/posts/new' });
    assert.equal(page.status, 429);
    assert.match(page.text, /plan Free allows 5 posts a month/);
    assert.match(page.text, /<a href="\/billing">Plan and billing<\/a><\/p>/, 'with the way to change it');
    assert.match(page.text, /From the page/, 'what was typed is kept');
    const billing = await session.get('/billing');
    assert.match(billing.text, /5 of 5/);
  });

  it('gives back a post that was cancelled, once', async () => {
    const { api } = await app.newcomer('cancel@example.com');
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) ids.push(String((await write(api, `Post ${i}`)).body['id']));
    assert.equal((await write(api, 'No room')).status, 429);
    await api.delete('/api/post', { id: ids[0] });
    await api.delete('/api/post', { id: ids[0] });
    await waitUntil('room for one', async () => (await write(api, 'Room again')).status === 200);
    assert.equal((await write(api, 'No room again')).status, 429);
  });

  it('gives nothing back for a published post that is deleted, and counts a repeated request once', async () => {
    const { api } = await app.newcomer('once@example.com');
    const now = await api.post('/api/post', { post: 'Goes out', platforms: ['bluesky'] });
    assert.equal(now.status, 200);
    await api.delete('/api/post', { id: now.body['id'] });
    for (let i = 0; i < 6; i++) assert.equal((await write(api, 'The same', { idempotencyKey: 'k1' })).status, 200);
    for (let i = 0; i < 3; i++) assert.equal((await write(api, `Post ${i}`)).status, 200);
    assert.equal((await write(api, 'Sixth')).status, 429);
  });

  it('counts a repeated request once when many come at once for the last place', async () => {
    const { api } = await app.newcomer('race@example.com');
    for (let i = 0; i < 3; i++) await write(api, `Post ${i}`);
    const answers = await Promise.all(Array.from({ length: 10 }, () => write(api, 'The same', { idempotencyKey: 'k2' })));
    assert.ok(answers.some(({ status }) => status === 200));
    assert.equal(new Set(answers.filter(({ status }) => status === 200).map(({ body }) => body['id'])).size, 1);
    await waitUntil('one place to be left', async () => (await write(api, 'Last place')).status === 200);
    assert.equal((await write(api, 'Too many')).status, 429);
  });
});

it('limits nothing and shows nothing while billing is off', async () => {
  const app = await startBillingApp({ BILLING: 'off' });
  try {
    const { api, session } = await app.newcomer('off@example.com');
    const answers = await Promise.all(Array.from({ length: 12 }, (_, i) => api.post('/api/post', { post: `Post ${i}`, platforms: ['bluesky'], scheduleDate: at })));
    assert.ok(answers.every(({ status }) => status === 200));
    assert.equal((await session.get('/billing')).status, 404);
    assert.equal((await fetch(`${app.url}/hooks/billing/stripe`, { method: 'POST', body: '{}' })).status, 404);
  } finally {
    await app.stop();
  }
});

it('keeps the other limits of a plan exactly: profiles, endpoints, and calls of the API a minute', async () => {
  const folder = await temporaryFolder();
  const file = path.join(folder.path, 'plans.json');
  writeFileSync(file, JSON.stringify({ plans: [{ key: 'tiny', name: 'Tiny', limits: { endpoints: 2, profiles: 3, apiCallsPerMinute: 60 } }] }));
  const app = await startBillingApp({ PLANS_FILE: file });
  try {
    const { api, session } = await app.newcomer('tiny@example.com');
    const endpoints = await Promise.all(Array.from({ length: 10 }, (_, i) => api.post('/api/webhooks/endpoints', { url: `https://example.com/hook/${i}` })));
    assert.equal(endpoints.filter(({ status }) => status === 201).length, 2, JSON.stringify(endpoints.map(({ status }) => status)));
    const third = await api.post('/api/hook/webhook', { action: 'scheduled', url: 'https://example.com/hook' });
    assert.deepEqual([third.status, third.body['code']], [409, 920]);
    assert.match(String(third.body['message']), /allows 2 webhook endpoints/);
    const profiles = await Promise.all(Array.from({ length: 10 }, (_, i) => api.post('/api/profiles', { title: `Client ${i}` })));
    assert.equal(profiles.filter(({ status }) => status === 200).length, 2, 'and the Primary Profile');
    const refused = profiles.find(({ status }) => status !== 200);
    assert.deepEqual([refused?.status, refused?.body['code']], [409, 920]);
    const page = await session.get('/billing');
    assert.match(page.text, /id="used-profiles">3 of 3</);
    assert.match(page.text, /id="used-endpoints">2 of 2</);
    const statuses = await Promise.all(Array.from({ length: 130 }, async () => (await api.get('/api/user')).status));
    assert.ok(statuses.filter((status) => status === 429).length >= 10, 'even when the minute turns meanwhile');
    assert.ok(statuses.filter((status) => status === 200).length <= 120);
  } finally {
    await app.stop();
    await folder.remove();
  }
});
