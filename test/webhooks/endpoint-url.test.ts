/** URLs that strangers may give for webhooks: every notation of a forbidden address, and everything else that must not be called. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createAddressGuard } from '../../src/lib/address-guard.js';
import { schemeProblem, urlProblem, writtenProblem, type UrlPolicy } from '../../src/webhooks/endpoint-url.js';

const policyOf = (overrides: Partial<UrlPolicy> & { allowCidrs?: string[] } = {}): UrlPolicy => ({
  guard: createAddressGuard({ allowLoopback: overrides.loopbackOnly ?? false, allowCidrs: overrides.allowCidrs ?? [] }),
  loopbackOnly: false, allowHttp: false, publicUrl: () => 'https://signpost.example.com', localUrl: () => 'http://127.0.0.1:3000', ...overrides,
});

const inPublic = policyOf();
const atHome = policyOf({ loopbackOnly: true, publicUrl: () => 'http://127.0.0.1:3000' });
const opened = policyOf({ allowCidrs: ['192.168.3.0/24', '169.254.0.0/16', '64:ff9b::/96'] });

describe('the URL of an endpoint', () => {
  it('may be any public https address', () => {
    for (const url of ['https://example.com', 'https://example.com/a?b=c', 'https://example.com:8443/', 'HTTPS://EXAMPLE.COM/', 'https://bücher.example/', 'https://93.184.216.34/', 'https://[2606:4700::1]/', 'https://example.com./', 'https://a.example.com:1024/']) {
      assert.equal(writtenProblem(url, inPublic), null, url);
    }
  });

  it('must not be a forbidden address, however it is written', () => {
    const hosts = [
      '127.0.0.1', '127.1', '127.0.0.1.', '0177.0.0.1', '0x7f.0.0.1', '0x7f000001', '2130706433', '017700000001', '127.000.000.001', '１２７.０.０.１', '①②⑦.⓪.⓪.①', '0', '0.0.0.0', 'localhost', 'localhost.', 'LOCALHOST', 'a.localhost',
      'ⓛⓞⓒⓐⓛⓗⓞⓢⓣ', '[::1]', '[::]', '[0:0:0:0:0:0:0:1]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[::127.0.0.1]', '[::ffff:0:127.0.0.1]', '[64:ff9b::7f00:1]', '[64:ff9b:1::1]', '[2002:7f00:1::]', '[2001:0:53aa:64c::1]',
      '[fe80::1]', '[fc00::1]', '[fec0::1]', '[ff02::1]', '[::5efe:7f00:1]', '[4000::1]', '10.0.0.1', '10.1', '172.16.0.1', '172.31.255.255', '192.168.0.1', '192.168.257', '0300.0250.0.1', '3232235521', '100.64.0.1', '169.254.169.254', '0xa9fea9fe',
      '2852039166', '198.18.0.1', '192.0.2.1', '203.0.113.9', '224.0.0.1', '255.255.255.255', '168.63.129.16', '100.100.100.200', '[fd00:ec2::254]', '[::ffff:169.254.169.254]', 'router', 'nas.local', 'db.internal', 'x.lan', 'x.home.arpa', 'x.onion',
      'metadata.google.internal', 'metadata', 'instance-data',
    ];
    for (const host of hosts) {
      assert.equal(typeof writtenProblem(`https://${host}/hook`, inPublic), 'string', host);
      assert.equal(typeof writtenProblem(`https://${host}:8443/hook`, inPublic), 'string', host);
    }
  });

  it('must be a plain web address: no user, fragment, spaces, other scheme or tricks of parsers', () => {
    const bad = [
      '', ' ', 'example.com', '//example.com', 'https:/example.com', 'https:example.com', 'https:\\\\example.com', 'https://', 'https:///', 'javascript:alert(1)', 'file:///etc/passwd', 'gopher://example.com', 'ftp://example.com', 'data:text/plain,x', 'unix:/run/x',
      'https://user@example.com/', 'https://user:pass@example.com/', 'https://@example.com/', 'https://example.com@127.0.0.1/', 'https://127.0.0.1\\@example.com/', 'https://example.com/#x', 'https://example.com/#', 'https://exa mple.com/',
      'https://example.com/\r\nX-Evil: 1', 'https://example.com/\tx', 'https://example.com/\u0000', 'https://[fe80::1%25eth0]/', 'https://[::1', 'https://example.com:99999/', 'https://example.com:-1/', 'https://%31%32%37.0.0.1/', 'https://127.0.0.1%2f.example.com/',
      `https://example.com/${'x'.repeat(2_048)}`,
    ];
    for (const url of bad) assert.equal(typeof writtenProblem(url, inPublic), 'string', JSON.stringify(url));
  });

  it('must not have a port where something else than a web server listens', () => {
    for (const port of [1, 22, 23, 25, 53, 110, 143, 445, 587, 1023, 2375, 2379, 3306, 5432, 6379, 6667, 9200, 11211, 27017]) assert.match(String(writtenProblem(`https://example.com:${port}/`, inPublic)), /Port \d+ is not used for webhooks/, String(port));
    assert.equal(typeof writtenProblem('https://example.com:0/', inPublic), 'string');
    for (const port of [80, 443, 8080, 8443, 3000, 65535]) assert.equal(writtenProblem(`https://example.com:${port}/`, inPublic), null, String(port));
  });

  it('must not be Signpost itself, except its inbox', () => {
    for (const url of ['https://signpost.example.com', 'https://SIGNPOST.example.com./api/post', 'https://signpost.example.com:8443/', 'https://signpost.example.com/inbox/short']) assert.match(String(writtenProblem(url, inPublic)), /Signpost's own/, url);
    assert.equal(writtenProblem(`https://signpost.example.com/inbox/${'a'.repeat(32)}`, inPublic), null);
    for (const url of ['http://127.0.0.1:3000/api/post', 'http://localhost:3000/', 'http://[::1]:3000/', 'http://127.1:3000/', 'http://127.9.9.9:3000/']) assert.match(String(writtenProblem(url, atHome)), /Signpost's own/, url);
    assert.equal(writtenProblem('https://signpost.example.com:8443/', opened), null, 'other programs of a machine of one’s own');
    assert.match(String(writtenProblem('https://signpost.example.com/x', opened)), /Signpost's own/);
  });

  it('must be https, except where the operator allows http, and on this machine while only it can reach Signpost', () => {
    assert.match(String(writtenProblem('http://example.com/', inPublic)), /Use https.*WEBHOOK_ALLOW_HTTP/);
    assert.match(String(writtenProblem('http://example.com/', atHome)), /Use https.*WEBHOOK_ALLOW_HTTP/);
    assert.equal(writtenProblem('http://example.com/', policyOf({ allowHttp: true })), null);
    for (const url of ['http://127.0.0.1:4000/', 'http://localhost:4000/', 'http://[::1]:4000/', 'http://a.localhost:4000/']) {
      assert.equal(writtenProblem(url, atHome), null, url);
      assert.notEqual(writtenProblem(url, policyOf({ allowHttp: true })), null, url);
    }
    assert.notEqual(schemeProblem(new URL('http://example.com/'), inPublic), null);
  });

  it('may lead into ranges that the operator opened, and never to metadata services', async () => {
    assert.equal(writtenProblem('https://192.168.3.7/', opened), null);
    assert.equal(writtenProblem('https://nas.local/', opened), null);
    assert.match(String(writtenProblem('https://192.168.4.7/', opened)), /WEBHOOK_ALLOW_CIDRS/);
    for (const host of ['169.254.169.254', '[::ffff:169.254.169.254]', '[64:ff9b::a9fe:a9fe]', 'metadata.google.internal', 'instance-data']) assert.equal(typeof writtenProblem(`https://${host}/`, opened), 'string', host);
    assert.equal(typeof (await urlProblem('https://localhost/', inPublic)), 'string');
  });
});
