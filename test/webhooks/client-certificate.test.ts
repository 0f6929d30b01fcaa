/** Client certificates: shown to a receiver that asks for one, checked when they are given, their keys kept sealed. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { afterEach, describe, it } from 'node:test';
import { createSeal } from '../../src/lib/seal.js';
import { readCertificate, type StoredCertificate } from '../../src/webhooks/client-certificate.js';
import { clientCertificate, clientKey, lockedClientKey, serverCertificate, serverKey, testCa } from '../support/certificates.js';
import { startRig } from './rig.js';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Answers only those that show a certificate of the test's authority, and says whom it saw. */
async function startStrictReceiver(): Promise<{ url: string; seen: string[] }> {
  const seen: string[] = [];
  const server = createServer({ cert: serverCertificate, key: serverKey, ca: testCa, requestCert: true, rejectUnauthorized: true }, (req, res) => {
    const names = (req.socket as TLSSocket).getPeerCertificate().subject;
    seen.push(String(names.CN));
    req.resume().on('end', () => res.end('ok'));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return { url: `https://localhost:${(server.address() as AddressInfo).port}/`, seen };
}

describe('an endpoint with a client certificate', () => {
  const certificate = { certificate: clientCertificate, key: clientKey };

  it('is reached where one is asked for; without one its deliveries fail and say that TLS refused', async () => {
    const receiver = await startStrictReceiver();
    const rig = await startRig({ extraCa: [testCa] });
    closers.push(() => rig.stop());
    const input = { name: '', url: receiver.url, style: 'signpost' as const, events: ['*'] };
    const { endpoint } = await rig.webhooks.endpoints.create(rig.actor, input);
    await rig.webhooks.endpoints.test(rig.actor, endpoint.id);
    const refused = await rig.until('the refusal', ({ state }) => state === 'failed');
    assert.ok(['tls', 'reset'].includes(String(refused.attempts[0]?.error?.class)), refused.lastError ?? '');
    assert.deepEqual(receiver.seen, []);

    await rig.webhooks.endpoints.edit(rig.actor, endpoint.id, { ...input, clientCertificate: certificate });
    await rig.webhooks.endpoints.test(rig.actor, endpoint.id);
    await rig.until('the delivery', ({ state }) => state === 'delivered');
    assert.deepEqual(receiver.seen, ['Signpost client']);

    const stored = await rig.collection('webhook_endpoints').findOne({});
    assert.ok(!JSON.stringify(stored).includes('PRIVATE KEY'), 'the key is sealed');
    // Another endpoint at the same address has no part in it, and no connection of it.
    const other = await rig.webhooks.endpoints.create(rig.actor, input);
    await rig.webhooks.endpoints.test(rig.actor, other.endpoint.id);
    await rig.until('the other to be refused', ({ endpointId, state }) => endpointId === other.endpoint.id && state === 'failed');
    assert.deepEqual(receiver.seen, ['Signpost client']);
  });

  it('keeps its key when the form leaves it empty, and loses both when the certificate is emptied', async () => {
    const rig = await startRig();
    closers.push(() => rig.stop());
    const input = { name: '', url: 'https://localhost:9443/', style: 'signpost' as const, events: ['*'] };
    const { endpoint } = await rig.webhooks.endpoints.create(rig.actor, { ...input, clientCertificate: certificate });
    assert.match(endpoint.clientCertificate?.subject ?? '', /Signpost client/);
    const kept = await rig.webhooks.endpoints.edit(rig.actor, endpoint.id, { ...input, clientCertificate: { certificate: clientCertificate, key: '' } });
    assert.equal(kept.clientCertificate?.sealedKey, endpoint.clientCertificate?.sealedKey);
    assert.ok((await rig.webhooks.endpoints.edit(rig.actor, endpoint.id, input)).clientCertificate !== null);
    await assert.rejects(rig.webhooks.endpoints.edit(rig.actor, endpoint.id, { ...input, clientCertificate: { certificate: serverCertificate, key: '' } }), /stored key does not belong/);
    await assert.rejects(rig.webhooks.endpoints.edit(rig.actor, endpoint.id, { ...input, url: 'http://localhost:9000/', clientCertificate: certificate }), /needs an https URL/);
    assert.equal((await rig.webhooks.endpoints.edit(rig.actor, endpoint.id, { ...input, clientCertificate: null })).clientCertificate, null);
  });

  it('is told beside the field what is wrong with it', () => {
    const seal = createSeal(Buffer.alloc(32, 1));
    const read = (given: { certificate?: string; key?: string }, now = new Date(), before: StoredCertificate | null = null) => readCertificate({ ...certificate, ...given }, before, seal, 'x', now);
    const cases: [{ certificate?: string; key?: string }, string, RegExp][] = [
      [{ certificate: 'hello' }, 'clientCertificate', /not a certificate in PEM/],
      [{ certificate: clientKey }, 'clientCertificate', /private key in it/],
      [{ certificate: clientCertificate.replace(/[A-Za-z0-9+/]{20}\n/, '\n') }, 'clientCertificate', /can't be read/],
      [{ certificate: clientCertificate.repeat(7) }, 'clientCertificate', /at most 6/],
      [{ certificate: 'x'.repeat(40_000) }, 'clientCertificate', /too long/],
      [{ key: '' }, 'clientKeySecret', /Paste the private key/],
      [{ key: 'hello' }, 'clientKeySecret', /not a private key in PEM/],
      [{ key: clientCertificate }, 'clientKeySecret', /not a private key in PEM/],
      [{ key: clientKey.replace(/[A-Za-z0-9+/]{20}\n/, '\n') }, 'clientKeySecret', /can't be read/],
      [{ key: lockedClientKey }, 'clientKeySecret', /has a passphrase/],
      [{ key: serverKey }, 'clientKeySecret', /does not belong/],
      [{ certificate: `${testCa}${clientCertificate}` }, 'clientKeySecret', /must be the first/],
    ];
    for (const [given, field, message] of cases) {
      const problem = read(given);
      assert.ok('field' in problem, JSON.stringify(given).slice(0, 80));
      assert.equal(problem.field, field, problem.message);
      assert.match(problem.message, message);
      assert.ok(!problem.message.includes('-----BEGIN PRIVATE KEY-----\nM'), 'no key in a message');
    }
    const expired = read({}, new Date('2200-01-01'));
    assert.match('field' in expired ? expired.message : '', /expired on \d{4}-\d\d-\d\d/);
    const early = read({}, new Date('2000-01-01'));
    assert.match('field' in early ? early.message : '', /valid from \d{4}-\d\d-\d\d on/);
    assert.ok('sealedKey' in read({ certificate: `${clientCertificate}${testCa}` }), 'a chain, the own one first');
  });
});
