import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Router } from 'express';
import { httpSession } from '../support/http-session.js';
import { KEY, startShell } from './shell.js';

const shell = await startShell();
const auth = { authorization: `Bearer ${KEY}` };
const json = { ...auth, 'content-type': 'application/json' };

interface ErrorBody {
  action: string;
  status: string;
  code: number;
  message: string;
  requestId: string;
  errors?: { field: string; message: string; code?: number }[];
}

async function api(path: string, init: RequestInit = {}): Promise<{ status: number; body: ErrorBody; headers: Headers }> {
  const response = await fetch(`${shell.base}/api${path}`, init);
  assert.equal(response.headers.get('content-type'), 'application/json; charset=utf-8');
  return { status: response.status, body: (await response.json()) as ErrorBody, headers: response.headers };
}

async function signedIn() {
  const browser = httpSession(shell.base);
  await browser.get('/enter');
  await browser.post('/enter', {});
  return browser;
}

test('a missing, wrong or oddly placed API key is answered 403 with code 102', async () => {
  const doors: [string, RequestInit][] = [
    ['/note', {}],
    ['/note', { headers: { authorization: 'Bearer WRONG' } }],
    ['/note', { headers: { authorization: KEY } }],
    ['/note', { headers: { authorization: `Basic ${KEY}` } }],
    ['/note', { headers: { authorization: `Bearer ${KEY} more` } }],
    ['/note', { method: 'POST', body: JSON.stringify({ access_token: { $gt: '' } }), headers: { 'content-type': 'application/json' } }],
    ['/note?access_token[$gt]=', {}],
  ];
  for (const [path, init] of doors) {
    const { status, body } = await api(path, init);
    assert.equal(status, 403, path);
    assert.equal(body.code, 102);
    assert.equal(body.status, 'error');
    assert.equal(body.action, 'note');
    assert.match(body.message, /API key/);
  }
});

test('an unknown Profile-Key is refused, an empty one counts as none', async () => {
  assert.equal((await api('/note', { headers: { ...auth, 'profile-key': 'ABC' } })).status, 403);
  assert.equal((await api('/note', { headers: { ...auth, 'profile-key': '' } })).status, 200);
});

test('a body that is not JSON, is too large or of another type is told as such', async () => {
  const notJson = await api('/note', { method: 'POST', headers: json, body: '{"text":' });
  assert.equal(notJson.status, 400);
  assert.equal(notJson.body.errors?.[0]?.field, 'body');
  assert.match(notJson.body.message, /not valid JSON/);
  const scalar = await api('/note', { method: 'POST', headers: json, body: '"text"' });
  assert.equal(scalar.status, 400);
  const large = await api('/note', { method: 'POST', headers: json, body: JSON.stringify({ text: 'x'.repeat(1_100_000) }) });
  assert.equal(large.status, 413);
  assert.match(large.body.message, /1 MB/);
  const form = await api('/note', { method: 'POST', headers: { ...auth, 'content-type': 'application/x-www-form-urlencoded' }, body: 'text=a' });
  assert.equal(form.status, 415);
  assert.equal(form.body.errors?.[0]?.field, 'Content-Type');
  const charset = await api('/note', { method: 'POST', headers: { ...auth, 'content-type': 'application/json; charset=iso-8859-1' }, body: '{}' });
  assert.equal(charset.status, 415);
  assert.deepEqual(shell.saved, []);
});

test('wrong types and broken rules name the field, the rule and the code', async () => {
  const operator = await api('/note', { method: 'POST', headers: json, body: JSON.stringify({ text: { $gt: '' } }) });
  assert.equal(operator.status, 400);
  assert.deepEqual(operator.body.errors, [{ field: 'text', message: 'This must be text, not an object.', code: 900 }]);
  assert.equal(operator.body.code, 900);
  const item = await api('/note', { method: 'POST', headers: json, body: JSON.stringify({ text: 'a', places: ['x', 2] }) });
  assert.equal(item.body.errors?.[0]?.field, 'places[1]');
  const missing = await api('/note', { method: 'POST', headers: auth });
  assert.deepEqual(missing.body.errors, [{ field: 'text', message: 'This is required.', code: 900 }]);
  const long = await api('/note', { method: 'POST', headers: json, body: JSON.stringify({ text: 'x'.repeat(21), places: [] }) });
  assert.deepEqual(long.body.errors?.map(({ field }) => field), ['text', 'places']);
  const query = await api('/note?one[$gt]=', { headers: auth });
  assert.equal(query.status, 400);
  assert.equal(query.body.errors?.[0]?.field, 'one');
});

