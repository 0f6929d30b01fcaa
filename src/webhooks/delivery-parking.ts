/** Minds the breakers of endpoints: parks what waits for one that is down, lets one request of all processes probe it, and tells the others. */
import type { Clock } from '../lib/clock.js';
import { afterAttempt, breakerFrom, isHalfOpen, newBreaker, newsOf, type StoredBreaker } from './breaker.js';
import type { AttemptResult } from './delivery.js';
import { isUrgent, type Lane, type Lanes } from './delivery-lanes.js';
import type { DeliveryStore } from './delivery-store.js';
import type { Wakes } from './delivery-wakes.js';
import type { Endpoint } from './endpoint.js';
import type { Targets } from './targets.js';

export interface ParkingDeps {
  deliveries: Pick<DeliveryStore, 'release'>;
  targets: Pick<Targets, 'get'>;
  clock: Clock;
  random(): number;
  /** Tells the other processes that an endpoint was parked, or is no longer. */
  shareBreaker(endpointId: string, breaker: StoredBreaker): Promise<void>;
  /** Asks for the one probe of an endpoint whose time is over, see `EndpointStore.takeProbe`; whoever doesn't get it can read from `targets` who did. */
  takeProbe(endpointId: string, meanwhile: StoredBreaker, knownAt: Date): Promise<boolean>;
}

export interface Parking {
  /** An answer, or that there was none, says how the endpoint is. */
  note(lane: Lane, result: AttemptResult): void;
  /** Believes a later word of another process, or of this one before it was started again. */
  adopt(lane: Lane, endpoint: Pick<Endpoint, 'breaker'>): void;
  /** What is claimed for a parked endpoint goes back; the endpoint is looked at again when it is no longer parked. */
  giveBack(lane: Lane): void;
  /** To be asked right before a request: false when the endpoint was parked, and somebody else probes it. */
  mayGo(lane: Lane): Promise<boolean>;
  /** Its owner says that it works. */
  clear(lane: Lane): void;
}

/**
 * @param options.perEndpoint requests that may be in flight to an endpoint that is well
 * @param options.probeMs outlasts any request: a probe that has no answer by then died with its process
 * @param options.track takes what goes on beside the attempt that caused it
 */
export function createParking(deps: ParkingDeps & { lanes: Lanes; wakes: Wakes }, options: { perEndpoint: number; probeMs: number; track(work: Promise<void>): void }): Parking {
  const { lanes, clock } = deps;
  const { perEndpoint, track } = options;

  function giveBack(lane: Lane): void {
    if (!lanes.isParked(lane)) return;
    const back = lanes.takeBack(lane, (delivery) => !isUrgent(delivery));
    if (back.length === 0) return;
    lane.hot = true;
    track(deps.deliveries.release(back, clock.now()));
  }

  function adopt(lane: Lane, { breaker }: Pick<Endpoint, 'breaker'>): void {
    if (breaker === null || breaker.at.getTime() <= lane.breakerAt) return;
    lane.breaker = breakerFrom(breaker, perEndpoint);
    lane.breakerAt = breaker.at.getTime();
    giveBack(lane);
  }

  return {
    note(lane, result) {
      const before = lane.breaker;
      const now = clock.now();
      if (result.status !== null) lane.answeredAt = now.getTime();
      // A failure that was sent before the endpoint was parked or repaired says nothing about it as it is now.
      if (result.error !== null && result.startedAt.getTime() < lane.breakerAt) return;
      lane.breaker = afterAttempt(before, result, perEndpoint, now.getTime(), deps.random());
      const news = newsOf(before, lane.breaker, now);
      if (news === null) return;
      lane.breakerAt = now.getTime();
      track(deps.shareBreaker(lane.endpointId, news));
      if (news.openUntil === null) return;
      giveBack(lane);
      track(deps.wakes.ask(lane.endpointId, news.openUntil));
    },
    adopt,
    giveBack,
    async mayGo(lane) {
      const now = clock.now();
      if (!isHalfOpen(lane.breaker, now.getTime())) return true;
      const meanwhile = { openUntil: new Date(now.getTime() + options.probeMs), openMs: lane.breaker.openMs, at: now };
      if (await deps.takeProbe(lane.endpointId, meanwhile, new Date(lane.breakerAt))) {
        lane.breakerAt = now.getTime();
        return true;
      }
      const latest = await deps.targets.get(lane.endpointId);
      if (latest !== null) adopt(lane, latest.endpoint);
      // It may be well by now.
      return lane.breaker.openUntil === 0;
    },
    clear(lane) {
      Object.assign(lane, { breaker: newBreaker(perEndpoint), breakerAt: clock.now().getTime() });
    },
  };
}
