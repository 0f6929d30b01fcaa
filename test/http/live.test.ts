import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
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
  const state = { version: '1' as string | null, reads: 0, fails: false };
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
      fragment: async () => `<p>version\n${state.version}</p>`,
    });
  });
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  after(() => {
    server.close();
    server.closeAllConnections();
  });
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const open = async (query = ''): Promise<Stream> => {
    const controller = new AbortController();
    const response = await fetch(`${base}/live${query}`, { signal: controller.signal });
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
  return { app, state, notifier, open };
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
