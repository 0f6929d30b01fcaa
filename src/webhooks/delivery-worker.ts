/** Sends what is due: claims in batches, a few at a time per endpoint, stores every attempt, and decides the next step. */
import { newToken } from '../lib/ids.js';
import type { AttemptResult, Delivery, Lease } from './delivery.js';
import { createLanes, isUrgent, type Lane, type LaneLimits } from './delivery-lanes.js';
import { createOutcomes, type OutcomesDeps } from './delivery-outcomes.js';
import { createParking, type ParkingDeps } from './delivery-parking.js';
import { createRefill, type RefillDeps } from './delivery-refill.js';
import type { Sender } from './delivery-sender.js';
import type { DeliveryStore } from './delivery-store.js';
import { createWakes, type WakesDeps } from './delivery-wakes.js';
import { offReason } from './endpoint.js';

export interface WorkerLimits extends LaneLimits {
  /** Must outlast a request's time-out and the wait in memory. */
  leaseMs: number;
  /** A queued delivery with less lease left than this is given back instead of sent. */
  leaseReserveMs: number;
}

export const WORKER_LIMITS: WorkerLimits = { total: 200, repeats: 150, crowdedAt: 100, perEndpoint: 5, perHost: 40, queuePerEndpoint: 2_000, queueTotal: 20_000, leaseMs: 75_000, leaseReserveMs: 40_000 };

export interface WorkerDeps extends RefillDeps, OutcomesDeps, ParkingDeps, WakesDeps {
  deliveries: DeliveryStore;
  sender: Sender;
  /** Breaks off the requests under way. */
  abort(): Promise<void>;
  limits?: WorkerLimits;
  /** How many processes send, this one included; left out: one. */
  sharers?(): number;
}

export interface DeliveryWorker {
  /** A lease for deliveries that are made and claimed in one write, and how many of them there is room for. */
  leaseForNew(endpointId: string): { lease: Lease; room: number };
  /** Takes over deliveries that were written with `leaseForNew`. */
  take(deliveries: Delivery[]): void;
  /** Sends this waiting delivery before all others of its endpoint. */
  sendNow(deliveryId: string): Promise<void>;
  /** Its owner changed it or turned it on: what was parked may go at once. */
  unpark(endpointId: string): void;
  /** There may be due deliveries for these endpoints. */
  nudge(endpointIds: string[]): void;
  /** A wake-up: sends what is due and asks for the next wake-up. */
  wake(endpointId: string): Promise<void>;
  /** Finds due deliveries without a wake-up, and leases that ran out. */
  sweep(): Promise<void>;
  /** Stops starting requests and waits up to `graceMs` for those under way; the rest is broken off and sent again after the next start. */
  stop(graceMs: number): Promise<void>;
}

const ENDPOINTS_PER_SWEEP = 1_000;

