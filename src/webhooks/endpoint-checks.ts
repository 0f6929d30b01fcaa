/** The rules for what an endpoint is given beside its URL; what breaks one is an AppError that names the field. */
import { AppError, ErrorCode } from '../lib/app-error.js';
import { headersProblem, timedHeaderProblem, type HeaderInput } from './custom-headers.js';
import { AYRSHARE_ACTIONS } from './endpoint.js';
import { urlProblem, type UrlPolicy } from './endpoint-url.js';
import { PUBLIC_EVENT_TYPES } from './event.js';
import type { PayloadStyle } from './payload.js';
import { secretProblem } from './signing.js';

/** @returns the URL as it is kept */
export async function requireUrl(url: string, policy: UrlPolicy): Promise<string> {
  const message = await urlProblem(url, policy);
  if (message !== null) throw new AppError('invalid', ErrorCode.webhookUrl, `url: ${message}`, { fields: [{ field: 'url', message, code: ErrorCode.webhookUrl }] });
  // Names in other alphabets are kept the way they travel; what is plain already stays as it was written.
  return /^[\x21-\x7e]*$/.test(url) ? url : new URL(url).href;
}

export function requireEvents({ style, events }: { style: PayloadStyle; events: string[] }): string[] {
  const known: readonly string[] = style === 'ayrshare' ? AYRSHARE_ACTIONS : ['*', ...PUBLIC_EVENT_TYPES];
  const chosen = [...new Set(events)].filter((event) => known.includes(event));
  if (chosen.length === 0) {
    const message = style === 'ayrshare' ? 'Choose at least one action.' : 'Choose at least one event, or all events.';
    throw new AppError('invalid', ErrorCode.badRequest, `events: ${message}`, { fields: [{ field: 'events', message }] });
  }
  return chosen.includes('*') ? ['*'] : chosen;
}

export function requireHeaders(headers: HeaderInput[]): HeaderInput[] {
  const message = headersProblem(headers);
  if (message === null) return headers;
  throw new AppError('invalid', ErrorCode.badRequest, `headers: ${message}`, { fields: [{ field: 'headers', message }] });
}

export function requireTimedHeader(name: string | null, headers: readonly { name: string }[]): void {
  const message = name === null ? null : timedHeaderProblem(name, headers);
  if (message !== null) throw new AppError('invalid', ErrorCode.badRequest, `timedHeader: ${message}`, { fields: [{ field: 'timedHeader', message }] });
}

export function requireSecret(secret: string): void {
  const message = secretProblem(secret);
  if (message !== null) throw new AppError('invalid', ErrorCode.badRequest, `secret: ${message}`, { fields: [{ field: 'secret', message }] });
}
