/** Who may send next: one lane per endpoint, with caps per endpoint, per host and in all, so that nobody takes the others' share. */
import { newBreaker, slotsOf, type Breaker } from './breaker.js';
import type { Delivery } from './delivery.js';

export interface LaneLimits {
  /** Requests in flight in this process. */
  total: number;
  /** Of those, so many may be repeats; the rest is kept for first attempts. */
  repeats: number;
  /** From so many in flight on, an endpoint that has not just answered gets one slot only: many dead ones together must not take all. */
  crowdedAt: number;
  /** Requests in flight to one endpoint, of all processes that send; twice as many while it answers fast. */
  perEndpoint: number;
  /** Requests in flight to one host, of all processes that send: many endpoints may share it. */
  perHost: number;
  /** Claimed deliveries that wait in memory for one endpoint, if it is fast. */
  queuePerEndpoint: number;
  /** Claimed deliveries that wait in memory for all endpoints together; beyond it each holds as many as it may have in flight. */
  queueTotal: number;
}

/** One endpoint's share of this process. */
export interface Lane {
  endpointId: string;
  /** Claimed and not started; changed by `add` and `takeBack` alone. */
  queue: Delivery[];
  inFlight: number;
  /** There may be more due in the database. */
  hot: boolean;
  /** How long its answers take, recent ones counting most. */
  answerMs: number;
  /** When it answered last, whatever it said (ms of the epoch). */
  answeredAt: number;
  breaker: Breaker;
  /** When the breaker was opened or closed last (ms of the epoch), here or by another process; 0: never, as far as is known here. */
  breakerAt: number;
}

export interface Lanes {
  get(endpointId: string): Lane;
  all(): Lane[];
  /** Queues a claimed delivery, before the others of its endpoint if somebody waits for it. */
  add(delivery: Delivery, first?: boolean): void;
  /** Takes what fits out of the queue. */
  takeBack(lane: Lane, fits: (delivery: Delivery) => boolean): Delivery[];
  /** Is it queued here, or on its way? */
  has(deliveryId: string): boolean;
  /** How many more of this endpoint's deliveries this process should hold. */
  room(lane: Lane): number;
  /** Its queue runs low and there may be more. */
  wantsMore(lane: Lane): boolean;
  /** No request may go out for what comes by itself. */
  isParked(lane: Lane): boolean;
  /** More is in flight than its breaker allows: what has not been sent should wait. */
  hasTooMany(lane: Lane): boolean;
  /** Takes the next delivery that may start now, one endpoint after the other; null when none may. */
  next(): { lane: Lane; delivery: Delivery } | null;
  /** The receiver has answered: its endpoint's and its host's slots are free. */
  answered(lane: Lane, delivery: Delivery): void;
  /** The outcome is stored, or the delivery given back: the process's slot is free. */
  ended(delivery: Delivery): void;
  /** Lets go of a lane that has nothing to do and nothing to remember. */
  forgetIdle(lane: Lane): void;
}

interface Host {
  inFlight: number;
  /** Lanes that could start something if this host had a slot. */
  waiting: Set<Lane>;
}

/** What is claimed should be sent within this time, as fast as its endpoint has been answering. */
const AHEAD_MS = 5_000;
const UNKNOWN_ANSWER_MS = 500;
/** Whose answers take less has little under way at any moment, whatever is sent. */
const FAST_MS = 50;
/** Who answered so recently is alive. */
const ALIVE_MS = 2_000;
/** So long after a breaker was closed, nobody holds an older word of it. */
const REMEMBERED_MS = 10_000;

/**
 * A lane stands in line while it may have something to start, and steps aside to where its obstacle is removed: a look for the next delivery
 * costs the same with ten endpoints and with ten thousand.
 *
 * @param sharers processes that send: each has an equal part of the caps of endpoints and hosts
 */
