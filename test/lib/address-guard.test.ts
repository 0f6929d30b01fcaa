/** The address guard: which addresses and names may be called, whatever notation or DNS answer they hide behind. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { createAddressGuard } from '../../src/lib/address-guard.js';
import { createHttpClient } from '../../src/lib/http-client.js';
import { startDnsServer, type Answers } from '../support/dns-server.js';

const closers: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function startDns(answer: Answers): Promise<string> {
  const { address, stop } = await startDnsServer(answer);
  closers.push(stop);
  return address;
}

const hex = (address: string) => address.replaceAll(':', '');

describe('the address guard', () => {
  it('opens public addresses and refuses every special range', () => {
    const guard = createAddressGuard({ allowLoopback: false });
    for (const address of ['1.1.1.1', '93.184.216.34', '172.15.255.255', '172.32.0.1', '100.63.255.255', '100.128.0.1', '223.255.255.255', '2606:4700::1111', '2a00:1450:4001::1']) {
      assert.equal(guard.refusal(address), null, address);
    }
    for (const address of [
      '0.0.0.0', '10.0.0.1', '100.64.0.1', '100.100.100.200', '127.0.0.1', '127.255.255.254', '169.254.169.254', '169.254.170.2', '172.16.0.1', '172.31.255.255',
      '192.0.0.192', '192.0.2.1', '192.168.1.1', '198.18.0.1', '198.51.100.1', '203.0.113.1', '224.0.0.1', '240.0.0.1', '255.255.255.255', '168.63.129.16',
      '::', '::1', '::7f00:1', '::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:8.8.8.8', '::ffff:0:7f00:1', '64:ff9b::7f00:1', '64:ff9b:1::1', '100::1', '100:0:0:1::1',
      '2001::1', '2001:0:53aa:64c::1', '2001:db8::1', '2002:7f00:1::', '2620:4f:8000::1', '3fff::1', '4000::1', '5f00::1', 'fc00::1', 'fd00:ec2::254', 'fd20:ce::254',
      'fe80::1', 'fe80::1%eth0', 'fe90::1', 'fec0::1', 'ff02::1', '::5efe:7f00:1', '', 'example.com', '0x7f.1', '2130706433',
    ]) {
      assert.equal(typeof guard.refusal(address), 'string', `${address} was allowed`);
    }
    assert.match(String(guard.refusal('10.0.0.1')), /private address.*WEBHOOK_ALLOW_CIDRS/);
  });

  it('opens loopback and named ranges when told, but never the metadata addresses', () => {
    const guard = createAddressGuard({ allowLoopback: true, allowCidrs: ['192.168.3.0/24', '169.254.0.0/16', 'fd00::/8'] });
    for (const address of ['127.0.0.1', '127.3.2.1', '::1', '192.168.3.7', 'fd12::1']) assert.equal(guard.refusal(address), null, address);
    for (const address of ['192.168.4.1', '169.254.169.254', 'fd00:ec2::254', '10.0.0.1', '::ffff:127.0.0.1']) assert.notEqual(guard.refusal(address), null, address);
    const everything = createAddressGuard({ allowLoopback: true, allowCidrs: ['0.0.0.0/0', '::/0'] });
    for (const address of ['10.0.0.1', '192.0.2.1', 'fd12::1', '::ffff:10.0.0.1', '2606:4700::a9fe:a9fe', '2a01:a9fe::1']) assert.equal(everything.refusal(address), null, address);
    for (const address of [
      '169.254.169.254', '169.254.170.2', '100.100.100.200', '192.0.0.192', '168.63.129.16', 'fd00:ec2::254', 'fd20:ce::254', 'fe80::a9fe:a9fe', 'fe80::1%eth0',
      '::ffff:169.254.169.254', '::ffff:a9fe:a9fe', '::a9fe:a9fe', '::ffff:0:a9fe:a9fe', '64:ff9b::a9fe:a9fe', '64:ff9b::169.254.169.254', '64:ff9b:1:a9fe:a9:fe00::', '64:ff9b:1::a9fe:a9fe',
      '2002:a9fe:a9fe::', '2001:0:1:2:3:4:5601:5601', '2001:db8::5efe:a9fe:a9fe', '2001:db8::200:5efe:169.254.169.254', '::ffff:100.100.100.200',
    ]) assert.match(String(everything.refusal(address)), /metadata or link-local|not an IP address/, address);
    assert.throws(() => createAddressGuard({ allowLoopback: false, allowCidrs: ['192.168.3.0'] }), /192\.168\.3\.0 is not a range/);
  });

  it('refuses a name when any of its addresses may not be called', async () => {
    const dns = await startDns((name, type) => {
      if (name === 'public.test') return type === 'A' ? ['93.184.216.34'] : [];
      if (name === 'mixed.test') return type === 'A' ? ['93.184.216.34', '10.0.0.5'] : [];
      if (name === 'mapped.test') return type === 'A' ? ['93.184.216.34'] : [hex('0000:0000:0000:0000:0000:ffff:7f00:0001')];
      return null;
    });
    const guard = createAddressGuard({ allowLoopback: false, dnsServers: [dns] });
    assert.deepEqual(await guard.resolve('public.test'), [{ address: '93.184.216.34', family: 4 }]);
    await assert.rejects(guard.resolve('mixed.test'), { code: 'ERR_BLOCKED_ADDRESS', message: /mixed\.test leads to 10\.0\.0\.5 is a private address/ });
    await assert.rejects(guard.resolve('mapped.test'), { code: 'ERR_BLOCKED_ADDRESS' });
    await assert.rejects(guard.resolve('nowhere.test'), { code: 'ENOTFOUND' });
    for (const name of ['localhost', 'a.localhost', 'LOCALHOST.']) await assert.rejects(guard.resolve(name), { code: 'ERR_BLOCKED_ADDRESS' });
  });

  it('waits for DNS no longer than a connection may take, and not for addresses of a kind that never come', async () => {
    const dns = await startDns((name, type) => (name === 'half.test' && type === 'A' ? ['93.184.216.34'] : 'silence'));
    const guard = createAddressGuard({ allowLoopback: false, dnsServers: [dns], dnsWithinMs: 300 });
    const begun = performance.now();
    assert.deepEqual(await guard.resolve('half.test'), [{ address: '93.184.216.34', family: 4 }]);
    await assert.rejects(guard.resolve('silent.test'), { code: 'EAI_AGAIN' });
    assert.ok(performance.now() - begun < 2_000, 'long before the resolver itself gives up');
  });

  it('judges what is dialled: a name that was public yesterday and loopback today is not reached', async () => {
    let hits = 0;
    const server = createServer((_req, res) => {
      hits += 1;
      res.end();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    closers.push(() => new Promise((resolve) => server.close(resolve)));
    const { port } = server.address() as AddressInfo;
    let rebound = false;
    const dns = await startDns((_name, type) => (type === 'A' ? [rebound ? '127.0.0.1' : '93.184.216.34'] : []));
    const guard = createAddressGuard({ allowLoopback: false, dnsServers: [dns] });
    const client = createHttpClient({ guard, userAgent: 'Test/1' });
    closers.push(() => client.close());
    await guard.resolve('rebinding.test');
    rebound = true;
    const targets = ['rebinding.test', '127.0.0.1', '127.1', '0x7f.1', '017700000001', '2130706433', '[::ffff:127.0.0.1]', '[::1]', 'localhost'];
    for (const host of targets) {
      await assert.rejects(client.post(`http://${host}:${port}/`, 'x', { timeout: 5_000 }), { code: 'ERR_BLOCKED_ADDRESS', sent: false }, host);
    }
    assert.equal(hits, 0);
  });
});
