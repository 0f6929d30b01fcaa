/** One HTTP request and its answer over undici, bounded in time and bytes, that knows whether anything was sent. */
import { subscribe } from 'node:diagnostics_channel';
import type { IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { connectStory, socketStory } from './http-connector.js';

export interface ExchangeRequest {
  method: string;
  url: URL;
  headers: Record<string, string | string[]>;
  body: string | Buffer | Uint8Array | Readable | null;
  /** Covers everything: DNS, connecting, TLS, sending, and the whole answer. 0: no limit. */
  timeoutMs: number;
  /** An answer with a longer body is an error, unless `sample` is set. */
  maxBytes: number;
  /**
   * For callers to whom the status line is the answer: keeps the first `keepBytes` of the body, reads `readBytes` at most, and
   * takes whatever goes wrong after the headers as a note (`bodyProblem`), not as a failure.
   */
  sample: { keepBytes: number; readBytes: number } | null;
  signal: AbortSignal | null;
}

/** What the wire was like; times in ms since the start. Null: didn't get that far, or (dns, connect, tls) not needed for this request. */
export interface WireFacts {
  remoteAddress: string | null;
  /** True when the connection had carried an earlier request. */
  reused: boolean;
  dnsMs: number | null;
  connectMs: number | null;
  tlsMs: number | null;
  firstByteMs: number | null;
  totalMs: number;
}

export interface ExchangeAnswer {
  status: number;
  statusText: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
  /** The body was longer than `sample` allowed to read or keep. */
  truncated: boolean;
  bodyProblem: string | null;
  facts: WireFacts;
}

export interface ExchangeFailure {
  kind: 'timeout' | 'cancelled' | 'too-large' | 'fault';
  cause: unknown;
  /** True once the first byte may have left: the other side may have acted on it. */
  sent: boolean;
  /** True when a byte of the answer had arrived. */
  answered: boolean;
  /** False when there never was a connection. */
  connected: boolean;
  facts: WireFacts;
}

export type ExchangeOutcome = { ok: true; answer: ExchangeAnswer } | { ok: false; failure: ExchangeFailure };

// undici tells which socket a request goes to only on this channel, published in the same tick as onRequestStart and
// right before the first byte is written.
let starting: ((socket: Socket) => void) | null = null;
subscribe('undici:client:sendHeaders', (message) => {
  const tell = starting;
  starting = null;
  tell?.((message as { socket: Socket }).socket);
});

/** Never rejects: a failure is a normal outcome. */
export function exchange(dispatcher: Dispatcher, request: ExchangeRequest): Promise<ExchangeOutcome> {
  return new Promise((resolve) => {
    const startedAt = performance.now();
    const facts: WireFacts = { remoteAddress: null, reused: false, dnsMs: null, connectMs: null, tlsMs: null, firstByteMs: null, totalMs: 0 };
    const chunks: Buffer[] = [];
    let controller: Dispatcher.DispatchController | null = null;
    let head: { status: number; statusText: string; headers: IncomingHttpHeaders } | null = null;
    let sent = false;
    let done = false;
    let read = 0;
    let kept = 0;

    const timer = request.timeoutMs > 0 ? setTimeout(() => stop('timeout', new Error(`no complete answer within ${request.timeoutMs} ms`)), request.timeoutMs) : null;
    const onAbort = () => stop('cancelled', request.signal?.reason);

    function finish(outcome: ExchangeOutcome): void {
      if (done) return;
      done = true;
      if (timer !== null) clearTimeout(timer);
      request.signal?.removeEventListener('abort', onAbort);
      facts.totalMs = performance.now() - startedAt;
      resolve(outcome);
    }
    function answer(bodyProblem: string | null, truncated: boolean): void {
      if (head !== null) finish({ ok: true, answer: { ...head, body: Buffer.concat(chunks), truncated, bodyProblem, facts } });
    }
    function fail(kind: ExchangeFailure['kind'], cause: unknown): void {
      if (head !== null && request.sample !== null && kind !== 'cancelled') return answer(messageOf(cause), false);
      const attempt = connectStory(cause);
      Object.assign(facts, attempt);
      finish({ ok: false, failure: { kind, cause, sent, answered: facts.firstByteMs !== null, connected: attempt === null, facts } });
    }
    function stop(kind: ExchangeFailure['kind'], cause: unknown): void {
      fail(kind, cause);
      controller?.abort(new Error('the exchange has ended'));
    }
    function keep(chunk: Buffer): void {
      read += chunk.length;
      const limit = request.sample?.keepBytes ?? request.maxBytes;
      if (kept < limit) chunks.push(chunk.length > limit - kept ? chunk.subarray(0, limit - kept) : chunk);
      kept = Math.min(limit, kept + chunk.length);
      if (request.sample === null) {
        if (read > request.maxBytes) stop('too-large', new Error(`the answer is longer than ${request.maxBytes} bytes`));
      } else if (read > request.sample.readBytes) {
        answer(null, true);
        controller?.abort(new Error('enough of the body was read'));
      }
    }

    const handler: Dispatcher.DispatchHandler & { onResponseStarted(): void } = {
      onRequestStart(given) {
        controller = given;
        // It waited for a connection while the time ran out: nothing may be sent any more.
        if (done) return given.abort(new Error('the exchange has ended'));
        sent = true;
        starting = (socket) => Object.assign(facts, socketStory(socket));
      },
      onResponseStarted() {
        facts.firstByteMs ??= performance.now() - startedAt;
      },
      onResponseStart(_controller, status, headers, statusText) {
        facts.firstByteMs ??= performance.now() - startedAt;
        if (status >= 200) head = { status, statusText: statusText ?? '', headers };
      },
      onResponseData(_controller, chunk) {
        if (!done) keep(chunk);
      },
      onResponseEnd() {
        answer(null, request.sample !== null && read > kept);
      },
      onResponseError(_controller, error) {
        fail('fault', error);
      },
    };

    if (request.signal?.aborted) return onAbort();
    request.signal?.addEventListener('abort', onAbort, { once: true });
    try {
      const path = request.url.pathname + request.url.search;
      dispatcher.dispatch({ origin: request.url.origin, path, method: request.method, headers: request.headers, body: request.body }, handler);
    } catch (error) {
      fail('fault', error);
    }
  });
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : 'the answer broke off';
}
