/** Sends the simulated provider's events, signed as Stripe signs them; on demand shuffled and doubled, as the real one may. */
import Stripe from 'stripe';
import type { Logger } from '../../lib/logger.js';
import type { StripeObject } from './stripe-objects.js';

export interface SendingMode {
  shuffle: boolean;
  duplicate: boolean;
}

export interface SentEvent {
  id: string;
  type: string;
  /** HTTP status of the last try; null: no answer. */
  status: number | null;
}

const TRIES = 4;
const AGAIN_MS = 500;
const TIMEOUT_MS = 5_000;
const KEPT = 50;

export type EventSender = ReturnType<typeof createEventSender>;

export interface EventSenderDeps {
  hookUrl(): string;
  secret: string;
  /** What is still to be sent, remembered. */
  unsent(): readonly StripeObject[];
  /** Forgets it: it was taken. */
  taken(event: StripeObject): void;
  log: Logger;
  random(): number;
}

export function createEventSender({ hookUrl, secret, unsent, taken, log, random }: EventSenderDeps) {
  const sent: SentEvent[] = [];
  const underWay = new Set<StripeObject>();
  let stopped = false;

  async function sendOnce(event: StripeObject): Promise<number | null> {
    const payload = JSON.stringify(event);
    const signature = Stripe.webhooks.generateTestHeaderString({ payload, secret });
    try {
      const response = await fetch(hookUrl(), {
        method: 'POST', body: payload, headers: { 'content-type': 'application/json', 'stripe-signature': signature }, redirect: 'manual', signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      await response.arrayBuffer();
      return response.status;
    } catch {
      return null;
    }
  }

  async function send(event: StripeObject): Promise<void> {
    const row: SentEvent = { id: String(event['id']), type: String(event['type']), status: null };
    sent.unshift(row);
    sent.length = Math.min(sent.length, KEPT);
    for (let i = 0; i < TRIES && !stopped; i++) {
      row.status = await sendOnce(event);
      if (row.status !== null && row.status >= 200 && row.status < 300) return forget(event);
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS * 2 ** i).unref());
    }
    if (!stopped) log.warn({ event: row }, 'a simulated billing event was not taken; it is sent again');
  }

  function forget(event: StripeObject): void {
    try {
      taken(event);
    } catch (error) {
      log.warn({ err: error }, 'what was sent could not be noted; it is sent once more after the next start');
    }
  }

  async function sendAll(events: readonly StripeObject[], mode: SendingMode): Promise<void> {
    const doubled = mode.duplicate ? events.flatMap((event) => [event, event]) : events;
    const order = mode.shuffle ? doubled.map((event) => ({ event, key: random() })).sort((a, b) => a.key - b.key).map(({ event }) => event) : doubled;
    for (const event of events) underWay.add(event);
    for (const event of order) await send(event);
    for (const event of events) underWay.delete(event);
  }

  return {
    /** Newest first. */
    sent,
    mode: { shuffle: false, duplicate: false } as SendingMode,
    sendAll,
    /** Sends what was not taken: this process, or the one before it, may have stopped in between. */
    sendUnsent(): void {
      const left = unsent().filter((event) => !underWay.has(event));
      void sendAll(left, { shuffle: false, duplicate: false });
    },
    stop(): void {
      stopped = true;
    },
  };
}
