/** One HTTP call to a network, with every way of getting no usable answer turned into the failure that it means. */
import type { AxiosRequestConfig } from 'axios';
import type { ZodType } from 'zod';
import { ErrorCode } from '../lib/app-error.js';
import { wasSent } from '../lib/http-client.js';
import { PlatformFailure, type PlatformIo } from './platform.js';

export interface NetworkCall {
  /** The network's name for messages, e.g. `Bluesky`. */
  network: string;
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  url: string;
  /**
   * `create`: this call makes something public, so silence and 5xx leave its outcome `unknown`.
   * `read`: repeating it does no harm, so they count as `unreachable`.
   */
  effect: 'create' | 'read';
  timeoutMs: number;
  token?: string;
  headers?: Record<string, string>;
  query?: Record<string, string>;
  /** Sent as JSON; a URLSearchParams, FormData or Uint8Array is sent as what it is. */
  body?: unknown;
}

/** An answer that the network meant: status below 500. */
export interface NetworkAnswer {
  status: number;
  /** Names in lower case. */
  headers: Record<string, string>;
  /** Parsed JSON, null when the body is something else. */
  body: unknown;
}

/**
 * @throws PlatformFailure `unreachable` when nothing was sent (or the call only reads), `unknown` when a create may have been
 *   accepted: no answer, a broken one, a 5xx, a 408 or a redirect.
 */
export async function callNetwork(io: PlatformIo, call: NetworkCall): Promise<NetworkAnswer> {
  const answer = await send(io, call);
  const { status } = answer;
  if (status >= 500 || status === 408 || (status >= 300 && status < 400)) throw noUsableAnswer(call, status >= 500 ? `answered with a server error (HTTP ${status})` : `gave no usable answer (HTTP ${status})`, { status, details: shorten(answer.text) });
  const body = parseJson(answer.text);
  if (body === undefined && status < 300 && answer.text !== '') throw noUsableAnswer(call, 'answered with something unreadable', { status, details: shorten(answer.text) });
  return { status, headers: answer.headers, body: body ?? null };
}

/**
 * Reads a 2xx answer.
 * @throws PlatformFailure as `callNetwork` when it hasn't the documented shape: the network may have done what was asked.
 */
export function readAnswer<T>(call: Pick<NetworkCall, 'network' | 'effect'>, schema: ZodType<T>, answer: NetworkAnswer): T {
  const parsed = schema.safeParse(answer.body);
  if (!parsed.success) throw noUsableAnswer(call, 'answered with something unexpected', { status: answer.status, details: shorten(JSON.stringify(answer.body)) });
  return parsed.data;
}

/**
 * Calls and reads in one: what most calls need.
 * @param failure how the network's refusals (4xx) are to be taken
 */
export async function ask<T>(io: PlatformIo, call: NetworkCall, schema: ZodType<T>, failure: (answer: NetworkAnswer, io: PlatformIo) => PlatformFailure): Promise<T> {
  const answer = await callNetwork(io, call);
  if (answer.status >= 400) throw failure(answer, io);
  return readAnswer(call, schema, answer);
}

/**
 * Deletes. What is gone already counts as deleted, so that it can be asked for again after a lost answer.
 * @param isGone says of a refusal that nothing is there any more
 */
export async function askToRemove(
  io: PlatformIo, call: Omit<NetworkCall, 'effect' | 'method'>, failure: (answer: NetworkAnswer, io: PlatformIo) => PlatformFailure,
  isGone: (answer: NetworkAnswer) => boolean = ({ status }) => status === 404,
): Promise<void> {
  const answer = await callNetwork(io, { ...call, effect: 'read', method: 'DELETE' });
  if (answer.status >= 400 && !isGone(answer)) throw failure(answer, io);
}

const A_MOMENT_FROM = 1_000_000_000;

/** When the network says that it takes requests again; undefined when it doesn't say. */
export function retryAtOf(headers: Record<string, string>, now: Date): Date | undefined {
  const after = headers['retry-after'];
  if (after !== undefined) {
    const seconds = Number(after);
    const at = Number.isFinite(seconds) ? new Date(now.getTime() + seconds * 1000) : new Date(after);
    if (!Number.isNaN(at.getTime())) return at;
  }
  const reset = headers['x-rate-limit-reset'] ?? headers['ratelimit-reset'] ?? headers['x-ratelimit-reset'];
  if (reset === undefined) return undefined;
  // Some networks write a moment (in seconds since 1970), others how many seconds are left.
  const seconds = Number(reset);
  const at = Number.isFinite(seconds) ? new Date(seconds < A_MOMENT_FROM ? now.getTime() + seconds * 1000 : seconds * 1000) : new Date(reset);
  return Number.isNaN(at.getTime()) ? undefined : at;
}

async function send(io: PlatformIo, call: NetworkCall): Promise<{ status: number; headers: Record<string, string>; text: string }> {
  const config: AxiosRequestConfig<unknown> = {
    method: call.method,
    url: call.url,
    params: call.query,
    data: call.body,
    timeout: call.timeoutMs,
    repeatable: call.method === 'GET',
    headers: { accept: 'application/json', ...(call.token === undefined ? {} : { authorization: `Bearer ${call.token}` }), ...call.headers },
    responseType: 'text',
    transformResponse: (data: unknown) => data,
    validateStatus: () => true,
    maxRedirects: 0,
  };
  try {
    const response = await io.http.request<unknown>(config);
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(response.headers)) headers[name.toLowerCase()] = String(value);
    return { status: response.status, headers, text: asText(response.data) };
  } catch (error) {
    throw transportFailure(call, error);
  }
}

function transportFailure(call: NetworkCall, error: unknown): PlatformFailure {
  // The publisher's word that no request may begin any more.
  if (error instanceof PlatformFailure) return error;
  const code = codeOf(error);
  if (!wasSent(error)) {
    return new PlatformFailure('unreachable', `${call.network} can't be reached right now (${code}). Nothing was sent; Signpost tries again by itself.`, {
      code: ErrorCode.platformUnreachable, details: code, cause: error,
    });
  }
  const timedOut = code === 'ECONNABORTED' || code === 'ETIMEDOUT' || code === 'ERR_CANCELED';
  return noUsableAnswer(call, timedOut ? `gave no answer within ${Math.round(call.timeoutMs / 1000)} seconds` : `broke off the connection (${code})`, { details: code, cause: error });
}

function codeOf(error: unknown): string {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return code ?? (error instanceof Error ? error.name : 'error');
}

function noUsableAnswer(call: Pick<NetworkCall, 'network' | 'effect'>, what: string, options: { status?: number; details?: string; cause?: unknown }): PlatformFailure {
  if (call.effect === 'read') {
    return new PlatformFailure('unreachable', `${call.network} ${what}. Signpost tries again by itself.`, { code: ErrorCode.platformUnreachable, ...options });
  }
  return new PlatformFailure('unknown', `${call.network} ${what}, so the post may or may not be public. Look at the profile before you send it again.`, {
    code: ErrorCode.outcomeUnknown, ...options,
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function asText(data: unknown): string {
  if (typeof data === 'string') return data;
  if (data instanceof Uint8Array) return Buffer.from(data).toString('utf8');
  return data === undefined || data === null ? '' : JSON.stringify(data);
}

function shorten(text: string): string {
  return text.length > 500 ? `${text.slice(0, 500)}…` : text;
}
