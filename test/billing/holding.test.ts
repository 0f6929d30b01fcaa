/** Posts that a plan holds: nothing of them is lost, however long it takes until there is room. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { waitUntil } from '../support/wait-until.js';
import { startBillingApp, type BillingApp } from './billing-app.js';

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
});
