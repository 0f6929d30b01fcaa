/** Webhooks through the page and the API: register, test, look, resend, change, remove; the inbox; and bad input. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import axe from 'axe-core';
import { Webhook } from 'standardwebhooks';
import { apiClient, createApiKey, signUp, type ApiClient } from '../../src/cli/newcomer.js';
import { clientCertificate, clientKey } from '../support/certificates.js';
import { launchBrowser, noBrowser } from '../support/browser.js';
import { type HttpSession } from '../support/http-session.js';
import { startReceiver, type Receiver } from '../support/receiver.js';
import { startApp, type TestApp } from '../support/start-app.js';
import { waitUntil } from '../support/wait-until.js';

let app: TestApp;
let receiver: Receiver;
before(async () => {
  app = await startApp();
  receiver = await startReceiver();
});
after(async () => {
  await receiver.stop();
  await app.stop();
});

let people = 0;
async function someone(): Promise<{ session: HttpSession; api: ApiClient; email: string }> {
  people += 1;
  const email = `person${people}@example.com`;
  const { session } = await signUp(app.url, { email });
  return { session, api: apiClient(app.url, await createApiKey(session)), email };
}

/** Adds an endpoint in the page. @returns its id and the secret that the page shows once */
async function addEndpoint(session: HttpSession, fields: Record<string, string | string[]>): Promise<{ id: string; secret: string }> {
  const page = await session.post('/webhooks', { name: '', style: 'ayrshare', events: ['scheduled'], secret: '', ...fields }, { from: '/webhooks/new' });
  assert.equal(page.status, 201, page.text.slice(0, 3_000));
  assert.equal(page.headers.get('cache-control'), 'no-store');
  return { id: /\/webhooks\/(end_[0-9a-z]+)/.exec(page.text)![1]!, secret: decode(/id="secret"[^>]*>([^<]+)</.exec(page.text)![1]!) };
}

const decode = (text: string) => text.replaceAll('&#43;', '+').replaceAll('&#61;', '=').replaceAll('&amp;', '&').replaceAll('&#39;', "'");

