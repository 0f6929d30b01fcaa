/** What went wrong with an attempt, as a class for programs and as plain words for people: what happened, and what to do. */
import { BLOCKED_ADDRESS } from '../lib/http-connector.js';
import type { AttemptErrorClass, AttemptResult } from './delivery.js';

type Problem = NonNullable<AttemptResult['error']>;

/** Those that send the caller elsewhere. */
const REDIRECTS = [300, 301, 302, 303, 307, 308];

/**
 * The status line alone decides; only 2xx is a success.
 * @param location the header, if there is one
 * @param url where the request went
 */
export function statusProblem(status: number, location: string | undefined, url: string): Problem | null {
  if (status >= 200 && status < 300) return null;
  if (REDIRECTS.includes(status)) {
    const advice = location !== undefined && URL.canParse(location, url) ? `Set the URL to ${new URL(location, url).href} instead.` : 'Set the URL to where the receiver really is.';
    return { class: 'redirect', message: `The receiver answered ${status}, a redirect. Redirects are not followed. ${advice}` };
  }
  if (status === 410) return { class: 'status', message: 'The receiver answered 410: it wants no more webhooks. The endpoint was disabled.' };
  if (status >= 300 && status < 400) return { class: 'status', message: `The receiver answered ${status}. Only 2xx says that it has the webhook.` };
  return { class: 'status', message: `The receiver answered ${status}.` };
}

/** @param error what the HTTP client threw */
export function wireProblem(error: unknown, timeoutMs: number): Problem {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  const said = error instanceof Error ? error.message : String(error);
  const kind = classOf(code);
  return { class: kind, message: explain(kind, code, said, timeoutMs) };
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
    tls: `The TLS connection failed: ${TLS_WORDS[code] ?? tlsReason(said)}`,
  };
  return words[kind] ?? `The receiver could not be reached: ${said}`;
}

const UNTRUSTED = "the receiver's certificate comes from no authority that Signpost trusts. The operator can name one of your own with NODE_EXTRA_CA_CERTS.";
const TLS_WORDS: Readonly<Record<string, string>> = {
  ERR_SSL_WRONG_VERSION_NUMBER: 'the receiver does not speak TLS at this port. Is it an http address?',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'the receiver does not speak TLS at this port. Is it an http address?',
  CERT_HAS_EXPIRED: "the receiver's certificate has expired.",
  CERT_NOT_YET_VALID: "the receiver's certificate is not valid yet. Check the clocks of both machines.",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the receiver does not send the certificate of the authority between its own and a trusted one. Give its server the full chain.',
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
};

/** OpenSSL writes `808C...:error:0A00010B:SSL routines:function:the reason:file.c:355:`. */
function tlsReason(said: string): string {
  return /:error:[0-9A-F]+:[^:]*:[^:]*:([^:]+):/.exec(said)?.[1] ?? said;
}
