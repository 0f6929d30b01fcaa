/** Who may send next: one lane per endpoint, with caps per endpoint, per host and in all, so that nobody takes the others' share. */
import { newBreaker, slotsOf, type Breaker } from './breaker.js';
import type { Delivery } from './delivery.js';

export interface LaneLimits {
  /** Requests in flight in this process. */
  total: number;
  /** Of those, so many may be repeats; the rest is kept for first attempts. */
  repeats: number;
  /** Requests in flight to one endpoint. */
  perEndpoint: number;
  /** Requests in flight to one host: many endpoints may share it. */
  perHost: number;
  /** Claimed deliveries that wait in memory for one endpoint, if it is fast. */
  queuePerEndpoint: number;
}

/** One endpoint's share of this process. */
export interface Lane {
  endpointId: string;
  queue: Delivery[];
  inFlight: number;
  /** There may be more due in the database. */
  hot: boolean;
  /** How long its answers take, recent ones counting most. */
  answerMs: number;
  breaker: Breaker;
}

export interface Lanes {
  get(endpointId: string): Lane;
  all(): Lane[];
  /** How many more of this endpoint's deliveries this process should hold. */
  room(lane: Lane): number;
  /** Its queue runs low and there may be more. */
  wantsMore(lane: Lane): boolean;
  /** No request may go out for what comes by itself. */
  isParked(lane: Lane): boolean;
  /** Takes the next delivery that may start now, one endpoint after the other; null when none may. */
  next(): { lane: Lane; delivery: Delivery } | null;
  /** The receiver has answered: its endpoint's and its host's slots are free. */
  answered(lane: Lane, delivery: Delivery): void;
  /** The outcome is stored: the process's slot is free. */
  ended(delivery: Delivery): void;
  /** Lets go of a lane that has nothing to do and nothing to remember. */
  forgetIdle(lane: Lane): void;
}

/** What is claimed should be sent within this time, as fast as its endpoint has been answering. */
const AHEAD_MS = 5_000;
const UNKNOWN_ANSWER_MS = 500;

export function createLanes(limits: LaneLimits, now: () => number): Lanes {
  const lanes = new Map<string, Lane>();
  const perHost = new Map<string, number>();
  let inFlight = 0;
  let repeats = 0;
  let turn = lanes.values();

  /** A slow endpoint's deliveries would only wait in memory while their lease runs out. */
  function holds(lane: Lane): number {
    const slots = slotsOf(lane.breaker, now());
    if (slots < limits.perEndpoint) return slots;
    const ahead = Math.floor((AHEAD_MS / lane.answerMs) * limits.perEndpoint);
    return Math.max(limits.perEndpoint, Math.min(limits.queuePerEndpoint, ahead));
  }

  function room(lane: Lane): number {
    return Math.max(0, holds(lane) - lane.queue.length - lane.inFlight);
  }

  function mayStart(lane: Lane, delivery: Delivery): boolean {
    // What a person asked for goes out to a parked endpoint too: that is how one finds out whether it works again.
    const slots = isUrgent(delivery) ? limits.perEndpoint : slotsOf(lane.breaker, now());
    if (lane.inFlight >= slots || (perHost.get(hostOf(delivery)) ?? 0) >= limits.perHost) return false;
    return !isRepeat(delivery) || repeats < limits.repeats;
  }

  function start(lane: Lane): Delivery {
    const delivery = lane.queue.shift()!;
    lane.inFlight += 1;
    inFlight += 1;
    if (isRepeat(delivery)) repeats += 1;
    perHost.set(hostOf(delivery), (perHost.get(hostOf(delivery)) ?? 0) + 1);
    return delivery;
  }

  return {
    get(endpointId) {
      const there = lanes.get(endpointId) ?? { endpointId, queue: [], inFlight: 0, hot: false, answerMs: UNKNOWN_ANSWER_MS, breaker: newBreaker(limits.perEndpoint) };
      lanes.set(endpointId, there);
      return there;
    },
    all: () => [...lanes.values()],
    room,
    wantsMore: (lane) => lane.hot && room(lane) > 0 && lane.queue.length <= holds(lane) / 2,
    isParked: (lane) => slotsOf(lane.breaker, now()) === 0,
    next() {
      if (inFlight >= limits.total) return null;
      // Goes on where it stopped; at most once around.
      for (let looked = 0; looked <= lanes.size; looked++) {
        const step = turn.next();
        if (step.done === true) {
          turn = lanes.values();
          continue;
        }
        const lane = step.value;
        const first = lane.queue[0];
        if (first !== undefined && mayStart(lane, first)) return { lane, delivery: start(lane) };
      }
      return null;
    },
    answered(lane, delivery) {
      lane.inFlight -= 1;
      const host = hostOf(delivery);
      const left = (perHost.get(host) ?? 1) - 1;
      if (left === 0) perHost.delete(host);
      else perHost.set(host, left);
    },
    ended(delivery) {
      inFlight -= 1;
      if (isRepeat(delivery)) repeats -= 1;
    },
    forgetIdle(lane) {
      const isIdle = !lane.hot && lane.inFlight === 0 && lane.queue.length === 0 && lane.breaker.failuresInRow === 0;
      if (isIdle && lanes.get(lane.endpointId) === lane) lanes.delete(lane.endpointId);
    },
  };
}

/** A person waits for it. */
export function isUrgent(delivery: Delivery): boolean {
  return delivery.trigger === 'manual' || delivery.trigger === 'test';
}

function isRepeat(delivery: Delivery): boolean {
  return delivery.attemptCount > 0 && !isUrgent(delivery);
}

/** The host that the endpoint had when the delivery was made: good enough for a cap. */
function hostOf(delivery: Delivery): string {
  const start = delivery.endpointUrl.indexOf('//') + 2;
  const end = delivery.endpointUrl.indexOf('/', start);
  return end === -1 ? delivery.endpointUrl.slice(start) : delivery.endpointUrl.slice(start, end);
}
