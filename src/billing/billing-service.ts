/** The use cases of billing: take an event, say what an account has, open checkout and portal, replay, set a plan by hand. */
import type { Actor } from '../accounts/actor.js';
import { AppError, ErrorCode } from '../lib/app-error.js';
import { createBatcher } from '../lib/batcher.js';
import type { Clock } from '../lib/clock.js';
import { newToken } from '../lib/ids.js';
import type { Logger } from '../lib/logger.js';
import type { BillingApi } from './billing-api.js';
import { createAsking } from './asking.js';
import type { Arrival, BillingEventStore, StoredEvent } from './billing-event-store.js';
import type { BillingAccount, BillingStore, SubscriptionChanged } from './billing-store.js';
import { providerOf, type Folding } from './folding.js';
import { findPlan, freePlan, type Plan, type PlanBook } from './plan.js';
import type { BillingAdapter } from './provider.js';
import { entitlementOf, type BillingEvent, type Entitlement } from './subscription.js';

export interface BillingServiceDeps {
  adapters: readonly BillingAdapter[];
  events: BillingEventStore;
  store: BillingStore;
  folding: Folding;
  plans: PlanBook;
  api: BillingApi | null;
  clock: Clock;
  /** The time by which plans begin and end: a simulated provider's may be ahead. */
  planClock: Clock;
  log: Logger;
  publicUrl(): string;
  emailOf(accountId: string): Promise<string | null>;
  /** Hands a change to the webhooks; idempotent by event id. */
  record(changed: SubscriptionChanged): Promise<void>;
}

export interface Receipt {
  status: 200 | 400 | 404;
  /** For the provider's log. */
  message: string;
}

export interface BillingView extends Entitlement {
  account: BillingAccount | null;
}

const BATCH = { max: 200, concurrent: 2 };
const FOLDED_AT_ONCE = 200;
/** Events that were not folded by then were left by a process that died. */
const STUCK_AFTER_MS = 5_000;
/** A page waits no longer than this for the provider; what it says arrives as events too. */
const PAGE_PATIENCE_MS = 3_000;

export type BillingService = ReturnType<typeof createBillingService>;

