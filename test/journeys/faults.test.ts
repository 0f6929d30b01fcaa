/** The short form of `npm run bench -- faults`. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { runFaults } from '../support/fault-run.js';

it('killed again and again with misbehaving networks, nothing is lost, nothing is public twice, and every event is told', async (t) => {
  const { broken, kills, publications } = await runFaults({ kills: 3, seed: 7, accounts: 1, posts: 12, say: (line) => t.diagnostic(line) });
  assert.deepEqual(broken, []);
  assert.deepEqual(kills, { worker: 1, web: 1, database: 1 });
  assert.equal(publications, 12 * 6);
});
