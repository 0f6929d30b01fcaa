/** The rules of the next attempt: when it is due, and when there is none. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { deliveryId, nextStep, readRetryAfter, SCHEDULE_S, type AttemptResult } from '../../src/webhooks/delivery.js';

const NOW = new Date('2026-11-21T12:00:00Z');
const automatic = { trigger: 'automatic', maxTries: 10, resumeTo: null } as const;

function result(overrides: Partial<AttemptResult> = {}): AttemptResult {
  return {
    startedAt: NOW, durationMs: 1, url: 'https://example.com', requestHeaders: {}, remoteAddress: null, phases: { dnsMs: null, connectMs: null, tlsMs: null, firstByteMs: null },
    status: 500, responseHeaders: {}, responseBody: '', responseTruncated: false, error: { class: 'status', message: 'no' }, retryAfterMs: null, ...overrides,
  };
}

function wait(tries: number, of: AttemptResult = result(), random = 0): number {
  const step = nextStep(automatic, tries, of, NOW, random);
  assert.equal(step.state, 'waiting');
  return (step as { dueAt: Date }).dueAt.getTime() - NOW.getTime();
}

describe('the next attempt', () => {
  it("follows Standard Webhooks' ten attempts over 75 h 35 m", () => {
    assert.deepEqual(Array.from({ length: 9 }, (_, i) => wait(i + 1) / 1_000), SCHEDULE_S.slice(1));
    assert.equal(SCHEDULE_S.reduce((sum, s) => sum + s, 0), 75 * 3_600 + 35 * 60 + 5);
    assert.deepEqual(nextStep(automatic, 10, result(), NOW, 0), { state: 'failed' });
  });

  it('is jittered later by up to a fifth, never earlier', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 9 }), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), fc.option(fc.integer({ min: 0, max: 10 ** 9 })), (tries, random, retryAfterMs) => {
      const ms = wait(tries, result({ retryAfterMs }), random);
      const scheduled = SCHEDULE_S[tries]! * 1_000;
      const longest = Math.max(scheduled, Math.min(retryAfterMs ?? 0, 24 * 3_600_000));
      assert.ok(ms >= longest - 1 && ms <= longest * 1.2 + 1, `${ms} for ${scheduled}`);
    }));
  });

  it('gives a slow or overloaded receiver at least a minute', () => {
    assert.equal(wait(1, result({ status: 429 })), 60_000);
    assert.equal(wait(1, result({ status: null, error: { class: 'timeout', message: '' } })), 60_000);
    assert.equal(wait(1, result({ status: 500 })), 5_000);
  });

  it('is none after success and after 410', () => {
    assert.deepEqual(nextStep(automatic, 1, result({ status: 200, error: null }), NOW, 0), { state: 'delivered' });
    assert.deepEqual(nextStep(automatic, 1, result({ status: 410 }), NOW, 0), { state: 'failed' });
  });

  it('is what it was before, when a resend by hand fails', () => {
    const dueAt = new Date(NOW.getTime() + 1_000);
    assert.deepEqual(nextStep({ trigger: 'manual', maxTries: 10, resumeTo: { state: 'waiting', dueAt } }, 3, result(), NOW, 0), { state: 'waiting', dueAt });
    assert.deepEqual(nextStep({ trigger: 'manual', maxTries: 10, resumeTo: { state: 'failed', dueAt: null } }, 10, result(), NOW, 0), { state: 'failed', dueAt: null });
    assert.deepEqual(nextStep({ trigger: 'manual', maxTries: 10, resumeTo: { state: 'failed', dueAt: null } }, 10, result({ error: null, status: 200 }), NOW, 0), { state: 'delivered' });
  });

  it('reads Retry-After as seconds or as a date, and ignores nonsense', () => {
    assert.equal(readRetryAfter('120', NOW), 120_000);
    assert.equal(readRetryAfter('Sat, 21 Nov 2026 12:01:00 GMT', NOW), 60_000);
    assert.equal(readRetryAfter('Sat, 21 Nov 2020 12:01:00 GMT', NOW), 0);
    assert.equal(readRetryAfter('Saturday, 21-Nov-26 12:01:00 GMT', NOW), 60_000);
    for (const nonsense of ['soon', '-5', '5, 90', '1.5', '', 'Mon']) assert.equal(readRetryAfter(nonsense, NOW), null, nonsense);
    assert.equal(readRetryAfter(undefined, NOW), null);
    for (const digits of ['99999999999999', '9'.repeat(400)]) assert.equal(wait(1, result({ status: 503, retryAfterMs: readRetryAfter(digits, NOW) })), 24 * 3_600_000, 'more than a day is a day');
  });
});

describe("a delivery's id", () => {
  it('is the same for the same event and endpoint, and another for any other', () => {
    assert.equal(deliveryId('evt_1', 'end_1'), deliveryId('evt_1', 'end_1'));
    assert.equal(new Set([deliveryId('evt_1', 'end_1'), deliveryId('evt_2', 'end_1'), deliveryId('evt_1', 'end_2')]).size, 3);
  });
});
