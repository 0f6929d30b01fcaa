import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { afterLookUp, defaultRetryPolicy as policy, nextStep } from '../../src/publishing/retry-policy.js';

const now = new Date('2026-03-01T12:00:00Z');
const base = { tries: 1, canLookUp: true, now, random: 0 };

describe('what follows a failed attempt', () => {
  it('never sends a rejected post again', () => {
    assert.deepEqual(nextStep({ ...base, kind: 'rejected' }, policy), { do: 'fail' });
  });

  it('holds a post when its channel is signed out', () => {
    assert.deepEqual(nextStep({ ...base, kind: 'signed-out' }, policy), { do: 'hold' });
  });

  it('tries an unreachable network again after growing waits, and gives up after five tries', () => {
    const waits = [1, 2, 3, 4].map((tries) => {
      const step = nextStep({ ...base, kind: 'unreachable', tries }, policy);
      return step.do === 'retry' ? step.at.getTime() - now.getTime() : -1;
    });
    assert.deepEqual(waits, [30_000, 120_000, 600_000, 2_700_000]);
    assert.deepEqual(nextStep({ ...base, kind: 'unreachable', tries: 5 }, policy), { do: 'fail' });
  });

  it('honours the network\'s own time when it is later than ours', () => {
    const retryAt = new Date(now.getTime() + 7_200_000);
    assert.deepEqual(nextStep({ ...base, kind: 'rate-limited', retryAt }, policy), { do: 'retry', at: retryAt });
    // One that names a time beyond all its limits is asked again before.
    for (const beyond of [new Date(9e14), new Date(8.64e15)]) assert.deepEqual(nextStep({ ...base, kind: 'rate-limited', retryAt: beyond }, policy), { do: 'retry', at: new Date(now.getTime() + 25 * 3_600_000) });
    assert.deepEqual(nextStep({ ...base, kind: 'rate-limited', retryAt: new Date(NaN) }, policy), { do: 'retry', at: new Date(now.getTime() + 30_000) });
    const sooner = nextStep({ ...base, kind: 'rate-limited', retryAt: new Date(now.getTime() + 1) }, policy);
    assert.deepEqual(sooner, { do: 'retry', at: new Date(now.getTime() + 30_000) });
  });

  it('asks the network after an unknown outcome, and asks a person where the network can\'t be asked', () => {
    assert.equal(nextStep({ ...base, kind: 'unknown' }, policy).do, 'reconcile');
    assert.deepEqual(nextStep({ ...base, kind: 'unknown', canLookUp: false }, policy), { do: 'unconfirm' });
  });

  it('never sends again after an unknown outcome, whatever the counts', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 50 }), fc.boolean(), fc.double({ min: 0, max: 1, noNaN: true }), (tries, canLookUp, random) => {
      const step = nextStep({ kind: 'unknown', tries, canLookUp, now, random }, policy);
      return step.do === 'reconcile' || step.do === 'unconfirm';
    }));
  });

  it('only ever waits for a time in the future, and never longer than a fifth over its schedule', () => {
    fc.assert(fc.property(fc.constantFrom('unreachable' as const, 'rate-limited' as const), fc.integer({ min: 1, max: 4 }), fc.double({ min: 0, max: 1, noNaN: true }), (kind, tries, random) => {
      const step = nextStep({ kind, tries, canLookUp: true, now, random }, policy);
      if (step.do !== 'retry') return false;
      const wait = step.at.getTime() - now.getTime();
      const scheduled = policy.retryDelaysMs[tries - 1]!;
      return wait >= scheduled && wait <= scheduled * 1.2 + 1;
    }));
  });
});

describe('what follows a look-up that did not find the post', () => {
  it('sends again only after two look-ups that found nothing', () => {
    assert.equal(afterLookUp({ answer: 'not-found', notFound: 1, lookUps: 1, tries: 1, isIdempotent: false, now, random: 0 }, policy).do, 'reconcile');
    assert.deepEqual(afterLookUp({ answer: 'not-found', notFound: 2, lookUps: 2, tries: 1, isIdempotent: false, now, random: 0 }, policy), { do: 'retry', at: now });
    assert.deepEqual(afterLookUp({ answer: 'not-found', notFound: 2, lookUps: 2, tries: 5, isIdempotent: false, now, random: 0 }, policy), { do: 'fail' });
  });

  it('sends again at once where a second post is impossible', () => {
    assert.deepEqual(afterLookUp({ answer: 'not-found', notFound: 0, lookUps: 1, tries: 1, isIdempotent: true, now, random: 0 }, policy), { do: 'retry', at: now });
  });

  it('never sends again when the network could not be asked, and leaves it to a person in the end', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 1 }), (lookUps, tries, notFound) => {
      const step = afterLookUp({ answer: 'cant-tell', notFound, lookUps, tries, isIdempotent: true, now, random: 0 }, policy);
      return step.do === (lookUps >= policy.maxLookUps ? 'unconfirm' : 'reconcile');
    }));
  });
});
