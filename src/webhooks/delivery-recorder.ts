/** Writes outcomes of attempts in bulk: collects them for a few milliseconds, so that a busy worker makes few round trips. */
import type { Logger } from '../lib/logger.js';
import type { Notifier } from '../lib/notifier.js';
import type { DeliveryStore, Outcome } from './delivery-store.js';
import type { EndpointStore } from './endpoint-store.js';

export interface Recorder {
  /** Resolves when the outcome is stored, or could not be: then its lease runs out and the sweep settles it. */
  record(outcome: Outcome): Promise<void>;
}

const COLLECT_MS = 4;
const MAX_BATCH = 250;

export function createRecorder(deps: { deliveries: DeliveryStore; endpoints: EndpointStore; notifier: Notifier; log: Logger }): Recorder {
  let batch: { outcome: Outcome; done: () => void }[] = [];
  let timer: NodeJS.Timeout | null = null;

  async function flush(): Promise<void> {
    const taken = batch;
    batch = [];
    if (timer !== null) clearTimeout(timer);
    timer = null;
    const outcomes = taken.map(({ outcome }) => outcome);
    try {
      await Promise.all([deps.deliveries.record(outcomes), deps.endpoints.noteAttempts(lastPerEndpoint(outcomes))]);
    } catch (error) {
      deps.log.error({ err: error, deliveries: outcomes.length }, 'outcomes of deliveries could not be stored; they will be sent again');
    }
    for (const { done } of taken) done();
    for (const topic of new Set(outcomes.flatMap(({ delivery }) => [`account:${delivery.accountId}:deliveries`, `delivery:${delivery.id}`]))) deps.notifier.notify(topic);
  }

  return {
    record(outcome) {
      return new Promise((done) => {
        batch.push({ outcome, done });
        if (batch.length >= MAX_BATCH) void flush();
        else timer ??= setTimeout(() => void flush(), COLLECT_MS);
      });
    },
  };
}

function lastPerEndpoint(outcomes: Outcome[]): Parameters<EndpointStore['noteAttempts']>[0] {
  const last = new Map<string, Outcome>();
  for (const outcome of outcomes) last.set(outcome.delivery.endpointId, outcome);
  return [...last].map(([endpointId, { delivery, attempt }]) => ({
    endpointId,
    attempt: { at: attempt.startedAt, deliveryId: delivery.id, ok: attempt.error === null, status: attempt.status, error: attempt.error?.message ?? null },
  }));
}
