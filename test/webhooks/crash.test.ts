/** What survives when a process dies: between event and fan-out, between claim and send, after send and before the record. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { createLogger } from '../../src/lib/logger.js';
import { createOutcomes } from '../../src/webhooks/delivery-outcomes.js';
import { createRecorder } from '../../src/webhooks/delivery-recorder.js';
import { createDeliveryResendStore } from '../../src/webhooks/delivery-resend-store.js';
import { createEndpointStore } from '../../src/webhooks/endpoint-store.js';
import { startReceiver, type Receiver } from '../support/receiver.js';
import { waitUntil } from '../support/wait-until.js';
import { postEvent, startRig, type Rig } from './rig.js';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function set(): Promise<{ rig: Rig; receiver: Receiver; endpointId: string }> {
  const receiver = await startReceiver();
  closers.push(() => receiver.stop());
  const rig = await startRig();
  closers.push(() => rig.stop());
  const { endpoint } = await rig.webhooks.endpoints.create(rig.actor, { name: '', url: receiver.url, style: 'ayrshare', events: ['scheduled'] });
  return { rig, receiver, endpointId: endpoint.id };
}

/** A process claims what is due, dies, and another one settles what it left. @returns the delivery's state */
async function dieWithIt(rig: Rig, endpointId: string): Promise<string | undefined> {
  rig.advance(3_600_000);
  assert.equal((await rig.deliveries.claim([{ endpointId, limit: 5 }], rig.now(), lease(rig))).length, 1);
  rig.advance(61_000);
  const recorder = createRecorder({ deliveries: rig.deliveries, endpoints: createEndpointStore(rig.db), notifier: rig.notifier, log: createLogger('silent') });
  const outcomes = createOutcomes({
    deliveries: rig.deliveries, recorder, targets: { get: async () => null }, onGone: async () => undefined, clock: { now: rig.now }, random: () => 0.5, wakes: { ask: async () => undefined, came: () => undefined },
  }, { leaseMs: 60_000 });
  await outcomes.settleExpired();
  await recorder.stop();
  return (await rig.all())[0]?.state;
}

const lease = (rig: Rig) => ({ token: 'of a dead process', until: new Date(rig.now().getTime() + 60_000) });

