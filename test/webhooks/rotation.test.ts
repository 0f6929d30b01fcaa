/** Rotating secrets: whatever happens at the same moment, a secret that was given out signs. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { Webhook } from 'standardwebhooks';
import { startReceiver } from '../support/receiver.js';
import { startRig } from './rig.js';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function endpointAndReceiver() {
  const receiver = await startReceiver();
  closers.push(() => receiver.stop());
  const rig = await startRig();
  closers.push(() => rig.stop());
  const { endpoint, secret } = await rig.webhooks.endpoints.create(rig.actor, { name: '', url: receiver.url, style: 'signpost', events: ['*'] });
  /** Which of these secrets sign what is sent now. */
  const signing = async (secrets: string[]) => {
    const before = receiver.received.length;
    await rig.webhooks.endpoints.test(rig.actor, endpoint.id);
    await receiver.waitFor('a test', () => receiver.received.length > before);
    const { raw, headers } = receiver.received.at(-1)!;
    return secrets.filter((one) => {
      try {
        new Webhook(one).verify(raw, headers as Record<string, string>);
        return true;
      } catch {
        return false;
      }
    });
  };
  return { rig, endpoint, secret, signing };
}

describe('rotations', () => {
  it('at the same moment lose none of their secrets', async () => {
    const { rig, endpoint, secret, signing } = await endpointAndReceiver();
    const rotated = await Promise.all([1, 2].map(() => rig.webhooks.endpoints.rotate(rig.actor, endpoint.id)));
    const secrets = [secret, ...rotated.map((one) => one.secret)];
    assert.deepEqual(await signing(secrets), secrets);
  });

  it('without an overlap leave the new secret alone', async () => {
    const { rig, endpoint, secret, signing } = await endpointAndReceiver();
    const rotated = await rig.webhooks.endpoints.rotate(rig.actor, endpoint.id, 0);
    assert.deepEqual(await signing([secret, rotated.secret]), [rotated.secret]);
  });

  it('end the old secret when its overlap is over, at the latest after a week', async () => {
    const { rig, endpoint } = await endpointAndReceiver();
    const rotated = await rig.webhooks.endpoints.rotate(rig.actor, endpoint.id, 168);
    rig.advance(167 * 3_600_000);
    // Libraries would find the advanced time too far off, so the endpoint's secrets are looked at themselves.
    assert.equal((await rig.webhooks.endpoints.secretsOf(rig.actor.accountId))[0]?.secrets.length, 2);
    rig.advance(2 * 3_600_000);
    assert.deepEqual((await rig.webhooks.endpoints.secretsOf(rig.actor.accountId))[0]?.secrets, [rotated.secret]);
  });
});
