/** Deliveries over names and TLS, from the DNS answer to the stored attempt: what is dialled is judged each time, and each phase is told. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:https';
import { createServer as createPlainServer, type AddressInfo } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import type { DeliveryAttempt } from '../../src/webhooks/delivery.js';
import { namedCertificate, namedKey, serverCertificate, serverKey, testCa } from '../support/certificates.js';
import { startDnsServer, type Answers } from '../support/dns-server.js';
import { postEvent, startRig, type Rig, type RigOptions } from './rig.js';

const closers: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Closes each connection after its answer, so that the next request needs a new one. */
async function startTlsReceiver(cert: string, key: string): Promise<{ port: number; hits: () => number }> {
  let hits = 0;
  const server = createServer({ cert, key }, (req, res) => {
    hits += 1;
    req.resume().on('end', () => res.writeHead(200, { connection: 'close' }).end('ok'));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return { port: (server.address() as AddressInfo).port, hits: () => hits };
}

/** Signpost as if it were reached from everywhere: only public addresses are open, and what `allowCidrs` names. */
async function startOpenRig(answers: Answers, options: RigOptions = {}): Promise<Rig> {
  const dns = await startDnsServer(answers);
  closers.push(dns.stop);
  const rig = await startRig({ loopbackOnly: false, publicUrl: 'https://signpost.example', dnsServers: [dns.address], extraCa: [namedCertificate, testCa], ...options });
  closers.push(() => rig.stop());
  return rig;
}

const register = async (rig: Rig, url: string) => (await rig.webhooks.endpoints.create(rig.actor, { name: '', url, style: 'signpost', events: ['*'] })).endpoint;

async function deliver(rig: Rig): Promise<DeliveryAttempt> {
  const event = postEvent(rig.actor);
  await rig.webhooks.record([event]);
  const tried = await rig.until('the attempt', ({ eventId, attemptCount }) => eventId === event.id && attemptCount > 0);
  return tried.attempts[0]!;
}

describe('a delivery to a name', () => {
  it('does not reach this machine when the name was public at registration and leads here later, alone or beside a public address', async () => {
    const receiver = await startTlsReceiver(namedCertificate, namedKey);
    let addresses = ['93.184.216.34'];
    const rig = await startOpenRig((_name, type) => (type === 'A' ? addresses : []));
    await register(rig, `https://hooks.test:${receiver.port}/`);
    for (const rebound of [['127.0.0.1'], ['93.184.216.34', '127.0.0.1'], ['10.1.2.3'], ['169.254.169.254']]) {
      addresses = rebound;
      const attempt = await deliver(rig);
      assert.equal(attempt.error?.class, 'blocked', rebound.join());
      assert.match(String(attempt.error?.message), /hooks\.test leads to/);
      assert.deepEqual([attempt.remoteAddress, attempt.status, attempt.phases.connectMs], [null, null, null], 'nothing was dialled');
    }
    assert.equal(receiver.hits(), 0);
  });

  it('does not reach it through an IPv6 answer either', async () => {
    const receiver = await startTlsReceiver(namedCertificate, namedKey);
    let answer = '26064700000000000000000000001111';
    const rig = await startOpenRig((_name, type) => (type === 'AAAA' ? [answer] : []));
    await register(rig, `https://hooks.test:${receiver.port}/`);
    for (const rebound of ['00000000000000000000000000000001', '00000000000000000000ffff7f000001', '0064ff9b00000000000000007f000001', '20027f00000100000000000000000000']) {
      answer = rebound;
      assert.equal((await deliver(rig)).error?.class, 'blocked', rebound);
    }
    assert.equal(receiver.hits(), 0);
  });

  it('is judged anew at each connection, into ranges that the operator opened and out of them again', async () => {
    const receiver = await startTlsReceiver(namedCertificate, namedKey);
    let address = '127.0.0.1';
    const rig = await startOpenRig((_name, type) => (type === 'A' ? [address] : []), { allowCidrs: ['127.0.0.1/32'] });
    await register(rig, `https://hooks.test:${receiver.port}/`);
    assert.equal((await deliver(rig)).status, 200);
    address = '127.0.0.2';
    const attempt = await deliver(rig);
    assert.equal(attempt.error?.class, 'blocked');
    assert.match(String(attempt.error?.message), /127\.0\.0\.2 is a loopback address.*WEBHOOK_ALLOW_CIDRS/);
    address = '127.0.0.1';
    assert.equal((await deliver(rig)).status, 200);
    assert.equal(receiver.hits(), 2);
  });

  it('tells how long DNS, connecting, TLS and the first byte took, each after the other', async () => {
    const receiver = await startTlsReceiver(namedCertificate, namedKey);
    const rig = await startOpenRig((_name, type) => (type === 'A' ? ['127.0.0.1'] : []), { allowCidrs: ['127.0.0.1/32'] });
    await register(rig, `https://hooks.test:${receiver.port}/`);
    const { phases, durationMs, remoteAddress } = await deliver(rig);
    const { dnsMs, connectMs, tlsMs, firstByteMs } = phases;
    assert.equal(remoteAddress, '127.0.0.1');
    assert.ok(dnsMs !== null && connectMs !== null && tlsMs !== null && firstByteMs !== null, JSON.stringify(phases));
    assert.ok(dnsMs > 0 && tlsMs > 0 && dnsMs + connectMs + tlsMs <= firstByteMs + 1 && firstByteMs <= durationMs, JSON.stringify({ ...phases, durationMs }));
  });

  it('tells how far it came when no connection could be made', async () => {
    const plain = createPlainServer((socket) => socket.on('error', () => undefined).once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))).listen(0, '127.0.0.1');
    await once(plain, 'listening');
    const { port } = plain.address() as AddressInfo;
    const rig = await startOpenRig((name, type) => (type === 'A' && name !== 'gone.test' ? ['127.0.0.1'] : []), { allowCidrs: ['127.0.0.1/32'] });
    const endpoint = await register(rig, `https://hooks.test:${port}/`);
    const notTls = await deliver(rig);
    assert.equal(notTls.error?.class, 'tls');
    assert.match(String(notTls.error?.message), /does not speak TLS at this port/);
    assert.equal(notTls.remoteAddress, '127.0.0.1');
    assert.ok(notTls.phases.dnsMs !== null && notTls.phases.connectMs !== null && notTls.phases.tlsMs === null, JSON.stringify(notTls.phases));

    plain.close();
    await once(plain, 'close');
    const refused = await deliver(rig);
    assert.equal(refused.error?.class, 'refused');
    assert.equal(refused.remoteAddress, '127.0.0.1');
    assert.ok(refused.phases.dnsMs !== null && refused.phases.connectMs === null, JSON.stringify(refused.phases));

    await rig.webhooks.endpoints.edit(rig.actor, endpoint.id, { ...endpoint, headers: [], clientCertificate: null, url: `https://gone.test:${port}/` });
    const nowhere = await deliver(rig);
    assert.deepEqual([nowhere.error?.class, nowhere.remoteAddress, nowhere.phases.connectMs], ['dns', null, null]);
  });

  it('sends nothing to a server whose certificate names another, or comes from nobody who is trusted', async () => {
    const other = await startTlsReceiver(serverCertificate, serverKey);
    const rig = await startOpenRig((_name, type) => (type === 'A' ? ['127.0.0.1'] : []), { allowCidrs: ['127.0.0.1/32'] });
    await register(rig, `https://hooks.test:${other.port}/`);
    const wrongName = await deliver(rig);
    assert.deepEqual([wrongName.error?.class, wrongName.status], ['tls', null]);
    assert.match(String(wrongName.error?.message), /hooks\.test/);

    const unknown = await startTlsReceiver(namedCertificate, namedKey);
    const strict = await startOpenRig((_name, type) => (type === 'A' ? ['127.0.0.1'] : []), { allowCidrs: ['127.0.0.1/32'], extraCa: [testCa] });
    await register(strict, `https://hooks.test:${unknown.port}/`);
    assert.equal((await deliver(strict)).error?.class, 'tls');
    assert.equal(other.hits() + unknown.hits(), 0);
  });
});
