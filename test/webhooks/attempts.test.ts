/** What is kept of an attempt, and what becomes of a delivery whose endpoint goes away during one. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { startReceiver, type Receiver } from '../support/receiver.js';
import { waitUntil } from '../support/wait-until.js';
import { postEvent, startRig, type Rig } from './rig.js';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function rigAndReceiver(): Promise<{ rig: Rig; receiver: Receiver }> {
  const receiver = await startReceiver();
  closers.push(() => receiver.stop());
  const rig = await startRig();
  closers.push(() => rig.stop());
  return { rig, receiver };
}

const register = async (rig: Rig, url: string) => (await rig.webhooks.endpoints.create(rig.actor, { name: '', url, style: 'ayrshare', events: ['scheduled'] })).endpoint;

describe('an attempt', () => {
  it('is stored with its phases, address, answer, error, trigger and the time of the next one', async () => {
    const { rig, receiver } = await rigAndReceiver();
    const body = 'ä'.repeat(3_000);
    receiver.answerWith((_request, index) => (index === 0 ? { status: 503, headers: { 'retry-after': '7', 'set-cookie': 'a=secret', server: 'test' }, body } : { status: 201, body: 'thanks' }));
    await register(rig, `http://localhost:${new URL(receiver.url).port}/hook`);
    await rig.webhooks.record([postEvent(rig.actor)]);
    const waiting = await rig.until('the first attempt', ({ attemptCount }) => attemptCount === 1);
    const [first] = waiting.attempts;
    assert.ok(first);
    const { dnsMs, connectMs, tlsMs, firstByteMs } = first.phases;
    assert.ok(dnsMs !== null && connectMs !== null && firstByteMs !== null && dnsMs + connectMs <= firstByteMs && firstByteMs <= first.durationMs, JSON.stringify([first.phases, first.durationMs]));
    assert.equal(tlsMs, null, 'there was no TLS');
    assert.equal(first.remoteAddress, '127.0.0.1');
    assert.equal(first.status, 503);
    assert.equal(first.responseHeaders['retry-after'], '7');
    assert.equal(first.responseHeaders['set-cookie'], undefined, 'cookies are not ours to keep');
    assert.equal(first.responseTruncated, true);
    assert.ok(Buffer.byteLength(first.responseBody) <= 4_096 + 3 && first.responseBody.startsWith('ää'));
    assert.equal(first.error?.class, 'status');
    assert.equal(first.trigger, 'automatic');
    assert.deepEqual(first.nextAttemptAt, waiting.dueAt);
    assert.ok(waiting.dueAt!.getTime() - first.startedAt.getTime() >= 7_000, 'not before the receiver asked for it');

    await rig.webhooks.endpoints.test(rig.actor, waiting.endpointId);
    const test = await rig.until('a second request', ({ trigger, state }) => trigger === 'test' && state === 'delivered');
    assert.equal(test.attempts[0]?.trigger, 'test');
    assert.equal(test.attempts[0]?.nextAttemptAt, null);
    assert.deepEqual([test.attempts[0]?.phases.dnsMs, test.attempts[0]?.phases.connectMs], [null, null], 'the connection was kept');
  });

  it('costs no memory when the receiver sends a bomb: nothing is inflated, and 4 KiB are kept', async () => {
    const { rig } = await rigAndReceiver();
    const bomb = gzipSync(Buffer.alloc(50 * 1_024 * 1_024));
    const asked: unknown[] = [];
    const server = createServer((req, res) => {
      asked.push(req.headers['accept-encoding']);
      res.writeHead(200, { 'content-encoding': 'gzip', 'content-length': bomb.length }).end(bomb);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    closers.push(async () => {
      server.close().closeAllConnections();
    });
    const endpoint = await register(rig, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 20; i++) await rig.webhooks.endpoints.test(rig.actor, endpoint.id);
    await waitUntil('all tests', async () => (await rig.all()).filter(({ state }) => state === 'delivered').length === 20);
    assert.ok(process.memoryUsage().rss - before < 200 * 1_024 * 1_024, 'far less than a single one inflated twenty times');
    assert.deepEqual(new Set(asked), new Set(['identity']));
    assert.ok((await rig.all()).every(({ attempts }) => Buffer.byteLength(attempts[0]!.responseBody) <= 3 * 4_096));
  });
});

describe('a delivery under way', () => {
  const ends: [string, (rig: Rig, id: string) => Promise<void>, RegExp][] = [
    ['removed', (rig, id) => rig.webhooks.endpoints.remove(rig.actor, id), /removed/],
    ['paused', (rig, id) => rig.webhooks.endpoints.pause(rig.actor, id), /paused/],
    ['disabled', (rig, id) => rig.webhooks.endpoints.disable(id, 'No reason.'), /disabled/],
  ];
  for (const [what, end, reason] of ends) {
    it(`ends with its request when its endpoint is ${what} meanwhile, and the log says so`, async () => {
      const { rig, receiver } = await rigAndReceiver();
      receiver.answerWith({ status: 500, afterMs: 300 });
      const endpoint = await register(rig, receiver.url);
      await rig.webhooks.record([postEvent(rig.actor)]);
      await receiver.waitFor('the request', () => true);
      await end(rig, endpoint.id);
      const ended = await rig.until('its end', ({ endpointId, state }) => endpointId === endpoint.id && state === 'cancelled');
      assert.match(String(ended.note), reason);
      assert.equal(ended.attempts[0]?.status, 500, 'what the receiver answered is kept');
      assert.equal(ended.dueAt, null);
    });
  }

  it('that arrives all the same counts as delivered', async () => {
    const { rig, receiver } = await rigAndReceiver();
    receiver.answerWith({ status: 200, afterMs: 300 });
    const endpoint = await register(rig, receiver.url);
    await rig.webhooks.record([postEvent(rig.actor)]);
    await receiver.waitFor('the request', () => true);
    await rig.webhooks.endpoints.remove(rig.actor, endpoint.id);
    await rig.until('the delivery', ({ state }) => state === 'delivered');
  });
});
