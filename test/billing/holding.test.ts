/** Posts that a plan holds: nothing of them is lost, however long it takes until there is room. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { apiClient, connectChannel, createApiKey, signUp } from '../../src/cli/newcomer.js';
import { connectDatabase } from '../../src/db/database.js';
import { startProgram, temporaryFolder } from '../support/program.js';
import { dropDatabase, temporaryDatabaseName, uriOfDatabase } from '../support/temporary-database.js';
import { waitUntil } from '../support/wait-until.js';
import { SECRET, startBillingApp, type BillingApp } from './billing-app.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

describe('posts that a plan holds', () => {
  let app: BillingApp;
  let admin: Awaited<ReturnType<BillingApp['newcomer']>>;
  let aheadMs = 0;
  const now = (): number => Date.now() + aheadMs;
  before(async () => {
    app = await startBillingApp({}, { clock: { now: () => new Date(now()) } });
    admin = await app.newcomer('admin@example.com');
  });
  after(() => app.stop());

  const setPlan = (account: string, plan: string) => admin.session.post('/billing/accounts', { account, plan }, { from: '/billing/accounts' });

  it('go out at once with a larger plan when their time has passed meanwhile; what is too late then is left to a person, and not lost', async () => {
    const { api, accountId, session } = await app.newcomer('passed@example.com');
    await setPlan(accountId, 'flat');
    const ids: string[] = [];
    const schedule = async (afterMs: number, more: object = {}): Promise<void> => {
      const { body } = await api.post('/api/post', { post: `Post ${ids.length}`, platforms: ['bluesky'], scheduleDate: new Date(now() + afterMs).toISOString(), ...more });
      ids.push(String(body['id']));
    };
    const statusOf = async (id: string | undefined): Promise<unknown> => (await api.get(`/api/post/${id}`)).body['status'];
    for (let i = 0; i < 5; i++) await schedule(20 * DAY_MS);
    await schedule(30 * HOUR_MS);
    await schedule(28 * HOUR_MS, { whenLate: 'skip' });
    await schedule(HOUR_MS);
    await schedule(15 * DAY_MS);
    await setPlan(accountId, 'free');
    for (const id of ids.slice(5)) await waitUntil('it to be held', async () => (await statusOf(id)) === 'paused');
    assert.match((await session.get(`/posts/${ids[7]}`)).text, /goes on by itself when there is room[^<]*, if it is not over 24 hours late by then/);

    aheadMs += 32 * HOUR_MS;
    await setPlan(accountId, 'flat');
    await waitUntil('the one that may be late to be sent', async () => (await statusOf(ids[5])) === 'success');
    await waitUntil('the one that was not to be late to be left', async () => (await statusOf(ids[6])) === 'error');
    await waitUntil('the one that is too late to be left', async () => (await statusOf(ids[7])) === 'error');
    for (const id of [...ids.slice(0, 5), ids[8]]) assert.equal(await statusOf(id), 'pending', 'its time is still to come');
    assert.equal((await api.put('/api/post/retry', { id: ids[7] })).status, 200);
    await waitUntil('it to be sent by hand', async () => (await statusOf(ids[7])) === 'success');
  });

  it('go on, the oldest of them, as soon as another is cancelled', async () => {
    const { api, accountId } = await app.newcomer('room@example.com');
    await setPlan(accountId, 'flat');
    const ids: string[] = [];
    for (let i = 0; i < 7; i++) ids.push(String((await api.post('/api/post', { post: `Post ${i}`, platforms: ['bluesky'], scheduleDate: new Date(now() + 10 * DAY_MS).toISOString() })).body['id']));
    await setPlan(accountId, 'free');
    const statuses = async (): Promise<string> => (await Promise.all(ids.map(async (id) => (await api.get(`/api/post/${id}`)).body['status']))).join();
    await waitUntil('two to be held', async () => (await statuses()) === 'pending,pending,pending,pending,pending,paused,paused');
    assert.equal((await api.delete('/api/post', { id: ids[2] })).status, 200);
    await waitUntil('the first held to go on', async () => (await statuses()) === 'pending,pending,deleted,pending,pending,pending,paused', { timeoutMs: 15_000 });
  });

  it('are fitted to the plan by the sweep where the process died before it did', async () => {
    const { api, accountId } = await app.newcomer('died@example.com');
    await setPlan(accountId, 'flat');
    for (let i = 0; i < 7; i++) assert.equal((await api.post('/api/post', { post: `Post ${i}`, platforms: ['bluesky'], scheduleDate: new Date(now() + 10 * DAY_MS).toISOString() })).status, 200);
    const { db, close } = await connectDatabase(uriOfDatabase(app.databaseName), app.databaseName);
    const holds = db.collection<{ _id: string; toFit?: string }>('billing_holds');
    await db.collection<{ _id: string }>('billing_accounts').updateOne({ _id: accountId }, { $set: { 'manual.planKey': 'free' } });
    await holds.updateOne({ _id: accountId }, { $set: { since: new Date(), changes: 1, toFit: 'noted' } }, { upsert: true });
    await waitUntil('two to be held', async () => (await db.collection('posts').countDocuments({ accountId, status: 'paused' })) === 2, { timeoutMs: 15_000 });
    await waitUntil('nothing to be left to fit', async () => (await holds.findOne({ _id: accountId }))?.toFit === undefined);
    assert.equal(await holds.countDocuments({ _id: accountId }), 1, 'but held posts');
    await close();
  });

  it('are counted on the open page as they are held and let go', async () => {
    const { api, accountId, session } = await app.newcomer('watching@example.com');
    await setPlan(accountId, 'flat');
    for (let i = 0; i < 7; i++) assert.equal((await api.post('/api/post', { post: `Post ${i}`, platforms: ['bluesky'], scheduleDate: new Date(now() + 10 * DAY_MS).toISOString() })).status, 200);
    const leave = new AbortController();
    const live = await session.request('/billing/live', { signal: leave.signal });
    let shown = '';
    const reading = (async () => {
      const decoder = new TextDecoder();
      let text = '';
      for await (const chunk of live.body!) {
        text += decoder.decode(chunk as Uint8Array, { stream: true });
        const whole = text.slice(0, text.lastIndexOf('\n\n'));
        shown = whole.slice(whole.lastIndexOf('\n\n'));
      }
    })().catch(() => undefined);
    await setPlan(accountId, 'free');
    await waitUntil('two to be held', () => /2 posts are held/.test(shown) && /5 of 5/.test(shown));
    await setPlan(accountId, 'flat');
    await waitUntil('none to be held', () => /plan-name">Flat/.test(shown) && /7, unlimited/.test(shown) && !/held/.test(shown), { timeoutMs: 5_000 });
    leave.abort();
    await reading;
  });
});

it('holds what is too much when a plan is taken out of the plans file', async () => {
  const folder = await temporaryFolder();
  const databaseName = temporaryDatabaseName();
  const plans = (...more: object[]): void => writeFileSync(path.join(folder.path, 'plans.json'), JSON.stringify({ plans: [{ key: 'free', name: 'Free', limits: { postsPerMonth: 2 } }, ...more] }));
  const start = () => startProgram({ dataDir: folder.path, env: { MONGODB_URI: uriOfDatabase(databaseName), BILLING: 'stripe', STRIPE_WEBHOOK_SECRETS: SECRET } });
  plans({ key: 'pro', name: 'Pro' });
  let program = await start();
  after(async () => {
    await program.end('SIGKILL');
    await dropDatabase(databaseName);
    await folder.remove();
  });
  const { session } = await signUp(program.url);
  await connectChannel(session, 'bluesky', 'ada.bsky.social');
  const key = await createApiKey(session);
  const account = /name="account" value="([^"]+)"/.exec((await session.get('/billing/accounts')).text)?.[1] ?? '';
  await session.post('/billing/accounts', { account, plan: 'pro' });
  const ids: string[] = [];
  for (let i = 0; i < 4; i++) ids.push(String((await apiClient(program.url, key).post('/api/post', { post: `Post ${i}`, platforms: ['bluesky'], scheduleDate: new Date(Date.now() + DAY_MS).toISOString() })).body['id']));
  await program.end('SIGTERM');
  plans();
  program = await start();
  const statuses = async (): Promise<unknown[]> => Promise.all(ids.map(async (id) => (await apiClient(program.url, key).get(`/api/post/${id}`)).body['status']));
  await waitUntil('two posts to be held', async () => (await statuses()).join() === 'pending,pending,paused,paused', { timeoutMs: 20_000 });
});
