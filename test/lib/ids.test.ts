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

  it('never repeat, and ids with a prefix sort by the time they were made', () => {
    const ids = Array.from({ length: 20_000 }, () => newPostId());
    assert.equal(new Set(ids).size, ids.length);
    assert.ok(newId('evt', new Date(1_000)) < newId('evt', new Date(2_000)));
  });

  it('use every letter about as often as any other', () => {
    const counts = new Map<string, number>();
    for (let i = 0; i < 10_000; i++) for (const letter of newPostId()) counts.set(letter, (counts.get(letter) ?? 0) + 1);
    const expected = (10_000 * 20) / 62;
    assert.equal(counts.size, 62);
    // Seven standard deviations: chance alone does not do this once in a lifetime.
    for (const [letter, count] of counts) assert.ok(Math.abs(count - expected) < 7 * Math.sqrt(expected), `${letter}: ${count} instead of about ${expected}`);
  });
});
