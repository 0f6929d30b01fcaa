import assert from 'node:assert/strict';
import { test } from 'node:test';
import { signUp, startAccounts } from './accounts-app.js';

const app = await startAccounts();
const KEY_SHAPE = /[0-9A-Z]{7}-[0-9A-Z]{7}-[0-9A-Z]{7}-[0-9A-Z]{7}/;

async function call(key: string, headers: Record<string, string> = {}): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`${app.base}/api/who`, { headers: { authorization: `Bearer ${key}`, ...headers } });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

test('a key is shown once, works, tells when it was used, and stops at once when it is revoked', async () => {
  const browser = await signUp(app, 'keys@example.com');
  const created = await browser.post('/api-keys', { name: 'Web <site>' }, { from: '/api-keys' });
  assert.equal(created.status, 201);
  assert.equal(created.headers.get('cache-control'), 'no-store');
  const key = KEY_SHAPE.exec(created.text)?.[0] ?? '';
  assert.match(created.text, /Web &lt;site&gt;/);

  const before = await browser.get('/api-keys');
  assert.ok(!before.text.includes(key));
  assert.match(before.text, new RegExp(`…${key.slice(-4)}`));
  assert.match(before.text, /Never/);

  const answer = await call(key);
  assert.equal(answer.status, 200);
  assert.equal(answer.body['via'], 'api');
  assert.equal(answer.body['userId'], null);
  assert.equal(answer.body['timeZone'], 'Europe/Berlin');
  assert.doesNotMatch((await browser.get('/api-keys')).text, /Never/);

  const id = /\/api-keys\/(key_[0-9a-z]+)\/revoke/.exec(before.text)?.[1];
  const revoked = await browser.post(`/api-keys/${id}/revoke`, {});
  assert.match(revoked.text, /The key is revoked/);
  const refused = await call(key);
  assert.equal(refused.status, 403);
  assert.equal(refused.body['code'], 102);
  assert.ok(!app.logText().includes(key));
});

test('the key itself is not in the database', async () => {
  const browser = await signUp(app, 'stored@example.com');
  const created = await browser.post('/api-keys', { name: 'k' }, { from: '/api-keys' });
  const key = KEY_SHAPE.exec(created.text)?.[0] ?? '';
  for (const { name } of await app.db.listCollections().toArray()) {
    const text = JSON.stringify(await app.db.collection(name).find({}).toArray());
    assert.ok(!text.includes(key), name);
  }
});

test('nobody can revoke the key of another account', async () => {
  const ann = await signUp(app, 'ann@example.com');
  const created = await ann.post('/api-keys', { name: 'k' }, { from: '/api-keys' });
  const key = KEY_SHAPE.exec(created.text)?.[0] ?? '';
  const id = /\/api-keys\/(key_[0-9a-z]+)\/revoke/.exec(created.text)?.[1];
  const bob = await signUp(app, 'bob@example.com');
  assert.equal((await bob.post(`/api-keys/${id}/revoke`, {}, { from: '/api-keys' })).status, 404);
  assert.equal((await call(key)).status, 200);
});

test('a key needs a name of its own, and an account has a bounded number of them', async () => {
  const browser = await signUp(app, 'many@example.com');
  for (const name of ['', '   ', 'x'.repeat(61)]) {
    const page = await browser.post('/api-keys', { name }, { from: '/api-keys' });
    assert.equal(page.status, 422);
    assert.match(page.text, /is-invalid/);
  }
  for (let i = 0; i < 50; i++) assert.equal((await browser.post('/api-keys', { name: `k${i}` })).status, 201);
  const full = await browser.post('/api-keys', { name: 'one more' });
  assert.equal(full.status, 422);
  assert.match(full.text, /at most 50 API keys/);
});

test('when it was last used is written once a minute at most', async () => {
  const browser = await signUp(app, 'used@example.com');
  const created = await browser.post('/api-keys', { name: 'k' }, { from: '/api-keys' });
  const key = KEY_SHAPE.exec(created.text)?.[0] ?? '';
  const lastUsed = async (): Promise<unknown> => (await app.db.collection('apiKeys').findOne({ last4: key.slice(-4), name: 'k' }))?.['lastUsedAt'];
  await call(key);
  const first = await lastUsed();
  await call(key);
  assert.deepEqual(await lastUsed(), first);
  app.advance(61_000);
  await call(key);
  assert.notDeepEqual(await lastUsed(), first);
});

test('an account without its profile document still has a Primary Profile', async () => {
  await signUp(app, 'profile@example.com');
  const user = await app.db.collection('users').findOne({ emailNormalized: 'profile@example.com' });
  const accountId = String(user?.['accountId']);
  await app.db.collection('profiles').deleteMany({ accountId });
  const [one, two] = await Promise.all([app.profiles.primary(accountId), app.profiles.primary(accountId)]);
  assert.equal(one.refId, two.refId);
  assert.match(one.refId, /^[0-9a-f]{40}$/);
  assert.equal(one.title, 'Primary Profile');
});
