/** Use cases of the delivery log: list, look at one, send again. */
import type { Actor } from '../lib/actor.js';
import { AppError, ErrorCode } from '../lib/app-error.js';
import type { Clock } from '../lib/clock.js';
import type { Notifier } from '../lib/notifier.js';
import { deliveryId, type Delivery } from './delivery.js';
import type { DeliveryRow } from './delivery-doc.js';
import type { DeliveryLine } from './delivery-line.js';
import type { DeliveryFilter, DeliveryLogStore } from './delivery-log-store.js';
import type { DeliveryResendStore } from './delivery-resend-store.js';
import type { DeliveryStats } from './delivery-stats.js';
import type { DeliveryWorker } from './delivery-worker.js';

export interface DeliveryServiceDeps {
  log: DeliveryLogStore;
  resends: Pick<DeliveryResendStore, 'resend'>;
  line: Pick<DeliveryLine, 'first' | 'count'>;
  stats: { of(accountId: string, since: Date): Promise<DeliveryStats> };
  worker: Pick<DeliveryWorker, 'sendNow'>;
  endpointExists(id: string): Promise<boolean>;
  endpointIds(accountId: string): Promise<string[]>;
  notifier: Notifier;
  clock: Clock;
  /** How long deliveries are kept. */
  retentionDays: number;
}

export interface DayView {
  hours: { total: number; failed: number }[];
  total: number;
  failed: number;
}

const DAY_HOURS = 24;

export type DeliveryService = ReturnType<typeof createDeliveryService>;

export function createDeliveryService(deps: DeliveryServiceDeps) {
  async function get(actor: Actor, id: string): Promise<Delivery> {
    const delivery = await deps.log.find(actor.accountId, id);
    if (delivery === null) throw new AppError('not-found', ErrorCode.notFound, `There is no such delivery. Deliveries are kept for ${deps.retentionDays} days.`);
    return delivery;
  }

  async function waitsBehind({ id, endpointId, position }: Pick<DeliveryRow, 'id' | 'endpointId' | 'position'>): Promise<DeliveryRow | null> {
    const first = position === null ? null : await deps.line.first(endpointId);
    return first === null || first.id === id ? null : first;
  }

  return {
    retentionDays: deps.retentionDays,

    get,

    /** What this delivery of an ordered endpoint waits for; null when it waits for nothing. */
    waitsBehind,

    /** The line of an ordered endpoint: what is first, and how many stand behind it. */
    async line(endpointId: string): Promise<{ first: DeliveryRow | null; behind: number }> {
      const [first, count] = await Promise.all([deps.line.first(endpointId), deps.line.count(endpointId)]);
      return { first, behind: Math.max(0, count - 1) };
    },

    async list(actor: Actor, filter: Omit<DeliveryFilter, 'accountId'>): Promise<DeliveryRow[]> {
      return deps.log.list({ ...filter, accountId: actor.accountId });
    },

    /** Deliveries of these events to endpoints that are there now: a delivery's id follows from both. */
    async ofEvents(actor: Actor, eventIds: string[]): Promise<DeliveryRow[]> {
      const endpointIds = await deps.endpointIds(actor.accountId);
      return deps.log.findMany(actor.accountId, eventIds.flatMap((eventId) => endpointIds.map((endpointId) => deliveryId(eventId, endpointId))));
    },

    /** The last 24 hours of each endpoint, hour by hour, oldest first. */
    async lastDay(actor: Actor): Promise<Map<string, DayView>> {
      const since = new Date(deps.clock.now().getTime() - DAY_HOURS * 3_600_000);
      const days = new Map<string, DayView>();
      for (const { endpointId, hour, total, failed } of await deps.log.countByHour(actor.accountId, since)) {
        const day = days.get(endpointId) ?? { hours: Array.from({ length: DAY_HOURS }, () => ({ total: 0, failed: 0 })), total: 0, failed: 0 };
        day.hours[Math.min(DAY_HOURS - 1, hour)] = { total, failed };
        day.total += total;
        day.failed += failed;
        days.set(endpointId, day);
      }
      return days;
    },

    /** How deliveries of the last `withinMs` went. */
    stats(actor: Actor, withinMs: number): Promise<DeliveryStats> {
      return deps.stats.of(actor.accountId, new Date(deps.clock.now().getTime() - withinMs));
    },

    async latestOf(endpointId: string, limit: number): Promise<DeliveryRow[]> {
      return deps.log.listByEndpoint(endpointId, limit);
    },

    /**
     * Sends it once more, now, with the same `webhook-id`. If that fails, the delivery goes on as it was before.
     * @throws AppError `conflict` when it is being sent right now, or its endpoint is gone
     */
    async resend(actor: Actor, id: string): Promise<void> {
      const delivery = await get(actor, id);
      if (!(await deps.endpointExists(delivery.endpointId))) throw new AppError('conflict', ErrorCode.conflict, 'The endpoint of this delivery was removed, so it cannot be sent again.');
      const ahead = await waitsBehind(delivery);
      if (ahead !== null) throw new AppError('conflict', ErrorCode.conflict, 'Its endpoint is served in order, and an earlier delivery has not got through yet. Send that one first.');
      if (!(await deps.resends.resend(id, deps.clock.now()))) throw new AppError('conflict', ErrorCode.conflict, 'This delivery is being sent right now. Look again in a moment.');
      await deps.worker.sendNow(id);
      deps.notifier.notify(`delivery:${id}`);
    },
  };
}
