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

export function createEventSender({ hookUrl, secret, log, random }: { hookUrl: () => string; secret: string; log: Logger; random: () => number }) {
  const sent: SentEvent[] = [];
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
      if (row.status !== null && row.status >= 200 && row.status < 300) return;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS * 2 ** i).unref());
    }
    log.warn({ event: row }, 'a simulated billing event was not taken');
  }

  return {
    /** Newest first. */
    sent,
    mode: { shuffle: false, duplicate: false } as SendingMode,
    async sendAll(this: void, events: StripeObject[], mode: SendingMode): Promise<void> {
      const doubled = mode.duplicate ? events.flatMap((event) => [event, event]) : events;
      const order = mode.shuffle ? doubled.map((event) => ({ event, key: random() })).sort((a, b) => a.key - b.key).map(({ event }) => event) : doubled;
      for (const event of order) await send(event);
    },
    stop(): void {
      stopped = true;
    },
  };
}
