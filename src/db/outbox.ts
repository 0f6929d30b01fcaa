/** Events that a document carries from the update that made them true until they are told: a crash in between loses none. Told at least once. */
import type { Collection, Db, IndexDescription } from 'mongodb';
import type { Logger } from '../lib/logger.js';

/** What a document has while events wait in it; the index over `outboxAt` costs only then. */
export interface OutboxFields<E> {
  outbox?: E[];
  outboxAt?: Date;
}

export const outboxIndex: IndexDescription = { key: { outboxAt: 1 }, name: 'outbox', sparse: true };

export interface OutboxDeps<E> {
  db: Db;
  collection: string;
  /** Must be idempotent by event id: after a crash the same event comes again. */
  record(events: E[]): Promise<void>;
  log: Logger;
}

export interface FactOutbox {
  /** Something was just written: relay it soon. */
  nudge(): void;
  /** Relays all that waits; the sweep's door. */
  relay(): Promise<void>;
  /** Waits for the relaying that runs. */
  stop(): Promise<void>;
}

const BATCH = 100;

export function createFactOutbox<E extends { id: string }>({ db, collection, record, log }: OutboxDeps<E>): FactOutbox {
  const documents: Collection<OutboxFields<E> & { _id: string }> = db.collection(collection);
  let running: Promise<void> | null = null;
  let again = false;

  /** One document's trouble must not keep the others' events from being told. @returns false when it must be tried later */
  async function relayOne(id: string, events: E[]): Promise<boolean> {
    try {
      if (events.length > 0) await record(events);
      const told = { $pull: { outbox: { id: { $in: events.map((event) => event.id) } } } };
      await documents.updateOne({ _id: id } as object, told as object);
      // A newer event may have been written meanwhile.
      await documents.updateOne({ _id: id, outbox: { $size: 0 } } as object, { $unset: { outbox: '', outboxAt: '' } } as object);
      return true;
    } catch (error) {
      log.error({ err: error, collection, id }, 'events could not be relayed; the sweep tries again');
      return false;
    }
  }

  async function relayAll(): Promise<void> {
    for (;;) {
      const waiting = await documents.find({ outboxAt: { $gt: new Date(0) } } as object, { projection: { outbox: 1 } }).sort({ outboxAt: 1 }).limit(BATCH).toArray();
      const results = await Promise.all(waiting.map(({ _id, outbox }) => relayOne(String(_id), (outbox ?? []) as E[])));
      if (waiting.length < BATCH || results.includes(false)) return;
    }
  }

  function relay(): Promise<void> {
    if (running !== null) {
      again = true;
      return running;
    }
    running = (async () => {
      do {
        again = false;
        await relayAll();
      } while (again);
    })().finally(() => {
      running = null;
    });
    return running;
  }

  return {
    relay,
    nudge() {
      relay().catch((error: unknown) => log.error({ err: error, collection }, 'events could not be relayed; the sweep tries again'));
    },
    async stop() {
      await running?.catch(() => undefined);
    },
  };
}
