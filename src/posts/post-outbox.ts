/** Relays events from the posts' outboxes to whoever records them; at least once, in each post's order. */
import type { Logger } from '../lib/logger.js';
import type { PostEvent } from './post.js';
import type { PostStore } from './post-store.js';

export interface OutboxDeps {
  store: Pick<PostStore, 'readOutbox' | 'clearOutbox'>;
  /** Must be idempotent by event id: after a crash the same event comes again. */
  record(events: PostEvent[]): Promise<void>;
  log: Logger;
}

export interface PostOutbox {
  /** Something was written: relay soon. Many calls at once become one round. */
  nudge(): void;
  /** Relays all that waits; the sweep's door. */
  relay(): Promise<void>;
  /** Waits for the round that runs. */
  stop(): Promise<void>;
}

const BATCH = 200;

export function createPostOutbox({ store, record, log }: OutboxDeps): PostOutbox {
  let running: Promise<void> | null = null;
  let again = false;

  async function relayAll(): Promise<void> {
    for (;;) {
      const waiting = await store.readOutbox(BATCH);
      if (waiting.length === 0) return;
      await record(waiting.flatMap((entry) => entry.events));
      await store.clearOutbox(waiting);
      if (waiting.length < BATCH) return;
    }
  }

  function run(): Promise<void> {
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
    nudge() {
      run().catch((error: unknown) => log.error({ err: error }, 'events could not be relayed; the sweep tries again'));
    },
    relay: run,
    async stop() {
      await running?.catch(() => undefined);
    },
  };
}
