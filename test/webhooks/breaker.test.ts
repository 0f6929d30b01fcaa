/** What happens to an endpoint that is down: parked without losing attempts, probed, let back gradually, and turned off only after days. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { afterAttempt, newBreaker, slotsOf } from '../../src/webhooks/breaker.js';
import { isHopeless } from '../../src/webhooks/endpoint-health.js';
import { createEndpointStore } from '../../src/webhooks/endpoint-store.js';
import { startReceiver } from '../support/receiver.js';
import { waitUntil } from '../support/wait-until.js';
import { postEvent, startRig } from './rig.js';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const down = { status: 503, error: { class: 'status', message: '' } } as const;
const refusal = { status: 400, error: { class: 'status', message: '' } } as const;
const fine = { status: 200, error: null } as const;

/** What was never tried, once the requests under way have ended and what was claimed is given back. */
async function settledUntouched(rig: Awaited<ReturnType<typeof startRig>>) {
  return waitUntil('nothing to be under way', async () => {
    const all = await rig.all();
    return all.every(({ state }) => state === 'waiting') && all.filter(({ attemptCount }) => attemptCount === 0);
  });
}

describe('the breaker', () => {
  it('opens after five failures in a row, probes with one request, waits twice as long up to half an hour, and lets others follow gradually', () => {
    let breaker = newBreaker(5);
    for (let i = 0; i < 4; i++) breaker = afterAttempt(breaker, down, 5, 0, 0);
    assert.equal(slotsOf(breaker, 0), 5);
    breaker = afterAttempt(breaker, down, 5, 0, 0);
    assert.equal(slotsOf(breaker, 59_999), 0);
    assert.equal(slotsOf(breaker, 60_000), 1);
    assert.equal(afterAttempt(breaker, down, 5, 1_000, 0).openUntil, breaker.openUntil, 'stragglers park it no longer');
    let now = 60_000;
    for (const wait of [120_000, 240_000, 480_000, 960_000, 1_800_000, 1_800_000]) {
      breaker = afterAttempt(breaker, down, 5, now, 0);
      assert.equal(breaker.openUntil - now, wait);
      now = breaker.openUntil;
    }
    const slots = [2, 4, 5];
    for (const expected of slots) {
      breaker = afterAttempt(breaker, fine, 5, now, 0);
      assert.equal(slotsOf(breaker, now), expected);
    }
    assert.deepEqual(breaker, newBreaker(5));
  });

  it('parks endpoints that went down together for a little longer by chance, never shorter', () => {
    const opened = [0, 0.5, 0.999].map((random) => {
      let breaker = newBreaker(5);
      for (let i = 0; i < 5; i++) breaker = afterAttempt(breaker, down, 5, 0, random);
      return breaker.openUntil;
    });
    assert.deepEqual(opened, [60_000, 66_000, 71_988]);
  });

  it('takes a refusal for an answer', () => {
    let breaker = newBreaker(5);
    for (let i = 0; i < 20; i++) breaker = afterAttempt(breaker, refusal, 5, 0, 0);
    assert.equal(slotsOf(breaker, 0), 5);
  });

  it('parks what waits for a dead endpoint without spending attempts, and drains it when the endpoint is back', async () => {
    const receiver = await startReceiver();
    closers.push(() => receiver.stop());
    const rig = await startRig({ limits: { queuePerEndpoint: 5 } });
    closers.push(() => rig.stop());
    const { endpoint } = await rig.webhooks.endpoints.create(rig.actor, { name: '', url: receiver.url, style: 'ayrshare', events: ['scheduled'] });
    receiver.answerWith({ status: 503 });
    await rig.webhooks.record(Array.from({ length: 60 }, () => postEvent(rig.actor)));
    await waitUntil('it to be parked', async () => (await rig.webhooks.endpoints.get(rig.actor, endpoint.id)).parkedUntil !== null);
    await rig.sweep();
    const untouched = await settledUntouched(rig);
    assert.ok(receiver.received.length <= 10, `${receiver.received.length} requests`);
    assert.ok(untouched.length >= 50);
    assert.ok(untouched.every(({ tries }) => tries === 0));

    const before = receiver.received.length;
    await rig.webhooks.endpoints.test(rig.actor, endpoint.id);
    await rig.until('a test to go out all the same', ({ trigger, state }) => trigger === 'test' && state === 'failed');
    assert.equal(receiver.received.length, before + 1);

    receiver.answerWith({ status: 200 });
    rig.advance(61 * 60_000);
    await waitUntil('everything to be delivered', async () => {
      await rig.sweep();
      return (await rig.all()).filter(({ trigger }) => trigger !== 'test').every(({ state }) => state === 'delivered');
    }, { timeoutMs: 30_000, everyMs: 100 });
    assert.equal((await rig.webhooks.endpoints.get(rig.actor, endpoint.id)).state, 'enabled');
  });
});

