/** Deliveries to real receivers: what is sent, when it is sent again, and what is kept. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import express from 'express';
import { Webhook } from 'standardwebhooks';
import { startReceiver, type Receiver } from '../support/receiver.js';
import { waitUntil } from '../support/wait-until.js';
import { postEvent, publication, startRig, type Rig, type RigOptions } from './rig.js';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function rigAndReceiver(options: RigOptions = {}): Promise<{ rig: Rig; receiver: Receiver }> {
  const receiver = await startReceiver();
  closers.push(() => receiver.stop());
  const rig = await startRig(options);
  closers.push(() => rig.stop());
  return { rig, receiver };
}

const register = (rig: Rig, url: string, extra: object = {}) => rig.webhooks.endpoints.create(rig.actor, { name: '', url, style: 'ayrshare', events: ['scheduled'], ...extra });

async function listenRaw(onSocket: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    onSocket(socket.on('error', () => {}));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('a delivery', () => {
  it('carries the scheduled payload, signed for Standard Webhooks and for Ayrshare over the same bytes', async () => {
    const { rig, receiver } = await rigAndReceiver();
    const { secret, endpoint } = await register(rig, `${receiver.url}/hook`);
    const event = postEvent(rig.actor);
    await rig.webhooks.record([event]);
    const request = await receiver.waitFor('the webhook', () => true);
    assert.equal(request.raw.toString(), JSON.stringify(request.json));
    assert.deepEqual(request.json, {
      action: 'scheduled', created: event.at.toISOString().replace(/\.\d+Z/, 'Z'), code: 200, refId: event.data.refId, status: 'success', id: event.data.postId, errors: [],
      postIds: [{ status: 'success', id: 'at://1', postUrl: 'https://bsky.app/1', platform: 'bluesky' }], url: `${receiver.url}/hook`, hookId: event.id,
    });
    const headers = request.headers as Record<string, string>;
    assert.doesNotThrow(() => new Webhook(secret).verify(request.raw.toString(), headers));
    assert.equal(headers['webhook-id'], event.id);
    const { createHmac } = await import('node:crypto');
    const digest = createHmac('sha256', secret).update(request.raw).digest('hex');
    assert.equal(headers['x-authorization-content-sha256'], digest);
    assert.equal(headers['x-authorization-content-sha256-v2'], `v1=${digest}`);
    assert.equal(headers['x-authorization-timestamp'], headers['webhook-timestamp']);
    assert.equal(headers['x-ayrshare-delivery-attempt'], '1');
    assert.equal(headers['content-type'], 'application/json');
    const delivery = await rig.until('the delivery to be stored', ({ state }) => state === 'delivered');
    assert.equal(headers['x-ayrshare-delivery-id'], delivery.id);
    assert.equal(delivery.attempts.length, 1);
    assert.equal(delivery.attempts[0]?.status, 200);
    assert.equal(delivery.attempts[0]?.responseBody, 'ok');
    assert.equal(delivery.attempts[0]?.remoteAddress, '127.0.0.1');
    await waitUntil('the endpoint to say so', async () => (await rig.webhooks.endpoints.get(rig.actor, endpoint.id)).lastAttempt?.ok);
  });

  it('starts within 100 ms of the event', async () => {
    const { rig, receiver } = await rigAndReceiver();
    await register(rig, receiver.url);
    await rig.webhooks.record([postEvent(rig.actor)]);
    await receiver.waitFor('a first one', () => true);
    // The quickest of several counts: others may keep the machine busy meanwhile.
    const tookMs: number[] = [];
    while (tookMs.length < 10 && !(Math.min(...tookMs) < 100)) {
      const before = Date.now();
      const event = postEvent(rig.actor);
      await rig.webhooks.record([event]);
      const request = await receiver.waitFor('the next one', ({ headers }) => headers['webhook-id'] === event.id);
      tookMs.push(request.at.getTime() - before);
    }
    assert.ok(Math.min(...tookMs) < 100, `took ${tookMs.join(', ')} ms`);
  });

  it('is made once however often the event is recorded, and only for the endpoints of its profile that want it', async () => {
    const { rig, receiver } = await rigAndReceiver();
    await register(rig, `${receiver.url}/a`);
    await register(rig, `${receiver.url}/b`, { style: 'signpost', events: ['post.failed'] });
    const stranger = { ...rig.actor, accountId: 'acc_other', profileId: 'prf_other' };
    await rig.webhooks.endpoints.create(stranger, { name: '', url: `${receiver.url}/c`, style: 'ayrshare', events: ['scheduled'] });
    const event = postEvent(rig.actor);
    await Promise.all([rig.webhooks.record([event]), rig.webhooks.record([event]), rig.webhooks.record([event, event])]);
    await rig.until('it to be delivered', ({ state }) => state === 'delivered');
    await rig.sweep();
    assert.deepEqual(receiver.received.map(({ path }) => path), ['/a']);
  });

  it('is repeated after a failure with the same webhook-id and body, a fresh timestamp and signature', async () => {
    const { rig, receiver } = await rigAndReceiver();
    const { secret } = await register(rig, receiver.url);
    receiver.answerWith((_request, index) => (index === 0 ? { status: 500, body: 'oops' } : { status: 204 }));
    await rig.webhooks.record([postEvent(rig.actor)]);
    const waiting = await rig.until('the first attempt', ({ attemptCount }) => attemptCount === 1);
    assert.equal(waiting.state, 'waiting');
    assert.equal(waiting.attempts[0]?.error?.class, 'status');
    assert.equal(waiting.attempts[0]?.responseBody, 'oops');
    assert.equal(waiting.attempts[0]?.nextAttemptAt?.getTime(), waiting.dueAt?.getTime());
    const delay = waiting.dueAt!.getTime() - waiting.attempts[0].startedAt.getTime();
    assert.ok(delay >= 5_000 && delay < 7_000, `next attempt after ${delay} ms`);
    assert.deepEqual(rig.wakeUps.map(({ at }) => at.getTime()), [waiting.dueAt!.getTime()]);
    rig.advance(6_000);
    await rig.sweep();
    const delivered = await rig.until('the second attempt', ({ state }) => state === 'delivered');
    assert.equal(delivered.attempts.length, 2);
    const [first, second] = receiver.received;
    assert.equal(second!.headers['webhook-id'], first!.headers['webhook-id']);
    assert.deepEqual(second!.raw, first!.raw);
    assert.notEqual(second!.headers['webhook-timestamp'], first!.headers['webhook-timestamp']);
    assert.equal(second!.headers['x-ayrshare-delivery-attempt'], '2');
    assert.doesNotThrow(() => new Webhook(secret).verify(second!.raw.toString(), second!.headers as Record<string, string>));
  });

  it('is given up after ten attempts', async () => {
    const { rig, receiver } = await rigAndReceiver();
    await register(rig, receiver.url);
    receiver.answerWith({ status: 500 });
    await rig.webhooks.record([postEvent(rig.actor)]);
    for (let attempt = 1; attempt < 10; attempt++) {
      await rig.until(`attempt ${attempt}`, ({ attemptCount, state }) => attemptCount === attempt && state === 'waiting');
      rig.advance(30 * 3_600_000);
      await rig.sweep();
    }
    const failed = await rig.until('the end', ({ state }) => state === 'failed');
    assert.equal(failed.attemptCount, 10);
    rig.advance(30 * 3_600_000);
    await rig.sweep();
    assert.equal(receiver.received.length, 10);
  });

  it('does not follow a redirect, and says where the URL should lead', async () => {
    const { rig, receiver } = await rigAndReceiver();
    await register(rig, `${receiver.url}/old`);
    receiver.answerWith({ status: 308, headers: { location: `${receiver.url}/new` } });
    await rig.webhooks.record([postEvent(rig.actor)]);
    const delivery = await rig.until('the attempt', ({ attemptCount }) => attemptCount === 1);
    assert.equal(delivery.attempts[0]?.error?.class, 'redirect');
    assert.match(delivery.attempts[0].error.message, /\/new/);
    assert.deepEqual(receiver.received.map(({ path }) => path), ['/old']);
  });

  it('waits as long as the receiver asks, never shorter than the schedule', async () => {
    const { rig, receiver } = await rigAndReceiver();
    await register(rig, receiver.url);
    receiver.answerWith({ status: 429, headers: { 'retry-after': '3600' } });
    await rig.webhooks.record([postEvent(rig.actor)]);
    const delivery = await rig.until('the attempt', ({ attemptCount }) => attemptCount === 1);
    const waits = delivery.dueAt!.getTime() - delivery.attempts[0]!.startedAt.getTime();
    assert.ok(waits >= 3_600_000 && waits < 3_610_000, `waits ${waits} ms`);
  });

  it('turns the endpoint off when the receiver answers 410, and ends what waits for it', async () => {
    const { rig, receiver } = await rigAndReceiver();
    const { endpoint } = await register(rig, receiver.url);
    receiver.answerWith((request) => ({ status: String(request.raw).includes('"status":"error"') ? 500 : 410 }));
    const failing = postEvent(rig.actor, { type: 'post.failed', data: { publications: [publication({ state: 'failed', failure: { kind: 'rejected', code: 910, message: 'no' } })] } });
    await rig.webhooks.record([failing]);
    await rig.until('it to wait', ({ state }) => state === 'waiting');
    await rig.webhooks.record([postEvent(rig.actor)]);
    await rig.until('the failed one', ({ state }) => state === 'failed');
    const cancelled = await rig.until('the waiting one to be cancelled', ({ state }) => state === 'cancelled');
    assert.match(String(cancelled.note), /410/);
    assert.equal((await rig.webhooks.endpoints.get(rig.actor, endpoint.id)).state, 'disabled');
    await rig.webhooks.record([postEvent(rig.actor)]);
    const skipped = await rig.until('a later event to be skipped', ({ state }) => state === 'skipped');
    assert.match(String(skipped.note), /disabled/);
    assert.equal(receiver.received.length, 2);
  });

  it('goes to the new URL, signed with the new and the old secret, when its endpoint changes in the middle of retries', async () => {
    const { rig, receiver } = await rigAndReceiver();
    const { endpoint, secret: old } = await register(rig, `${receiver.url}/old`);
    receiver.answerWith(({ path }) => ({ status: path === '/old' ? 500 : 200 }));
    await rig.webhooks.record([postEvent(rig.actor)]);
    await rig.until('the first failure', ({ state, attemptCount }) => state === 'waiting' && attemptCount === 1);
    await rig.webhooks.endpoints.edit(rig.actor, endpoint.id, { name: '', url: `${receiver.url}/new`, style: 'ayrshare', events: ['scheduled'] });
    const { secret } = await rig.webhooks.endpoints.rotate(rig.actor, endpoint.id);
    rig.advance(6_000);
    await rig.sweep();
    const delivered = await rig.until('the delivery', ({ state }) => state === 'delivered');
    assert.deepEqual(delivered.attempts.map(({ url }) => new URL(url).pathname), ['/old', '/new']);
    const last = receiver.received.at(-1)!;
    for (const key of [secret, old]) assert.doesNotThrow(() => new Webhook(key).verify(last.raw.toString(), last.headers as Record<string, string>));
    rig.advance(25 * 3_600_000);
    const event = postEvent(rig.actor);
    await rig.webhooks.record([event]);
    const later = await receiver.waitFor('a later one', ({ headers }) => headers['webhook-id'] === event.id);
    assert.equal(String(later.headers['webhook-signature']).split(' ').length, 1, 'the overlap has ended');
  });

  it('ends when its endpoint is paused or removed, and the log says why', async () => {
    const { rig, receiver } = await rigAndReceiver();
    receiver.answerWith({ status: 500 });
    const reasons: [(id: string) => Promise<void>, RegExp][] = [[(id) => rig.webhooks.endpoints.pause(rig.actor, id), /paused/], [(id) => rig.webhooks.endpoints.remove(rig.actor, id), /removed/]];
    for (const [end, reason] of reasons) {
      const { endpoint } = await register(rig, receiver.url);
      const event = postEvent(rig.actor);
      await rig.webhooks.record([event]);
      await rig.until('the first failure', (delivery) => delivery.endpointId === endpoint.id && delivery.state === 'waiting' && delivery.attemptCount === 1);
      await end(endpoint.id);
      const [ended] = (await rig.all()).filter((delivery) => delivery.endpointId === endpoint.id);
      assert.equal(ended?.state, 'cancelled');
      assert.match(String(ended.note), reason);
    }
    const before = receiver.received.length;
    rig.advance(100_000);
    await rig.sweep();
    assert.equal(receiver.received.length, before);
  });

  it('survives receivers that never answer, drip, pour, reset or speak nonsense', async () => {
    const { rig, receiver } = await rigAndReceiver({ timeoutMs: 400 });
    await register(rig, receiver.url);
    const outcomes: [string, string][] = [];
    const cases: [string, (socket: Socket) => void][] = [
      ['timeout', () => {}],
      ['reset', (socket) => socket.once('data', () => socket.resetAndDestroy())],
      ['bad-answer', (socket) => socket.once('data', () => socket.end('hello\r\n'))],
      ['bad-answer', (socket) => socket.once('data', () => socket.end(`HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(10_000)}\r\n`))],
    ];
    for (const [expected, onSocket] of cases) {
      const url = await listenRaw(onSocket);
      const { endpoint } = await register(rig, url);
      const id = await rig.webhooks.endpoints.test(rig.actor, endpoint.id);
      const done = await rig.until(expected, (delivery) => delivery.id === id && delivery.attemptCount === 1);
      outcomes.push([expected, String(done.attempts[0]?.error?.class)]);
    }
    for (const [expected, got] of outcomes) assert.equal(got, expected);

    const endless = await listenRaw((socket) => socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      const pour = () => {
        while (!socket.destroyed && socket.write(Buffer.alloc(65_536, 'x')));
      };
      socket.on('drain', pour);
      pour();
    }));
    const dripping = await listenRaw((socket) => socket.once('data', () => {
      socket.write('HTTP/1.1 202 Accepted\r\ncontent-length: 1000\r\n\r\n');
      const timer = setInterval(() => socket.write('.'), 20);
      socket.on('close', () => clearInterval(timer));
    }));
    for (const url of [endless, dripping]) {
      const { endpoint } = await register(rig, url);
      const id = await rig.webhooks.endpoints.test(rig.actor, endpoint.id);
      const done = await rig.until('success by its status line', (delivery) => delivery.id === id && delivery.attemptCount === 1);
      assert.equal(done.state, 'delivered');
      assert.ok(done.attempts[0]!.responseBody.length <= 4_096);
    }
  });

  it('keeps a dead endpoint from delaying the others', async () => {
    const { rig, receiver } = await rigAndReceiver({ timeoutMs: 3_000, limits: { total: 10 } });
    const dead = await listenRaw(() => {});
    await register(rig, dead);
    await register(rig, receiver.url);
    await rig.webhooks.record(Array.from({ length: 40 }, () => postEvent(rig.actor)));
    await waitUntil('the good endpoint to have everything', () => receiver.received.length === 40, { timeoutMs: 2_500 });
  });
});

describe('the wire of an account', () => {
  it('refuses to call private and loopback addresses unless Signpost listens on loopback only, whatever the URL looks like', async () => {
    const { rig, receiver } = await rigAndReceiver({ loopbackOnly: false });
    const port = new URL(receiver.url).port;
    for (const host of ['127.0.0.1', 'localhost', '127.1', '[::1]', '[::ffff:127.0.0.1]', '2130706433', '0x7f000001', '10.0.0.1', '169.254.169.254', '192.168.1.1', 'printer', 'db.internal']) {
      await assert.rejects(register(rig, `http://${host}:${port}/`), { kind: 'invalid', code: 905 }, host);
    }
    for (const url of ['ftp://example.com/', 'https://me:pw@example.com/', 'https://example.com/#x', 'not a url', `https://example.com/${'x'.repeat(2_050)}`, 'https://example.com:6379/', 'https://example.com:22/', 'http://127.0.0.1:9/api/post']) {
      await assert.rejects(register(rig, url), { kind: 'invalid', code: 905 }, url);
    }
    // Written to the database past every check, the connection is still refused.
    const { endpoint } = await rig.webhooks.endpoints.create(rig.actor, { name: '', url: 'https://example.invalid/', style: 'ayrshare', events: ['scheduled'] });
    await rig.collection('webhook_endpoints').updateOne({ _id: endpoint.id as never }, { $set: { url: `http://127.1:${port}/` } });
    const id = await rig.webhooks.endpoints.test(rig.actor, endpoint.id);
    const done = await rig.until('the refusal', (delivery) => delivery.id === id && delivery.attemptCount === 1);
    assert.equal(done.attempts[0]?.error?.class, 'blocked');
    assert.equal(receiver.received.length, 0);
  });

  it("reaches Signpost's own inbox from a Signpost that others can reach, and nothing else at its address", async () => {
    let local = '';
    const rig = await startRig({ loopbackOnly: false, publicUrl: 'https://signpost.example.com', localUrl: () => local });
    closers.push(() => rig.stop());
    const server = createHttpServer(express().use(rig.webhooks.rawRouter)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    closers.push(async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    });
    local = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const endpoint = await rig.webhooks.inbox.register(rig.actor);
    assert.match(endpoint.url, /^https:\/\/signpost\.example\.com\/inbox\//);
    await rig.webhooks.endpoints.test(rig.actor, endpoint.id);
    const delivered = await rig.until('the delivery', ({ state }) => state === 'delivered');
    assert.equal(delivered.attempts[0]?.url, endpoint.url);
    const { messages } = await rig.webhooks.inbox.view(rig.actor);
    assert.deepEqual(messages.map(({ standardWebhooks, ayrshare, webhookId }) => ({ standardWebhooks, ayrshare, webhookId })), [{ standardWebhooks: 'verified', ayrshare: 'verified', webhookId: delivered.eventId }]);
    for (const path of ['/', '/api/post', '/inbox/', '/inbox/short', `${new URL(endpoint.url).pathname}?x=1`, `${new URL(endpoint.url).pathname}/..`]) {
      await assert.rejects(register(rig, `https://signpost.example.com${path}`), { kind: 'invalid', code: 905 }, path);
    }
  });
});
