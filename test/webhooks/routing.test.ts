/** Which endpoints hear of an event: a profile's own or the account's; and events that wait in documents when a process dies. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import type { Db } from 'mongodb';
import { createFactOutbox, outboxIndex } from '../../src/db/outbox.js';
import { newId } from '../../src/lib/ids.js';
import { createLogger } from '../../src/lib/logger.js';
import { endpointsFor } from '../../src/webhooks/endpoint.js';
import { startReceiver } from '../support/receiver.js';
import { temporaryDatabase } from '../support/temporary-database.js';
import { waitUntil } from '../support/wait-until.js';
import { postEvent, startRig } from './rig.js';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function rigAndReceiver() {
  const receiver = await startReceiver();
  closers.push(() => receiver.stop());
  const rig = await startRig();
  closers.push(() => rig.stop());
  return { rig, receiver };
}

describe('a profile', () => {
  it("inherits the account's endpoints while it has none of its own, and has several of its own", async () => {
    const { rig, receiver } = await rigAndReceiver();
    const other = { ...rig.actor, profileId: newId('prf') };
    const create = (actor: typeof other, path: string) => rig.webhooks.endpoints.create(actor, { name: '', url: receiver.url + path, style: 'signpost', events: ['*'] });
    await create(rig.actor, '/account-a');
    await create(rig.actor, '/account-b');
    const tell = async (actor: typeof other) => {
      const event = postEvent(actor, { at: rig.now() });
      await rig.webhooks.record([event]);
      await waitUntil('its deliveries', async () => (await rig.all()).filter(({ eventId, state }) => eventId === event.id && state === 'delivered').length >= 2);
      return receiver.received.filter(({ headers }) => headers['webhook-id'] === event.id).map(({ path }) => path).sort();
    };
    assert.deepEqual(await tell(rig.actor), ['/account-a', '/account-b']);
    assert.deepEqual(await tell(other), ['/account-a', '/account-b']);
    await create(other, '/own-a');
    const own = await create(other, '/own-b');
    assert.deepEqual(await tell(other), ['/own-a', '/own-b']);
    assert.deepEqual(await tell(rig.actor), ['/account-a', '/account-b'], 'the account hears nothing of profiles that speak for themselves');
    await rig.webhooks.endpoints.pause(other, own.endpoint.id);
    await rig.webhooks.record([postEvent(other, { at: rig.now() })]);
    await rig.until('a paused one to be recorded as skipped', ({ endpointId, state }) => endpointId === own.endpoint.id && state === 'skipped');
    assert.equal(receiver.received.filter(({ path }) => path.startsWith('/account')).length, 6);
  });

  it('inherits each registered action on its own', () => {
    const registered = (apiAction: string, of: string) => ({ apiAction, of });
    const account = [registered('scheduled', 'account'), registered('social', 'account'), { apiAction: null, of: 'account page' }];
    const heardOf = (own: { apiAction: string | null; of: string }[]) => endpointsFor(own, account).map(({ apiAction, of }) => `${of} ${apiAction}`);
    assert.deepEqual(heardOf([]), ['account scheduled', 'account social', 'account page null']);
    assert.deepEqual(heardOf([registered('scheduled', 'own')]), ['own scheduled', 'account social']);
    assert.deepEqual(heardOf([{ apiAction: null, of: 'own page' }]), ['own page null']);
  });
});

describe('an event that a document carries', () => {
  it('of an endpoint is told after the process that wrote it died', async () => {
    const { rig, receiver } = await rigAndReceiver();
    await rig.webhooks.endpoints.create(rig.actor, { name: '', url: `${receiver.url}/other`, style: 'signpost', events: ['endpoint.disabled'] });
    const { endpoint } = await rig.webhooks.endpoints.create(rig.actor, { name: '', url: `${receiver.url}/off`, style: 'signpost', events: ['*'] });
    const at = rig.now();
    const event = { id: newId('evt', at), type: 'endpoint.disabled', at, sequence: 0, accountId: rig.actor.accountId, profileId: rig.actor.profileId, data: { endpointId: endpoint.id, url: endpoint.url, reason: 'x' } };
    // As the one update leaves it that turns an endpoint off.
    await rig.collection('webhook_endpoints').updateOne({ url: endpoint.url }, { $set: { state: 'disabled', outboxAt: at, outbox: [event] } });
    await rig.sweep();
    const told = await receiver.waitFor('the event', ({ path }) => path === '/other');
    assert.equal(told.headers['webhook-id'], event.id);
    await rig.sweep();
    assert.equal(receiver.received.length, 1);
    assert.equal(await rig.collection('webhook_endpoints').countDocuments({ outboxAt: { $exists: true } }), 0);
  });

  it('is told at least once, in order, and no trouble of one document holds up the others', async () => {
    const { db } = await temporaryDatabase();
    const facts = (db as Db).collection<{ _id: string; outbox?: { id: string }[]; outboxAt?: Date }>('facts');
    await facts.createIndexes([outboxIndex]);
    const told: string[] = [];
    let refuses = true;
    const outbox = createFactOutbox<{ id: string }>({
      db, collection: 'facts', log: createLogger('silent'),
      record: async (events) => {
        if (refuses && events.some(({ id }) => id === 'bad')) throw new Error('not now');
        told.push(...events.map(({ id }) => id));
        // Another fact of the same document while its first events are told.
        if (told.length === 2) await facts.updateOne({ _id: 'b' }, { $push: { outbox: { id: 'b3' } }, $set: { outboxAt: new Date() } });
      },
    });
    await facts.insertMany([{ _id: 'a', outbox: [{ id: 'bad' }], outboxAt: new Date(1) }, { _id: 'b', outbox: [{ id: 'b1' }, { id: 'b2' }], outboxAt: new Date(2) }, { _id: 'c' }]);
    await outbox.relay();
    assert.deepEqual(told, ['b1', 'b2']);
    refuses = false;
    await outbox.relay();
    assert.deepEqual(told.toSorted(), ['b1', 'b2', 'b3', 'bad']);
    assert.deepEqual(await facts.find({}).toArray(), [{ _id: 'a' }, { _id: 'b' }, { _id: 'c' }]);
  });
});
