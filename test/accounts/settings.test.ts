import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formIn } from '../support/http-session.js';
import { PASSWORD, signUp, startAccounts } from './accounts-app.js';

const app = await startAccounts();

test('the time zone can be changed to any that is one, and to nothing else', async () => {
  const browser = await signUp(app, 'zone@example.com');
  const saved = await browser.post('/settings', { timeZone: 'america/new_york' }, { from: '/settings' });
  assert.match(saved.text, /Saved\. Times are shown in America\/New_York/);
  for (const timeZone of ['Mars/Olympus', '', '+02:00', '../../etc/passwd', 'x'.repeat(500)]) {
    const refused = await browser.post('/settings', { timeZone });
    assert.equal(refused.status, 422, timeZone);
    assert.match(refused.text, /not a time zone/);
  }
  assert.match((await browser.get('/settings')).text, /<option value="America\/New_York" selected>/);
});

test('changing the password signs out every other session and keeps this one', async () => {
  const browser = await signUp(app, 'change@example.com');
  const other = app.browser();
  await other.post('/sign-in', { email: 'change@example.com', password: PASSWORD }, { from: '/sign-in?next=/x' });
  assert.equal(new URL((await other.get('/settings')).url).pathname, '/settings');

  const wrong = await browser.post('/settings/password', { currentPassword: 'not the password', newPassword: 'another long one' }, { from: '/settings' });
  assert.equal(wrong.status, 422);
  assert.match(wrong.text, /not your current password/);
  const short = await browser.post('/settings/password', { currentPassword: PASSWORD, newPassword: 'short' });
  assert.match(short.text, /Use at least 10 characters/);

  const changed = await browser.post('/settings/password', { currentPassword: PASSWORD, newPassword: 'another long one' });
  assert.match(changed.text, /Your password is changed/);
  assert.equal(new URL((await browser.get('/settings')).url).pathname, '/settings');
  assert.equal(new URL((await other.get('/settings')).url).pathname, '/sign-in');
  const again = app.browser();
  const old = await again.post('/sign-in', { email: 'change@example.com', password: PASSWORD }, { from: '/sign-in?next=/x' });
  assert.equal(old.status, 422);
  const fresh = await again.post('/sign-in', { email: 'change@example.com', password: 'another long one' });
  assert.equal(fresh.status, 200);
});

test('a form sent after the session ended goes through sign-in and can be sent again as it was', async () => {
  const browser = await signUp(app, 'held@example.com');
  const name = 'Line one\r\n"two" <three> & four';
  await browser.get('/api-keys');
  await app.db.collection('sessions').deleteMany({});
  const stopped = await browser.post('/api-keys', { name });
  assert.equal(stopped.status, 401);
  assert.match(stopped.text, /Your session has ended, so what you sent was not saved/);

  const wrong = await browser.post('/sign-in', { held: formIn(stopped.text, '/sign-in').fields['held'] ?? '', email: 'held@example.com', password: 'not the password' });
  assert.equal(wrong.status, 422);
  const asked = await browser.post('/sign-in', { held: formIn(wrong.text, '/sign-in').fields['held'] ?? '', email: 'held@example.com', password: PASSWORD });
  assert.match(asked.text, /What you wrote is still here/);
  assert.equal(await app.db.collection('apiKeys').countDocuments({}), 0);
  assert.ok(asked.text.includes('&#34;two&#34; &lt;three&gt; &amp; four</textarea>'));

  const sent = await browser.post('/api-keys', { name });
  assert.equal(sent.status, 201);
});

test('what another site sent is not kept for the next sign-in, nor is anything with a password', async () => {
  for (const [path, origin, fields] of [['/api-keys', 'https://evil.example', { name: 'evil' }], ['/settings/password', app.base, { currentPassword: 'x', newPassword: 'y' }]] as const) {
    const response = await fetch(app.base + path, { method: 'POST', headers: { origin }, body: new URLSearchParams(fields) });
    assert.equal(response.status, 401);
    assert.doesNotMatch(await response.text(), /name="held"/);
  }
  for (const held of ['{', '[]', '{"path":"https://evil.example/","fields":[]}', '{"path":"/x","fields":{"$gt":""}}']) {
    const browser = app.browser();
    const page = await browser.post('/sign-in', { email: 'held@example.com', password: PASSWORD, held }, { from: '/sign-in?next=/x' });
    assert.equal(new URL(page.url).pathname, '/', held);
  }
});

test('a page that outlived its session gets the token of the next one', async () => {
  const browser = await signUp(app, 'token@example.com');
  const answer = (await (await browser.request('/session')).json()) as { csrfToken: string };
  await browser.get('/settings');
  assert.equal(answer.csrfToken, browser.csrfToken());
  assert.equal((await fetch(`${app.base}/session`, { redirect: 'manual' })).status, 302);
});
