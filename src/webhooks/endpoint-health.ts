/** Turns endpoints off that have done nothing but fail for days; warns before, by mail and on the page. */
import type { Clock } from '../lib/clock.js';
import type { Logger } from '../lib/logger.js';
import type { DeliveryRow } from './delivery-doc.js';
import type { DeliveryLogStore } from './delivery-log-store.js';
import type { Endpoint } from './endpoint.js';
import type { EndpointStore } from './endpoint-store.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const DISABLE_AFTER_MS = 5 * DAY_MS;
/** Its owner is warned after so many days of nothing but failure. */
const WARN_AFTER_DAYS = [3, 1] as const;
/** One event that fails for days may be that event's fault: several, spread over time, are the endpoint's. */
const DISTINCT_EVENTS = 3;
const SPREAD_MS = 12 * HOUR_MS;
const LOOK_AT = 200;
/** Longest failing first, so that those to be turned off are among them. */
const MOST_AT_ONCE = 500;

export interface EndpointHealthDeps {
  endpoints: Pick<EndpointStore, 'listFailing'>;
  deliveries: Pick<DeliveryLogStore, 'listByEndpoint'>;
  disable(endpointId: string, reason: string): Promise<void>;
  /** Said once for each number of days. */
  warn(endpoint: Endpoint, days: number): Promise<void>;
  clock: Clock;
  log: Logger;
}

export function createEndpointHealth(deps: EndpointHealthDeps): { sweep(): Promise<void> } {
  async function look(endpoint: Endpoint): Promise<void> {
    const since = endpoint.failingSince ?? deps.clock.now();
    const failingMs = deps.clock.now().getTime() - since.getTime();
    const days = WARN_AFTER_DAYS.find((after) => failingMs >= after * DAY_MS);
    if (days !== undefined) await deps.warn(endpoint, days);
    if (failingMs < DISABLE_AFTER_MS || !isHopeless(await deps.deliveries.listByEndpoint(endpoint.id, LOOK_AT), since)) return;
    const last = endpoint.lastAttempt?.error ?? 'no answer';
    await deps.disable(endpoint.id, `Every delivery has failed since ${since.toISOString()}. Last: ${last}`);
    deps.log.warn({ endpointId: endpoint.id, since }, 'endpoint disabled after days of failure');
  }

  return {
    async sweep() {
      const since = new Date(deps.clock.now().getTime() - DAY_MS);
      for (const endpoint of await deps.endpoints.listFailing(since, MOST_AT_ONCE)) await look(endpoint);
    },
  };
}

/** @param deliveries the endpoint's newest ones */
export function isHopeless(deliveries: readonly Pick<DeliveryRow, 'eventId' | 'attemptCount' | 'state' | 'createdAt' | 'endedAt'>[], failingSince: Date): boolean {
  const tried = deliveries.filter(({ attemptCount, createdAt, endedAt }) => attemptCount > 0 && (createdAt >= failingSince || endedAt === null || endedAt >= failingSince));
  if (tried.some(({ state, endedAt }) => state === 'delivered' && endedAt !== null && endedAt >= failingSince)) return false;
  const failed = tried.filter(({ state }) => state !== 'delivered');
  const times = failed.map(({ createdAt }) => createdAt.getTime());
  return new Set(failed.map(({ eventId }) => eventId)).size >= DISTINCT_EVENTS && Math.max(...times) - Math.min(...times) >= SPREAD_MS;
}
