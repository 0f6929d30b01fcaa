import assert from 'node:assert/strict';
import { test } from 'node:test';
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

test('a page that outlived its session gets the token of the next one', async () => {
  const browser = await signUp(app, 'token@example.com');
  const answer = (await (await browser.request('/session')).json()) as { csrfToken: string };
  await browser.get('/settings');
  assert.equal(answer.csrfToken, browser.csrfToken());
  assert.equal((await fetch(`${app.base}/session`, { redirect: 'manual' })).status, 302);
});
