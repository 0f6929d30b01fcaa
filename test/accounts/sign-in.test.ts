import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PASSWORD, signUp, startAccounts } from './accounts-app.js';

const app = await startAccounts();
await signUp(app, 'ann@example.com');

const pathOf = (page: { url: string }): string => new URL(page.url).pathname + new URL(page.url).search;
const form = (email: string, password = PASSWORD): Record<string, string> => ({ email, password });

test('signing in leads back to the page that was asked for', async () => {
  const browser = app.browser();
  const asked = await browser.get('/api-keys?from=mail');
  assert.equal(pathOf(asked), '/sign-in?next=%2Fapi-keys%3Ffrom%3Dmail');
  assert.match(asked.text, /name="next" value="\/api-keys\?from=mail"/);
  const page = await browser.post('/sign-in', { ...form('ann@example.com'), next: '/api-keys?from=mail' });
  assert.equal(pathOf(page), '/api-keys?from=mail');
});

test('no link can lead through sign-in to another site', async () => {
  for (const next of ['https://evil.example/', '//evil.example/', '/\\evil.example', '\\\\evil.example', '/%5cevil.example/..//evil.example', 'javascript:alert(1)', '/\t/evil.example', '/..//evil.example', 'http:evil.example']) {
    const browser = app.browser();
    await browser.get('/sign-in?next=/x');
    const body = new URLSearchParams({ ...form('ann@example.com'), next, _csrf: browser.csrfToken() ?? '' });
    const response = await browser.request('/sign-in', { method: 'POST', body });
    assert.equal(response.status, 303, next);
    const target = new URL(response.headers.get('location') ?? '', app.base);
    assert.equal(target.origin, app.base, next);
  }
});

test('a wrong password and an unknown email get the same answer', async () => {
  const browser = app.browser();
  const wrong = await browser.post('/sign-in', form('ann@example.com', 'not the password'), { from: '/sign-in?next=/x' });
  const unknown = await browser.post('/sign-in', form('nobody@example.com'), { from: '/sign-in?next=/x' });
  for (const page of [wrong, unknown]) {
    assert.equal(page.status, 422);
    assert.match(page.text, /do not belong together/);
  }
});

test('an unknown email takes as long as a wrong password', async () => {
  const took = async (email: string): Promise<number> => {
    const times: number[] = [];
    for (let i = 0; i < 5; i++) {
      const start = performance.now();
      await app.accounts.signIn({ email, password: 'not the password' }, `10.1.${i}.1`);
      times.push(performance.now() - start);
    }
    return times.sort((a, b) => a - b)[2]!;
  };
  const unknown = await took('nobody@example.com');
  const wrong = await took('ann@example.com');
  assert.ok(unknown > wrong / 3, `unknown ${unknown} ms, wrong ${wrong} ms`);
});

test('operators and lists in place of email and password are refused', async () => {
  const bodies = [
    new URLSearchParams({ 'email[$gt]': '', 'password[$gt]': '' }),
    new URLSearchParams([['email', 'ann@example.com'], ['email', 'x'], ['password', PASSWORD]]),
    new URLSearchParams([['email', 'ann@example.com'], ['password', PASSWORD], ['password', 'x']]),
  ];
  for (const body of bodies) {
    const browser = app.browser();
    await browser.get('/sign-in?next=/x');
    body.set('_csrf', browser.csrfToken() ?? '');
    const response = await browser.request('/sign-in?email=ann%40example.com&password=x', { method: 'POST', body });
    assert.equal(response.status, 422);
  }
  const browser = app.browser();
  await browser.get('/sign-in?next=/x');
  const json = await browser.request('/sign-in', {
    method: 'POST', body: JSON.stringify({ email: { $gt: '' }, password: { $gt: '' } }),
    headers: { 'content-type': 'application/json', 'x-csrf-token': browser.csrfToken() ?? '' },
  });
  assert.equal(json.status, 422);
});

test('the session gets a new id at sign-in, so one known from before is worth nothing', async () => {
  const browser = app.browser();
  await browser.get('/sign-in?next=/x');
  const before = browser.cookies();
  await browser.post('/sign-in', form('ann@example.com'));
  assert.notEqual(browser.cookies(), before);
  const old = await fetch(`${app.base}/`, { headers: { cookie: before }, redirect: 'manual' });
  assert.equal(old.headers.get('location'), '/sign-in');
});

test('a cookie that was tampered with or made up signs nobody in', async () => {
  for (const cookie of ['signpost=s%3Aabc.def', 'signpost=j%3A%7B%22%24gt%22%3A%22%22%7D', 'signpost[$gt]=']) {
    const response = await fetch(`${app.base}/`, { headers: { cookie }, redirect: 'manual' });
    assert.equal(response.headers.get('location'), '/sign-in');
  }
});

test('after sign-out the old cookie opens nothing', async () => {
  const browser = app.browser();
  await browser.post('/sign-in', form('ann@example.com'), { from: '/sign-in?next=/x' });
  const cookie = browser.cookies();
  const page = await browser.post('/sign-out', {}, { from: '/' });
  assert.equal(new URL(page.url).pathname, '/sign-in');
  const old = await fetch(`${app.base}/settings`, { headers: { cookie }, redirect: 'manual' });
  assert.equal(old.status, 302);
});

test('after ten wrong passwords the eleventh try waits, even with the right one; other addresses may go on', async () => {
  await app.accounts.signUp({ email: 'target@example.com', password: PASSWORD, timeZone: 'UTC' });
  const tryFrom = async (ip: string, password: string): Promise<Response> => {
    const browser = app.browser();
    await browser.get('/sign-in?next=/x');
    const body = new URLSearchParams({ ...form('Target@example.com', password), _csrf: browser.csrfToken() ?? '' });
    return browser.request('/sign-in', { method: 'POST', body, headers: { 'x-forwarded-for': ip } });
  };
  const wrong = await Promise.all(Array.from({ length: 10 }, () => tryFrom('203.0.113.7', 'not the password')));
  assert.deepEqual([...new Set(wrong.map(({ status }) => status))], [422]);
  const blocked = await tryFrom('203.0.113.7', PASSWORD);
  assert.equal(blocked.status, 429);
  const retryAfterS = Number(blocked.headers.get('retry-after'));
  assert.ok(retryAfterS > 800 && retryAfterS <= 900, String(retryAfterS));
  assert.match(await blocked.text(), /Too many sign-in attempts\. Try again in 15 minutes\./);
  assert.equal((await tryFrom('203.0.113.8', PASSWORD)).status, 303);
});

test('one address that tries many emails is stopped too', async () => {
  let blocked = 0;
  for (let i = 0; i < 101; i++) {
    try {
      await app.accounts.signIn({ email: `guess${i}@example.com`, password: 'x' }, `2001:db8:1:2::${i.toString(16)}`);
    } catch (error) {
      assert.match(String(error), /Too many sign-in attempts/);
      blocked++;
    }
  }
  assert.equal(blocked, 1);
});