describe('processes that share a database', () => {
  it('park an endpoint together, remember it over a restart, and let it go together', async () => {
    const receiver = await startReceiver();
    closers.push(() => receiver.stop());
    const rig = await startRig();
    closers.push(() => rig.stop());
    const input = { name: '', url: receiver.url, style: 'ayrshare' as const, events: ['scheduled'] };
    const { endpoint } = await rig.webhooks.endpoints.create(rig.actor, input);
    receiver.answerWith({ status: 503 });
    await rig.webhooks.record(Array.from({ length: 5 }, () => postEvent(rig.actor)));
    await waitUntil('it to be parked', async () => (await rig.webhooks.endpoints.get(rig.actor, endpoint.id)).parkedUntil !== null);
    await waitUntil('the outcomes', async () => (await rig.all()).every(({ attemptCount }) => attemptCount === 1));
    const before = receiver.received.length;

    const other = await rig.another();
    await other.record(Array.from({ length: 20 }, () => postEvent(rig.actor)));
    const untouched = async () => (await rig.all()).filter(({ attemptCount }) => attemptCount === 0);
    await waitUntil('the other process to give back what it holds', async () => (await untouched()).length === 20 && (await untouched()).every(({ state, tries }) => state === 'waiting' && tries === 0));
    await rig.sweep();
    assert.equal(receiver.received.length, before, 'a process that never saw the endpoint fail knows that it is parked');

    receiver.answerWith({ status: 200 });
    await rig.webhooks.endpoints.resume(rig.actor, endpoint.id);
    rig.advance(61_000);
    await waitUntil('all to be delivered', async () => {
      await rig.sweep();
      // On a machine that stalls, requests may time out and park it once more.
      rig.advance(1_000);
      return (await rig.all()).every(({ state }) => state === 'delivered');
    }, { timeoutMs: 30_000, everyMs: 100 });
  });

  it('probe a parked endpoint with one request of one of them, and go on when that process dies with it', async () => {
    const receiver = await startReceiver();
    closers.push(() => receiver.stop());
    const rig = await startRig();
    closers.push(() => rig.stop());
    const { endpoint } = await rig.webhooks.endpoints.create(rig.actor, { name: '', url: receiver.url, style: 'ayrshare', events: ['scheduled'] });
    receiver.answerWith({ status: 503 });
    const others = [await rig.another(), await rig.another()];
    await rig.webhooks.record(Array.from({ length: 20 }, () => postEvent(rig.actor)));
    const parkedUntil = async () => (await rig.webhooks.endpoints.get(rig.actor, endpoint.id)).parkedUntil;
    await waitUntil('it to be parked', async () => (await parkedUntil()) !== null);
    const untouched = (await settledUntouched(rig)).length;
    assert.ok(untouched >= 5);
    const parked = (await parkedUntil())!;
    const before = receiver.received.length;

    receiver.answerWith('hang');
    rig.advance(parked.getTime() - rig.now().getTime() + 1_000);
    await rig.sweep();
    await waitUntil('a probe', () => receiver.received.length > before);
    // Each process is asked to send: by the sweep, and by an event of its own.
    await rig.sweep();
    for (const other of others) await other.record([postEvent(rig.actor)]);
    await waitUntil('all but the probe to wait', async () => {
      await rig.sweep();
      const all = await rig.all();
      return all.length === 22 && all.filter(({ state }) => state !== 'waiting').length <= 1;
    });
    assert.equal(receiver.received.length, before + 1, 'one probe');
    await waitUntil('its failure to park the endpoint for longer', async () => (await parkedUntil())!.getTime() - rig.now().getTime() > 90_000, { timeoutMs: 15_000 });
    assert.equal(receiver.received.length, before + 1);

    // Somebody takes the next probe and is never heard of again.
    const store = createEndpointStore(rig.db);
    rig.advance((await parkedUntil())!.getTime() - rig.now().getTime() + 1_000);
    const take = async () => store.takeProbe(endpoint.id, { openUntil: new Date(rig.now().getTime() + 30_000), openMs: 120_000, at: rig.now() }, new Date(0));
    assert.deepEqual([await take(), await take()], [true, false], 'one of two gets it');
    receiver.answerWith({ status: 200 });
    await rig.sweep();
    await settledUntouched(rig);
    assert.equal(receiver.received.length, before + 1);
    rig.advance(31_000);
    await waitUntil('everything to be delivered', async () => {
      await rig.sweep();
      rig.advance(1_000);
      return (await rig.all()).every(({ state }) => state === 'delivered');
    }, { timeoutMs: 30_000, everyMs: 100 });
  });

  it('share the caps of endpoints', async () => {
    const receiver = await startReceiver();
    closers.push(() => receiver.stop());
    const rig = await startRig({ sharers: () => 2 });
    closers.push(() => rig.stop());
    await rig.webhooks.endpoints.create(rig.actor, { name: '', url: receiver.url, style: 'ayrshare', events: ['scheduled'] });
    receiver.answerWith('hang');
    const other = await rig.another();
    await rig.webhooks.record(Array.from({ length: 10 }, () => postEvent(rig.actor)));
    await other.record(Array.from({ length: 10 }, () => postEvent(rig.actor)));
    await waitUntil('both to send what they may', () => receiver.received.length >= 4);
    await rig.sweep();
    assert.equal(receiver.received.length, 4, 'two each, of the five of one process alone');
  });
});

