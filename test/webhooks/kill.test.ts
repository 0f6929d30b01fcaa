/** A sender that is killed with SIGKILL at the worst moments: nothing is lost, and what comes twice is recognisable. */
import assert from 'node:assert/strict';
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { afterEach, describe, it } from 'node:test';
import type { PostEventInput } from '../../src/webhooks/event.js';
import { startReceiver, type Receiver } from '../support/receiver.js';
import { waitUntil } from '../support/wait-until.js';
import { postEvent, startRig, type Rig } from './rig.js';

const EVENTS = 30;
const ENDPOINTS = 3;
const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function startSender(rig: Rig): Promise<ChildProcess> {
  const child = fork(path.join(import.meta.dirname, 'doomed-sender.js'), [rig.collection('webhook_deliveries').dbName], { execArgv: [], serialization: 'json' });
  closers.push(() => kill(child));
  await once(child, 'message');
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** The sweep of this process settles what the dead one held, and the outbox hands over again what it had not got rid of. */
async function recover(rig: Rig, events: PostEventInput[]): Promise<void> {
  rig.advance(80_000);
  await rig.webhooks.record(events);
  await waitUntil('everything to be delivered', async () => {
    await rig.sweep();
    const all = await rig.all();
    return all.length === EVENTS * ENDPOINTS && all.every(({ state }) => state === 'delivered');
  }, { timeoutMs: 60_000, everyMs: 100 });
}

function assertNothingLost(receiver: Receiver, events: PostEventInput[]): void {
  const ids = new Set(events.map(({ id }) => id));
  const arrived = new Map<string, string[]>();
  for (const { path: to, headers, raw } of receiver.received) {
    const id = String(headers['webhook-id']);
    assert.ok(ids.has(id), 'an id that nobody knows');
    arrived.set(`${to} ${id}`, [...(arrived.get(`${to} ${id}`) ?? []), raw.toString()]);
  }
  assert.equal(arrived.size, EVENTS * ENDPOINTS, 'every event came to every endpoint');
  for (const bodies of arrived.values()) assert.equal(new Set(bodies).size, 1, 'a repeat is the same, byte for byte');
}

describe('kill -9 of a sender', () => {
  const moments: [string, (rig: Rig, receiver: Receiver) => Promise<unknown>][] = [
    ['during fan-out', (rig) => waitUntil('the first delivery to be written', () => rig.collection('webhook_deliveries').findOne({}), { everyMs: 1 })],
    ['after sending, before recording', (_rig, receiver) => receiver.waitFor('a webhook', () => receiver.received.length === 10)],
    ['between claiming and sending', async (rig, receiver) => {
      receiver.answerWith('hang');
      await waitUntil('deliveries that wait in memory', async () => (await rig.collection('webhook_deliveries').countDocuments({ state: 'sending' })) > ENDPOINTS * 5);
      receiver.answerWith({ status: 200 });
    }],
  ];
  for (const [moment, wait] of moments) {
    it(`${moment} loses nothing, and repeats share their id`, async () => {
      const receiver = await startReceiver();
      closers.push(() => receiver.stop());
      const rig = await startRig();
      closers.push(() => rig.stop());
      for (let i = 0; i < ENDPOINTS; i++) await rig.webhooks.endpoints.create(rig.actor, { name: '', url: `${receiver.url}/${i}`, style: 'ayrshare', events: ['scheduled'] });
      const sender = await startSender(rig);
      const events = Array.from({ length: EVENTS }, () => postEvent(rig.actor));
      sender.send(events);
      await wait(rig, receiver);
      await kill(sender);
      await recover(rig, events);
      assertNothingLost(receiver, events);
    });
  }
});
