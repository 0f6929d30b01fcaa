/** Keeps the lanes filled: claims what is due for endpoints that have room, a batch for many at once, and one batch after the other. */
import type { Clock } from '../lib/clock.js';
import type { Logger } from '../lib/logger.js';
import type { Delivery, Lease } from './delivery.js';
import { createClaims, type ClaimsDeps } from './delivery-claims.js';
import type { Lane, Lanes } from './delivery-lanes.js';

export interface RefillDeps extends ClaimsDeps {
  clock: Clock;
  log: Logger;
}

export interface Refill {
  /** There may be due deliveries for these endpoints. */
  nudge(endpointIds: string[]): void;
  /** A lane has given up a slot: it may need more by now, or none of our memory. */
  lookAt(lane: Lane): void;
  /** Claims nothing more; resolves when what is under way has ended. */
  stop(): Promise<void>;
}

const ENDPOINTS_PER_CLAIM = 50;

/** @param take gets what was claimed, and is called with nothing when a lane may have become free */
export function createRefill(deps: RefillDeps & { lanes: Lanes; newLease(): Lease }, take: (deliveries: Delivery[]) => void): Refill {
  const { lanes } = deps;
  const claims = createClaims(deps);
  /** Endpoints that wait for their rate limit's next share. */
  const paced = new Map<string, NodeJS.Timeout>();
  let refilling: Promise<void> | null = null;
  let stopping = false;

  function refill(): void {
    if (stopping || refilling !== null) return;
    refilling = claimAll()
      .catch((error: unknown) => deps.log.error({ err: error }, 'claiming deliveries failed; the sweep goes on'))
      .finally(() => {
        refilling = null;
        take([]);
        // A nudge may have come after the last look.
        if (lanes.all().some(lanes.wantsMore)) refill();
      });
  }

  async function claimAll(): Promise<void> {
    for (;;) {
      const wanted = lanes.all().filter(lanes.wantsMore).slice(0, ENDPOINTS_PER_CLAIM).map((lane) => ({ endpointId: lane.endpointId, limit: lanes.room(lane) }));
      if (wanted.length === 0 || stopping) return;
      // Cold from here: a nudge that comes while the claim is under way makes it hot again.
      for (const { endpointId } of wanted) lanes.get(endpointId).hot = false;
      const now = deps.clock.now();
      const { deliveries, more, limited } = await claims.claim(wanted, now, deps.newLease);
      for (const endpointId of more) lanes.get(endpointId).hot = true;
      take(deliveries);
      for (const { endpointId } of wanted) if (!more.has(endpointId)) lookAt(lanes.get(endpointId));
      for (const { endpointId, nextAt } of limited) later(endpointId, nextAt - now.getTime());
    }
  }

  /** Looks at a limited endpoint again when its next share comes; should the process die before, the sweep does. */
  function later(endpointId: string, waitMs: number): void {
    if (paced.has(endpointId)) return;
    const timer = setTimeout(() => {
      paced.delete(endpointId);
      nudge([endpointId]);
    }, Math.max(1, waitMs));
    paced.set(endpointId, timer.unref());
  }

  function nudge(endpointIds: string[]): void {
    if (stopping) return;
    for (const endpointId of endpointIds) lanes.get(endpointId).hot = true;
    refill();
  }

  function lookAt(lane: Lane): void {
    if (lanes.wantsMore(lane)) refill();
    else lanes.forgetIdle(lane);
  }

  return {
    nudge,
    lookAt,
    async stop() {
      stopping = true;
      for (const timer of paced.values()) clearTimeout(timer);
      await refilling;
    },
  };
}