describe('an endpoint that was repaired', () => {
  it('gets what was parked as soon as its owner changes it', async () => {
    const receiver = await startReceiver();
    closers.push(() => receiver.stop());
    const rig = await startRig({ limits: { queuePerEndpoint: 5 } });
    closers.push(() => rig.stop());
    const input = { name: '', url: `${receiver.url}/wrong`, style: 'ayrshare' as const, events: ['scheduled'] };
    const { endpoint } = await rig.webhooks.endpoints.create(rig.actor, input);
    receiver.answerWith(({ path }) => ({ status: path === '/wrong' ? 500 : 200 }));
    await rig.webhooks.record(Array.from({ length: 30 }, () => postEvent(rig.actor)));
    await waitUntil('it to be parked', async () => (await rig.webhooks.endpoints.get(rig.actor, endpoint.id)).parkedUntil !== null);
    const untouched = (await settledUntouched(rig)).map(({ id }) => id);
    assert.ok(untouched.length >= 15);
    await rig.webhooks.endpoints.edit(rig.actor, endpoint.id, { ...input, url: `${receiver.url}/right` });
    await waitUntil('what was parked to be delivered', async () => (await rig.all()).filter(({ id }) => untouched.includes(id)).every(({ state }) => state === 'delivered'), { timeoutMs: 30_000, everyMs: 100 });
  });

  it('is not parked again by failures that were sent before it was repaired', async () => {
    const receiver = await startReceiver();
    closers.push(() => receiver.stop());
    const rig = await startRig();
    closers.push(() => rig.stop());
    const input = { name: '', url: `${receiver.url}/wrong`, style: 'ayrshare' as const, events: ['scheduled'] };
    const { endpoint } = await rig.webhooks.endpoints.create(rig.actor, input);
    receiver.answerWith(({ path }) => (path === '/wrong' ? { status: 503, afterMs: 500 } : { status: 200 }));
    await rig.webhooks.record(Array.from({ length: 5 }, () => postEvent(rig.actor)));
    await waitUntil('five requests under way', () => receiver.received.length === 5);
    await rig.webhooks.endpoints.edit(rig.actor, endpoint.id, { ...input, url: `${receiver.url}/right` });
    await waitUntil('them to fail', async () => (await rig.all()).every(({ attemptCount }) => attemptCount === 1));
    const event = postEvent(rig.actor);
    await rig.webhooks.record([event]);
    await rig.until('the next to be delivered', ({ eventId, state }) => eventId === event.id && state === 'delivered');
    assert.equal((await rig.webhooks.endpoints.get(rig.actor, endpoint.id)).parkedUntil, null);
  });
});

