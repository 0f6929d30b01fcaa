import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCrashTest } from './crash.js';

test('no acknowledged write is lost and no index disagrees after kills under load', async () => {
  const { faults, acknowledged } = await runCrashTest(4);
  assert.deepEqual(faults, []);
  assert.ok(acknowledged > 15);
});
