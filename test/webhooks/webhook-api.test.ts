/** Signpost's own API for webhooks: endpoints with headers, deliveries and events by cursor, recovery, and the check of a signature. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { apiClient, createApiKey, signUp, type ApiClient } from '../../src/cli/newcomer.js';
import { signatureHeaders, newSecret } from '../../src/webhooks/signing.js';
import { MASK } from '../../src/webhooks/custom-headers.js';
import { diagnose } from '../../src/webhooks/diagnose.js';
import type { HttpSession } from '../support/http-session.js';
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
async function someone(): Promise<{ api: ApiClient; session: HttpSession; patch(path: string, body: unknown): Promise<{ status: number; body: Row }> }> {
  people += 1;
  const { session } = await signUp(app.url, { email: `api${people}@example.com` });
  const key = await createApiKey(session);
  const patch = async (path: string, body: unknown) => {
    const response = await fetch(app.url + path, { method: 'PATCH', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' }, body: JSON.stringify(body) });
    return { status: response.status, body: (await response.json()) as Row };
  };
  return { api: apiClient(app.url, key), session, patch };
}

type Row = Record<string, unknown>;

async function addEndpoint(api: ApiClient, fields: object): Promise<{ id: string; secret: string }> {
  const { status, body } = await api.post('/api/webhooks/endpoints', fields);
  assert.equal(status, 201, JSON.stringify(body));
  return { id: (body['endpoint'] as { id: string }).id, secret: String(body['secret']) };
}

async function settled(api: ApiClient, id: string, count = 1): Promise<Row[]> {
  return waitUntil('the deliveries to end', async () => {
    const { body } = await api.get(`/api/webhooks/deliveries?endpoint=${id}`);
    const rows = body['deliveries'] as Row[];
    return rows.length >= count && rows.every(({ state }) => ['delivered', 'failed', 'skipped', 'cancelled'].includes(String(state))) ? rows : null;
  });
}

describe('endpoints by API', () => {
  it("carry headers of the user's own, sealed and masked, and send them with each delivery", async () => {
    const { api, patch } = await someone();
    const { id } = await addEndpoint(api, { url: `${receiver.url}/headers`, headers: { 'X-Api-Key': 'top secret', Authorization: 'Bearer abc' } });
    await api.post(`/api/webhooks/endpoints/${id}/test`, {});
    const request = await receiver.waitFor('the test', ({ path }) => path === '/headers');
    assert.equal(request.headers['x-api-key'], 'top secret');
    assert.equal(request.headers['authorization'], 'Bearer abc');
    const [row] = await settled(api, id);
    assert.equal(typeof row!['lastDurationMs'], 'number');
    assert.deepEqual([row!['body'], row!['attempts']], [undefined, undefined], 'a list has no bulky parts');
    const full = JSON.stringify((await api.get(`/api/webhooks/deliveries/${String(row!['id'])}`)).body);
    assert.ok(full.includes('x-api-key') && !full.includes('top secret') && !full.includes('Bearer abc'));
    const changed = await patch(`/api/webhooks/endpoints/${id}`, { headers: { 'X-Api-Key': MASK, 'X-Other': 'new' } });
    assert.deepEqual((changed.body['endpoint'] as Row)['headers'], { 'X-Api-Key': MASK, 'X-Other': MASK });
    await api.post(`/api/webhooks/endpoints/${id}/test`, {});
    const second = await receiver.waitFor('the second test', ({ path, headers }) => path === '/headers' && headers['x-other'] === 'new');
    assert.equal(second.headers['x-api-key'], 'top secret');
    assert.equal(second.headers['authorization'], undefined);
  });

  it('refuse headers that could smuggle or mislead, and what they do not know', async () => {
    const { api } = await someone();
    const url = `${receiver.url}/x`;
    const headers = ['Host', 'content-length', 'Transfer-Encoding', 'connection', 'webhook-id', 'svix-id', 'X-Signpost-Event', 'x-amz-date', 'bad name', 'a:b', 'x-authorization-content-sha256', 'Proxy-Authorization', 'X-Forwarded-For'];
    for (const name of headers) assert.equal((await api.post('/api/webhooks/endpoints', { url, headers: { [name]: 'x' } })).status, 400, name);
    const others = [{ headers: { 'x-a': 'b\r\nc: d' } }, { headers: { 'x-a': '' } }, { headers: 7 }, { timeoutS: 99 }, { events: ['nonsense'] }, { nonsense: 1 }, { style: 'xml' }, { secret: 'whsec_x' }, { maxPerMinute: 0 }, { maxPerMinute: { $gt: 1 } }, { maxPerMinute: 1.5 }, { ordered: 'yes' }, { timedHeader: 'webhook-id' }, { timedHeader: 'a\r\nb' }, { description: ['x'] }, { clientCertificate: { certificate: { $gt: '' } } }, { clientCertificate: { certificate: 'x', key: 'y' } }, { clientCertificate: 'x' }, { url: 'http://10.0.0.1' }, { url: { $gt: '' } }];
    for (const fields of others) assert.equal((await api.post('/api/webhooks/endpoints', { url, ...fields })).status, 400, JSON.stringify(fields));
    assert.deepEqual((await api.get('/api/webhooks/endpoints')).body['endpoints'], []);
  });

  it('name the rule that a value breaks, and each event that nobody knows', async () => {
    const { api, patch } = await someone();
    const url = `${receiver.url}/x`;
    const said = async (fields: object) => String((await api.post('/api/webhooks/endpoints', { url, ...fields })).body['message']);
    assert.equal(await said({ timeoutS: 4 }), 'timeoutS: At least 5 seconds.');
    assert.equal(await said({ timeoutS: 31 }), 'timeoutS: At most 30 seconds.');
    assert.equal(await said({ maxPerMinute: 0 }), 'maxPerMinute: At least 1 a minute.');
    assert.equal(await said({ maxPerMinute: 1.5 }), 'maxPerMinute: Give a whole number.');
    assert.match(await said({ events: ['post.published', 'post.publisht'] }), /^events\[1\]: "post\.publisht" is not known in the format signpost\. Use \*, post\.scheduled/);
    assert.match(await said({ style: 'ayrshare', events: ['scheduled', 'post.published'] }), /^events\[1\]: .*in the format ayrshare\. Use scheduled, social\.$/);
    const { id } = await addEndpoint(api, { url });
    assert.match(String((await patch(`/api/webhooks/endpoints/${id}`, { events: ['*', 'x'] })).body['message']), /^events\[1\]: "x" is not known/);
    assert.equal((await api.get('/api/webhooks/deliveries?limit=0')).body['message'], 'limit: At least 1.');
  });

  it("are nobody else's business", async () => {
    const [mine, other] = [await someone(), await someone()];
    const { id } = await addEndpoint(mine.api, { url: `${receiver.url}/mine` });
    for (const path of ['', '/test', '/rotate', '/recover']) {
      const answer = path === '' ? await other.api.get(`/api/webhooks/endpoints/${id}`) : await other.api.post(`/api/webhooks/endpoints/${id}${path}`, { since: new Date().toISOString() });
      assert.equal(answer.status, 404, path);
    }
    assert.equal((await other.patch(`/api/webhooks/endpoints/${id}`, { name: 'x' })).status, 404);
    assert.equal((await other.api.delete(`/api/webhooks/endpoints/${id}`, {})).status, 404);
  });
});

describe('recovery', () => {
  it('sends again what failed or was skipped since a time, with the same webhook-ids, once each, and shows how far it is', async () => {
    const { api, patch, session } = await someone();
    const since = new Date(Date.now() - 60_000).toISOString();
    const { id } = await addEndpoint(api, { url: `${receiver.url}/recover`, events: ['webhook.test'] });
    receiver.answerWith({ status: 500 });
    const failed: string[] = [];
    for (let i = 0; i < 3; i++) failed.push(String((await api.post(`/api/webhooks/endpoints/${id}/test`, {})).body['delivery']));
    await settled(api, id, 3);
    const pulled = await api.get(`/api/events?delivery=failed&since=${encodeURIComponent(since)}`);
    assert.equal((pulled.body['events'] as Row[]).length, 3);
    assert.match((await session.get(`/webhooks/${id}`)).text, /3 deliveries of the last 30 days failed/);
    receiver.answerWith({ status: 200 });
    await patch(`/api/webhooks/endpoints/${id}`, { state: 'paused' });
    assert.equal((await api.post(`/api/webhooks/endpoints/${id}/recover`, { since })).status, 409);
    await patch(`/api/webhooks/endpoints/${id}`, { state: 'enabled' });
    assert.equal((await api.post(`/api/webhooks/endpoints/${id}/recover`, { since: 'yesterday' })).status, 400);
    assert.equal((await api.post(`/api/webhooks/endpoints/${id}/recover`, { since })).status, 202);
    await waitUntil('all to be delivered', async () => (await settled(api, id, 3)).every(({ state }) => state === 'delivered'));
    const recovery = await waitUntil('the recovery to end', async () => {
      const found = ((await api.get(`/api/webhooks/endpoints/${id}`)).body['endpoint'] as Row)['recovery'] as Row;
      return found['endedAt'] === null ? null : found;
    });
    assert.equal(recovery['requeued'], 3);
    const ids = receiver.received.filter(({ path }) => path === '/recover').map(({ headers }) => headers['webhook-id']);
    assert.equal(ids.length, 6);
    assert.equal(new Set(ids).size, 3);
    assert.deepEqual((await api.get('/api/events?delivery=failed')).body['events'], []);
  });
});

describe('GET /api/events and /api/webhooks/deliveries', () => {
  it('list everything once, newest first, by cursor', async () => {
    const { api } = await someone();
    const { id } = await addEndpoint(api, { url: `${receiver.url}/pages` });
    for (let i = 0; i < 5; i++) await api.post(`/api/webhooks/endpoints/${id}/test`, {});
    await settled(api, id, 5);
    for (const [path, key] of [['/api/events?limit=2', 'events'], ['/api/webhooks/deliveries?limit=2', 'deliveries']] as const) {
      const seen: string[] = [];
      let next: string | null | undefined;
      do {
        const { body } = await api.get(next === undefined ? path : `${path}&cursor=${next}`);
        seen.push(...(body[key] as { id: string }[]).map((row) => row.id));
        next = body['next'] as string | null;
      } while (next !== null);
      assert.equal(seen.length, 5, path);
      assert.equal(new Set(seen).size, 5, path);
    }
    const [newest] = (await api.get('/api/events?limit=1')).body['events'] as { type: string; deliveries: { state: string }[] }[];
    assert.equal(newest?.type, 'webhook.test');
    assert.equal(newest.deliveries[0]?.state, 'delivered');
    for (const query of ['cursor=x', 'limit=0', 'limit=1000', 'since=yesterday', 'type=nonsense', 'delivery=$ne']) assert.equal((await api.get(`/api/events?${query}`)).status, 400, query);
  });
});

describe('the numbers of deliveries', () => {
  it('tell success rates and times, in all, by endpoint and by event, by API and in the page', async () => {
    const { api, session } = await someone();
    receiver.answerWith(({ path }) => ({ status: path === '/numbers-bad' ? 500 : 200, afterMs: path === '/numbers-slow' ? 300 : 0 }));
    const add = async (path: string, tests: number): Promise<string> => {
      const { id } = await addEndpoint(api, { url: receiver.url + path });
      for (let i = 0; i < tests; i++) await api.post(`/api/webhooks/endpoints/${id}/test`, {});
      await settled(api, id, tests);
      return id;
    };
    assert.match((await session.get('/webhooks/numbers')).text, /No deliveries in this time/);
    const [good, slow, bad] = [await add('/numbers-good', 2), await add('/numbers-slow', 1), await add('/numbers-bad', 1)];
    const { status, body } = await api.get('/api/webhooks/stats?hours=1');
    assert.equal(status, 200, JSON.stringify(body));
    type Numbers = Record<'deliveries' | 'failed' | 'attempts' | 'successRate' | 'p50Ms' | 'p95Ms', number>;
    const of = (id: string) => (body['byEndpoint'] as Record<string, Numbers>)[id]!;
    const all = body['all'] as Numbers;
    assert.deepEqual([all.deliveries, all.failed, all.attempts, all.successRate], [4, 1, 4, 0.75]);
    assert.deepEqual([of(good).successRate, of(good).deliveries, of(bad).successRate], [1, 2, 0]);
    assert.ok(of(slow).p50Ms >= 280 && of(slow).p95Ms === of(slow).p50Ms, JSON.stringify(of(slow)));
    assert.ok(all.p95Ms >= 280 && all.p50Ms <= all.p95Ms, JSON.stringify(all));
    assert.equal((body['byEvent'] as Record<string, Numbers>)['webhook.test']?.deliveries, 4);
    const { text } = await session.get('/webhooks/numbers?within=7d');
    assert.match(text, /75 %[\s\S]*\(1 failed\)/);
    assert.match(text, /\/numbers-slow/);
    for (const query of ['hours=0', 'hours=1000', 'hours=x', 'hours[$gt]=1']) assert.equal((await api.get(`/api/webhooks/stats?${query}`)).status, 400, query);
    const found = async (text: string) => ((await api.get(`/api/webhooks/deliveries?text=${encodeURIComponent(text)}`)).body['deliveries'] as Row[]).length;
    assert.deepEqual([await found('numbers-good'), await found('answered 500'), await found('.*')], [2, 1, 0]);
  });
});

describe('POST /api/hook/verify', () => {
  it("verifies with the account's own secrets, and says what is wrong otherwise", async () => {
    const { api } = await someone();
    await addEndpoint(api, { url: `${receiver.url}/verify` });
    const { id, secret } = await addEndpoint(api, { url: `${receiver.url}/verify2` });
    await api.post(`/api/webhooks/endpoints/${id}/test`, {});
    const request = await receiver.waitFor('the test', ({ path }) => path === '/verify2');
    const body = request.raw.toString();
    const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
    const right = await api.post('/api/hook/verify', { body, headers });
    assert.deepEqual([right.body['standardWebhooks'], right.body['ayrshare'], right.body['findings']], ['verified', 'verified', []]);
    const wrong = await api.post('/api/hook/verify', { body: JSON.stringify(JSON.parse(body), null, 2), headers, secret });
    assert.equal(wrong.body['standardWebhooks'], 'not verified');
    assert.match(String((wrong.body['findings'] as string[])[0]), /parsed and written again/);
    assert.equal((await api.post('/api/hook/verify', { headers })).status, 400);
  });

  it('says whose secret it was that signed, when it was another endpoint of the account, and when a secret is no longer used', async () => {
    const [{ api }, stranger] = [await someone(), await someone()];
    const first = await addEndpoint(api, { url: `${receiver.url}/signer`, name: 'First' });
    const second = await addEndpoint(api, { url: `${receiver.url}/other`, name: 'Second' });
    const { secret: strangers } = await addEndpoint(stranger.api, { url: `${receiver.url}/strangers` });
    const sent = async () => {
      const before = receiver.received.length;
      await api.post(`/api/webhooks/endpoints/${first.id}/test`, {});
      await receiver.waitFor('the test', ({ path }) => path === '/signer' && receiver.received.length > before);
      const { raw, headers } = receiver.received.findLast(({ path }) => path === '/signer')!;
      return { body: raw.toString(), headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)])) };
    };
    const findings = async (as: typeof api, given: object) => ((await as.post('/api/hook/verify', given)).body['findings'] as string[]).join();
    assert.match(await findings(api, { ...(await sent()), secret: second.secret }), /signed for the endpoint First, with its secret/);
    assert.doesNotMatch(await findings(stranger.api, { ...(await sent()), secret: strangers }), /First|\/signer/, "nobody learns of another's endpoints");

    const { raw, headers } = receiver.received.findLast(({ path }) => path === '/signer')!;
    const request = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
    const said = diagnose(request, raw.toString(), ['the old one'], new Date(), [{ name: 'First', secrets: [first.secret], ended: ['the old one'] }]);
    assert.match(said.findings.join(), /secret of the endpoint First was changed/);
  });

  it('names each usual mistake', () => {
    const secret = newSecret();
    const body = '{"a":1}';
    const now = new Date();
    const sign = (key: string, at = now) => signatureHeaders({ body: Buffer.from(body), id: 'evt_1', timestamp: Math.floor(at.getTime() / 1_000), secrets: [key], deliveryId: 'dlv_1', attempt: 1 });
    const standardOnly = ({ 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature }: Record<string, string>) => ({ 'webhook-id': id!, 'webhook-timestamp': timestamp!, 'webhook-signature': signature! });
    const cases: [Record<string, string>, string, string[], RegExp][] = [
      [{}, body, [secret], /no signature headers/],
      [sign(secret), body, [], /no secret to check with/],
      [sign(secret), ` ${body}\n`, [secret], /white space/],
      [sign(secret), '{ "a": 1 }', [secret], /parsed and written again/],
      [standardOnly(sign(secret)), body, [` ${secret}`], /white space around it/],
      [standardOnly(sign(secret)), body, [secret.slice(6)], /lacks its beginning whsec_/],
      [{ 'webhook-signature': 'v1,x' }, body, [secret], /webhook-id and webhook-timestamp is missing/],
      [sign(newSecret()), body, [secret], /neither this body nor this secret/],
      [sign(secret), '', [secret], /body is empty/],
      [{ ...standardOnly(sign(secret)), 'webhook-signature': sign(secret)['webhook-signature']!.slice(3) }, body, [secret], /lacks its beginning v1,/],
      [{ ...standardOnly(sign(secret)), 'webhook-signature': `v1,${Buffer.from(sign(secret)['webhook-signature']!.slice(3), 'base64').toString('hex')}` }, body, [secret], /is written in hex/],
      [{ ...standardOnly(sign(secret)), 'webhook-timestamp': String(now.getTime()) }, body, [secret], /in milliseconds/],
      [sign(secret, new Date(now.getTime() - 3_600_000)), body, [secret], /3600 seconds ago|360[01] seconds ago/],
    ];
    for (const [headers, given, secrets, finding] of cases) assert.match(diagnose(headers, given, secrets, now).findings.join(' '), finding);
    assert.deepEqual(diagnose(sign(secret), body, [secret], now).findings, []);
  });
});