describe('an endpoint that is far behind', () => {
  it('gets a limited backlog; the rest is kept as skipped and can be recovered', async () => {
    const receiver = await startReceiver();
    closers.push(() => receiver.stop());
    const rig = await startRig({ limits: { queuePerEndpoint: 5 }, maxBacklog: 20 });
    closers.push(() => rig.stop());
    await rig.webhooks.endpoints.create(rig.actor, { name: '', url: receiver.url, style: 'ayrshare', events: ['scheduled'] });
    receiver.answerWith('hang');
    await rig.webhooks.record(Array.from({ length: 40 }, () => postEvent(rig.actor)));
    await rig.webhooks.record(Array.from({ length: 10 }, () => postEvent(rig.actor)));
    const all = await rig.all();
    const skipped = all.filter(({ state }) => state === 'skipped');
    assert.equal(all.length, 50);
    assert.ok(skipped.length >= 20 && skipped.length <= 30, `${skipped.length} skipped`);
    assert.match(String(skipped[0]?.note), /too far behind/);
  });
});

describe('an endpoint that only fails', () => {
  const at = (hours: number) => new Date(Date.UTC(2026, 0, 1) + hours * 3_600_000);
  const delivery = (eventId: string, hours: number, state: 'waiting' | 'failed' | 'delivered' = 'failed') => ({ eventId, attemptCount: 3, state, createdAt: at(hours), endedAt: state === 'waiting' ? null : at(hours) });

  it('is hopeless only when several events failed, spread over time, and none got through', () => {
    const failed = [delivery('a', 1), delivery('b', 5, 'waiting'), delivery('c', 14)];
    assert.equal(isHopeless(failed, at(0)), true);
    assert.equal(isHopeless(failed.slice(0, 2), at(0)), false);
    assert.equal(isHopeless([delivery('a', 1), delivery('b', 2), delivery('c', 3)], at(0)), false);
    assert.equal(isHopeless([...failed, delivery('d', 10, 'delivered')], at(0)), false);
    assert.equal(isHopeless([], at(0)), false);
  });

  it('is turned off after five days, tells the other endpoints, and keeps what happens meanwhile as skipped', async () => {
    const receiver = await startReceiver();
    closers.push(() => receiver.stop());
    const rig = await startRig();
    closers.push(() => rig.stop());
    receiver.answerWith(({ path }) => ({ status: path === '/bad' ? 500 : 200 }));
    const { endpoint } = await rig.webhooks.endpoints.create(rig.actor, { name: '', url: `${receiver.url}/bad`, style: 'ayrshare', events: ['scheduled'] });
    await rig.webhooks.endpoints.create(rig.actor, { name: '', url: `${receiver.url}/good`, style: 'signpost', events: ['endpoint.disabled'] });
    for (let day = 0; day < 6; day++) {
      const event = { ...postEvent(rig.actor), at: rig.now() };
      await rig.webhooks.record([event]);
      await rig.until(`day ${day}`, ({ eventId, attemptCount }) => eventId === event.id && attemptCount > 0);
      await waitUntil('the failure to be noted', async () => (await rig.webhooks.endpoints.get(rig.actor, endpoint.id)).failingSince !== null);
      await rig.sweep();
      assert.equal((await rig.webhooks.endpoints.get(rig.actor, endpoint.id)).state, 'enabled', `day ${day}`);
      rig.advance(day === 5 ? 2 * 3_600_000 : 23.5 * 3_600_000);
    }
    rig.advance(3 * 3_600_000);
    await rig.sweep();
    const disabled = await rig.webhooks.endpoints.get(rig.actor, endpoint.id);
    assert.equal(disabled.state, 'disabled');
    assert.match(String(disabled.stateReason), /failed since/);
    const told = await receiver.waitFor('the other endpoint to be told', ({ path }) => path === '/good');
    assert.equal((told.json as { type: string }).type, 'endpoint.disabled');
    await rig.webhooks.record([{ ...postEvent(rig.actor), at: rig.now() }]);
    await rig.until('a later event to be kept', ({ state }) => state === 'skipped');
  });
});
