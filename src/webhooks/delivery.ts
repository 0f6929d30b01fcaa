/** A delivery: one event on its way to one endpoint. Its states, its attempts, and the pure rules that decide the next step. */
import { createHash } from 'node:crypto';

/**
 * waiting: due at `dueAt`. sending: leased, a request may be under way. delivered: answered 2xx. failed: every attempt was used up.
 * cancelled: its endpoint was removed, paused or disabled while it waited. skipped: the endpoint was off when the event happened.
 */
export type DeliveryState = 'waiting' | 'sending' | 'delivered' | 'failed' | 'cancelled' | 'skipped';

export const DELIVERY_STATES: readonly DeliveryState[] = ['waiting', 'sending', 'delivered', 'failed', 'cancelled', 'skipped'];

export type AttemptTrigger = 'automatic' | 'manual' | 'test' | 'recovery';

export type AttemptErrorClass =
  | 'dns' | 'blocked' | 'refused' | 'unreachable' | 'connect-timeout' | 'tls' | 'timeout' | 'reset' | 'bad-answer'
  | 'redirect' | 'status' | 'interrupted' | 'configuration';

export interface AttemptResult {
  startedAt: Date;
  durationMs: number;
  url: string;
  requestHeaders: Record<string, string>;
  remoteAddress: string | null;
  /** Times in ms; null: did not get that far or was not needed on a kept-alive connection. */
  phases: { dnsMs: number | null; connectMs: number | null; tlsMs: number | null; firstByteMs: number | null };
  status: number | null;
  responseHeaders: Record<string, string>;
  /** The first 4 KiB. */
  responseBody: string;
  responseTruncated: boolean;
  /** Null when it was answered 2xx. */
  error: { class: AttemptErrorClass; message: string } | null;
  /** What the receiver asked for, if it did. */
  retryAfterMs: number | null;
}

export interface DeliveryAttempt extends AttemptResult {
  number: number;
  trigger: AttemptTrigger;
  nextAttemptAt: Date | null;
}

export interface Lease {
  /** Fencing token: an outcome is written only by who holds it. */
  token: string;
  /** The process that sends it. */
  owner?: string;
  until: Date;
}

export interface Delivery {
  id: string;
  accountId: string;
  profileId: string;
  endpointId: string;
  /** As it was when the delivery was made, for the log of an endpoint that is gone. */
  endpointUrl: string;
  eventId: string;
  /** The event's type. */
  eventType: string;
  /** What the endpoint knows it as: an Ayrshare action, or the event's type again. */
  event: string;
  postId: string | null;
  /** The event's, see there. */
  sequence: number;
  /** Its place in the line of an ordered endpoint, while it waits or is being sent; places sort as text. */
  position: string | null;
  /** The serialized payload: what is sent on every attempt, byte for byte. */
  body: string;
  state: DeliveryState;
  dueAt: Date | null;
  lease: Lease | null;
  /** Automatic attempts made. */
  tries: number;
  maxTries: number;
  trigger: AttemptTrigger;
  /** Attempts of any kind made. */
  attemptCount: number;
  attempts: DeliveryAttempt[];
  /** Why it was cancelled or skipped. */
  note: string | null;
  lastStatus: number | null;
  lastError: string | null;
  createdAt: Date;
  endedAt: Date | null;
  /** While somebody asked for a resend: what the delivery goes back to if that fails. */
  resumeTo: { state: DeliveryState; dueAt: Date | null } | null;
  /** The last recovery that made it due again. */
  recoveryId: string | null;
}

/** What a recovery sends again. */
export const RECOVERABLE: readonly DeliveryState[] = ['failed', 'skipped', 'cancelled'];

/** Waits before each attempt, in seconds: Standard Webhooks' ten attempts over 75 h 35 m. */
export const SCHEDULE_S: readonly number[] = [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
const JITTER = 0.2;
const MIN_WAIT_MS = 1_000;
/** A receiver that is overloaded or slow gets at least this much time. */
const MIN_WAIT_WHEN_BUSY_MS = 60_000;
const MAX_RETRY_AFTER_MS = 24 * 3_600_000;

/** One delivery per event and endpoint: making it twice gives the same id, and the database keeps one. */
export function deliveryId(eventId: string, endpointId: string): string {
  return `dlv_${createHash('sha256').update(`${eventId} ${endpointId}`).digest('hex').slice(0, 32)}`;
}

/** By the event's time (an id begins with it), and within one moment by its place among its post's events. */
export function positionOf(eventId: string, sequence: number): string {
  return `${eventId.slice(4, 14)}-${String(sequence).padStart(8, '0')}-${eventId}`;
}

export type NextStep =
  | { state: 'delivered' }
  | { state: 'waiting'; dueAt: Date }
  | { state: 'failed' }
  /** A resend failed: as it was before. */
  | { state: DeliveryState; dueAt: Date | null };

/**
 * @param tries automatic attempts made, this one included
 * @param random in [0, 1)
 */
export function nextStep(delivery: Pick<Delivery, 'trigger' | 'maxTries' | 'resumeTo'>, tries: number, result: AttemptResult, now: Date, random: number): NextStep {
  if (result.error === null) return { state: 'delivered' };
  if (delivery.trigger === 'manual' && delivery.resumeTo !== null) return delivery.resumeTo;
  const waitS = SCHEDULE_S[tries];
  // 410 says that nobody will ever want this again.
  if (result.status === 410 || tries >= delivery.maxTries || waitS === undefined) return { state: 'failed' };
  return { state: 'waiting', dueAt: new Date(now.getTime() + waitMs(waitS * 1_000, result, random)) };
}

/** Jitter only adds, and `Retry-After` only lengthens: nobody is called earlier than the schedule says. */
function waitMs(scheduledMs: number, result: AttemptResult, random: number): number {
  const jittered = Math.max(MIN_WAIT_MS, scheduledMs * (1 + JITTER * random));
  const busy = result.error?.class === 'timeout' || (result.status !== null && [429, 502, 504].includes(result.status));
  const asked = Math.min(result.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS);
  return Math.round(Math.max(jittered, busy ? MIN_WAIT_WHEN_BUSY_MS * (1 + JITTER * random) : 0, asked * (1 + JITTER * random)));
}

/** @param value seconds or an HTTP date; whatever number it is, it counts */
export function readRetryAfter(value: string | undefined, now: Date): number | null {
  const text = value?.trim() ?? '';
  if (/^\d+$/.test(text)) return Math.min(Number.MAX_SAFE_INTEGER, Number(text) * 1_000);
  // Each form of an HTTP date begins with a day's name; `Date.parse` alone finds dates in much that is none.
  const at = /^[a-z]{3}/i.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? null : Math.max(0, at - now.getTime());
}
