/** An endpoint: a URL that a user registered for webhooks, with the events it gets and the secrets that sign them. */
import type { StoredBreaker } from './breaker.js';
import type { StoredCertificate } from './client-certificate.js';
import type { CustomHeader } from './custom-headers.js';
import type { PayloadStyle } from './payload.js';

/** enabled: gets its events. paused: its owner turned it off. disabled: Signpost turned it off and says why. */
export type EndpointState = 'enabled' | 'paused' | 'disabled';

/** Ayrshare's actions that Signpost sends. */
export const AYRSHARE_ACTIONS = ['scheduled', 'social'] as const;
/** Actions that Ayrshare knows; they can be registered, and are sent as Signpost learns them. */
export const KNOWN_ACTIONS = ['feed', 'social', 'scheduled', 'batch', 'messages', 'mentions', 'comments', 'automations', 'accountActivity', 'suspended'] as const;

export interface EndpointSecret {
  sealed: string;
  createdAt: Date;
  /** Null for the current one; old ones sign too until then. */
  expiresAt: Date | null;
}

export interface Endpoint {
  id: string;
  accountId: string;
  profileId: string;
  name: string;
  /** What it is for, in its owner's words. */
  description: string;
  url: string;
  style: PayloadStyle;
  /** Ayrshare actions or event types, by style; `*` is every event type. */
  events: string[];
  /** Set when it was registered through the API: one URL per action and profile. */
  apiAction: string | null;
  state: EndpointState;
  /** Why it is paused or disabled. */
  stateReason: string | null;
  /** The current one first. */
  secrets: EndpointSecret[];
  /** Sent with every delivery; values sealed. */
  headers: CustomHeader[];
  /** How long its answer may take, in seconds. */
  timeoutS: number;
  /** No more deliveries than this go out in a minute, spread evenly; null: no limit. What a person sends by hand goes at once. */
  maxPerMinute: number | null;
  /** One delivery after the other, in the order of their events: one that fails holds the later ones until it succeeds or is given up. */
  ordered: boolean;
  /** Name of an extra header with a Stripe-style signature; null: none. */
  timedHeader: string | null;
  /** Names Signpost to a receiver that asks for it in TLS. */
  clientCertificate: StoredCertificate | null;
  /** The recovery that runs or ran last. */
  recovery: Recovery | null;
  lastAttempt: { at: Date; deliveryId: string; ok: boolean; status: number | null; error: string | null } | null;
  /** Since when every attempt failed; null after a success. */
  failingSince: Date | null;
  /** It failed so often in a row that its deliveries wait until then, without losing attempts; null: they don't. */
  parkedUntil: Date | null;
  /** What that time follows from; null: it never failed so often. */
  breaker: StoredBreaker | null;
  createdAt: Date;
  updatedAt: Date;
}

/** Sends again what failed or was not sent, as a task that survives restarts. */
export interface Recovery {
  id: string;
  /** Deliveries made from then on. */
  since: Date;
  startedAt: Date;
  /** How many were made due again so far. */
  requeued: number;
  /** Null while it runs. */
  endedAt: Date | null;
}

export const TIMEOUT_S = { min: 5, default: 15, max: 30 } as const;
export const MAX_PER_MINUTE = { min: 1, max: 60_000 } as const;
export const MAX_DESCRIPTION = 500;

/** Does this endpoint get what it knows as `event`? Tests go to whoever they are for. */
export function subscribesTo(endpoint: Pick<Endpoint, 'events' | 'style'>, event: string): boolean {
  return endpoint.events.includes(event) || (endpoint.style !== 'ayrshare' && endpoint.events.includes('*'));
}

/** Why nothing is sent to it; null while it is on. @param endpoint undefined: it is gone */
export function offReason(endpoint: Pick<Endpoint, 'state'> | undefined): string | null {
  if (endpoint === undefined) return 'The endpoint was removed.';
  return endpoint.state === 'enabled' ? null : `The endpoint is ${endpoint.state}.`;
}

/**
 * Which endpoints hear of what happens in a profile: its own, or the account's (those of its Primary Profile) while it has none. Registered by
 * API, each action is inherited on its own: a profile that registered one still has the account's URLs for the others.
 */
export function endpointsFor<E extends Pick<Endpoint, 'apiAction'>>(own: readonly E[], accounts: readonly E[]): readonly E[] {
  if (own.length === 0) return accounts;
  if (own.some(({ apiAction }) => apiAction === null)) return own;
  return [...own, ...accounts.filter(({ apiAction }) => apiAction !== null && !own.some((endpoint) => endpoint.apiAction === apiAction))];
}

export function sealContext(endpointId: string): string {
  return `endpoint:${endpointId}`;
}
