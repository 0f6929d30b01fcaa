import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import express from 'express';
import { endLiveStreams, sse } from '../../src/http/live.js';
import { createNotifier } from '../../src/lib/notifier.js';
import { waitUntil } from '../support/wait-until.js';

interface Stream {
  text(): string;
  ended(): boolean;
  leave(): void;
}

async function start(everyMs = 60_000) {
  const state = { version: '1' as string | null, reads: 0, fails: false, more: '' };
  const notifier = createNotifier();
  const app = express();
  app.get('/live', (req, res) => {
    const shown = typeof req.query['shown'] === 'string' ? { shown: req.query['shown'] } : {};
    sse(req, res, {
      subscribe: (listener) => notifier.subscribe('topic', listener),
      everyMs,
      ...shown,
      read: async () => {
        state.reads++;
        if (state.fails) throw new Error('no database');
        return state.version;
      },
      fragment: async () => `<p>version\n${state.version}</p>${state.more}`,
    });
  });
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  after(() => {
    server.close();
    server.closeAllConnections();
  });
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const open = async (query = '', headers: Record<string, string> = {}): Promise<Stream> => {
    const controller = new AbortController();
    const response = await fetch(`${base}/live${query}`, { signal: controller.signal, headers });
    assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
    let text = '';
    let ended = false;
    const read = async (): Promise<void> => {
      const decoder = new TextDecoder();
      for await (const chunk of response.body!) text += decoder.decode(chunk as Uint8Array, { stream: true });
    };
    void read().catch(() => undefined).finally(() => (ended = true));
    return { text: () => text, ended: () => ended, leave: () => controller.abort() };
  };
  return { app, base, state, notifier, open };
}

test('sends the fragment at first, and again when it is told that something changed', async () => {
  const { state, notifier, open } = await start();
  const stream = await open();
  await waitUntil('the first fragment', () => stream.text().includes('data: <p>version\ndata: 1</p>\n\n'));
  state.version = '2';
  notifier.notify('topic');
  await waitUntil('the second fragment', () => stream.text().includes('data: 2</p>\n\n'));
  stream.leave();
});

test('sends nothing while what the page shows is still so', async () => {
  const { state, notifier, open } = await start();
  const stream = await open('?shown=1');
  notifier.notify('topic');
  await waitUntil('two looks', () => state.reads >= 2);
  assert.doesNotMatch(stream.text(), /data:/);
  state.version = '2';
  notifier.notify('topic');
  await waitUntil('the changed fragment', () => stream.text().includes('data: 2'));
  stream.leave();
});

test('a browser that connects again gets what is so now, also when that is what the page showed at first', async () => {
  const { state, notifier, open } = await start();
  const stream = await open('?shown=1');
  state.version = '2';
  notifier.notify('topic');
  await waitUntil('the change with its id', () => stream.text().includes('id: 2\n'));
  stream.leave();
  state.version = '1';
  const again = await open('?shown=1', { 'last-event-id': '2' });
  await waitUntil('what it was at first', () => again.text().includes('data: 1'));
  again.leave();
  const reads = state.reads;
  const third = await open('?shown=2', { 'last-event-id': '1' });
  await waitUntil('a look', () => state.reads > reads);
  assert.doesNotMatch(third.text(), /data:/, 'it shows this already');
  third.leave();
});

test('a slow connection gets the newest when it reads again, and not all that was between', async () => {
  const { base, state, notifier } = await start();
  state.more = 'x'.repeat(1_000_000);
  const socket = connect(Number(new URL(base).port), '127.0.0.1');
  socket.write('GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await once(socket, 'connect');
  for (let i = 2; i <= 60; i++) {
    state.version = String(i);
    const { reads } = state;
    notifier.notify('topic');
    // Looked at, or left for later because there is more to read first.
    await Promise.race([waitUntil('a look', () => state.reads > reads), new Promise((resolve) => setTimeout(resolve, 20))]);
  }
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  await waitUntil('the newest', () => text.includes('data: 60</p>'));
  assert.ok(text.match(/data: <p>version/g)!.length < 20, 'most of what was between is left out');
  socket.destroy();
});

test('notices by itself what another process changed', async () => {
  const { state, open } = await start(20);
  const stream = await open('?shown=1');
  state.version = '2';
  await waitUntil('the fragment that another process changed', () => stream.text().includes('data: 2'));
  stream.leave();
});

test('says that it is over when nothing will change any more', async () => {
  const { state, notifier, open } = await start();
  const stream = await open('?shown=1');
  state.version = null;
  notifier.notify('topic');
  await waitUntil('the end of the stream', () => stream.ended());
  assert.match(stream.text(), /event: end\n/);
});

test('ends at shutdown, after a failure, and asks no more once the browser left', async () => {
  const { app, state, notifier, open } = await start(10);
  const shut = await open();
  await waitUntil('the first look', () => state.reads > 0);
  endLiveStreams(app);
  await waitUntil('the end at shutdown', () => shut.ended());
  const failing = await open();
  state.fails = true;
  await waitUntil('the end after a failure', () => failing.ended());
  state.fails = false;
  const left = await open();
  await waitUntil('the first fragment', () => left.text().includes('data: 1'));
  left.leave();
  await waitUntil('the stream to be forgotten', () => (app.locals as { liveStreams: Set<unknown> }).liveStreams.size === 0);
  const reads = state.reads;
  notifier.notify('topic');
  assert.equal(state.reads, reads);
});