test('clients may send GET with a JSON content type and no body, and DELETE with a body', async () => {
  assert.equal((await api('/note', { headers: json })).status, 200);
  const deleted = await api('/note', { method: 'DELETE', headers: json, body: JSON.stringify({ id: 'a', source: 'npm' }) });
  assert.deepEqual(deleted.body, { id: 'a' });
});

test('unknown endpoints are 404, known ones with another method 405, OPTIONS lists the methods', async () => {
  const unknown = await api('/nothing/here', { headers: auth });
  assert.equal(unknown.status, 404);
  assert.equal(unknown.body.message, 'This endpoint does not exist');
  assert.equal((await api('', { headers: auth })).status, 404);
  const shouted = await fetch(`${shell.base}/API/nothing`);
  assert.equal(shouted.headers.get('content-type'), 'application/json; charset=utf-8');
  const put = await api('/note', { method: 'PUT', headers: json, body: '{}' });
  assert.equal(put.status, 405);
  assert.equal(put.headers.get('allow'), 'DELETE, GET, HEAD, OPTIONS, POST');
  const options = await fetch(`${shell.base}/api/note/abc`, { method: 'OPTIONS' });
  assert.equal(options.status, 204);
  assert.equal(options.headers.get('allow'), 'GET, HEAD, OPTIONS');
  const head = await fetch(`${shell.base}/api/note/abc`, { method: 'HEAD', headers: auth });
  assert.equal(head.status, 200);
  assert.equal(await head.text(), '');
  const badEscape = await api('/note/%E0%A4%A', { headers: auth });
  assert.equal(badEscape.status, 400);
});

test('a failure of ours shows its request id and nothing else; the log has the reason', async () => {
  const { status, body, headers } = await api('/broken', { headers: { ...auth, 'x-request-id': 'caller-id-42' } });
  assert.equal(status, 500);
  assert.equal(body.requestId, 'caller-id-42');
  assert.equal(headers.get('x-request-id'), 'caller-id-42');
  assert.doesNotMatch(JSON.stringify(body), /secret reason/);
  assert.ok(shell.logLines.some((line) => line.includes('the secret reason') && line.includes('caller-id-42')));
});

test('a request id that could break a log line is replaced', async () => {
  for (const bad of ['x', 'a"b\tcdefgh', 'x'.repeat(200), '<script>alert(1)</script>']) {
    const response = await fetch(`${shell.base}/healthz`, { headers: { 'x-request-id': bad } });
    assert.match(response.headers.get('x-request-id') ?? '', /^[A-Za-z0-9_-]{16}$/);
  }
});

test('log lines hold no query strings, keys or cookies', async () => {
  await fetch(`${shell.base}/api/note?apiKey=QUERYSECRET&access_token=${KEY}`, { headers: { ...auth, cookie: 'signpost=COOKIESECRET' } });
  const all = shell.logLines.join('');
  const line = shell.logLines.at(-1) ?? '';
  assert.equal(line.split('"path"').length, 2);
  const { method, path, status, requestId } = JSON.parse(line) as Record<string, unknown>;
  assert.deepEqual([method, path, status], ['GET', '/api/note', 403]);
  assert.match(String(requestId), /^[A-Za-z0-9_-]{16}$/);
  assert.doesNotMatch(all, /QUERYSECRET|COOKIESECRET|GOODKEY/);
});