describe('the page of webhooks', () => {
  it('says what to do next, adds an endpoint, shows its secret once, sends a signed test and shows what came of it', async () => {
    const { session } = await someone();
    assert.match((await session.get('/webhooks')).text, /No endpoints yet/);
    const { id, secret } = await addEndpoint(session, { url: `${receiver.url}/page`, name: 'Newsroom' });
    assert.match(secret, /^whsec_/);
    assert.ok(!(await session.get(`/webhooks/${id}`)).text.includes(secret));
    const delivery = await session.post(`/webhooks/${id}/test`, {}, { from: `/webhooks/${id}` });
    const request = await receiver.waitFor('the test', ({ path }) => path === '/page');
    assert.doesNotThrow(() => new Webhook(secret).verify(request.raw.toString(), request.headers as Record<string, string>));
    const shown = await waitUntil('the page to show the answer', async () => {
      const page = await session.get(new URL(delivery.url).pathname);
      return page.text.includes('answered 200') ? page.text : null;
    });
    assert.match(shown, /webhook-signature: v1,/);
    assert.match(shown, /This is a test from Signpost/);
    await waitUntil('the list to show the last delivery', async () => /Newsroom[\s\S]*answered 200/.test((await session.get('/webhooks')).text));
  });

  it('shows every kind of failure, sends again on request, and filters the log by its address', async () => {
    const { session } = await someone();
    receiver.answerWith({ status: 503, body: '<b>down</b>' });
    const { id } = await addEndpoint(session, { url: `${receiver.url}/failing` });
    const page = await session.post(`/webhooks/${id}/test`, {}, { from: `/webhooks/${id}` });
    const path = new URL(page.url).pathname;
    const failed = await waitUntil('the failure', async () => {
      const { text } = await session.get(path);
      return text.includes('The receiver answered 503') ? text : null;
    });
    assert.ok(failed.includes('&lt;b&gt;down&lt;/b&gt;'), 'the response is shown as text');
    receiver.answerWith({ status: 200, body: 'fine' });
    assert.match((await session.get('/webhooks')).text, /last 24 hours: 1 delivery, 100 % failed/);
    await session.post(`${path}/resend`, {}, { from: path });
    await waitUntil('the resend', async () => (await session.get(path)).text.includes('sent by hand'));
    const ids = receiver.received.filter((request) => request.path === '/failing').map(({ headers }) => headers['webhook-id']);
    assert.equal(ids.length, 2);
    assert.equal(ids[0], ids[1]);
    assert.match((await session.get(`/webhooks/deliveries?endpoint=${id}&state=delivered`)).text, /\/failing/);
    assert.match((await session.get(`/webhooks/deliveries?endpoint=${id}&state=failed`)).text, /Nothing matches/);
    assert.match((await session.get('/webhooks/deliveries?text=%28%5B%24&state=%24gt&before=x')).text, /Nothing matches/);
    assert.equal((await session.get('/webhooks/deliveries?state[$gt]=&text[$ne]=1')).status, 200);
  });

  it('changes, pauses, rotates and removes an endpoint', async () => {
    const { session } = await someone();
    const { id, secret } = await addEndpoint(session, { url: `${receiver.url}/before`, style: 'signpost', events: ['post.published', 'post.failed'], secret: 'my own words' });
    assert.equal(secret, 'my own words');
    const saved = await session.post(`/webhooks/${id}/edit`, { name: 'x', url: `${receiver.url}/after`, style: 'signpost', events: '*' }, { from: `/webhooks/${id}/edit` });
    assert.match(saved.text, /\/after[\s\S]*all events/);
    assert.match((await session.post(`/webhooks/${id}/pause`, {})).text, /Paused/);
    assert.match((await session.post(`/webhooks/${id}/resume`, {})).text, /Enabled/);
    const rotated = await session.post(`/webhooks/${id}/rotate`, {});
    const fresh = decode(/id="secret"[^>]*>([^<]+)</.exec(rotated.text)![1]!);
    await session.post(`/webhooks/${id}/test`, {}, { from: `/webhooks/${id}` });
    const request = await receiver.waitFor('the test', ({ path }) => path === '/after');
    const headers = request.headers as Record<string, string>;
    for (const key of [fresh, `whsec_${Buffer.from('my own words').toString('base64')}`]) assert.doesNotThrow(() => new Webhook(key).verify(request.raw.toString(), headers));
    assert.match(String(headers['x-authorization-content-sha256-v2']), /^v1=[0-9a-f]{64},v1=[0-9a-f]{64}$/);
    await session.post(`/webhooks/${id}/remove`, {}, { from: `/webhooks/${id}` });
    assert.equal((await session.get(`/webhooks/${id}`)).status, 404);
    const log = await session.get('/webhooks/deliveries');
    const left = await session.get(/\/webhooks\/deliveries\/dlv_[0-9a-f]+/.exec(log.text)![0]);
    assert.match(left.text, /\(removed\)/);
    assert.ok(!left.text.includes('id="resend"'));
  });

  it('switches endpoints off and on in the list, and says whose they are where there are several profiles', async () => {
    const { session } = await someone();
    const { id } = await addEndpoint(session, { url: `${receiver.url}/switch` });
    const off = await session.post(`/webhooks/${id}/pause`, { from: 'list' }, { from: '/webhooks' });
    assert.equal(new URL(off.url).pathname, '/webhooks');
    assert.match(off.text, /Paused[\s\S]*Turn on/);
    assert.doesNotMatch(off.text, /profile Primary/);
    assert.match((await session.post(`/webhooks/${id}/resume`, { from: 'list' })).text, /Enabled[\s\S]*Pause/);
    await session.post('/profiles', { title: 'Second desk' }, { from: '/profiles' });
    const use = /\/profiles\/prf_[0-9a-z]+\/use/.exec((await session.get('/profiles')).text)![0];
    await session.post(use, {});
    const own = await addEndpoint(session, { url: `${receiver.url}/second` });
    const list = (await session.get('/webhooks')).text;
    assert.match(list, /profile Primary Profile/);
    assert.match(list, /profile Second desk/);
    assert.match((await session.get(`/webhooks/${own.id}`)).text, /Second desk/);
    assert.match((await session.get(`/webhooks/${id}`)).text, /Primary Profile[\s\S]*and profiles without endpoints of their own/);
  });

  it('keeps what is typed among the options, certificates and all, and shows no key again', async () => {
    const { session } = await someone();
    const fields = { url: 'https://localhost:9443/mtls', description: 'For the desk', maxPerMinute: '90', ordered: 'on', timedHeader: 'Signpost-Signature', clientCertificate, clientKeySecret: clientKey };
    const bad: [Record<string, string>, RegExp][] = [
      [{ maxPerMinute: '0' }, /At least 1/], [{ maxPerMinute: 'many' }, /Enter a number, or nothing/], [{ timedHeader: 'Host' }, /can&#39;t be set/], [{ timedHeader: 'a b' }, /not the name of a header/],
      [{ timedHeader: 'X-Key', headers: 'x-key: 1' }, /among your own headers already/], [{ description: 'x'.repeat(501) }, /at most 500/], [{ clientKeySecret: '' }, /Paste the private key/], [{ clientCertificate: 'hello' }, /not a certificate in PEM/],
      [{ url: `${receiver.url}/plain` }, /needs an https URL/],
    ];
    for (const [change, message] of bad) {
      const page = await session.post('/webhooks', { name: '', style: 'signpost', events: '*', secret: '', ...fields, ...change }, { from: '/webhooks/new' });
      assert.equal(page.status, 422, JSON.stringify(change));
      assert.match(page.text, message);
      assert.ok(!page.text.includes(clientKey.split('\n')[1]!), 'the key does not come back');
    }
    const { id } = await addEndpoint(session, { style: 'signpost', events: '*', ...fields });
    const shown = (await session.get(`/webhooks/${id}`)).text;
    for (const part of ['For the desk', '90 in a minute', 'one after the other', 'Signpost-Signature', 'Signpost client']) assert.ok(shown.includes(part), part);
    const edit = (await session.get(`/webhooks/${id}/edit`)).text;
    assert.ok(edit.includes('-----BEGIN CERTIFICATE-----') && !edit.includes(clientKey.split('\n')[1]!));
    await session.post(`/webhooks/${id}/edit`, { name: '', url: fields.url, style: 'signpost', events: '*', description: '', maxPerMinute: '', timedHeader: '', clientCertificate: '', clientKeySecret: '' });
    const plain = (await session.get(`/webhooks/${id}`)).text;
    for (const part of ['For the desk', 'in a minute', 'one after the other', 'Signpost-Signature', 'Signpost client']) assert.ok(!plain.includes(part), part);
  });

  it("shows nobody else's endpoints and deliveries", async () => {
    const [mine, other] = [await someone(), await someone()];
    const { id } = await addEndpoint(mine.session, { url: `${receiver.url}/mine` });
    const delivery = new URL((await mine.session.post(`/webhooks/${id}/test`, {}, { from: `/webhooks/${id}` })).url).pathname;
    for (const path of [`/webhooks/${id}`, `/webhooks/${id}/edit`, delivery, `${delivery}/live`]) assert.equal((await other.session.get(path)).status, 404, path);
    await other.session.get('/webhooks');
    for (const path of [`/webhooks/${id}/remove`, `/webhooks/${id}/test`, `/webhooks/${id}/rotate`, `${delivery}/resend`]) assert.equal((await other.session.post(path, {})).status, 404, path);
    assert.match((await other.session.get('/webhooks/deliveries')).text, /No deliveries yet/);
    assert.equal((await mine.session.get(`/webhooks/${id}`)).status, 200);
  });

  it('names the field and the rule of bad input beside the field, keeps what was typed, and stores nothing', async () => {
    const { session } = await someone();
    const cases: [Record<string, string | string[]>, RegExp][] = [
      [{ url: '' }, /Enter the URL/],
      [{ url: 'hello' }, /not a web address/],
      [{ url: 'ftp://example.com/' }, /not a web address/],
      [{ url: 'http://10.0.0.1/' }, /10\.0\.0\.1 is a private address/],
      [{ url: 'https://user:pass@example.com/' }, /user name or password/],
      [{ url: `${app.url}/webhooks` }, /Signpost&#39;s own address/],
      [{ url: `${app.url.replace('127.0.0.1', 'localhost')}/api/post` }, /Signpost&#39;s own address/],
      [{ url: `${receiver.url}/x`, style: 'ayrshare', events: [] }, /Choose at least one action/],
      [{ url: `${receiver.url}/x`, style: 'signpost', events: ['post.nonsense'] }, /Not an event/],
      [{ url: `${receiver.url}/x`, secret: 'whsec_short' }, /24 to 64 bytes/],
      [{ url: `${receiver.url}/x`, style: 'other' }, /Choose a format/],
    ];
    for (const [fields, rule] of cases) {
      const page = await session.post('/webhooks', { name: 'Kept name', style: 'ayrshare', events: ['scheduled'], ...fields }, { from: '/webhooks/new' });
      assert.equal(page.status, 422, JSON.stringify(fields));
      assert.match(page.text, rule);
      assert.match(page.text, /Kept name/);
    }
    assert.match((await session.get('/webhooks')).text, /No endpoints yet/);
  });
});

describe('the check of a signature', () => {
  it('says that a request is right, or why it is not, and asks for what is missing', async () => {
    const { session } = await someone();
    const { id, secret } = await addEndpoint(session, { url: `${receiver.url}/checked` });
    await session.post(`/webhooks/${id}/test`, {}, { from: `/webhooks/${id}` });
    const request = await receiver.waitFor('the test', ({ path }) => path === '/checked');
    const headers = Object.entries(request.headers).map(([name, value]) => `${name}: ${String(value)}`).join('\r\n');
    const check = (fields: Record<string, string>) => session.post('/webhooks/verify', { headers, body: request.raw.toString(), secret: '', ...fields }, { from: '/webhooks/verify' });
    assert.match((await check({})).text, /The signature is right/);
    const wrong = await check({ secret: 'something else' });
    assert.match(wrong.text, /The signature does not match/);
    assert.match(wrong.text, /signed for the endpoint .*, with its secret and not with this one/);
    assert.match((await check({ secret: secret.slice(6) })).text, /The signature is right|lacks its beginning/);
    assert.equal((await check({ body: '' })).status, 422);
  });
});

describe('POST, GET and DELETE /api/hook/webhook', () => {
  it('registers one URL per action, lists it, replaces it, and removes it', async () => {
    const { api, session } = await someone();
    const first = await api.post('/api/hook/webhook', { action: 'scheduled', url: `${receiver.url}/api-a`, secret: 'top secret' });
    assert.equal(first.status, 200);
    assert.deepEqual({ ...first.body, refId: '' }, { status: 'success', action: 'scheduled', url: `${receiver.url}/api-a`, refId: '' });
    assert.match(String(first.body['refId']), /^[0-9a-f]{40}$/);
    const second = await api.post('/api/hook', { action: 'scheduled', url: `${receiver.url}/api-b` });
    assert.equal(second.body['secret'], undefined, 'the secret of the profile goes on');
    const listed = await api.get('/api/hook/webhook?allWebhooks=true');
    assert.equal(listed.body['scheduled'], `${receiver.url}/api-b`);
    assert.ok(!Number.isNaN(Date.parse(String(listed.body['scheduledUpdated']))));
    assert.match((await session.get('/webhooks')).text, /api-b[\s\S]*registered by API/);
    assert.deepEqual((await api.delete('/api/hook/webhook', { action: 'scheduled' })).body, { status: 'success', action: 'scheduled' });
    assert.equal((await api.delete('/api/hook/webhook', { action: 'scheduled' })).status, 404);
    assert.equal((await api.get('/api/hook/webhook')).body['scheduled'], undefined);
  });

  it('makes a secret when none is given, rotates with an overlap when another is given, and signs with both meanwhile', async () => {
    const { api } = await someone();
    const made = await api.post('/api/hook/webhook', { action: 'scheduled', url: `${receiver.url}/rotating` });
    assert.match(String(made.body['secret']), /^whsec_/);
    const both = await Promise.all([
      api.post('/api/hook/webhook', { action: 'scheduled', url: `${receiver.url}/rotating`, secret: 'second' }),
      api.post('/api/hook/webhook', { action: 'feed', url: `${receiver.url}/feed`, secret: 'second' }),
    ]);
    assert.deepEqual(both.map(({ status }) => status), [200, 200]);
  });

  it('answers bad input as JSON that names the field and the rule', async () => {
    const { api } = await someone();
    const good = { action: 'scheduled', url: `${receiver.url}/x` };
    const cases: [unknown, string][] = [
      [{}, 'action'], [{ ...good, action: 'nonsense' }, 'action'], [{ ...good, action: { $gt: '' } }, 'action'], [{ action: 'scheduled' }, 'url'], [{ ...good, url: { $gt: '' } }, 'url'],
      [{ ...good, url: 'http://192.168.0.1/' }, 'url'], [{ ...good, url: 'https://example.com/#frag' }, 'url'], [{ ...good, url: 'http://[::ffff:10.0.0.1]/' }, 'url'], [{ ...good, secret: 7 }, 'secret'],
      [{ ...good, secret: 'a\nb' }, 'secret'],
    ];
    for (const [body, field] of cases) {
      const answer = await api.post('/api/hook/webhook', body);
      assert.equal(answer.status, 400, JSON.stringify(body));
      assert.equal(answer.body['status'], 'error');
      assert.equal((answer.body['errors'] as { field: string }[])[0]?.field, field, JSON.stringify(answer.body));
    }
    assert.deepEqual(Object.keys((await api.get('/api/hook/webhook')).body).sort(), ['refId', 'status']);
  });
});

describe('the inbox', () => {
  it('becomes an endpoint with one click, shows what arrives, and whether its signature verified', async () => {
    const { session, email } = await someone();
    const page = await session.get('/inbox');
    assert.match(page.text, /Nothing has arrived yet/);
    const url = /id="inbox-url"[^>]*>([^<]+)</.exec(page.text)![1]!;
    await session.post('/inbox/endpoint', {});
    const endpoint = /\/webhooks\/(end_[0-9a-z]+)/.exec((await session.get('/webhooks')).text)![1]!;
    await session.post(`/webhooks/${endpoint}/test`, {}, { from: `/webhooks/${endpoint}` });
    const shown = await waitUntil('the test to arrive', async () => {
      const { text } = await session.get('/inbox');
      return text.includes('This is a test from Signpost') ? text : null;
    });
    assert.match(shown, /Verified/);
    assert.ok(!shown.includes('Not verified'));
    const message = await session.get(/\/inbox\/messages\/msg_[0-9a-z]+/.exec(shown)![0]);
    assert.match(message.text, /webhook-signature: v1,/);

    const forged = await fetch(url, { method: 'POST', body: '{"action":"scheduled"}', headers: { 'webhook-id': 'evt_1', 'webhook-timestamp': '1', 'webhook-signature': 'v1,AAAA' } });
    assert.equal(forged.status, 200);
    const plain = await fetch(url, { method: 'POST', body: '<script>alert(1)</script>' });
    assert.equal(plain.status, 200);
    const after = (await session.get('/inbox')).text;
    assert.match(after, /Not verified/);
    assert.match(after, /Not signed/);
    assert.ok(after.includes('&lt;script&gt;'));

    const other = await someone();
    assert.notEqual(other.email, email);
    assert.ok(!(await other.session.get('/inbox')).text.includes('evt_1'));
    assert.equal((await other.session.get(new URL(message.url).pathname)).status, 404);
  });

  it('refuses what is too large, unknown inboxes, and keeps the last 200', async () => {
    const { session } = await someone();
    const url = /id="inbox-url"[^>]*>([^<]+)</.exec((await session.get('/inbox')).text)![1]!;
    assert.equal((await fetch(url, { method: 'POST', body: 'x'.repeat(256 * 1024 + 1) })).status, 413);
    assert.equal((await fetch(url, { method: 'POST', body: 'x', headers: { 'content-encoding': 'gzip' } })).status, 415);
    assert.equal((await fetch(`${app.url}/inbox/${'a'.repeat(32)}`, { method: 'POST', body: '{}' })).status, 404);
    for (let i = 0; i < 203; i += 7) await Promise.all(Array.from({ length: 7 }, (_, k) => fetch(url, { method: 'POST', body: `message ${i + k}` })));
    const { text } = await session.get('/inbox');
    const shown = text.match(/id="msg_/g)!.length;
    assert.ok(shown <= 200 && shown > 190, `${shown} messages`);
  });
});

describe('the pages in a browser', { skip: noBrowser() }, () => {
  it('have no axe violations in either theme, fit 320 px, and show a delivery arriving in the inbox without a reload', async () => {
    const { email, session } = await someone();
    const browser = await launchBrowser();
    try {
      const context = await browser.newContext({ viewport: { width: 320, height: 800 }, bypassCSP: true });
      const page = await context.newPage();
      await page.goto(`${app.url}/sign-in`);
      await page.fill('input[name=email]', email);
      await page.fill('input[name=password]', 'correct horse battery');
      await page.click('main button:not([type=button])');
      await page.waitForURL(`${app.url}/`);
      const { id } = await addEndpoint(session, { url: `${receiver.url}/browser`, name: 'Browser' });
      receiver.answerWith({ status: 500, body: 'x'.repeat(9_000) });
      const delivery = new URL((await session.post(`/webhooks/${id}/test`, {}, { from: `/webhooks/${id}` })).url).pathname;
      await waitUntil('the attempt', async () => (await session.get(delivery)).text.includes('answered 500'));

      await page.goto(`${app.url}/inbox`);
      await page.click('text=Send webhooks to my inbox');
      await page.waitForSelector('text=Webhooks are sent here');
      const inboxEndpoint = /\/webhooks\/(end_[0-9a-z]+)/.exec((await page.content()))![1]!;
      await session.get('/webhooks');
      await session.post(`/webhooks/${inboxEndpoint}/test`, {}, { from: `/webhooks/${inboxEndpoint}` });
      await page.waitForSelector('#inbox-messages >> text=Verified', { timeout: 10_000 });
      const message = await page.getAttribute('#inbox-messages h3 a', 'href');

      const paths = ['/webhooks', '/webhooks/new', '/webhooks/events', '/webhooks/verify', '/webhooks/numbers', '/webhooks/numbers?within=30d', `/webhooks/${id}`, `/webhooks/${id}/edit`, '/webhooks/deliveries', '/webhooks/deliveries?text=nothing', delivery, '/inbox', message!];
      for (const scheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme: scheme });
        for (const path of paths) {
          await page.goto(app.url + path);
          const wide = await page.evaluate('document.documentElement.scrollWidth > window.innerWidth');
          assert.equal(wide, false, `${path} is wider than 320 px`);
          await page.evaluate('document.querySelectorAll("details").forEach((details) => (details.open = true))');
          await page.addScriptTag({ content: axe.source });
          const found = (await page.evaluate(`axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }).then((result) => result.violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.html).join(' | ').slice(0, 300)))`)) as string[];
          assert.deepEqual(found, [], `${path} (${scheme})`);
        }
      }
    } finally {
      await browser.close();
    }
  });
});
