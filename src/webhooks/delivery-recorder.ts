/** Writes outcomes of attempts in bulk: collects them for a few milliseconds, so that a busy worker makes few round trips. */
import type { Logger } from '../lib/logger.js';
import type { Notifier } from '../lib/notifier.js';
import type { DeliveryStore, Outcome } from './delivery-store.js';
import type { AttemptNote, EndpointStore } from './endpoint-store.js';

export interface Recorder {
  /** @returns false when the outcome could not be stored, however often it was tried: then the sweep settles it */
  record(outcome: Outcome): Promise<boolean>;
  /** Writes what is left. */
  stop(): Promise<void>;
}

const COLLECT_MS = 4;
/** When outcomes come one upon the other, larger batches cost the database and this process less. */
const BUSY_COLLECT_MS = 30;
/** So many are written at once, without waiting for more. */
const ENOUGH = 60;
const MAX_BATCH = 500;
/** Storing an outcome twice changes nothing, so it is tried again: giving up means that the receiver gets the webhook once more. */
const RETRY_AFTER_MS = [100, 400, 1_600];
/** What the list of endpoints shows may be this much behind: with many endpoints, noting each delivery at once would cost as much as storing it. */
const NOTE_EVERY_MS = 1_000;
/** An endpoint that goes on as before is noted this seldom. */
const SAME_AGAIN_MS = 5_000;
const NOTED_KEPT = 5_000;

export function createRecorder(deps: { deliveries: Pick<DeliveryStore, 'record'>; endpoints: Pick<EndpointStore, 'noteAttempts'>; notifier: Notifier; log: Logger }): Recorder {
  const waiting: { outcome: Outcome; done: (stored: boolean) => void }[] = [];
  const notes = new Map<string, AttemptNote>();
  const noted = new Map<string, { ok: boolean; at: number }>();
  let writing: Promise<void> | null = null;
  let noting: NodeJS.Timeout | null = null;
  let stopping = false;
  let enough = (): void => undefined;

  /** One write at a time: under load, what comes meanwhile makes the next batch. */
  function startWriting(collectMs: number): void {
    if (writing !== null || waiting.length === 0) return;
    writing = (waiting.length >= ENOUGH || stopping ? Promise.resolve() : moreOr(collectMs))
      .then(() => write(waiting.splice(0, MAX_BATCH)))
      .finally(() => {
        writing = null;
        startWriting(BUSY_COLLECT_MS);
      });
  }

  /** Resolves when enough have come or the time is up. */
  function moreOr(collectMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, collectMs);
      enough = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async function store(outcomes: Outcome[]): Promise<boolean> {
    for (const retryAfterMs of [...RETRY_AFTER_MS, null]) {
      try {
        await deps.deliveries.record(outcomes);
        return true;
      } catch (error) {
        deps.log.warn({ err: error, deliveries: outcomes.length }, retryAfterMs === null ? 'outcomes of deliveries could not be stored; they will be sent again' : 'outcomes of deliveries could not be stored; trying again');
        if (retryAfterMs !== null) await pause(retryAfterMs);
      }
    }
    return false;
  }

  async function write(batch: typeof waiting): Promise<void> {
    const outcomes = batch.map(({ outcome }) => outcome);
    const isStored = await store(outcomes);
    // An attempt that ended with its process says nothing of its receiver.
    for (const outcome of outcomes) if (outcome.attempt.error?.class !== 'interrupted') notes.set(outcome.delivery.endpointId, noteOf(outcome));
    noting ??= setTimeout(() => void writeNotes(), NOTE_EVERY_MS);
    for (const { done } of batch) done(isStored);
    for (const topic of new Set(outcomes.flatMap(({ delivery }) => [`account:${delivery.accountId}:deliveries`, `delivery:${delivery.id}`]))) deps.notifier.notify(topic);
  }

  function isDue({ endpointId, attempt }: AttemptNote, now: number): boolean {
    const last = noted.get(endpointId);
    return stopping || last === undefined || last.ok !== attempt.ok || now - last.at >= SAME_AGAIN_MS;
  }

  async function writeNotes(): Promise<void> {
    const now = performance.now();
    const due = [...notes.values()].filter((note) => isDue(note, now));
    if (noted.size > NOTED_KEPT) noted.clear();
    for (const { endpointId, attempt } of due) {
      notes.delete(endpointId);
      noted.set(endpointId, { ok: attempt.ok, at: now });
    }
    noting = notes.size === 0 || stopping ? null : setTimeout(() => void writeNotes(), NOTE_EVERY_MS);
    await deps.endpoints.noteAttempts(due).catch((error: unknown) => deps.log.warn({ err: error }, 'the last attempts of endpoints could not be noted'));
  }

  return {
    record(outcome) {
      return new Promise((done) => {
        waiting.push({ outcome, done });
        if (waiting.length >= ENOUGH) enough();
        startWriting(COLLECT_MS);
      });
    },
    async stop() {
      stopping = true;
      enough();
      while (writing !== null) await writing;
      if (noting !== null) clearTimeout(noting);
      await writeNotes();
    },
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function noteOf({ delivery, attempt }: Outcome): AttemptNote {
  return {
    endpointId: delivery.endpointId,
    attempt: { at: attempt.startedAt, deliveryId: delivery.id, ok: attempt.error === null, status: attempt.status, error: attempt.error?.message ?? null },
  };
}
