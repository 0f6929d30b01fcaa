import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { newId, newPostId, newRefId, newToken } from '../../src/lib/ids.js';

describe('identifiers', () => {
  it('have the shapes that clients expect', () => {
    assert.match(newPostId(), /^[A-Za-z0-9]{20}$/);
    assert.match(newRefId(), /^[0-9a-f]{40}$/);
    assert.match(newId('evt'), /^evt_[0-9a-hjkmnp-tv-z]{26}$/);
    assert.match(newToken(12), /^[A-Za-z0-9_-]{16}$/);
  });

  it('never repeat, and sort by the time they were made', () => {
    const ids = Array.from({ length: 20_000 }, () => newPostId());
    assert.equal(new Set(ids).size, ids.length);
    // Where digits, capitals and small letters follow one another.
    const times = [1, 9, 10, 35, 36, 61, 62, 3_843, 3_844, Date.now(), Date.now() + 1, Date.parse('2100-01-01')].map((ms) => new Date(ms));
    for (const make of [newPostId, (at: Date) => newId('evt', at)]) {
      const made = times.map(make);
      assert.deepEqual(made.toSorted(), made);
    }
  });

  it('use every letter about as often as any other where they are random', () => {
    const counts = new Map<string, number>();
    for (let i = 0; i < 10_000; i++) for (const letter of newPostId().slice(8)) counts.set(letter, (counts.get(letter) ?? 0) + 1);
    const expected = (10_000 * 12) / 62;
    assert.equal(counts.size, 62);
    // Seven standard deviations: chance alone does not do this once in a lifetime.
    for (const [letter, count] of counts) assert.ok(Math.abs(count - expected) < 7 * Math.sqrt(expected), `${letter}: ${count} instead of about ${expected}`);
  });
});