test('healthz says that the process lives, readyz whether the database answers', async () => {
  assert.equal((await fetch(`${shell.base}/readyz`)).status, 200);
  shell.setReady(false);
  assert.equal((await fetch(`${shell.base}/readyz`)).status, 503);
  assert.equal((await fetch(`${shell.base}/healthz`)).status, 200);
  shell.setReady(true);
});

test('every page carries a strict policy', async () => {
  const { headers } = await fetch(`${shell.base}/enter`);
  const policy = headers.get('content-security-policy') ?? '';
  assert.match(policy, /script-src 'self';/);
  assert.match(policy, /style-src 'self';/);
  assert.match(policy, /form-action 'self' http:\/\/127\.0\.0\.1:1/);
  assert.doesNotMatch(policy, /unsafe/);
  assert.equal(headers.get('x-powered-by'), null);
});

test('cookies are kept from scripts and other sites, and from plain http when users come by https', async () => {
  const plain = await fetch(`${shell.base}/enter`);
  assert.match(plain.headers.getSetCookie()[0] ?? '', /^signpost=.*; Path=\/; .*HttpOnly; SameSite=Lax$/);
  const behindProxy = await startShell({ isHttps: true });
  const secure = await fetch(`${behindProxy.base}/enter`);
  assert.match(secure.headers.getSetCookie()[0] ?? '', /^__Host-signpost=.*; HttpOnly; Secure; SameSite=Lax$/);
  assert.match(secure.headers.get('strict-transport-security') ?? '', /max-age=/);
});

test('files of packages are served by allow-list, cached for ever; others are not', async () => {
  const page = await (await fetch(`${shell.base}/enter`)).text();
  const urls = [...page.matchAll(/(?:href|src)="(\/(?:vendor|assets)\/[^"]+)"/g)].map((match) => match[1]!);
  assert.ok(urls.length >= 6);
  for (const url of urls) {
    const response = await fetch(shell.base + url);
    assert.equal(response.status, 200, url);
    assert.match(response.headers.get('cache-control') ?? '', /immutable/, url);
    assert.ok((await response.text()).length > 100, url);
  }
  for (const path of ['/vendor/bootstrap@5.3.8/package.json', '/assets/../package.json', '/assets/%2e%2e/package.json', '/assets/..%2fpackage.json']) {
    const response = await fetch(shell.base + path);
    assert.notEqual(response.status, 200, path);
  }
});

test('a page without sign-in leads to sign-in and names where to return', async () => {
  const response = await fetch(`${shell.base}/notes?page=2`, { redirect: 'manual' });
  assert.equal(response.status, 302);
  assert.equal(response.headers.get('location'), '/sign-in?next=%2Fnotes%3Fpage%3D2');
  const htmx = await fetch(`${shell.base}/notes`, { headers: { 'hx-request': 'true', 'hx-current-url': `${shell.base}/notes?x=1` }, redirect: 'manual' });
  assert.equal(htmx.status, 401, 'a live stream that connects again must not take it for a stream');
  assert.equal(htmx.headers.get('hx-redirect'), '/sign-in?next=%2Fnotes%3Fx%3D1');
});

test('a form sent after the session ended says so and shows what was typed, without passwords', async () => {
  const response = await fetch(`${shell.base}/notes`, {
    method: 'POST', redirect: 'manual', body: new URLSearchParams({ text: 'A long <b>thought</b>', newPassword: 'hidden-from-view', _csrf: 'x' }),
  });
  const page = await response.text();
  assert.equal(response.status, 401);
  assert.match(page, /You are signed out/);
  assert.match(page, /A long &lt;b&gt;thought&lt;\/b&gt;/);
  assert.doesNotMatch(page, /hidden-from-view/);
  const htmx = await fetch(`${shell.base}/notes`, { method: 'POST', headers: { 'hx-request': 'true', accept: 'text/html, text/event-stream' }, body: new URLSearchParams({ text: 'a' }) });
  assert.equal(htmx.status, 401);
  assert.equal(htmx.headers.get('hx-retarget'), '#alerts');
  assert.match(await htmx.text(), /still on this page/);
  assert.deepEqual(shell.saved, []);
});

