/** The short form of `npm run bench -- faults`. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { runFaults } from '../support/fault-run.js';

it('killed again and again with misbehaving networks, nothing is lost and nothing is public twice', async (t) => {
  const result = await runFaults({ kills: 3, seed: 7, accounts: 1, posts: 12, say: (line) => t.diagnostic(line) });
  assert.deepEqual(result.broken, []);
  assert.equal(result.publications, 12 * 6);
});
