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
/** Under load, rounds begin this far apart, so that each carries many events; a single event after a pause goes at once. */
const GATHER_MS = 25;

export function createPostOutbox({ store, record, log }: OutboxDeps): PostOutbox {
  let running: Promise<void> | null = null;
  let again = false;
  let startedAt = 0;
  let timer: NodeJS.Timeout | null = null;

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
        startedAt = Date.now();
        await relayAll();
      } while (again);
    })().finally(() => {
      running = null;
    });
    return running;
  }

  function runLogged(): void {
    timer = null;
    run().catch((error: unknown) => log.error({ err: error }, 'events could not be relayed; the sweep tries again'));
  }

  return {
    nudge() {
      if (timer !== null) return;
      const waitMs = startedAt + GATHER_MS - Date.now();
      if (waitMs <= 0 && running === null) runLogged();
      else timer = setTimeout(runLogged, Math.max(waitMs, 1));
    },
    relay: run,
    async stop() {
      if (timer !== null) clearTimeout(timer);
      await running?.catch(() => undefined);
    },
  };
}
