/** The HTTP client against real servers on loopback: what it sends, what it makes of answers, and what it makes of their absence. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Server as TcpServer, type Socket } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { isAxiosError, type AxiosError } from 'axios';
import { createHttpClient, wasSent, wireFactsOf, type HttpClient, type HttpClientOptions } from '../../src/lib/http-client.js';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function newClient(options: Partial<HttpClientOptions> = {}): HttpClient {
  const client = createHttpClient({ userAgent: 'Test/1', ...options });
  closers.push(() => client.close());
  return client;
}

async function listen(server: Server | TcpServer): Promise<string> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket.once('close', () => sockets.delete(socket))));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const web = (listener: (...args: Parameters<RequestListener>) => unknown) => listen(createHttpServer((req, res) => void listener(req, res)));
const raw = (listener: (socket: Socket) => void) => listen(createTcpServer((socket) => listener(socket.on('error', () => {}))));

async function failureOf(promise: Promise<unknown>): Promise<AxiosError & { sent?: boolean }> {
  try {
    await promise;
  } catch (error) {
    assert.ok(isAxiosError(error), `not an AxiosError: ${String(error)}`);
    assert.equal((error as { sent?: boolean }).sent, wasSent(error));
    return error;
  }
  throw new assert.AssertionError({ message: 'expected a failure' });
}

/** The client takes a connection back a turn of the event loop after the answer. */
const idle = () => new Promise((resolve) => setImmediate(resolve));

