/** Who may send next: caps per endpoint, per host and in all, and slots kept for first attempts. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createLanes, type LaneLimits, type Lanes } from '../../src/webhooks/delivery-lanes.js';
import type { Delivery } from '../../src/webhooks/delivery.js';

const LIMITS: LaneLimits = { total: 10, repeats: 6, crowdedAt: 10, perEndpoint: 3, perHost: 4, queuePerEndpoint: 100, queueTotal: 1_000 };

function delivery(endpointId: string, overrides: Partial<Delivery> = {}): Delivery {
  return { id: `dlv_${endpointId}`, endpointId, endpointUrl: `https://${endpointId}.example.com/hook`, attemptCount: 0, trigger: 'automatic', ...overrides } as Delivery;
}

function fill(lanes: Lanes, endpointId: string, count: number, overrides: Partial<Delivery> = {}): void {
  for (let i = 0; i < count; i++) lanes.add(delivery(endpointId, overrides));
}

function startAll(lanes: Lanes): string[] {
  const started: string[] = [];
  for (let next = lanes.next(); next !== null; next = lanes.next()) started.push(next.delivery.endpointId);
  return started;
}

describe('lanes', () => {
  it('start one endpoint after the other, no more than the cap of each', () => {
    const lanes = createLanes(LIMITS, () => 0);
    fill(lanes, 'a', 50);
    fill(lanes, 'b', 2);
    fill(lanes, 'c', 2);
    assert.deepEqual(startAll(lanes), ['a', 'b', 'c', 'a', 'b', 'c', 'a']);
  });

  it('keep slots for first attempts when repeats would take them all', () => {
    const lanes = createLanes({ ...LIMITS, perEndpoint: 10, perHost: 10 }, () => 0);
    fill(lanes, 'a', 10, { attemptCount: 2 });
    assert.equal(startAll(lanes).length, 6);
    fill(lanes, 'b', 10);
    assert.deepEqual(startAll(lanes), ['b', 'b', 'b', 'b']);
  });

  it('know of a delivery that was claimed anew before its last attempt ended', () => {
    const lanes = createLanes(LIMITS, () => 0);
    const one = delivery('a');
    lanes.add(one);
    assert.notEqual(lanes.next(), null);
    lanes.add(one);
    lanes.answered(lanes.get('a'), one);
    lanes.ended(one);
    assert.equal(lanes.has(one.id), true, 'the second one is as if nobody held it');
    assert.notEqual(lanes.next(), null);
    lanes.answered(lanes.get('a'), one);
    lanes.ended(one);
    assert.equal(lanes.has(one.id), false);
  });

  it('share a host among its endpoints', () => {
    const lanes = createLanes(LIMITS, () => 0);
    for (const id of ['a', 'b', 'c']) fill(lanes, id, 3, { endpointUrl: `https://shared.example.com/${id}` });
    fill(lanes, 'd', 2);
    const started = startAll(lanes);
    assert.equal(started.filter((id) => id !== 'd').length, 4);
    assert.equal(started.filter((id) => id === 'd').length, 2);
  });

  it('give an endpoint that does not answer a single slot when many are taken, so that dead ones together leave some to the others', () => {
    const lanes = createLanes({ ...LIMITS, perEndpoint: 5, crowdedAt: 5 }, () => 10_000);
    for (const id of ['a', 'b', 'c']) fill(lanes, id, 5);
    assert.deepEqual(startAll(lanes), ['a', 'b', 'c', 'a', 'b'], 'all alike until it is crowded');
    fill(lanes, 'd', 5);
    assert.deepEqual(startAll(lanes), ['d']);
    const alive = lanes.get('d');
    alive.answeredAt = 9_500;
    lanes.answered(alive, delivery('d'));
    lanes.ended(delivery('d'));
    assert.deepEqual(startAll(lanes), ['d', 'd', 'd', 'd'], 'one that answers has its share');
  });

  it('give a slot back when its receiver has answered, and the last one when the outcome is stored', () => {
    const lanes = createLanes({ ...LIMITS, total: 3 }, () => 0);
    fill(lanes, 'a', 4);
    const lane = lanes.get('a');
    const first = lanes.next()!;
    assert.equal(startAll(lanes).length, 2);
    lanes.answered(lane, first.delivery);
    assert.equal(lanes.next(), null);
    lanes.ended(first.delivery);
    assert.notEqual(lanes.next(), null);
  });

  it('let a fast endpoint have twice as many under way', () => {
    const lanes = createLanes({ ...LIMITS, perHost: 10 }, () => 0);
    fill(lanes, 'a', 10);
    lanes.get('a').answerMs = 49;
    assert.equal(startAll(lanes).length, 6);
  });

  it('hold more of a fast endpoint than of a slow one, and nothing of a parked one', () => {
    const lanes = createLanes(LIMITS, () => 0);
    const lane = lanes.get('a');
    lane.answerMs = 2;
    assert.equal(lanes.room(lane), 100);
    const crowded = createLanes({ ...LIMITS, queueTotal: 20 }, () => 0);
    fill(crowded, 'b', 10);
    crowded.get('a').answerMs = 2;
    assert.equal(crowded.room(crowded.get('a')), 10, 'no more than there is room for in memory');
    fill(crowded, 'a', 10);
    assert.equal(crowded.room(crowded.get('c')), 3, 'but as many as may be in flight');
    lane.answerMs = 15_000;
    assert.equal(lanes.room(lane), 3);
    lane.breaker = { failuresInRow: 5, openUntil: 1, openMs: 1, slots: 1 };
    assert.equal(lanes.room(lane), 0);
    fill(lanes, 'a', 1);
    assert.equal(lanes.next(), null);
    lanes.add(delivery('a', { trigger: 'test' }), true);
    assert.notEqual(lanes.next(), null);
  });

  it('forget nobody and exceed no cap, whatever comes and in whatever order it is answered', () => {
    const arrival = fc.record({ endpoint: fc.integer({ min: 0, max: 7 }), host: fc.integer({ min: 0, max: 2 }), repeat: fc.boolean(), urgent: fc.boolean(), answers: fc.integer({ min: 0, max: 3 }), pick: fc.nat() });
    fc.assert(fc.property(fc.array(arrival, { maxLength: 120 }), (arrivals) => {
      const lanes = createLanes(LIMITS, () => 0);
      const underWay: { lane: ReturnType<Lanes['get']>; delivery: Delivery }[] = [];
      const count = (fits: (delivery: Delivery) => boolean) => underWay.filter(({ delivery: one }) => fits(one)).length;
      let started = 0;
      const startWhatMay = () => {
        for (let next = lanes.next(); next !== null; next = lanes.next()) {
          underWay.push(next);
          started += 1;
          const { endpointId, endpointUrl } = next.delivery;
          assert.ok(underWay.length <= LIMITS.total && count((one) => one.endpointId === endpointId) <= LIMITS.perEndpoint && count((one) => new URL(one.endpointUrl).host === new URL(endpointUrl).host) <= LIMITS.perHost);
          assert.ok(count((one) => one.attemptCount > 0 && one.trigger !== 'test') <= LIMITS.repeats);
        }
      };
      const answerOne = (pick: number) => {
        const [done] = underWay.splice(pick % underWay.length, 1);
        lanes.answered(done!.lane, done!.delivery);
        lanes.ended(done!.delivery);
        startWhatMay();
      };
      for (const { endpoint, host, repeat, urgent, answers, pick } of arrivals) {
        lanes.add(delivery(`e${endpoint}`, { endpointUrl: `https://h${host}.example.com/${endpoint}`, attemptCount: repeat ? 1 : 0, trigger: urgent ? 'test' : 'automatic' }), urgent);
        startWhatMay();
        for (let i = 0; i < answers && underWay.length > 0; i++) answerOne(pick + i);
      }
      while (underWay.length > 0) answerOne(0);
      assert.equal(started, arrivals.length);
    }));
  });
});