export function createBillingService(deps: BillingServiceDeps) {
  const { events, store, folding, clock, log, plans, api } = deps;
  const providers = new Set(deps.adapters.map(({ provider }) => provider));
  const insertSoon = createBatcher<Arrival, boolean>((arrivals) => events.insert(arrivals), BATCH);
  const toFold = new Set<string>();
  let foldingNow: Promise<void> | null = null;
  const asking = createAsking({ fetch: (subscription) => folding.fetch(subscription), fold: foldSoon, log });

  /** Many events of one moment are folded together; what fails is found by the sweep. */
  function foldSoon(customer: string): void {
    toFold.add(customer);
    foldingNow ??= foldWaiting().finally(() => {
      foldingNow = null;
    });
  }

  async function foldWaiting(): Promise<void> {
    while (toFold.size > 0) {
      const batch = [...toFold].slice(0, FOLDED_AT_ONCE);
      for (const customer of batch) toFold.delete(customer);
      await folding.foldCustomers(batch, asking.takeUnanswered(batch)).catch((error: unknown) => {
        log.error({ err: error }, 'billing events could not be folded; the sweep tries again');
      });
    }
  }

  /** An event is a signal where the provider can be asked for the current state; else it is folded as it came. */
  function takeUp(customer: string, subscription: string | null): void {
    if (subscription !== null && api?.provider === providerOf(customer)) asking.ask(customer, subscription);
    else foldSoon(customer);
  }

  function seen(account: BillingAccount | null): BillingView {
    const subscriptions = (account?.subscriptions ?? []).filter(({ provider }) => providers.has(provider));
    return { account, ...entitlementOf(subscriptions, account?.manual ?? null, plans, deps.planClock.now()) };
  }

  async function viewOf(accountId: string): Promise<BillingView> {
    return seen(await store.findAccount(accountId));
  }

  /** One account's trouble must not keep the others' changes from being told. */
  async function relayAll(): Promise<void> {
    for (;;) {
      const waiting = await store.readOutbox(100);
      const told: SubscriptionChanged[] = [];
      for (const changed of waiting) {
        await deps.record(changed).then(() => told.push(changed), (error: unknown) => log.error({ err: error, accountId: changed.accountId }, 'a change of plan could not be told; the sweep tries again'));
      }
      await store.clearOutbox(told);
      if (told.length === 0 || told.length < waiting.length) return;
    }
  }

  let relaying: Promise<void> = Promise.resolve();
  /** One after the other, so that changes are told in the order in which they happened. */
  function relay(): Promise<void> {
    relaying = relaying.catch(() => undefined).then(relayAll);
    return relaying;
  }

  /** The account's customer, if it is one of the provider that can be asked. */
  function customerAtApi(account: BillingAccount | null): string | null {
    const customer = account?.customer ?? null;
    return customer !== null && api?.provider === providerOf(customer) ? customer : null;
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

  function requireApi(): BillingApi {
    if (api !== null) return api;
    throw new AppError('unavailable', ErrorCode.unavailable, 'Paying online is not set up on this Signpost. Ask its administrator to change your plan.');
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
        await events.noteRefusal(adapter.id, verified.reason, now);
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

    viewOf,

    async planOf(accountId: string): Promise<Plan> {
      return (await viewOf(accountId)).plan;
    },

    /** @returns the address to send the browser to. @throws AppError `not-found`, `conflict`, `unavailable` */
    async checkout(actor: Actor, planKey: string): Promise<string> {
      const plan = findPlan(plans, planKey);
      if (plan === null || plan.price === null) throw new AppError('not-found', ErrorCode.notFound, 'There is no such plan to buy.');
      const view = await viewOf(actor.accountId);
      if (view.subscription !== null && view.subscription.endedAt === null) {
        throw new AppError('conflict', ErrorCode.conflict, 'You have a subscription already. Change it on the provider\'s page instead of making a second one.');
      }
      const email = (await deps.emailOf(actor.accountId)) ?? '';
      return requireApi().checkout({
        accountId: actor.accountId, email, customer: customerAtApi(view.account), plan, idempotencyKey: newToken(18),
        successUrl: `${deps.publicUrl()}/billing/return?session_id={CHECKOUT_SESSION_ID}`, cancelUrl: `${deps.publicUrl()}/billing`,
      });
    },

    /** @returns the address of the provider's page for managing the subscription. @throws AppError `conflict`, `unavailable` */
    async portal(actor: Actor): Promise<string> {
      const customer = customerAtApi(await store.findAccount(actor.accountId));
      if (customer === null) throw new AppError('conflict', ErrorCode.conflict, 'There is no subscription that could be managed from here. Choose a plan first, or use the link in the payment provider\'s mails.');
      return requireApi().portal(customer, `${deps.publicUrl()}/billing`);
    },

    /** Back from the checkout: asks at once what it came to, so that the page never shows the old plan. */
    async returned(actor: Actor, sessionId: string): Promise<void> {
      try {
        const session = await inTime(requireApi().fetchCheckout(sessionId));
        if (session === null || session.accountId !== actor.accountId || session.subscription === null) return;
        const customer = await inTime(folding.fetch(session.subscription));
        if (customer !== null) await folding.foldCustomers([customer]);
      } catch (error) {
        // Nothing is lost: the events tell the same a moment later.
        log.warn({ err: error, accountId: actor.accountId }, 'what a checkout came to could not be asked; its events will tell');
      }
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

    /** @param planKey null: what the subscription gives again. @throws AppError `not-found` */
    async setPlan(actor: Actor, accountId: string, planKey: string | null): Promise<void> {
      if (planKey !== null && findPlan(plans, planKey) === null) throw new AppError('not-found', ErrorCode.notFound, 'There is no such plan.');
      await store.setManual(accountId, planKey === null ? null : { planKey, by: actor.userId ?? 'the API', at: clock.now() }, clock.now());
      await folding.refreshAccounts([accountId]);
    },

    /** What an administrator sees of these accounts. */
    async overview(accountIds: string[]): Promise<Map<string, BillingView>> {
      const found = new Map((await store.findAccounts(accountIds)).map((account) => [account.accountId, account]));
      return new Map(accountIds.map((id) => [id, seen(found.get(id) ?? null)]));
    },

    events: { list: events.list, find: events.find, bodyOf: events.bodyOf, refusals: events.listRefusals },
    plans,
    freePlan: freePlan(plans),
    canPay: api !== null,
    planNow: (): Date => deps.planClock.now(),
    /** Can this account's subscription be managed on the provider's page? */
    hasPortal: (account: BillingAccount | null): boolean => customerAtApi(account) !== null,

    relay,

    /** Finishes what a dead process left, and what only time changes. */
    async sweep(): Promise<void> {
      const now = clock.now();
      const stuck = await events.pendingCustomers(new Date(now.getTime() - STUCK_AFTER_MS), 500);
      for (const { customer, subscription } of stuck) takeUp(customer, subscription);
      await foldingNow;
      const due = await store.accountsToChange(deps.planClock.now(), 500);
      if (due.length > 0) await folding.refreshAccounts(due);
      await relay();
    },

    /** Waits until what was received is folded. */
    async idle(): Promise<void> {
      await asking.idle();
      while (foldingNow !== null) await foldingNow;
      await relaying.catch(() => undefined);
    },
  };
}

/** @throws AppError `unavailable` when it takes too long; the call itself goes on */
async function inTime<T>(call: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new AppError('unavailable', ErrorCode.unavailable, 'The payment provider does not answer right now. Try again in a moment.', { retryAfterS: 30 })), PAGE_PATIENCE_MS);
  });
  return Promise.race([call, late]).finally(() => clearTimeout(timer));
}