test('a forged or missing token is refused with an explanation, and nothing is done', async () => {
  const browser = await signedIn();
  for (const csrf of [null, 'forged', '']) {
    const page = await browser.post('/notes', { text: 'Hello', name: 'n' }, { csrf });
    assert.equal(page.status, 403);
    assert.match(page.text, /could not be sure that this form came from its own page/);
  }
  const twice = await browser.request('/notes', { method: 'POST', body: new URLSearchParams([['_csrf', 'a'], ['_csrf', browser.csrfToken() ?? '']]) });
  assert.equal(twice.status, 403);
  assert.deepEqual(shell.saved, []);
});

test('another site can not send forms here, even with the right token', async () => {
  const browser = await signedIn();
  const body = new URLSearchParams({ text: 'Hello', name: 'n', _csrf: browser.csrfToken() ?? '' });
  const response = await browser.request('/notes', { method: 'POST', body, headers: { 'sec-fetch-site': 'cross-site' } });
  assert.equal(response.status, 403);
  assert.deepEqual(shell.saved, []);
});

test('a form that breaks a rule comes back with what was typed and what is wrong', async () => {
  const browser = await signedIn();
  const page = await browser.post('/notes', { text: 'x'.repeat(30), name: 'Quoted "name" <i>' });
  assert.equal(page.status, 422);
  assert.match(page.text, /value="Quoted &#34;name&#34; &lt;i&gt;"/);
  assert.match(page.text, /This is too long: at most 20 characters\./);
  assert.match(page.text, /aria-describedby="[^"]*f-name-problem/);
  assert.deepEqual(shell.saved, []);
});

test('a good form is done once and leads on', async () => {
  const browser = await signedIn();
  const page = await browser.post('/notes', { text: 'Hello', name: 'n' });
  assert.equal(new URL(page.url).pathname, '/notes');
  assert.deepEqual(shell.saved.splice(0), [{ text: 'Hello', name: 'n' }]);
  const htmx = await browser.request('/notes', {
    method: 'POST', headers: { 'hx-request': 'true', 'x-csrf-token': browser.csrfToken() ?? '' }, body: new URLSearchParams({ text: 'Hi', name: 'n' }),
  });
  assert.equal(htmx.headers.get('hx-redirect'), '/notes');
  assert.equal(shell.saved.splice(0).length, 1);
});

test('unknown pages, wrong methods and our own failures are pages with a request id', async () => {
  const browser = await signedIn();
  const unknown = await browser.get('/nothing');
  assert.equal(unknown.status, 404);
  assert.match(unknown.text, /Not found/);
  assert.equal((await browser.request('/notes', { method: 'DELETE' })).status, 405);
  const failed = await browser.get('/fails');
  assert.equal(failed.status, 500);
  assert.match(failed.text, /Request id <code>[A-Za-z0-9_-]+<\/code>/);
  assert.doesNotMatch(failed.text, /secret reason|at .*\.js/);
});

test('a form over 1 MB is refused as a page that says so', async () => {
  const browser = await signedIn();
  const page = await browser.post('/notes', { text: 'x'.repeat(1_100_000), name: 'n' });
  assert.equal(page.status, 413);
  assert.match(page.text, /larger than 1 MB/);
});

test('even a page that can not be rendered shows no stack', async () => {
  const broken = await startShell({ publicPages: [Router().get('/broken-view', (_req, res) => res.render('no/such/view')).get('/broken-twice', () => {
    throw Object.defineProperty(new Error('x'), 'name', { get: () => { throw new Error('the secret reason'); } });
  })] });
  for (const path of ['/broken-view', '/broken-twice']) {
    const response = await fetch(broken.base + path);
    assert.equal(response.status, 500);
    assert.doesNotMatch(await response.text(), /secret reason|node_modules|\.js:\d/);
  }
});

test('programs reach raw receivers without session or token', async () => {
  const response = await fetch(`${shell.base}/hooks/abc`, { method: 'POST', body: '{"a":1}', headers: { 'content-type': 'application/json' } });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('set-cookie'), null);
  assert.deepEqual(shell.saved.splice(0), [{ raw: undefined }]);
});
