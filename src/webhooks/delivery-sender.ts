/** Makes one attempt: a signed POST to an endpoint, and what came of it. Never throws for what a receiver does. */
import type { AxiosResponse } from 'axios';
import type { Clock } from '../lib/clock.js';
import type { ClientCertificate } from '../lib/http-agents.js';
import { wireFactsOf, type HttpClient } from '../lib/http-client.js';
import { BLOCKED_ADDRESS } from '../lib/http-connector.js';
import { MASK } from './custom-headers.js';
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
        return { ...base, ...answered(response, startedAt) };
      } catch (error) {
        return { ...base, ...unanswered(error, timeoutMs) };
      }
    },
  };
}

const unchanged = [(data: unknown) => data];

type Rest = Omit<AttemptResult, 'startedAt' | 'url' | 'requestHeaders'>;

function answered(response: AxiosResponse, startedAt: Date): Rest {
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
    error: statusError(response.status, headers['location']),
    retryAfterMs: readRetryAfter(headers['retry-after'], startedAt),
  };
}

/** The status line alone decides; only 2xx is a success. */
function statusError(status: number, location: string | undefined): AttemptResult['error'] {
  if (status >= 200 && status < 300) return null;
  if (status >= 300 && status < 400) {
    const advice = location === undefined ? 'Set the URL to where the receiver really is.' : `Set the URL to ${location}.`;
    return { class: 'redirect', message: `The receiver answered ${status}, a redirect. Redirects are not followed. ${advice}` };
  }
  if (status === 410) return { class: 'status', message: 'The receiver answered 410: it wants no more webhooks. The endpoint was disabled.' };
  return { class: 'status', message: `The receiver answered ${status}.` };
}

function unanswered(error: unknown, timeoutMs: number): Rest {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  const said = error instanceof Error ? error.message : String(error);
  return {
    ...wire(error),
    status: null,
    responseHeaders: {},
    responseBody: '',
    responseTruncated: false,
    error: { class: classOf(code), message: explain(classOf(code), code, said, timeoutMs) },
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

function classOf(code: string): AttemptErrorClass {
  if (code === BLOCKED_ADDRESS) return 'blocked';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'dns';
  if (code === 'ECONNREFUSED') return 'refused';
  if (['EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL'].includes(code)) return 'unreachable';
  if (code === 'ETIMEDOUT') return 'connect-timeout';
  if (code === 'ECONNABORTED') return 'timeout';
  if (code === 'ECONNRESET') return 'reset';
  if (code === 'ERR_BAD_RESPONSE') return 'bad-answer';
  if (/TLS|SSL|CERT|EPROTO|UNABLE_TO|SELF_SIGNED|ALTNAME/.test(code)) return 'tls';
  return 'unreachable';
}

function explain(kind: AttemptErrorClass, code: string, said: string, timeoutMs: number): string {
  const seconds = timeoutMs / 1_000;
  const words: Partial<Record<AttemptErrorClass, string>> = {
    blocked: said,
    dns: code === 'ENOTFOUND' ? 'The host name has no address. Check its spelling and its DNS records.' : 'DNS gave no answer for the host name.',
    refused: 'The connection was refused: nothing listens at this address and port.',
    'connect-timeout': 'No connection could be made in time. A firewall may be in the way.',
    timeout: `The receiver gave no answer within ${seconds} seconds. Answer first, and work afterwards.`,
    reset: 'The receiver closed the connection without an answer.',
    'bad-answer': `The receiver's answer is not proper HTTP: ${said}`,
    tls: `The TLS connection failed: ${said}`,
  };
  return words[kind] ?? `The receiver could not be reached: ${said}`;
}
