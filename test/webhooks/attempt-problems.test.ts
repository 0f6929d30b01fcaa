/** What a person reads when an attempt failed: what happened, and what to do about it. */
import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { statusProblem, wireProblem } from '../../src/webhooks/attempt-problems.js';
import { startRig, type Rig } from './rig.js';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** @returns the outcome of a test that is sent to a receiver which answers with these bytes */
async function outcomeOf(rig: Rig, answer: string) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    socket.once('data', () => socket.write(answer));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  const { endpoint } = await rig.webhooks.endpoints.create(rig.actor, { name: '', url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/a/b`, style: 'signpost', events: ['*'] });
  const id = await rig.webhooks.endpoints.test(rig.actor, endpoint.id);
  const { attempts } = await rig.until('the attempt', (delivery) => delivery.id === id && delivery.attemptCount === 1);
  return attempts[0]!;
}

describe('the words for a failed attempt', () => {
  it('say where a redirect leads, as an address that can be taken over', async () => {
    const rig = await startRig();
    closers.push(() => rig.stop());
    const { error, url } = await outcomeOf(rig, 'HTTP/1.1 307 Temporary Redirect\r\nlocation: ../new?a=1\r\ncontent-length: 0\r\n\r\n');
    assert.equal(error?.class, 'redirect');
    assert.ok(error.message.endsWith(`Set the URL to ${new URL('/new?a=1', url).href} instead.`), error.message);
    assert.match(String(statusProblem(302, undefined, url)?.message), /where the receiver really is/);
    assert.match(String(statusProblem(302, 'http://[', url)?.message), /where the receiver really is/);
    assert.equal(statusProblem(304, undefined, url)?.class, 'status', 'nothing is elsewhere');
  });

  it('do not blame the connection for an answer that nobody asked for', async () => {
    const rig = await startRig({ timeoutMs: 2_000 });
    closers.push(() => rig.stop());
    for (const status of ['100 Continue', '101 Switching Protocols']) assert.equal((await outcomeOf(rig, `HTTP/1.1 ${status}\r\n\r\n`)).error?.class, 'bad-answer', status);
  });

  it('say of TLS what can be done, and never what a library calls it', () => {
    const words = (code: string, message = '') => wireProblem(Object.assign(new Error(message), { code }), 5_000).message;
    assert.match(words('DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate'), /NODE_EXTRA_CA_CERTS/);
    assert.match(words('UNABLE_TO_VERIFY_LEAF_SIGNATURE'), /full chain/);
    assert.match(words('CERT_HAS_EXPIRED'), /expired/);
    assert.equal(words('ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR', '806C6200437F0000:error:0A000438:SSL routines:ssl3_read_bytes:tlsv1 alert internal error:../deps/openssl/ssl/record/rec_layer_s3.c:1605:SSL alert number 80\n'), 'The TLS connection failed: tlsv1 alert internal error');
  });
});
