/** The plan's limit on media storage: kept exactly however many come at once, given back on deletion, said in page and API. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, test } from 'node:test';
import { aPngOf } from '../support/media-files.js';
import { temporaryFolder } from '../support/program.js';
import { startMediaApp } from './media-app.js';

const folder = await temporaryFolder();
after(() => folder.remove());
const plansFile = path.join(folder.path, 'plans.json');
await writeFile(plansFile, JSON.stringify({
  plans: [
    { key: 'free', name: 'Free', limits: { mediaBytes: 50_000 } },
    { key: 'tiny', name: 'Tiny', limits: { mediaBytes: 10_000 } },
    { key: 'flat', name: 'Flat', price: { amount: 1_900, currency: 'eur' }, prices: ['price_flat'] },
  ],
}));
const app = await startMediaApp({ env: { BILLING: 'stripe', STRIPE_WEBHOOK_SECRETS: 'whsec_of_the_test', SIGNUP: 'open', PLANS_FILE: plansFile } });
const usedBy = async (accountId: string): Promise<number> => (await app.db.collection<{ _id: string; bytes: number; moves: unknown[] }>('media_usage').findOne({ _id: accountId }))?.bytes ?? 0;
const administrator = await app.newcomer();

async function accountOf(key: string): Promise<string> {
  const [file] = await app.db.collection<{ _id: string; accountId: string }>('media').find().sort({ createdAt: -1 }).limit(1).toArray();
  assert.ok(file !== undefined, key);
  return file.accountId;
}

test('of thirty uploads at once exactly as many succeed as there is room for', async () => {
  const ada = await app.newcomer();
  const answers = await Promise.all(Array.from({ length: 30 }, () => ada.upload(aPngOf(10_000))));
  assert.equal(answers.filter(({ status }) => status === 200).length, 5);
  assert.equal(answers.filter(({ status }) => status === 409).length, 25);
  const accountId = await accountOf(ada.key);
  assert.equal(await usedBy(accountId), 50_000);
  assert.equal(await app.db.collection('media').countDocuments({ accountId }), 5);
  assert.equal((await app.onDisk()).length, 5);
  assert.deepEqual((await app.db.collection<{ _id: string; moves: unknown[] }>('media_usage').findOne({ _id: accountId }))?.moves, []);
});

test('at the limit the API says what is reached and how to change it, and a deletion gives the room back once', async () => {
  const ada = await app.newcomer();
  const first = await ada.upload(aPngOf(30_000));
  const { status, body } = await ada.upload(aPngOf(20_001));
  assert.equal(status, 409);
  assert.equal(body['code'], 920);
  assert.match(String(body['message']), /plan allows 50 kB of uploaded media, and 30 kB are used/);
  assert.deepEqual(body['limit'], { what: 'mediaBytes', limit: 50_000, used: 30_000, changePlanUrl: `${app.url}/billing` });
  const deletions = await Promise.all(Array.from({ length: 5 }, () => ada.api.delete('/api/media', { id: first.body['id'] })));
  assert.ok(deletions.some((answer) => answer.status === 200));
  assert.equal((await ada.upload(aPngOf(50_000))).status, 200);
  assert.equal((await ada.upload(aPngOf(100))).status, 409);
  assert.equal(await usedBy(await accountOf(ada.key)), 50_000);
});

test('the pages show how much is used, and refuse beside the field with a way to another plan', async () => {
  const ada = await app.newcomer();
  assert.equal((await ada.upload(aPngOf(40_000))).status, 200);
  assert.match((await ada.session.get('/billing')).text, /id="used-media">40 kB of 50 kB</);
  assert.match((await ada.session.get('/billing/change/flat')).text, /Uploaded media/);
  const page = await ada.session.get('/media');
  assert.match(page.text, /id="media-used">40 kB of 50 kB are used/);
  const form = new FormData();
  form.append('_csrf', ada.session.csrfToken() ?? '');
  form.append('files', new Blob([aPngOf(20_000)]), 'more.png');
  const refused = await ada.session.request('/media', { method: 'POST', body: form, headers: { origin: app.url } });
  assert.equal(refused.status, 422);
  const text = await refused.text();
  assert.match(text, /id="files-problem">more\.png: Your plan allows 50 kB/);
  assert.match(text, /<a href="\/billing">Plan and billing<\/a>/);
});

test('a smaller plan deletes nothing, and takes nothing more until there is room', async () => {
  const ada = await app.newcomer();
  const { body } = await ada.upload(aPngOf(30_000));
  const accountId = await accountOf(ada.key);
  const change = async (plan: string): Promise<void> => {
    const done = await administrator.session.post('/billing/accounts', { account: accountId, plan }, { from: '/billing/accounts' });
    assert.equal(done.status, 200, done.text.slice(0, 500));
  };
  await change('tiny');
  assert.equal((await fetch(String(body['url']))).status, 200);
  assert.equal((await ada.upload(aPngOf(200))).status, 409);
  assert.match((await ada.session.get('/')).text, /uploaded media are used up/);
  await change('flat');
  assert.equal((await ada.upload(aPngOf(90_000))).status, 200);
  assert.match((await ada.session.get('/billing')).text, /id="used-media">120 kB, unlimited/);
});