export function createDeliveryWorker(deps: WorkerDeps): DeliveryWorker {
  const limits = deps.limits ?? WORKER_LIMITS;
  const lanes = createLanes(limits, () => deps.clock.now().getTime(), deps.sharers);
  const wakes = createWakes(deps);
  const outcomes = createOutcomes({ ...deps, wakes }, limits);
  const parking = createParking({ ...deps, lanes, wakes }, { perEndpoint: limits.perEndpoint, probeMs: limits.leaseReserveMs, track });
  const refill = createRefill({ ...deps, lanes, newLease }, take);
  const running = new Set<Promise<void>>();
  let stopping = false;

  function newLease(): Lease {
    return { token: newToken(12), ...(deps.owner === undefined ? {} : { owner: deps.owner }), until: new Date(deps.clock.now().getTime() + limits.leaseMs) };
  }

  function track(work: Promise<void>): void {
    const settled = work.catch((error: unknown) => deps.log.error({ err: error }, 'delivering failed; the sweep goes on')).finally(() => running.delete(settled));
    running.add(settled);
  }

  function pump(): void {
    if (stopping) return;
    for (let started = lanes.next(); started !== null; started = lanes.next()) track(attempt(started.lane, started.delivery));
  }

  function take(deliveries: Delivery[]): void {
    for (const delivery of deliveries) lanes.add(delivery);
    // It may have been parked while they were claimed.
    for (const endpointId of new Set(deliveries.map((delivery) => delivery.endpointId))) parking.giveBack(lanes.get(endpointId));
    pump();
  }

  async function attempt(lane: Lane, delivery: Delivery): Promise<void> {
    let isAnswered = false;
    const answered = () => {
      if (isAnswered) return;
      isAnswered = true;
      lanes.answered(lane, delivery);
      refill.lookAt(lane);
      pump();
    };
    try {
      const result = await send(lane, delivery);
      answered();
      if (result !== null) await outcomes.settle(delivery, result);
    } finally {
      lanes.ended(delivery);
      answered();
      // Only now may the next of its line be claimed.
      if (delivery.position !== null) refill.nudge([delivery.endpointId]);
      pump();
    }
  }

  /** @returns null when nothing was sent: it was given back, or its endpoint is off */
  async function send(lane: Lane, delivery: Delivery): Promise<AttemptResult | null> {
    const now = deps.clock.now();
    if ((delivery.lease?.until.getTime() ?? 0) - now.getTime() < limits.leaseReserveMs) return deps.deliveries.release([delivery], now).then(() => null);
    const found = await deps.targets.get(delivery.endpointId);
    const reason = offReason(found?.endpoint);
    // A person's resend or test goes out to a paused or parked endpoint too: that is how one finds out whether it works again.
    if (found === null || (reason !== null && !isUrgent(delivery))) return deps.deliveries.cancelLeased(delivery, reason ?? '', now).then(() => null);
    parking.adopt(lane, found.endpoint);
    if (!isUrgent(delivery) && (lanes.hasTooMany(lane) || !(await parking.mayGo(lane)))) {
      lane.hot = true;
      return deps.deliveries.release([delivery], now).then(() => null);
    }
    const result = await deps.sender.send(delivery, found.target, delivery.attemptCount + 1);
    lane.answerMs = Math.max(1, lane.answerMs * 0.7 + result.durationMs * 0.3);
    if (!outcomes.wasBrokenOff(result)) parking.note(lane, result);
    return result;
  }

  return {
    leaseForNew(endpointId) {
      return { lease: newLease(), room: stopping ? 0 : lanes.room(lanes.get(endpointId)) };
    },
    async sendNow(deliveryId) {
      if (stopping) return;
      const delivery = await deps.deliveries.claimOne(deliveryId, newLease());
      if (delivery === null) return;
      lanes.add(delivery, true);
      pump();
    },
    take,
    unpark(endpointId) {
      parking.clear(lanes.get(endpointId));
      refill.nudge([endpointId]);
    },
    nudge: refill.nudge,
    async wake(endpointId) {
      if (stopping) return;
      wakes.came(endpointId);
      refill.nudge([endpointId]);
      const at = await deps.deliveries.nextDueAt(endpointId);
      if (at !== null && at > deps.clock.now()) await wakes.ask(endpointId, at);
    },
    async sweep() {
      if (stopping) return;
      await outcomes.settleExpired();
      await outcomes.settleStrays(lanes.has);
      const due = await deps.deliveries.dueEndpoints(deps.clock.now(), ENDPOINTS_PER_SWEEP);
      await Promise.all(due.map(async (endpointId) => {
        const endpoint = (await deps.targets.get(endpointId))?.endpoint;
        if (endpoint !== undefined) parking.adopt(lanes.get(endpointId), endpoint);
        if (endpoint?.ordered === true) await deps.line.lineUp(endpointId);
      }));
      refill.nudge(due);
    },
    async stop(graceMs) {
      stopping = true;
      await refill.stop();
      const queued = lanes.all().flatMap((lane) => lanes.takeBack(lane, () => true));
      // Without a database they stay leased, and are sent when their lease has run out.
      await deps.deliveries.release(queued, deps.clock.now()).catch((error: unknown) => deps.log.warn({ err: error }, 'queued deliveries could not be given back'));
      if (running.size === 0) return;
      const late = setTimeout(() => {
        outcomes.breakOff();
        void deps.abort();
      }, graceMs);
      await Promise.all(running);
      clearTimeout(late);
    },
  };
}