describe('after a crash', () => {
  it('an event that was handed over half is handed over again, and reaches each endpoint once', async () => {
    const { rig, receiver } = await set();
    const other = await rig.webhooks.endpoints.create(rig.actor, { name: '', url: `${receiver.url}/other`, style: 'ayrshare', events: ['scheduled'] });
    const event = postEvent(rig.actor);
    await rig.webhooks.record([event]);
    await waitUntil('both deliveries', async () => (await rig.all()).filter(({ state }) => state === 'delivered').length === 2);
    // As a crash leaves it that came after the first of two deliveries was written, and before the event was.
    await rig.collection('webhook_deliveries').deleteOne({ endpointId: other.endpoint.id });
    await rig.collection('webhook_events').deleteOne({});
    const late = await rig.webhooks.endpoints.create(rig.actor, { name: '', url: `${receiver.url}/late`, style: 'ayrshare', events: ['scheduled'] });
    await rig.webhooks.record([event]);
    await waitUntil('the missing delivery', async () => (await rig.all()).filter(({ state }) => state === 'delivered').length === 2);
    assert.equal(await rig.collection('webhook_events').countDocuments(), 1);
    assert.deepEqual(receiver.received.map(({ path }) => path).sort(), ['/', '/other', '/other']);
    assert.equal((await rig.all()).some(({ endpointId }) => endpointId === late.endpoint.id), false, 'an endpoint that was added since gets nothing of it');
  });

  it('a delivery that was claimed and not recorded is sent again with the same webhook-id, and its log says so', async () => {
    const { rig, receiver, endpointId } = await set();
    receiver.answerWith((_request, index) => ({ status: index === 0 ? 500 : 200 }));
    const event = postEvent(rig.actor);
    await rig.webhooks.record([event]);
    const waiting = await rig.until('the first failure', ({ state, attemptCount }) => state === 'waiting' && attemptCount === 1);
    rig.advance(6_000);
    const [claimed] = await rig.deliveries.claim([{ endpointId, limit: 5 }], rig.now(), lease(rig));
    assert.equal(claimed?.id, waiting.id);
    assert.deepEqual(await rig.deliveries.claim([{ endpointId, limit: 5 }], rig.now(), { ...lease(rig), token: 'another' }), [], 'nobody else gets it meanwhile');
    await rig.sweep();
    assert.equal(receiver.received.length, 1);
    rig.advance(61_000);
    await rig.sweep();
    const delivered = await rig.until('the delivery', ({ state }) => state === 'delivered');
    assert.deepEqual(delivered.attempts.map(({ error }) => error?.class ?? 'ok'), ['status', 'interrupted', 'ok']);
    assert.deepEqual(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])), new Set([event.id]));
  });

  it('a delivery that was claimed here, but the answer was lost, does not wait for its lease to run out', async () => {
    const { rig, receiver, endpointId } = await set();
    receiver.answerWith((_request, index) => ({ status: index === 0 ? 500 : 200 }));
    await rig.webhooks.record([postEvent(rig.actor)]);
    await rig.until('the first failure', ({ state, attemptCount }) => state === 'waiting' && attemptCount === 1);
    rig.advance(6_000);
    await rig.deliveries.claim([{ endpointId, limit: 5 }], rig.now(), { ...lease(rig), token: 'a lost answer', owner: 'rig-0' });
    await rig.sweep();
    assert.equal(receiver.received.length, 1, 'it may still be on its way');
    rig.advance(10_000);
    await rig.sweep();
    const delivered = await rig.until('the delivery', ({ state }) => state === 'delivered');
    assert.deepEqual(delivered.attempts.map(({ error }) => error?.class ?? 'ok'), ['status', 'ok']);
  });

  it('whoever lost the lease writes nothing any more', async () => {
    const { rig, receiver, endpointId } = await set();
    receiver.answerWith((_request, index) => ({ status: index === 0 ? 500 : 200 }));
    await rig.webhooks.record([postEvent(rig.actor)]);
    await rig.until('the first failure', ({ state, attemptCount }) => state === 'waiting' && attemptCount === 1);
    rig.advance(6_000);
    const [stale] = await rig.deliveries.claim([{ endpointId, limit: 5 }], rig.now(), lease(rig));
    rig.advance(61_000);
    await rig.sweep();
    const delivered = await rig.until('the delivery', ({ state }) => state === 'delivered');
    await rig.deliveries.record([{ delivery: stale!, attempt: { ...delivered.attempts[0]!, number: 9 }, next: { state: 'failed' }, tries: 9 }]);
    const [after] = await rig.all();
    assert.equal(after?.state, 'delivered');
    assert.equal(after.attempts.length, delivered.attempts.length);
  });

  it('a delivery that takes its sender down again and again is given up', async () => {
    const { rig, receiver, endpointId } = await set();
    receiver.answerWith({ status: 500 });
    await rig.webhooks.record([postEvent(rig.actor)]);
    await rig.until('the first failure', ({ attemptCount }) => attemptCount === 1);
    await rig.webhooks.stop(0);
    for (let crash = 1; crash <= 5; crash++) {
      const state = await dieWithIt(rig, endpointId);
      assert.equal(state, crash < 5 ? 'waiting' : 'failed', `after ${crash} crashes`);
    }
    const [after] = await rig.all();
    assert.deepEqual(after?.attempts.map(({ error }) => error?.class), ['status', ...Array.from({ length: 5 }, () => 'interrupted')]);
    assert.equal(after.tries, 1, 'none of them cost a try');
  });

  it('a resend by hand that dies with its process is still one, and leaves the delivery as it was when it fails', async () => {
    const { rig, receiver, endpointId } = await set();
    await rig.webhooks.record([postEvent(rig.actor)]);
    const { id } = await rig.until('the delivery', ({ state }) => state === 'delivered');
    await rig.webhooks.stop(0);
    await createDeliveryResendStore(rig.db).resend(id, rig.now());
    assert.equal(await dieWithIt(rig, endpointId), 'waiting');
    receiver.answerWith({ status: 500 });
    await rig.another();
    await rig.sweep();
    const after = await rig.until('the resend', ({ attemptCount }) => attemptCount === 3);
    assert.equal(after.state, 'delivered', 'it got through once, and that is what counts');
    assert.deepEqual(after.attempts.map(({ trigger }) => trigger), ['automatic', 'manual', 'manual']);
  });

  it('two processes on one database send a delivery once', async () => {
    const { rig, receiver } = await set();
    const other = await rig.another();
    const events = Array.from({ length: 60 }, () => postEvent(rig.actor));
    await Promise.all([rig.webhooks.record(events), other.record(events), rig.sweep(), rig.sweep()]);
    for (let i = 0; i < 60; i++) await rig.sweep();
    await rig.until('the last', ({ state }) => state === 'delivered');
    await waitUntil('all to be delivered', async () => (await rig.all()).every(({ state }) => state === 'delivered'));
    assert.equal(receiver.received.length, 60);
    assert.equal(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size, 60);
  });

  it('a stop breaks off what hangs without costing it a try, and the next process sends it', async () => {
    const { rig, receiver } = await set();
    receiver.answerWith((_request, index) => (index === 0 ? 'hang' : { status: 200 }));
    await rig.webhooks.record([postEvent(rig.actor)]);
    await receiver.waitFor('the request', () => true);
    await rig.webhooks.stop(10);
    const [stopped] = await rig.all();
    assert.equal(stopped?.state, 'waiting');
    assert.equal(stopped.tries, 0);
    assert.equal(stopped.attempts[0]?.error?.class, 'interrupted');
    await rig.another();
    await rig.sweep();
    await rig.until('the next process to send it', ({ state }) => state === 'delivered');
  });

  it('a stop is no failure of the receivers whose requests it breaks off', async () => {
    const { rig, receiver, endpointId } = await set();
    receiver.answerWith('hang');
    await rig.webhooks.record(Array.from({ length: 5 }, () => postEvent(rig.actor)));
    await waitUntil('all requests', () => receiver.received.length === 5);
    await rig.webhooks.stop(10);
    const endpoint = await rig.webhooks.endpoints.get(rig.actor, endpointId);
    assert.deepEqual([endpoint.parkedUntil, endpoint.failingSince, endpoint.lastAttempt], [null, null, null]);
    receiver.answerWith({ status: 200 });
    await rig.another();
    await rig.sweep();
    await waitUntil('the next process to send all at once', async () => (await rig.all()).every(({ state }) => state === 'delivered'));
  });
});
