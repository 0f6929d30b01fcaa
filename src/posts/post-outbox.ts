/** Relays events from the posts' outboxes to whoever records them; at least once, in each post's order. */
import type { Logger } from '../lib/logger.js';
import type { PostEvent } from './post.js';
import type { PostStore, WaitingEvents } from './post-store.js';

export interface OutboxDeps {
  store: Pick<PostStore, 'readOutbox' | 'clearOutbox'>;
  /** Must be idempotent by event id: after a crash the same event comes again. */
  record(events: PostEvent[]): Promise<void>;
  log: Logger;
}

export interface PostOutbox {
  /** These were just written: relay them soon, without reading them again. Many calls at once become one round. */
  written(post: { id: string; sequence: number }, events: PostEvent[]): void;
  /** Something was written somewhere: look soon. */
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

  let fresh: WaitingEvents[] = [];
  let mustLook = false;

  async function hand(over: WaitingEvents[]): Promise<void> {
    await record(over.flatMap((entry) => entry.events));
    await store.clearOutbox(over);
  }

  /** What was handed to us first, in order; then, if asked, what only the documents know. What fails here is found by the sweep. */
  async function relayAll(): Promise<void> {
    while (fresh.length > 0) {
      const batch = fresh.slice(0, BATCH);
      fresh = fresh.slice(BATCH);
      await hand(batch);
    }
    while (mustLook) {
      mustLook = false;
      const waiting = await store.readOutbox(BATCH);
      if (waiting.length > 0) await hand(waiting);
      mustLook ||= waiting.length === BATCH;
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

  function soon(): void {
    if (timer !== null) return;
    const waitMs = startedAt + GATHER_MS - Date.now();
    if (waitMs <= 0 && running === null) runLogged();
    else timer = setTimeout(runLogged, Math.max(waitMs, 1));
  }

  return {
    written(post, events) {
      if (events.length === 0) return;
      fresh.push({ postId: post.id, events, sequence: post.sequence });
      soon();
    },
    nudge() {
      mustLook = true;
      soon();
    },
    relay() {
      mustLook = true;
      return run();
    },
    async stop() {
      if (timer !== null) clearTimeout(timer);
      await running?.catch(() => undefined);
    },
  };
}
