/** A webhook whose sender is killed while the receiver has it: it comes again after the restart, and is recognisable as the same. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { apiClient, createApiKey, signUp } from '../../src/cli/newcomer.js';
import { startProgram, temporaryFolder } from '../support/program.js';
import { startReceiver } from '../support/receiver.js';
import { waitUntil } from '../support/wait-until.js';

interface Attempts {
  state: string;
  attempts: { error: { class: string } | null }[];
}

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

describe('kill -9 while a webhook is on its way', () => {
  it('costs nothing but a repeat with the same webhook-id, and the log tells of both attempts', async () => {
    const folder = await temporaryFolder();
    closers.push(() => folder.remove());
    const receiver = await startReceiver();
    closers.push(() => receiver.stop());
    const first = await startProgram({ dataDir: folder.path });
    closers.push(() => first.end('SIGKILL'));
    const { session } = await signUp(first.url);
    const key = await createApiKey(session);
    receiver.answerWith((_request, index) => (index === 0 ? 'hang' : { status: 200 }));
    const { body } = await apiClient(first.url, key).post('/api/webhooks/endpoints', { url: receiver.url });
    const { id } = body['endpoint'] as { id: string };
    const asked = await apiClient(first.url, key).post(`/api/webhooks/endpoints/${id}/test`, {});
    const before = await receiver.waitFor('the webhook', () => true);
    await first.end('SIGKILL');

    const second = await startProgram({ dataDir: folder.path });
    closers.push(() => second.end('SIGKILL'));
    await waitUntil('it to come again', () => receiver.received.length === 2, { timeoutMs: 30_000 });
    const again = receiver.received[1]!;
    assert.equal(again.headers['webhook-id'], before.headers['webhook-id']);
    assert.deepEqual(again.raw, before.raw);
    const delivered = await waitUntil('the log to say so', async () => {
      const answer = await apiClient(second.url, key).get(`/api/webhooks/deliveries/${String(asked.body['delivery'])}`);
      const delivery = answer.body['delivery'] as Attempts;
      return delivery.state === 'delivered' ? delivery : null;
    });
    assert.deepEqual(delivered.attempts.map(({ error }) => error?.class ?? 'ok'), ['interrupted', 'ok']);
  });
});
