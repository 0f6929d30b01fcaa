/** Makes one attempt: a signed POST to an endpoint, and what came of it. Never throws for what a receiver does. */
import type { AxiosResponse } from 'axios';
import type { Clock } from '../lib/clock.js';
import type { ClientCertificate } from '../lib/http-agents.js';
import { wireFactsOf, type HttpClient } from '../lib/http-client.js';
import { MASK } from './custom-headers.js';
import { statusProblem, wireProblem } from './attempt-problems.js';
import { readRetryAfter, type AttemptErrorClass, type AttemptResult, type Delivery } from './delivery.js';
import { signatureHeaders } from './signing.js';

/** An endpoint as the sender needs it, secrets opened. */
export interface Target {
  url: string;
  /** The current one first. */
  secrets: string[];
  /** The user's own headers, lower-case names. */
  headers: Record<string, string>;
  timeoutMs: number;
  timedHeader: string | null;
  clientCertificate: ClientCertificate | null;
}

export interface SenderDeps {
  /** With the address guard. */
  http: HttpClient;
  /** Without: for Signpost's own inbox alone. */
  ownHttp: HttpClient;
  /** @returns why this URL is not called although it was taken once, e.g. because plain http is no longer allowed */
  refuses(url: string): string | null;
  /** Where Signpost's own inbox is really reached when this is one of its URLs; null for any other URL. */
  ownInboxUrl(url: string): string | null;
  clock: Clock;
  userAgent: string;
  /** No endpoint's own time-out is longer than this. */
  maxTimeoutMs: number;
}

export interface Sender {
  send(delivery: Pick<Delivery, 'id' | 'eventId' | 'event' | 'body' | 'endpointId'>, target: Target, attempt: number): Promise<AttemptResult>;
}

const KEEP_BYTES = 4_096;
const READ_BYTES = 16_384;
/** Response headers worth keeping; cookies and the like are not ours to store. */
const KEPT_HEADERS = ['content-type', 'content-length', 'date', 'location', 'retry-after', 'server', 'via', 'x-request-id', 'cf-ray', 'www-authenticate', 'allow'];

export function createSender(deps: SenderDeps): Sender {
  return {
    async send(delivery, target, attempt) {
      const startedAt = deps.clock.now();
      const body = Buffer.from(delivery.body);
      const requestHeaders = {
        'content-type': 'application/json',
        'user-agent': deps.userAgent,
        ...signatureHeaders({ body, id: delivery.eventId, timestamp: Math.floor(startedAt.getTime() / 1_000), secrets: target.secrets, deliveryId: delivery.id, attempt, timedHeader: target.timedHeader }),
        'x-signpost-event': delivery.event,
        'x-signpost-endpoint': delivery.endpointId,
      };
      const masked = Object.fromEntries(Object.keys(target.headers).map((name) => [name, MASK]));
      const base = { startedAt, url: target.url, requestHeaders: { ...masked, ...requestHeaders } };
      const timeoutMs = Math.min(target.timeoutMs, deps.maxTimeoutMs);
      const own = deps.ownInboxUrl(target.url);
      const refused = own === null ? deps.refuses(target.url) : null;
      if (refused !== null) return { ...base, ...unsent('blocked', refused) };
      try {
        const response = await (own === null ? deps.http : deps.ownHttp).post(own ?? target.url, body, {
          headers: { ...target.headers, ...requestHeaders },
          timeout: timeoutMs,
          sample: { keepBytes: KEEP_BYTES, readBytes: READ_BYTES },
          repeatable: true,
          clientCertificate: own === null ? target.clientCertificate : null,
          validateStatus: null,
          transformRequest: unchanged,
          transformResponse: unchanged,
        });
        return { ...base, ...answered(response, target.url, startedAt) };
      } catch (error) {
        return { ...base, ...unanswered(error, timeoutMs) };
      }
    },
  };
}

const unchanged = [(data: unknown) => data];

type Rest = Omit<AttemptResult, 'startedAt' | 'url' | 'requestHeaders'>;

function answered(response: AxiosResponse, url: string, startedAt: Date): Rest {
  const headers: Record<string, string> = {};
  for (const name of KEPT_HEADERS) {
    const value: unknown = response.headers[name];
    if (typeof value === 'string') headers[name] = value.slice(0, 500);
  }
  return {
    ...wire(response),
    status: response.status,
    responseHeaders: headers,
    // A NUL and broken UTF-8 would be stored, but not shown; a text column is for people.
    responseBody: String(response.data).replaceAll('\u0000', '\ufffd'),
    responseTruncated: wireFactsOf(response)?.truncated ?? false,
    error: statusProblem(response.status, headers['location'], url),
    retryAfterMs: readRetryAfter(headers['retry-after'], startedAt),
  };
}

function unanswered(error: unknown, timeoutMs: number): Rest {
  return {
    ...wire(error),
    status: null,
    responseHeaders: {},
    responseBody: '',
    responseTruncated: false,
    error: wireProblem(error, timeoutMs),
    retryAfterMs: null,
  };
}

function unsent(kind: AttemptErrorClass, message: string): Rest {
  return { ...wire(null), status: null, responseHeaders: {}, responseBody: '', responseTruncated: false, error: { class: kind, message }, retryAfterMs: null };
}

function wire(responseOrError: unknown): Pick<AttemptResult, 'durationMs' | 'remoteAddress' | 'phases'> {
  const facts = wireFactsOf(responseOrError);
  const round = (ms: number | null | undefined) => (ms === null || ms === undefined ? null : Math.round(ms * 10) / 10);
  return {
    durationMs: round(facts?.totalMs) ?? 0,
    remoteAddress: facts?.remoteAddress ?? null,
    phases: { dnsMs: round(facts?.dnsMs), connectMs: round(facts?.connectMs), tlsMs: round(facts?.tlsMs), firstByteMs: round(facts?.firstByteMs) },
  };
}
