/** Endpoints that want their deliveries in order, one at a time, or not too many in a minute. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { newId } from '../../src/lib/ids.js';
import { nextShareAt, shareOf } from '../../src/webhooks/endpoint-rate.js';
import { startReceiver, type Receiver } from '../support/receiver.js';
import { waitUntil } from '../support/wait-until.js';
import { postEvent, startRig, type Rig } from './rig.js';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function set(options: { ordered?: boolean; maxPerMinute?: number }): Promise<{ rig: Rig; receiver: Receiver; id: string; input: { name: string; url: string; style: 'signpost'; events: string[] } }> {
  const receiver = await startReceiver();
  closers.push(() => receiver.stop());
  const rig = await startRig();
  closers.push(() => rig.stop());
  const input = { name: '', url: receiver.url, style: 'signpost' as const, events: ['*'] };
  const { endpoint } = await rig.webhooks.endpoints.create(rig.actor, { ...input, ...options });
  return { rig, receiver, id: endpoint.id, input };
}

const idsAt = (receiver: Receiver) => receiver.received.map(({ headers }) => String(headers['webhook-id']));
const repeatsLeftOut = (ids: string[]) => ids.filter((id, index) => id !== ids[index - 1]);

describe('an ordered endpoint', () => {
  it('gets one delivery at a time, in the order of the events, and of their sequence within one moment', async () => {
    const { rig, receiver } = await set({ ordered: true });
    let inFlight = 0;
    let most = 0;
    receiver.answerWith(() => {
      inFlight += 1;
      most = Math.max(most, inFlight);
      setTimeout(() => (inFlight -= 1), 4);
      return { status: 200, afterMs: 5 };
    });
    const at = rig.now();
    const events = Array.from({ length: 12 }, (_, index) => {
      // Three and three happen in the same millisecond: their random ids say nothing about their order.
      const moment = new Date(at.getTime() + Math.floor(index / 3));
      return { ...postEvent(rig.actor), id: newId('evt', moment), at: moment };
    });
    await rig.webhooks.record(events.toReversed());
    await waitUntil('all to be delivered', async () => (await rig.all()).every(({ state }) => state === 'delivered'));
    assert.deepEqual(idsAt(receiver), events.map(({ id }) => id));
    assert.equal(most, 1);
  });

  it('holds the later ones while one fails, says what they wait for, and goes on in order when it gets through', async () => {
    const { rig, receiver, id } = await set({ ordered: true });
    receiver.answerWith({ status: 500 });
    const events = [postEvent(rig.actor), postEvent(rig.actor), postEvent(rig.actor)].map((event, index) => {
      const at = new Date(rig.now().getTime() + index);
      return { ...event, id: newId('evt', at), at };
    });
    await rig.webhooks.record(events);
    const first = await rig.until('the first failure', ({ eventId, attemptCount }) => eventId === events[0]!.id && attemptCount === 1);
    await rig.sweep();
    await rig.sweep();
    assert.deepEqual(idsAt(receiver), [events[0]!.id]);
    const waiting = (await rig.all()).find(({ eventId }) => eventId === events[1]!.id)!;
    assert.equal(waiting.state, 'waiting');
    assert.equal((await rig.webhooks.deliveries.waitsBehind(waiting))?.id, first.id);
    assert.equal(await rig.webhooks.deliveries.waitsBehind(first), null);
    const line = await rig.webhooks.deliveries.line(id);
    assert.deepEqual([line.first?.id, line.behind], [first.id, 2]);
    await assert.rejects(rig.webhooks.deliveries.resend(rig.actor, waiting.id), /served in order/);

    receiver.answerWith({ status: 200 });
    rig.advance(7_000);
    await rig.sweep();
    await waitUntil('all to be delivered', async () => (await rig.all()).every(({ state }) => state === 'delivered'));
    assert.deepEqual(repeatsLeftOut(idsAt(receiver)), events.map((event) => event.id));
    assert.deepEqual(await rig.webhooks.deliveries.line(id), { first: null, behind: 0 });
  });

  it('lets the line go on when one is given up, and when somebody sends the first by hand', async () => {
    const { rig, receiver } = await set({ ordered: true });
    receiver.answerWith({ status: 500 });
    const early = { ...postEvent(rig.actor), at: rig.now() };
    await rig.webhooks.record([early]);
    const first = await rig.until('the first failure', ({ attemptCount }) => attemptCount === 1);
    const later = postEvent(rig.actor, { id: newId('evt', new Date(rig.now().getTime() + 5)), at: new Date(rig.now().getTime() + 5) });
    await rig.webhooks.record([later]);
    await rig.collection('webhook_deliveries').updateOne({ eventId: early.id }, { $set: { tries: 9 } });
    rig.advance(7_000);
    await rig.sweep();
    await rig.until('the first to be given up', ({ id, state }) => id === first.id && state === 'failed');
    const second = await rig.until('the second to be tried', ({ eventId, attemptCount }) => eventId === later.id && attemptCount === 1);
    receiver.answerWith({ status: 200 });
    await rig.webhooks.deliveries.resend(rig.actor, second.id);
    await rig.until('the second to be delivered by hand', ({ id, state }) => id === second.id && state === 'delivered');
  });

  it('keeps to one at a time when two processes serve it, and after one of them died in the middle', async () => {
    const { rig, receiver, id } = await set({ ordered: true });
    await rig.another();
    let inFlight = 0;
    let most = 0;
    receiver.answerWith((_request, index) => {
      if (index === 0) return { status: 500 };
      inFlight += 1;
      most = Math.max(most, inFlight);
      setTimeout(() => (inFlight -= 1), 2);
      return { status: 200, afterMs: 3 };
    });
    const events = Array.from({ length: 10 }, (_, index) => {
      const at = new Date(rig.now().getTime() + index);
      return { ...postEvent(rig.actor), id: newId('evt', at), at };
    });
    await rig.webhooks.record(events);
    await rig.until('the first failure', ({ attemptCount }) => attemptCount === 1);
    rig.advance(7_000);
    const lease = { token: 'of a dead process', until: new Date(rig.now().getTime() + 60_000) };
    assert.equal((await rig.line.claimFirst(id, rig.now(), lease))?.eventId, events[0]!.id);
    assert.equal(await rig.line.claimFirst(id, rig.now(), { ...lease, token: 'another' }), null);
    await rig.sweep();
    assert.equal(receiver.received.length, 1, 'nobody goes past what may still be in flight');
    rig.advance(61_000);
    await waitUntil('all to be delivered', async () => {
      await rig.sweep();
      return (await rig.all()).every(({ state }) => state === 'delivered');
    });
    assert.deepEqual(repeatsLeftOut(idsAt(receiver)), events.map((event) => event.id));
    assert.equal(most, 1);
  });

  it('hides no other endpoint from the sweep, however much waits for it', async () => {
    const { rig, receiver, id } = await set({ ordered: true });
    receiver.answerWith(({ path }) => ({ status: path === '/other' ? 200 : 500 }));
    await rig.webhooks.record(Array.from({ length: 12 }, () => postEvent(rig.actor)));
    await rig.until('the first failure', ({ attemptCount }) => attemptCount === 1);
    const other = await rig.webhooks.endpoints.create(rig.actor, { name: '', url: `${receiver.url}/other`, style: 'signpost', events: ['*'] });
    await rig.webhooks.record([postEvent(rig.actor, { at: rig.now() })]);
    await rig.until('the other to be served', ({ endpointId, state }) => endpointId === other.endpoint.id && state === 'delivered');
    await rig.collection('webhook_deliveries').updateOne({ endpointId: other.endpoint.id }, { $set: { state: 'waiting', dueFor: other.endpoint.id, dueAt: rig.now() } });
    assert.deepEqual((await rig.deliveries.dueEndpoints(rig.now(), 5)).toSorted(), [id, other.endpoint.id].toSorted());
    assert.deepEqual(await rig.deliveries.dueEndpoints(new Date(0), 5), []);
  });

  it('takes up what waited before it was ordered, and lets everything go when it no longer is', async () => {
    const { rig, receiver, id, input } = await set({});
    receiver.answerWith({ status: 500 });
    const events = Array.from({ length: 4 }, (_, index) => ({ ...postEvent(rig.actor), id: newId('evt', new Date(rig.now().getTime() + index)) }));
    await rig.webhooks.record(events);
    await waitUntil('all to fail once', async () => (await rig.all()).every(({ attemptCount }) => attemptCount === 1));
    await rig.webhooks.endpoints.edit(rig.actor, id, { ...input, ordered: true });
    assert.equal((await rig.webhooks.deliveries.line(id)).behind, 3);
    rig.advance(7_000);
    await rig.sweep();
    await waitUntil('only the first to be tried again', async () => (await rig.all()).find(({ eventId }) => eventId === events[0]!.id)?.attemptCount === 2);
    await rig.sweep();
    assert.equal(receiver.received.length, 5);
    receiver.answerWith({ status: 200 });
    await rig.webhooks.endpoints.edit(rig.actor, id, { ...input, ordered: false });
    await waitUntil('the others to go past the failing one', async () => {
      await rig.sweep();
      return (await rig.all()).filter(({ state }) => state === 'delivered').length >= 3;
    });
  });
});

describe('an endpoint with a rate limit', () => {
  it('spreads a minute evenly over its seconds', () => {
    for (const perMinute of [1, 7, 59, 60, 61, 100, 6_001]) {
      const shares = Array.from({ length: 60 }, (_, second) => shareOf(1_700_000_040 + second, perMinute));
      assert.equal(shares.reduce((sum, share) => sum + share, 0), perMinute);
      assert.ok(Math.max(...shares) - Math.min(...shares) <= 1, String(perMinute));
      assert.ok(nextShareAt(1_700_000_040, perMinute) <= 1_700_000_100_000);
    }
  });

  it('gets no more than its share, also from two processes, and everything in the end', async () => {
    const { rig, receiver, id } = await set({ maxPerMinute: 120 });
    const other = await rig.another();
    const events = Array.from({ length: 12 }, () => postEvent(rig.actor));
    await Promise.all([rig.webhooks.record(events.slice(0, 6)), other.record(events.slice(6))]);
    await waitUntil('all to be delivered', async () => {
      await rig.sweep();
      return (await rig.all()).every(({ state }) => state === 'delivered');
    }, { timeoutMs: 30_000 });
    assert.equal(receiver.received.length, 12);
    // Two in each second of the clock: twelve need six shares, so about four seconds lie between the first and the last.
    const took = receiver.received.at(-1)!.at.getTime() - receiver.received[0]!.at.getTime();
    assert.ok(took >= 3_000, `${took} ms`);
    assert.equal((await rig.all()).every(({ attemptCount, tries }) => attemptCount === 1 && tries === 1), true, 'waiting costs no attempts');
    await rig.webhooks.endpoints.test(rig.actor, id);
    await rig.until('a test to go out at once', ({ trigger, state }) => trigger === 'test' && state === 'delivered');
  });
});
