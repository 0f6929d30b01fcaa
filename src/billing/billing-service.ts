/** The use cases of billing: take an event, say what an account has, open checkout and portal, replay, set a plan by hand. */
import type { Actor } from '../accounts/actor.js';
import { AppError, ErrorCode } from '../lib/app-error.js';
import { createBatcher } from '../lib/batcher.js';
import type { Clock } from '../lib/clock.js';
import { newToken } from '../lib/ids.js';
import type { Logger } from '../lib/logger.js';
import type { BillingApi } from './billing-api.js';
import type { Arrival, BillingEventStore } from './billing-event-store.js';
import type { BillingAccount, BillingStore, SubscriptionChanged } from './billing-store.js';
import type { Folding } from './folding.js';
import { findPlan, freePlan, type Plan, type PlanBook } from './plan.js';
import type { BillingAdapter, Told } from './provider.js';
import { entitlementOf, type Entitlement } from './subscription.js';

export interface BillingServiceDeps {
  adapters: readonly BillingAdapter[];
  events: BillingEventStore;
  store: BillingStore;
  folding: Folding;
  plans: PlanBook;
  api: BillingApi | null;
  clock: Clock;
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

export type BillingService = ReturnType<typeof createBillingService>;

export function createBillingService(deps: BillingServiceDeps) {
  const { events, store, folding, clock, log, plans } = deps;
  const insertSoon = createBatcher<Arrival, boolean>((arrivals) => events.insert(arrivals), BATCH);
  let toFold = new Map<string, Set<string>>();
  let foldingNow: Promise<void> | null = null;

  /** Many events of one moment are folded together; what fails is found by the sweep. */
  function foldSoon(customer: string, subscription: string | null): void {
    const asked = toFold.get(customer) ?? new Set();
    if (subscription !== null) asked.add(subscription);
    toFold.set(customer, asked);
    foldingNow ??= foldWaiting().finally(() => {
      foldingNow = null;
    });
  }

  async function foldWaiting(): Promise<void> {
    while (toFold.size > 0) {
      const batch = [...toFold].slice(0, FOLDED_AT_ONCE);
      for (const [customer] of batch) toFold.delete(customer);
      const asked = batch.flatMap(([customer, subscriptions]) => [...subscriptions].map((subscription) => ({ customer, subscription })));
      await folding.foldCustomers(batch.map(([customer]) => customer), asked).catch((error: unknown) => {
        log.error({ err: error }, 'billing events could not be folded; the sweep tries again');
      });
    }
  }

  /** Nothing changed by a changed plan file or a repeated event is lost: all of it can be folded again. */
  function aboutSubscription({ event }: Told): string | null {
    return event !== null && (event.fact.kind === 'subscription' || event.fact.kind === 'link' || event.fact.kind === 'payment') ? event.subscription : null;
  }

  async function viewOf(accountId: string): Promise<BillingView> {
    const account = await store.findAccount(accountId);
    return { account, ...entitlementOf(account?.subscriptions ?? [], account?.manual ?? null, plans, clock.now()) };
  }

  async function relay(): Promise<void> {
    for (;;) {
      const waiting = await store.readOutbox(100);
      if (waiting.length === 0) return;
      for (const changed of waiting) await deps.record(changed);
      await store.clearOutbox(waiting);
    }
  }

  function requireApi(): BillingApi {
    if (deps.api !== null) return deps.api;
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
        await events.noteRefusal(provider, verified.reason, now);
        return { status: 400, message: verified.reason };
      }
      const { told } = verified;
      const isNew = await insertSoon({ told, raw: raw.toString('utf8'), receivedAt: now });
      if (told.event !== null && isNew) foldSoon(told.event.customer, aboutSubscription(told));
      return { status: 200, message: isNew ? (told.reason ?? 'Received.') : 'Received before.' };
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
        accountId: actor.accountId, email, customer: view.account?.customer ?? null, plan, idempotencyKey: newToken(18),
        successUrl: `${deps.publicUrl()}/billing/return?session_id={CHECKOUT_SESSION_ID}`, cancelUrl: `${deps.publicUrl()}/billing`,
      });
    },

    /** @returns the address of the provider's page for managing the subscription. @throws AppError `conflict`, `unavailable` */
    async portal(actor: Actor): Promise<string> {
      const account = await store.findAccount(actor.accountId);
      if (account === null || account.customer === null) throw new AppError('conflict', ErrorCode.conflict, 'There is no subscription to manage yet. Choose a plan first.');
      return requireApi().portal(account.customer, `${deps.publicUrl()}/billing`);
    },

    /** Back from the checkout: asks at once what it came to, so that the page never shows the old plan. */
    async returned(actor: Actor, sessionId: string): Promise<void> {
      try {
        const session = await requireApi().fetchCheckout(sessionId);
        if (session === null || session.accountId !== actor.accountId || session.subscription === null) return;
        const customer = await folding.fetch(session.subscription);
        if (customer !== null) await folding.foldCustomers([customer]);
      } catch (error) {
        // Nothing is lost: the events tell the same a moment later.
        log.warn({ err: error, accountId: actor.accountId }, 'what a checkout came to could not be asked; its events will tell');
      }
    },

    /** Folds all events of this one's customer again. @throws AppError `not-found` */
    async replay(id: string): Promise<void> {
      const stored = await events.find(id);
      if (stored === null) throw new AppError('not-found', ErrorCode.notFound, 'There is no such event.');
      if (stored.customer === null) return;
      const subscription = stored.event?.subscription ?? null;
      await folding.foldCustomers([stored.customer], subscription === null ? [] : [{ customer: stored.customer, subscription }]);
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
      return new Map(accountIds.map((id) => {
        const account = found.get(id) ?? null;
        return [id, { account, ...entitlementOf(account?.subscriptions ?? [], account?.manual ?? null, plans, clock.now()) }];
      }));
    },

    events: { list: events.list, find: events.find, refusals: events.listRefusals },
    plans,
    freePlan: freePlan(plans),
    canPay: deps.api !== null,

    relay,

    /** Finishes what a dead process left, and what only time changes. */
    async sweep(): Promise<void> {
      const now = clock.now();
      const stuck = await events.pendingCustomers(new Date(now.getTime() - STUCK_AFTER_MS), 500);
      for (const { customer, subscription } of stuck) foldSoon(customer, subscription);
      await foldingNow;
      const due = await store.accountsToChange(now, 500);
      if (due.length > 0) await folding.refreshAccounts(due);
      await relay();
    },

    /** Waits until what was received is folded. */
    async idle(): Promise<void> {
      while (foldingNow !== null) await foldingNow;
    },
  };
}
