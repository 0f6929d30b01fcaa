/** The one HTTP client: axios on an undici transport that follows no redirects, obeys no proxies and reads no more than it was told to. */
import { AssertionError } from 'node:assert';
import axios, { AxiosError, AxiosHeaders, CanceledError, create, type AxiosInstance, type AxiosResponse, type InternalAxiosRequestConfig } from 'axios';
import { Readable } from 'node:stream';
import { errors } from 'undici';
import { createAgents, type ClientCertificate } from './http-agents.js';
import type { ConnectionGuard } from './http-connector.js';
import { exchange, type ExchangeAnswer, type ExchangeFailure, type ExchangeRequest, type WireFacts } from './http-exchange.js';

export interface HttpClientOptions {
  /** Judges every address before it is dialled; left out: every address may be dialled. */
  guard?: ConnectionGuard;
  userAgent: string;
  /** Default for requests that name none; covers the whole exchange. */
  timeoutMs?: number;
  connectTimeoutMs?: number;
  /** Default for axios's `maxContentLength`. */
  maxResponseBytes?: number;
  keepAliveMs?: number;
  /** Authorities (PEM) that are trusted beside the usual ones. */
  extraCa?: readonly string[];
}

export interface HttpClient extends AxiosInstance {
  /** Waits for what is under way and closes the idle connections. */
  close(): Promise<void>;
  /** Breaks off what is under way. */
  destroy(): Promise<void>;
}

declare module 'axios' {
  interface AxiosRequestConfig {
    /**
     * The request may be sent again at once, on a fresh connection, when a kept-alive connection turns out to have been closed by the
     * other side before a byte of the answer came. Only for what is harmless to repeat; what was not sent at all is sent again in any case.
     */
    repeatable?: boolean;
    /** See `ExchangeRequest.sample`; `response.data` holds what was kept. */
    sample?: { keepBytes: number; readBytes: number };
    /** Names the client to a server that asks for it (mTLS). */
    clientCertificate?: ClientCertificate | null;
  }
}

const wireFacts = new WeakMap<object, WireFacts & { bodyProblem: string | null; truncated: boolean }>();
const unsent = new WeakSet<object>();

/** What the wire was like, for a response or an error of this client; null for anything else. */
export function wireFactsOf(responseOrError: unknown): (WireFacts & { bodyProblem: string | null; truncated: boolean }) | null {
  return typeof responseOrError === 'object' && responseOrError !== null ? (wireFacts.get(responseOrError) ?? null) : null;
}

/**
 * May the other side have acted on the request? False only when it is certain that not a byte of it was sent
 * (name not found, connection refused, TLS failure, blocked address, timed out while connecting).
 * The same fact is on every error of this client as `sent`.
 */
export function wasSent(error: unknown): boolean {
  return !(typeof error === 'object' && error !== null && unsent.has(error));
}

/** @returns an axios instance; see `repeatable`, `sample`, `wasSent` and `wireFactsOf` for what it adds. */
export function createHttpClient(options: HttpClientOptions): HttpClient {
  const agents = createAgents({
    guard: options.guard ?? null, connectTimeoutMs: options.connectTimeoutMs ?? 5_000, keepAliveMs: options.keepAliveMs ?? 4_000, ...(options.extraCa === undefined ? {} : { extraCa: options.extraCa }),
  });

  const adapter = async (config: InternalAxiosRequestConfig): Promise<AxiosResponse> => {
    const request = await readRequest(config, options.userAgent);
    const pool = agents.of(config.clientCertificate ?? null);
    let outcome = await exchange(pool.kept, request);
    if (!outcome.ok && diedIdle(outcome.failure, config.repeatable === true) && !(request.body instanceof Readable)) {
      outcome = await exchange(pool.fresh, request);
    }
    if (!outcome.ok) throw failureError(outcome.failure, config);
    return settle(outcome.answer, config);
  };

  const client = create({
    adapter,
    timeout: options.timeoutMs ?? 30_000,
    maxContentLength: options.maxResponseBytes ?? 2 * 1024 * 1024,
  });
  return Object.assign(client, { close: agents.close, destroy: agents.destroy });
}

/** The other side closed a kept-alive connection just as the request went out, or was about to: not a byte of an answer, and not a fresh connection's fault. */
function diedIdle(failure: ExchangeFailure, isRepeatable: boolean): boolean {
  if (failure.kind !== 'fault' || failure.answered || codeOf(failure.cause) !== 'ECONNRESET') return false;
  // What was not sent may be sent, whatever it is.
  return failure.sent ? isRepeatable && failure.facts.reused : failure.connected;
}

async function readRequest(config: InternalAxiosRequestConfig, userAgent: string): Promise<ExchangeRequest> {
  const url = readUrl(config);
  const body = await readBody(config);
  const size = typeof body === 'string' ? Buffer.byteLength(body) : body instanceof Uint8Array ? body.length : 0;
  if (config.maxBodyLength !== undefined && config.maxBodyLength > -1 && size > config.maxBodyLength) {
    throw refuse(`the request's body is longer than ${config.maxBodyLength} bytes`, config);
  }
  return {
    method: (config.method ?? 'get').toUpperCase(),
    url,
    headers: readHeaders(config, userAgent),
    body,
    timeoutMs: config.timeout ?? 0,
    maxBytes: config.maxContentLength === undefined || config.maxContentLength < 0 ? Number.MAX_SAFE_INTEGER : config.maxContentLength,
    sample: config.sample ?? null,
    signal: (config.signal as AbortSignal | undefined) ?? null,
  };
}

