/** Stands in for the delivery worker in a process that sends nothing itself: it asks the clock to wake one that does. */
import type { DeliveryWorker, WorkerDeps } from './delivery-worker.js';

export function createRemoteWorker({ jobs, clock, log }: Pick<WorkerDeps, 'jobs' | 'clock' | 'log'>): DeliveryWorker {
  // A wake-up is asked for once per second: at the second's end it finds all that was asked for before.
  const wake = (endpointId: string): Promise<void> => jobs.wakeAt('deliver', endpointId, new Date((Math.floor(clock.now().getTime() / 1_000) + 1) * 1_000));
  const nudge = (endpointIds: string[]): void => {
    for (const endpointId of endpointIds) wake(endpointId).catch((error: unknown) => log.error({ err: error }, 'no wake-up could be asked for; the sweep finds the delivery'));
  };
  return {
    leaseForNew: () => ({ lease: { token: '', until: clock.now() }, room: 0 }),
    take: () => undefined,
    sendNow: (deliveryId) => jobs.wakeAt('deliver-now', deliveryId, clock.now()),
    unpark: (endpointId) => nudge([endpointId]),
    nudge,
    wake,
    sweep: async () => undefined,
    stop: async () => undefined,
  };
}
