/** The rules for what an endpoint is given beside its URL; what breaks one is an AppError that names the field. */
import { AppError, ErrorCode } from '../lib/app-error.js';
import { headersProblem, timedHeaderProblem, type HeaderInput } from './custom-headers.js';
import { AYRSHARE_ACTIONS } from './endpoint.js';
import { PUBLIC_EVENT_TYPES } from './event.js';
import type { PayloadStyle } from './payload.js';
import { secretProblem } from './signing.js';

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
