/**
 * A circuit breaker for one endpoint: after some failures in a row its deliveries are parked, a single one probes it from time to time,
 * and when that succeeds the others follow gradually. Parked deliveries lose no attempts.
 */
import type { AttemptResult } from './delivery.js';

export interface Breaker {
  failuresInRow: number;
  /** Parked until then (ms of the epoch); 0: not parked. */
  openUntil: number;
  /** How long it was parked last. */
  openMs: number;
  /** Requests that may be in flight: 1 for a probe, then doubling up to the endpoint's cap. */
  slots: number;
}

/** A breaker as all processes know it, kept with its endpoint. */
export interface StoredBreaker {
  /** Parked until then; null: not parked, and no probe is due. */
  openUntil: Date | null;
  openMs: number;
  /** When it was opened or closed: the later word counts. */
  at: Date;
}

const OPEN_AFTER = 5;
const FIRST_OPEN_MS = 60_000;
const LONGEST_OPEN_MS = 30 * 60_000;
/** Endpoints that went down together are not probed together. */
const JITTER = 0.2;

export function newBreaker(cap: number): Breaker {
  return { failuresInRow: 0, openUntil: 0, openMs: 0, slots: cap };
}

/** What another process found out, or this one before it was started again. */
export function breakerFrom({ openUntil, openMs }: StoredBreaker, cap: number): Breaker {
  return openUntil === null ? newBreaker(cap) : { failuresInRow: OPEN_AFTER, openUntil: openUntil.getTime(), openMs, slots: 1 };
}

/** @returns what others should know when an answer made this of the breaker; null when it is nothing new to them */
export function newsOf(before: Breaker, after: Breaker, at: Date): StoredBreaker | null {
  if (after.openUntil > before.openUntil) return { openUntil: new Date(after.openUntil), openMs: after.openMs, at };
  return before.openUntil > 0 && after.openUntil === 0 ? closedBreaker(at) : null;
}

/** Its owner says that it works, or an answer did: all processes may send. */
export function closedBreaker(at: Date): StoredBreaker {
  return { openUntil: null, openMs: 0, at };
}

/** It was parked, its time is over, and no answer has said yet whether it is well. */
export function isHalfOpen({ openUntil }: Breaker, now: number): boolean {
  return openUntil > 0 && openUntil <= now;
}

/** How many requests may be in flight now. */
export function slotsOf(breaker: Breaker, now: number): number {
  return breaker.openUntil > now ? 0 : breaker.slots;
}

/**
 * @param random in [0, 1)
 * @returns the breaker after this answer
 */
export function afterAttempt(breaker: Breaker, result: Pick<AttemptResult, 'status' | 'error'>, cap: number, now: number, random: number): Breaker {
  if (!isOutage(result)) {
    const slots = Math.min(cap, breaker.slots * 2);
    return { failuresInRow: 0, openUntil: 0, openMs: slots === cap ? 0 : breaker.openMs, slots };
  }
  const failuresInRow = breaker.failuresInRow + 1;
  const isProbe = breaker.slots < cap;
  if (failuresInRow < OPEN_AFTER && !isProbe) return { ...breaker, failuresInRow };
  // Others of the same outage, sent before it was noticed, don't park it longer.
  if (breaker.openUntil > now) return { ...breaker, failuresInRow };
  const openMs = breaker.openMs === 0 ? FIRST_OPEN_MS : Math.min(LONGEST_OPEN_MS, breaker.openMs * 2);
  return { failuresInRow, openUntil: now + Math.round(openMs * (1 + JITTER * random)), openMs, slots: 1 };
}

/** A receiver that answers, even with a refusal, is there; one that can't be reached, is slow, or says that it is in trouble, is not. */
function isOutage({ status, error }: Pick<AttemptResult, 'status' | 'error'>): boolean {
  if (error === null || error.class === 'blocked' || error.class === 'interrupted') return false;
  return status === null || status >= 500 || status === 429 || status === 408;
}
