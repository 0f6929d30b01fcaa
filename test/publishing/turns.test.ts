/** Turns: one call at a time for each channel, whatever order calls and outcomes end in. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as soon } from 'node:timers/promises';
import { createTurns } from '../../src/publishing/turns.js';

describe('turns', () => {
  it('let one begin at a time on a channel, also where an earlier turn is ended twice', async () => {
    const turns = createTurns(10, () => 10);
    const first = await turns.take('chn_1', 'bluesky');
    first?.end();
    const second = await turns.take('chn_1', 'bluesky');
    assert.notEqual(second, null);
    first?.end();
    let thirdBegan = false;
    const third = turns.take('chn_1', 'bluesky').then((turn) => {
      thirdBegan = true;
      return turn;
    });
    await soon();
    assert.equal(thirdBegan, false);
    second?.end();
    assert.notEqual(await third, null);
  });
});
