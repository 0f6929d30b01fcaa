/**
 * Asks the provider for the current state of subscriptions: few at once, each once for all who ask meanwhile. A provider that is slow or down
 * holds nobody up: after a short while the events are folded as they came, and again when the answer is there.
 */
import type { Logger } from '../lib/logger.js';

export interface AskingDeps {
  /** Asks and keeps the answer. @throws when there is none */
  fetch(subscription: string): Promise<unknown>;
  /** Called when the answer is there, when it isn't in time, and when there will be none. */
  fold(customer: string): void;
  log: Logger;
}

export interface Asking {
  ask(customer: string, subscription: string): void;
  /** Those subscriptions of these customers that were asked for without an answer so far. Failures are named once. */
  takeUnanswered(customers: readonly string[]): Set<string>;
  /** Waits until nothing is asked any more. */
  idle(): Promise<void>;
  /** Asks nothing more and waits for nobody: what is open is asked again by the next process. */
  stop(): void;
}

interface Question {
  customer: string;
  /** Something happened since it was asked last. */
  again: boolean;
  isLate: boolean;
}

const AT_ONCE = 8;
const PATIENCE_MS = 600;

export function createAsking({ fetch, fold, log }: AskingDeps): Asking {
  const open = new Map<string, Question>();
  /** Customer by subscription. */
  const failed = new Map<string, string>();
  const waiting: string[] = [];
  let working = 0;
  let stopped = false;
  let whenIdle: (() => void)[] = [];

  async function askFor(subscription: string, question: Question): Promise<void> {
    question.again = false;
    try {
      await fetch(subscription);
    } catch (error) {
      if (stopped) return;
      failed.set(subscription, question.customer);
      log.warn({ err: error, subscription }, 'the billing provider could not be asked for a subscription; it is asked again');
    }
    if (stopped) return;
    if (question.again) {
      waiting.push(subscription);
      return;
    }
    open.delete(subscription);
    fold(question.customer);
  }

  async function work(): Promise<void> {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const question = open.get(next);
      if (question !== undefined) await askFor(next, question);
    }
    working -= 1;
    if (working > 0) return;
    for (const done of whenIdle) done();
    whenIdle = [];
  }

  function begin(): void {
    if (working === AT_ONCE) return;
    working += 1;
    void work();
  }

  return {
    ask(customer, subscription) {
      const known = open.get(subscription);
      if (known !== undefined) {
        known.again = true;
        // Nobody waits a second time for a provider that doesn't answer.
        if (known.isLate) fold(customer);
        return;
      }
      const question = { customer, again: false, isLate: false };
      open.set(subscription, question);
      waiting.push(subscription);
      begin();
      setTimeout(() => {
        if (stopped || open.get(subscription) !== question) return;
        question.isLate = true;
        fold(customer);
      }, PATIENCE_MS).unref();
    },

    takeUnanswered(customers) {
      const asked = new Set(customers);
      const unanswered = new Set<string>();
      for (const [subscription, { customer }] of open) if (asked.has(customer)) unanswered.add(subscription);
      for (const [subscription, customer] of failed) {
        if (!asked.has(customer)) continue;
        unanswered.add(subscription);
        failed.delete(subscription);
      }
      return unanswered;
    },

    stop() {
      stopped = true;
      waiting.length = 0;
    },

    async idle() {
      if (working > 0) await new Promise<void>((resolve) => whenIdle.push(resolve));
    },
  };
}
