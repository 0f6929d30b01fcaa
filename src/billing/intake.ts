/** Takes what providers tell: verified, stored once, answered at once, and folded soon after, whatever happens to this process. */
import { AppError, ErrorCode } from '../lib/app-error.js';
import { createBatcher } from '../lib/batcher.js';
import type { Clock } from '../lib/clock.js';
import type { Logger } from '../lib/logger.js';
import { createAsking } from './asking.js';
import type { BillingApi } from './billing-api.js';
import type { Arrival, BillingEventStore, StoredEvent } from './billing-event-store.js';
import { providerOf, type Folding } from './folding.js';
import { inTime } from './in-time.js';
import type { BillingAdapter } from './provider.js';
import type { BillingEvent } from './subscription.js';

export interface IntakeDeps {
  adapters: readonly BillingAdapter[];
  events: BillingEventStore;
  folding: Folding;
  api: Pick<BillingApi, 'provider'> | null;
  clock: Clock;
  log: Logger;
}

export interface Receipt {
  status: 200 | 400 | 404;
  /** For the provider's log. */
  message: string;
}

const BATCH = { max: 200, concurrent: 2 };
const FOLDED_AT_ONCE = 200;
/** Events that were not folded by then were left by a process that died. */
const STUCK_AFTER_MS = 5_000;

export type Intake = ReturnType<typeof createIntake>;

export function createIntake(deps: IntakeDeps) {
  const { events, folding, clock, log, api } = deps;
  const insertSoon = createBatcher<Arrival, boolean>((arrivals) => events.insert(arrivals), BATCH);
  const toFold = new Set<string>();
  let foldingNow: Promise<void> | null = null;
  const asking = createAsking({ fetch: (subscription) => folding.fetch(subscription), fold: foldSoon, log });

  /** Many events of one moment are folded together; what fails is found by the sweep. */
  function foldSoon(customer: string): void {
    toFold.add(customer);
    if (foldingNow === null) startFolding();
  }

  function startFolding(): void {
    foldingNow = foldWaiting().finally(() => {
      foldingNow = null;
      if (toFold.size > 0) startFolding();
    });
  }

  async function foldWaiting(): Promise<void> {
    while (toFold.size > 0) {
      const batch = [...toFold].slice(0, FOLDED_AT_ONCE);
      for (const customer of batch) toFold.delete(customer);
      const unanswered = asking.takeUnanswered(batch);
      await folding.foldCustomers(batch, unanswered).catch(async (error: unknown) => {
        if (batch.length === 1) return logFailure(error, batch);
        // One customer's trouble must not keep the others waiting.
        for (const customer of batch) await folding.foldCustomers([customer], unanswered).catch((reason: unknown) => logFailure(reason, [customer]));
      });
    }
  }

  function logFailure(error: unknown, customers: string[]): void {
    log.error({ err: error, customers }, 'billing events could not be folded; the sweep tries again');
  }

  /** An event is a signal where the provider can be asked for the current state; else it is folded as it came. */
  function takeUp(customer: string, subscription: string | null): void {
    if (subscription !== null && api?.provider === providerOf(customer)) asking.ask(customer, subscription);
    else foldSoon(customer);
  }

  /** What is ignored now may mean something to a newer Signpost than the one that took it. */
  async function readAgain({ id, provider }: StoredEvent): Promise<BillingEvent | null> {
    const body = await events.bodyOf(id);
    const adapter = deps.adapters.find((one) => one.provider === provider);
    if (body === null || adapter === undefined) return null;
    const verified = adapter.read(Buffer.from(body));
    if (verified.outcome !== 'told' || verified.told.event === null) return null;
    await events.readAgain(id, verified.told.event, clock.now());
    return verified.told.event;
  }

  return {
    /**
     * Takes an event. When it answers 200 the event is stored, and will be folded whatever happens to this process.
     * @throws when it could not be stored: the provider then tries again
     */
    async receive(provider: string, raw: Buffer, headers: Record<string, string | undefined>): Promise<Receipt> {
      const adapter = deps.adapters.find(({ id }) => id === provider);
      if (adapter === undefined) return { status: 404, message: 'This billing provider is not set up.' };
      const now = clock.now();
      const verified = adapter.verify(raw, headers, now);
      if (verified.outcome !== 'told') {
        // A note that can't be made changes nothing about the answer: it is not ours.
        await inTime(events.noteRefusal(adapter.id, verified.reason, now)).catch((error: unknown) => log.error({ err: error }, 'a refused billing event could not be noted'));
        return { status: 400, message: verified.reason };
      }
      const { told } = verified;
      const isNew = await insertSoon({ told, raw: raw.toString('utf8'), receivedAt: now });
      if (told.event !== null && isNew) takeUp(told.event.customer, told.event.subscription);
      return { status: 200, message: isNew ? (told.reason ?? 'Received.') : 'Received before.' };
    },

    /** Notes what the door refused before anybody could read it. */
    async noteRefusal(provider: string, reason: string): Promise<void> {
      if (deps.adapters.some(({ id }) => id === provider)) await events.noteRefusal(provider, reason, clock.now());
    },

    /** Folds all events of this one's customer again. @returns false when there is nothing in it for us. @throws AppError `not-found`, `unavailable` */
    async replay(id: string): Promise<boolean> {
      const stored = await events.find(id);
      if (stored === null) throw new AppError('not-found', ErrorCode.notFound, 'There is no such event.');
      const event = stored.event ?? (await readAgain(stored));
      if (event === null) return false;
      if (event.subscription !== null && api?.provider === providerOf(event.customer)) await inTime(folding.fetch(event.subscription));
      await folding.foldCustomers([event.customer]);
      return true;
    },

    /** Takes up what a dead process left, and what the provider could not be asked yet. */
    async sweep(): Promise<void> {
      const stuck = await events.pendingCustomers(new Date(clock.now().getTime() - STUCK_AFTER_MS), 500);
      for (const { customer, subscription } of stuck) takeUp(customer, subscription);
      await foldingNow;
    },

    /** Lets what is being folded end; the rest is taken up at the next start. */
    async stop(): Promise<void> {
      asking.stop();
      await foldingNow;
    },

    /** Waits until what was received is folded. */
    async idle(): Promise<void> {
      await asking.idle();
      while (foldingNow !== null) await foldingNow;
    },
  };
}