describe('the HTTP client', () => {
  it('sends JSON and forms and reads JSON back, as axios does', async () => {
    const url = await web(async (req, res) => {
      let body = '';
      for await (const chunk of req) body += String(chunk);
      res.setHeader('content-type', 'application/json').setHeader('set-cookie', ['a=1', 'b=2']);
      res.end(JSON.stringify({ method: req.method, path: req.url, type: req.headers['content-type'], agent: req.headers['user-agent'], encoding: req.headers['accept-encoding'], auth: req.headers.authorization, length: req.headers['content-length'], body }));
    });
    const client = newClient();
    const json = await client.post(`${url}/a`, { text: 'größe' }, { params: { q: 'x y' }, auth: { username: 'me', password: 'pw' } });
    assert.equal(json.status, 200);
    assert.deepEqual(json.data, {
      method: 'POST', path: '/a?q=x+y', type: 'application/json', agent: 'Test/1', encoding: 'identity',
      auth: `Basic ${Buffer.from('me:pw').toString('base64')}`, length: '18', body: '{"text":"größe"}',
    });
    assert.deepEqual(json.headers['set-cookie'], ['a=1', 'b=2']);
    const form = await client.post('/b', new URLSearchParams({ a: '1&2' }), { baseURL: url });
    assert.equal(form.data.body, 'a=1%262');
    assert.match(form.data.type, /^application\/x-www-form-urlencoded/);
    const parts = new FormData();
    parts.append('file', new Blob(['bytes']), 'a.txt');
    const multipart = await client.post(url, parts);
    assert.match(multipart.data.type, /^multipart\/form-data; boundary=/);
    assert.match(multipart.data.body, /filename="a.txt"/);
    const plain = await client.get(url, { responseType: 'arraybuffer' });
    assert.ok(Buffer.isBuffer(plain.data));
  });

  it('fails on a status outside 2xx with the parsed answer, unless the caller takes every status', async () => {
    const url = await web((_req, res) => res.writeHead(422, { 'content-type': 'application/json' }).end('{"why":"no"}'));
    const client = newClient();
    const error = await failureOf(client.get(url));
    assert.equal(error.code, 'ERR_BAD_REQUEST');
    assert.equal(error.response?.status, 422);
    assert.deepEqual(error.response?.data, { why: 'no' });
    assert.equal(error.sent, true);
    assert.equal((await client.get(url, { validateStatus: () => true })).status, 422);
  });

  it('follows no redirects', async () => {
    let calls = 0;
    const url = await web((_req, res) => {
      calls += 1;
      res.writeHead(302, { location: '/elsewhere' }).end();
    });
    const response = await newClient().get(url, { validateStatus: null });
    assert.equal(response.status, 302);
    assert.equal(calls, 1);
  });

  it('ignores proxies named in the environment', async () => {
    const url = await web((_req, res) => res.end('direct'));
    const before = process.env['HTTP_PROXY'];
    process.env['HTTP_PROXY'] = 'http://127.0.0.1:9';
    try {
      assert.equal((await newClient().get(url)).data, 'direct');
    } finally {
      if (before === undefined) delete process.env['HTTP_PROXY'];
      else process.env['HTTP_PROXY'] = before;
    }
  });

  it('says that nothing was sent when nobody listens or the name does not exist', async () => {
    const server = createTcpServer();
    const url = await listen(server);
    const gone = createTcpServer().listen(0, '127.0.0.1');
    await once(gone, 'listening');
    const port = (gone.address() as AddressInfo).port;
    gone.close();
    await once(gone, 'close');
    const client = newClient();
    const refused = await failureOf(client.post(`http://127.0.0.1:${port}/`, {}));
    assert.equal(refused.code, 'ECONNREFUSED');
    assert.equal(refused.sent, false);
    const unknown = await failureOf(client.post('http://no-such-name.invalid/', {}));
    assert.match(String(unknown.code), /^(ENOTFOUND|EAI_AGAIN)$/);
    assert.equal(unknown.sent, false);
    const userInfo = await failureOf(client.get(url.replace('//', '//me:pw@')));
    assert.equal(userInfo.code, 'ERR_INVALID_URL');
    assert.equal(userInfo.sent, false);
  });

  it('says that the request was sent when the answer never comes, and stops in time', async () => {
    const url = await raw(() => {});
    const startedAt = Date.now();
    const error = await failureOf(newClient().post(url, { a: 1 }, { timeout: 150 }));
    assert.equal(error.code, 'ECONNABORTED');
    assert.equal(error.sent, true);
    assert.ok(Date.now() - startedAt < 2_000);
  });

  it('counts a body that drips against the one time-out', async () => {
    const url = await web((_req, res) => {
      res.writeHead(200, { 'content-type': 'text/plain' });
      const drip = setInterval(() => res.write('.'), 20);
      res.on('close', () => clearInterval(drip));
    });
    const error = await failureOf(newClient().get(url, { timeout: 200 }));
    assert.equal(error.code, 'ECONNABORTED');
  });

  it('reads no more than allowed', async () => {
    const url = await web((_req, res) => {
      res.writeHead(200);
      const pour = () => {
        while (!res.destroyed && res.write(Buffer.alloc(65_536)));
      };
      res.on('drain', pour);
      pour();
    });
    const error = await failureOf(newClient().get(url, { maxContentLength: 1_000_000 }));
    assert.equal(error.code, 'ERR_BAD_RESPONSE');
    assert.match(error.message, /maxContentLength size of 1000000 exceeded/);
  });

  it('takes the status line as the answer when only a sample of the body is wanted', async () => {
    const client = newClient();
    const long = await web((_req, res) => res.writeHead(200).end('x'.repeat(10_000)));
    const kept = await client.post(long, '', { sample: { keepBytes: 4_096, readBytes: 16_384 } });
    assert.equal(kept.data.length, 4_096);
    assert.equal(wireFactsOf(kept)?.truncated, true);
    const endless = await web((_req, res) => {
      res.writeHead(204 - 4);
      const pour = () => {
        while (!res.destroyed && res.write(Buffer.alloc(65_536, 'y')));
      };
      res.on('drain', pour);
      pour();
    });
    assert.equal((await client.post(endless, '', { sample: { keepBytes: 4_096, readBytes: 16_384 } })).data.length, 4_096);
    const broken = await raw((socket) => socket.once('data', () => socket.end('HTTP/1.1 202 Accepted\r\ncontent-length: 100\r\n\r\nhalf')));
    const answer = await client.post(broken, '', { sample: { keepBytes: 4_096, readBytes: 16_384 } });
    assert.equal(answer.status, 202);
    assert.notEqual(wireFactsOf(answer)?.bodyProblem, null);
    const dripping = await web((_req, res) => void res.writeHead(200).write('begun'));
    assert.equal((await client.post(dripping, '', { timeout: 200, sample: { keepBytes: 10, readBytes: 10 } })).data, 'begun');
  });

  it('refuses a flood of headers and what is not HTTP', async () => {
    const client = newClient();
    const flood = await raw((socket) => socket.once('data', () => socket.write(`HTTP/1.1 200 OK\r\n${'x-fill: aaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n'.repeat(2_000)}`)));
    assert.equal((await failureOf(client.get(flood, { timeout: 5_000 }))).code, 'ERR_BAD_RESPONSE');
    const noise = await raw((socket) => socket.once('data', () => socket.end('SSH-2.0-OpenSSH\r\n')));
    assert.equal((await failureOf(client.get(noise, { timeout: 5_000 }))).code, 'ERR_BAD_RESPONSE');
  });

  it('reports a reset connection as sent', async () => {
    const url = await raw((socket) => socket.once('data', () => socket.resetAndDestroy()));
    const error = await failureOf(newClient().post(url, { a: 1 }));
    assert.equal(error.code, 'ECONNRESET');
    assert.equal(error.sent, true);
  });

  it('tries once more on a fresh connection when an idle one was closed, only if the request may be repeated', async () => {
    let connections = 0;
    let requests = 0;
    const url = await raw((socket) => {
      connections += 1;
      const first = connections;
      socket.on('data', () => {
        requests += 1;
        // The first connection answers once, then dies as soon as it is used again.
        if (first > 1 || requests === 1) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
        else socket.resetAndDestroy();
      });
    });
    const client = newClient();
    assert.equal((await client.post(url, 'a')).data, 'ok');
    await idle();
    const again = await client.post(url, 'b', { repeatable: true });
    assert.equal(again.data, 'ok');
    assert.equal(connections, 2);
    assert.equal(requests, 3);

    connections = 0;
    requests = 0;
    const other = newClient();
    await other.post(url, 'a');
    await idle();
    const error = await failureOf(other.post(url, 'b'));
    assert.equal(error.code, 'ECONNRESET');
    assert.equal(error.sent, true);
    assert.equal(requests, 2);
  });

  it('sends on a fresh connection what could not be sent on an idle one that was reset, whatever the caller allows', async () => {
    let seen = 0;
    let idleSocket: Socket | null = null;
    const url = await raw((socket) => socket.on('data', () => {
      seen += 1;
      idleSocket = socket;
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    }));
    const client = newClient();
    for (let i = 0; i < 20; i++) {
      assert.equal((await client.post(url, 'x')).data, 'ok');
      await idle();
      // As a balancer does that forgets idle connections: the client learns of it when it is about to write.
      const closed = once(idleSocket!, 'close');
      (idleSocket as unknown as Socket).resetAndDestroy();
      await closed;
    }
    assert.equal(seen, 20, 'each was seen once');
  });

  it('does not repeat on a fresh connection that broke, whatever the caller allows', async () => {
    let requests = 0;
    const url = await raw((socket) => socket.once('data', () => {
      requests += 1;
      socket.resetAndDestroy();
    }));
    assert.equal((await failureOf(newClient().post(url, 'a', { repeatable: true }))).code, 'ECONNRESET');
    assert.equal(requests, 1);
  });

  it('keeps connections alive and tells what the wire was like', async () => {
    const url = await web((_req, res) => res.end('ok'));
    const client = newClient();
    const first = wireFactsOf(await client.get(url));
    assert.equal(first?.remoteAddress, '127.0.0.1');
    assert.equal(first.reused, false);
    assert.ok(first.connectMs !== null && first.firstByteMs !== null && first.totalMs >= first.firstByteMs);
    await idle();
    assert.equal(wireFactsOf(await client.get(url))?.reused, true);
  });

  it('stops when the caller cancels, and sends nothing for a caller who had cancelled before', async () => {
    let requests = 0;
    const arrived = new EventEmitter();
    const url = await raw((socket) => socket.on('data', () => {
      requests += 1;
      arrived.emit('request');
    }));
    const client = newClient();
    const cancel = new AbortController();
    const pending = client.post(url, 'a', { signal: cancel.signal });
    await once(arrived, 'request');
    cancel.abort();
    assert.equal((await failureOf(pending)).code, 'ERR_CANCELED');
    await assert.rejects(client.post(url, 'a', { signal: AbortSignal.abort() }), { code: 'ERR_CANCELED' });
    assert.equal(requests, 1);
  });
});
