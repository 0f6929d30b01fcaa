/** Recoveries that several processes have a hand in. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { startReceiver } from '../support/receiver.js';
import { waitUntil } from '../support/wait-until.js';
import { createEndpointStore } from '../../src/webhooks/endpoint-store.js';
import { postEvent, startRig } from './rig.js';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

describe('a recovery', () => {
  it('that several processes go on with counts each delivery once, and sends it once', async () => {
    const receiver = await startReceiver();
    closers.push(() => receiver.stop());
    const rig = await startRig();
    closers.push(() => rig.stop());
    const { endpoint } = await rig.webhooks.endpoints.create(rig.actor, { name: '', url: receiver.url, style: 'signpost', events: ['post.published'] });
    await rig.webhooks.endpoints.pause(rig.actor, endpoint.id);
    await rig.webhooks.record(Array.from({ length: 450 }, () => postEvent(rig.actor)));
    await rig.webhooks.endpoints.resume(rig.actor, endpoint.id);
    // As a process leaves it that died when it had just begun.
    const startedAt = rig.now();
    await createEndpointStore(rig.db).startRecovery(endpoint.id, { id: 'rec_1', since: new Date(0), startedAt, requeued: 0, endedAt: null });
    await rig.another();
    await rig.another();
    await rig.sweep();
    const { recovery } = await waitUntil('the recovery to end', async () => {
      const now = await rig.webhooks.endpoints.get(rig.actor, endpoint.id);
      return now.recovery?.endedAt ? now : null;
    });
    assert.equal(recovery?.requeued, 450);
    await waitUntil('all to be delivered', async () => {
      await rig.sweep();
      return (await rig.collection('webhook_deliveries').countDocuments({ state: 'delivered' })) === 450;
    }, { timeoutMs: 30_000, everyMs: 100 });
    assert.equal(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size, 450);
  });
});