export function createLanes(limits: LaneLimits, now: () => number, sharers: () => number = () => 1): Lanes {
  const lanes = new Map<string, Lane>();
  const hosts = new Map<string, Host>();
  const line = new Set<Lane>();
  const waitingForRepeats = new Set<Lane>();
  /** How often: what is to be sent again at once may be claimed anew before its last attempt here has ended. */
  const held = new Map<string, number>();
  let inFlight = 0;
  let repeats = 0;
  let queued = 0;

  function partOf(cap: number): number {
    return Math.max(1, Math.floor(cap / sharers()));
  }

  function slots(lane: Lane): number {
    const cap = partOf(limits.perEndpoint);
    const allowed = slotsOf(lane.breaker, now());
    if (allowed < limits.perEndpoint) return Math.min(allowed, cap);
    return lane.answerMs < FAST_MS ? 2 * cap : cap;
  }

  /** A slow endpoint's deliveries would only wait in memory while their lease runs out. */
  function holds(lane: Lane): number {
    const most = slots(lane);
    if (most < partOf(limits.perEndpoint)) return most;
    const ahead = Math.floor((AHEAD_MS / lane.answerMs) * most);
    return Math.max(most, Math.min(limits.queuePerEndpoint, ahead, lane.queue.length + limits.queueTotal - queued));
  }

  function room(lane: Lane): number {
    return Math.max(0, holds(lane) - lane.queue.length - lane.inFlight);
  }

  function letGo(deliveryId: string): void {
    const left = (held.get(deliveryId) ?? 0) - 1;
    if (left > 0) held.set(deliveryId, left);
    else held.delete(deliveryId);
  }

  function hostAt(name: string): Host {
    const there = hosts.get(name) ?? { inFlight: 0, waiting: new Set() };
    hosts.set(name, there);
    return there;
  }

  /** Its endpoint's own slots only. */
  function hasSlot(lane: Lane, first: Delivery | undefined): first is Delivery {
    if (first === undefined) return false;
    // What a person asked for goes out to a parked endpoint too: that is how one finds out whether it works again.
    if (lane.inFlight > 0 && inFlight >= limits.crowdedAt && now() - lane.answeredAt > ALIVE_MS) return false;
    return lane.inFlight < (isUrgent(first) ? limits.perEndpoint : slots(lane));
  }

  /** A slot of the host that its first lane can't use goes to the next. */
  function offer(host: Host): void {
    if (host.inFlight >= partOf(limits.perHost)) return;
    for (const lane of host.waiting) {
      host.waiting.delete(lane);
      if (!hasSlot(lane, lane.queue[0])) continue;
      line.add(lane);
      return;
    }
  }

  function start(lane: Lane, host: Host): Delivery {
    const delivery = lane.queue.shift()!;
    queued -= 1;
    lane.inFlight += 1;
    inFlight += 1;
    host.inFlight += 1;
    if (isRepeat(delivery)) repeats += 1;
    // To the end of the line.
    line.delete(lane);
    line.add(lane);
    return delivery;
  }

  function get(endpointId: string): Lane {
    const there = lanes.get(endpointId) ?? { endpointId, queue: [], inFlight: 0, hot: false, answerMs: UNKNOWN_ANSWER_MS, answeredAt: 0, breaker: newBreaker(limits.perEndpoint), breakerAt: 0 };
    lanes.set(endpointId, there);
    return there;
  }

  return {
    get,
    all: () => [...lanes.values()],
    add(delivery, first = false) {
      const lane = get(delivery.endpointId);
      held.set(delivery.id, (held.get(delivery.id) ?? 0) + 1);
      if (first) lane.queue.unshift(delivery);
      else lane.queue.push(delivery);
      queued += 1;
      line.add(lane);
    },
    takeBack(lane, fits) {
      const taken = lane.queue.filter(fits);
      queued -= taken.length;
      for (const { id } of taken) letGo(id);
      if (taken.length > 0) lane.queue = lane.queue.filter((delivery) => !fits(delivery));
      line.add(lane);
      return taken;
    },
    has: (deliveryId) => held.has(deliveryId),
    room,
    wantsMore: (lane) => lane.hot && room(lane) > 0 && lane.queue.length <= holds(lane) / 2,
    isParked: (lane) => slots(lane) === 0,
    hasTooMany: (lane) => slotsOf(lane.breaker, now()) < limits.perEndpoint && lane.inFlight > slots(lane),
    next() {
      if (inFlight >= limits.total) return null;
      for (const lane of line) {
        const first = lane.queue[0];
        if (!hasSlot(lane, first)) {
          line.delete(lane);
          continue;
        }
        const host = hostAt(hostOf(first));
        if (host.inFlight < partOf(limits.perHost) && !(isRepeat(first) && repeats >= limits.repeats)) return { lane, delivery: start(lane, host) };
        line.delete(lane);
        if (host.inFlight >= partOf(limits.perHost)) host.waiting.add(lane);
        else {
          waitingForRepeats.add(lane);
          offer(host);
        }
      }
      return null;
    },
    answered(lane, delivery) {
      lane.inFlight -= 1;
      line.add(lane);
      const name = hostOf(delivery);
      const host = hostAt(name);
      host.inFlight -= 1;
      offer(host);
      if (host.inFlight === 0 && host.waiting.size === 0) hosts.delete(name);
    },
    ended(delivery) {
      letGo(delivery.id);
      inFlight -= 1;
      if (!isRepeat(delivery)) return;
      repeats -= 1;
      for (const lane of waitingForRepeats) line.add(lane);
      waitingForRepeats.clear();
    },
    forgetIdle(lane) {
      const isIdle = !lane.hot && lane.inFlight === 0 && lane.queue.length === 0 && lane.breaker.failuresInRow === 0 && now() - lane.breakerAt > REMEMBERED_MS;
      if (!isIdle || lanes.get(lane.endpointId) !== lane) return;
      lanes.delete(lane.endpointId);
      line.delete(lane);
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
