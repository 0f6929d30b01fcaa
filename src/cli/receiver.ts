/** A local HTTP server that records what it is sent and answers as a test wants. */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  method: string;
  /** Path and query. */
  path: string;
  headers: IncomingHttpHeaders;
  /** The exact bytes, which signatures are over. */
  raw: Buffer;
  /** The body parsed as JSON; undefined when it isn't JSON. */
  json: unknown;
  at: Date;
}

/** What to answer; `hang` keeps the connection open without an answer, `drop` cuts it. */
export type Answer = { status: number; headers?: Record<string, string>; body?: string; afterMs?: number } | 'hang' | 'drop';

export interface Receiver {
  url: string;
  received: readonly Received[];
  /** From now on; a function may decide by request. */
  answerWith(answer: Answer | ((request: Received, index: number) => Answer)): void;
  /** The first request, past or to come, for which `matches` holds. @throws Error after `timeoutMs` (15 s) */
  waitFor(what: string, matches: (request: Received) => boolean, timeoutMs?: number): Promise<Received>;
  stop(): Promise<void>;
}

export async function startReceiver(): Promise<Receiver> {
  const received: Received[] = [];
  const watchers = new Set<() => void>();
  let answer: (request: Received, index: number) => Answer = () => ({ status: 200, body: 'ok' });

  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const raw = Buffer.concat(chunks);
      const request: Received = { method: req.method ?? '', path: req.url ?? '', headers: req.headers, raw, json: parse(raw), at: new Date() };
      received.push(request);
      const reply = answer(request, received.length - 1);
      for (const look of watchers) look();
      if (reply === 'hang') return;
      if (reply === 'drop') {
        req.socket.destroy();
        return;
      }
      setTimeout(() => res.writeHead(reply.status, { 'content-type': 'text/plain', ...reply.headers }).end(reply.body ?? ''), reply.afterMs ?? 0);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://127.0.0.1:${port}`,
    received,
    answerWith(next) {
      answer = typeof next === 'function' ? next : () => next;
    },
    waitFor(what, matches, timeoutMs = 15_000) {
      return new Promise((resolve, reject) => {
        const finish = (act: () => void) => {
          clearTimeout(timer);
          watchers.delete(look);
          act();
        };
        const look = () => {
          const found = received.find(matches);
          if (found !== undefined) finish(() => resolve(found));
        };
        const seen = () => received.map((r) => `${r.method} ${r.path} ${r.raw.toString().slice(0, 300)}`).join('\n  ');
        const timer = setTimeout(() => finish(() => reject(new Error(`waited ${timeoutMs / 1000} s for ${what}; received:\n  ${seen()}`))), timeoutMs);
        watchers.add(look);
        look();
      });
    },
    stop() {
      return new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

function parse(raw: Buffer): unknown {
  try {
    return JSON.parse(raw.toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}