function readUrl(config: InternalAxiosRequestConfig): URL {
  const written = config.baseURL === undefined && config.params === undefined ? (config.url ?? '') : axios.getUri(config);
  const url = URL.canParse(written) ? new URL(written) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) throw refuse(`not an http(s) address: ${written.slice(0, 200)}`, config, 'ERR_INVALID_URL');
  if (url.username !== '' || url.password !== '') throw refuse('a user name or password belongs in `auth`, not in the address', config, 'ERR_INVALID_URL');
  return url;
}

function readHeaders(config: InternalAxiosRequestConfig, userAgent: string): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(config.headers.toJSON())) {
    if (value !== null && value !== undefined) headers[name.toLowerCase()] = value;
  }
  headers['user-agent'] ??= userAgent;
  // Compressed answers can grow a thousandfold; none is asked for and none is inflated.
  headers['accept-encoding'] = 'identity';
  if (config.auth !== undefined) headers['authorization'] = `Basic ${Buffer.from(`${config.auth.username}:${config.auth.password}`).toString('base64')}`;
  return headers;
}

/** axios's `transformRequest` has made strings and buffers of most things already. */
async function readBody(config: InternalAxiosRequestConfig): Promise<ExchangeRequest['body']> {
  const data: unknown = config.data;
  if (data === undefined || data === null || data === '') return null;
  if (typeof data === 'string' || data instanceof Uint8Array || data instanceof Readable) return data;
  if (data instanceof ArrayBuffer) return Buffer.from(data);
  if (data instanceof FormData) {
    const encoded = new Response(data);
    config.headers.setContentType(encoded.headers.get('content-type'));
    return Buffer.from(await encoded.arrayBuffer());
  }
  throw refuse('a body must be an object for JSON, a string, bytes, a form or a readable stream', config, 'ERR_NOT_SUPPORT');
}

function settle(answer: ExchangeAnswer, config: InternalAxiosRequestConfig): AxiosResponse {
  const response: AxiosResponse = {
    status: answer.status,
    statusText: answer.statusText,
    headers: new AxiosHeaders(answer.headers as Record<string, string | string[]>),
    config,
    request: null,
    data: config.responseType === 'arraybuffer' ? answer.body : withoutBom(answer.body.toString('utf8')),
  };
  const facts = { ...answer.facts, bodyProblem: answer.bodyProblem, truncated: answer.truncated };
  wireFacts.set(response, facts);
  if (config.validateStatus === null || config.validateStatus === undefined || config.validateStatus(response.status)) return response;
  const code = response.status >= 400 && response.status < 500 ? AxiosError.ERR_BAD_REQUEST : AxiosError.ERR_BAD_RESPONSE;
  const error = new AxiosError(`Request failed with status code ${response.status}`, code, config, null, response);
  wireFacts.set(error, facts);
  throw Object.assign(error, { sent: true });
}

function withoutBom(text: string): string {
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

function failureError(failure: ExchangeFailure, config: InternalAxiosRequestConfig): AxiosError {
  const error = failure.kind === 'cancelled' ? new CanceledError(undefined, config) : new AxiosError(describe(failure, config), failureCode(failure, config), config, null);
  // The cause's own fields may hold the whole request; its message and code say enough.
  if (failure.kind === 'fault') error.cause = failure.cause instanceof Error ? failure.cause : new Error(String(failure.cause));
  if (!failure.sent) unsent.add(error);
  wireFacts.set(error, { ...failure.facts, bodyProblem: null, truncated: false });
  return Object.assign(error, { sent: failure.sent });
}

function describe(failure: ExchangeFailure, config: InternalAxiosRequestConfig): string {
  if (failure.kind === 'timeout') return config.timeoutErrorMessage ?? `timeout of ${config.timeout}ms exceeded`;
  if (failure.kind === 'too-large') return `maxContentLength size of ${config.maxContentLength} exceeded`;
  if (isUnasked(failure.cause)) return 'the answer began with a status of 100 or 101 that nobody asked for';
  return failure.cause instanceof Error && failure.cause.message !== '' ? failure.cause.message : failureCode(failure, config);
}

function failureCode(failure: ExchangeFailure, config: InternalAxiosRequestConfig): string {
  if (failure.kind === 'timeout') return config.transitional?.clarifyTimeoutError === true ? AxiosError.ETIMEDOUT : AxiosError.ECONNABORTED;
  if (failure.kind === 'too-large') return AxiosError.ERR_BAD_RESPONSE;
  return codeOf(failure.cause);
}

/** undici's codes in axios's words; the system's and TLS's own codes stay as they are. */
function codeOf(cause: unknown): string {
  const code = typeof cause === 'object' && cause !== null && 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
  if (code === 'UND_ERR_CONNECT_TIMEOUT') return AxiosError.ETIMEDOUT;
  if (isUnasked(cause)) return AxiosError.ERR_BAD_RESPONSE;
  if (code === 'UND_ERR_SOCKET' || code === 'EPIPE') return 'ECONNRESET';
  if (code === 'UND_ERR_INVALID_ARG') return AxiosError.ERR_BAD_OPTION_VALUE;
  if (code.startsWith('UND_ERR') || cause instanceof errors.HTTPParserError) return AxiosError.ERR_BAD_RESPONSE;
  return code === '' ? AxiosError.ERR_NETWORK : code;
}

/** undici hangs up, or trips over an assertion of its own, when it is answered 100 or 101 without having asked. */
function isUnasked(cause: unknown): boolean {
  return (cause instanceof errors.SocketError && /^bad (response|upgrade)$/.test(cause.message)) || cause instanceof AssertionError;
}

function refuse(message: string, config: InternalAxiosRequestConfig, code: string = AxiosError.ERR_BAD_REQUEST): AxiosError {
  const error = new AxiosError(message, code, config, null);
  unsent.add(error);
  return Object.assign(error, { sent: false });
}
