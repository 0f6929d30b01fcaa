/** Properties of the engine's states: whatever networks answer and however long it takes, nothing is public twice where the network can be asked. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { foldStatus, isSettled, type Publication, type PublicationState } from '../../src/posts/post.js';
import { afterLookUp, defaultRetryPolicy as policy, nextStep } from '../../src/publishing/retry-policy.js';
import { count, roomAt } from '../../src/publishing/rates.js';

const STATES: PublicationState[] = ['pending', 'sending', 'processing', 'published', 'failed', 'held', 'unconfirmed', 'cancelled', 'missed'];
const anyPublications = fc.array(fc.record({ state: fc.constantFrom(...STATES), tries: fc.nat(5) }), { minLength: 1, maxLength: 8 })
  .map((list) => list as unknown as Publication[]);

describe('a post\'s status', () => {
  it('is final exactly when nothing of it is left to be done', () => {
    fc.assert(fc.property(anyPublications, (publications) => {
      const isFinal = ['success', 'partial', 'error', 'deleted'].includes(foldStatus(publications));
      return isFinal === publications.every(isSettled);
    }));
  });

  it('does not depend on the order of its publications', () => {
    fc.assert(fc.property(anyPublications, (publications) => foldStatus(publications) === foldStatus([...publications].reverse())));
  });

  it('is a success only when everything that was not cancelled is published, and an error only when nothing is', () => {
    fc.assert(fc.property(anyPublications, (publications) => {
      const live = publications.filter((p) => p.state !== 'cancelled');
      const published = live.filter((p) => p.state === 'published').length;
      const status = foldStatus(publications);
      if (status === 'success') return live.length > 0 && published === live.length;
      if (status === 'error') return published === 0;
      return status !== 'partial' || (published > 0 && published < live.length);
    }));
  });
});

describe('any run of answers', () => {
  /** What a call did at the network, and what came back. */
  const call = fc.record({ isAccepted: fc.boolean(), answer: fc.constantFrom('told', 'unknown', 'crashed', 'rate-limited', 'unreachable') });
  const look = fc.constantFrom('answers', 'fails');

  it('never makes a post public twice on a network that can be asked, and ends in a state that tells the truth', () => {
    fc.assert(fc.property(fc.array(call, { minLength: 40, maxLength: 60 }), fc.array(look, { minLength: 400, maxLength: 400 }), (calls, looks) => {
      const { publicTimes, end } = play(calls, looks, true);
      assert.ok(publicTimes <= 1);
      if (end === 'published') assert.equal(publicTimes, 1);
      if (end === 'failed') assert.equal(publicTimes, 0);
    }), { numRuns: 500 });
  });

  it('leaves every doubt to a person on a network that can not be asked', () => {
    fc.assert(fc.property(fc.array(call, { minLength: 40, maxLength: 60 }), (calls) => {
      const { publicTimes, end } = play(calls, [], false);
      assert.ok(publicTimes <= 1);
      assert.notEqual(end, 'sending');
    }), { numRuns: 500 });
  });
});

/** Plays one publication by the engine's decisions alone. */
function play(calls: { isAccepted: boolean; answer: string }[], looks: string[], canLookUp: boolean): { publicTimes: number; end: string } {
  let publicTimes = 0;
  let now = new Date('2026-03-01T12:00:00Z');
  let [callAt, lookAt, tries] = [0, 0, 0];
  for (;;) {
    tries += 1;
    const sentAt = now;
    const { isAccepted, answer } = calls[callAt++]!;
    const wasAccepted = isAccepted && answer !== 'rate-limited' && answer !== 'unreachable';
    if (wasAccepted) publicTimes += 1;
    if (answer === 'told') {
      if (wasAccepted) return { publicTimes, end: 'published' };
      return { publicTimes, end: 'failed' };
    }
    let step = nextStep({ kind: answer === 'crashed' ? 'unknown' : answer as 'unknown', tries, canLookUp, now, random: 0 }, policy);
    for (let lookUps = 1, notFound = 0; step.do === 'reconcile'; lookUps++) {
      now = step.at;
      const canTell = looks[lookAt++ % Math.max(1, looks.length)] === 'answers';
      if (canTell && wasAccepted) return { publicTimes, end: 'published' };
      if (canTell && now.getTime() - sentAt.getTime() >= policy.settleMs) notFound += 1;
      step = afterLookUp({ answer: canTell ? 'not-found' : 'cant-tell', notFound, lookUps, tries, isIdempotent: false, now, random: 0 }, policy);
    }
    if (step.do !== 'retry') return { publicTimes, end: step.do === 'fail' ? 'failed' : step.do };
    now = step.at;
  }
}

describe('room within a network\'s limits', () => {
  it('never lets more through in any window than the network takes', () => {
    const limits = [{ max: 3, windowMs: 1_000 }, { max: 5, windowMs: 6_000 }];
    fc.assert(fc.property(fc.array(fc.nat(900), { minLength: 1, maxLength: 60 }), (gaps) => {
      const counts = {};
      const sent: number[] = [];
      let time = 1_000_000;
      for (const gap of gaps) {
        time += gap;
        if (roomAt(counts, limits, time).at > time) continue;
        count(counts, limits, time);
        sent.push(time);
      }
      return limits.every(({ max, windowMs }) => sent.every((from, i) => sent.slice(i).filter((at) => at < from + windowMs).length <= max));
    }));
  });
});
