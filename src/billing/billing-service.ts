/** The use cases of billing: say what an account has, open checkout and portal, set a plan by hand, tell what changed. */
import type { Actor } from '../accounts/actor.js';
import { AppError, ErrorCode } from '../lib/app-error.js';
import type { Clock } from '../lib/clock.js';
import { newToken } from '../lib/ids.js';
import type { Logger } from '../lib/logger.js';
import type { BillingApi } from './billing-api.js';
import type { BillingAccount, BillingStore, SubscriptionChanged } from './billing-store.js';
import { providerOf, type Folding } from './folding.js';
import { findPlan, freePlan, type Plan, type PlanBook } from './plan.js';
import { inTime } from './in-time.js';
import { entitlementOf, type Entitlement } from './subscription.js';

export interface BillingServiceDeps {
  store: BillingStore;
  folding: Folding;
  plans: PlanBook;
  api: BillingApi | null;
  /** Whose customers count. */
  providers: ReadonlySet<string>;
  clock: Clock;
  /** The time by which plans begin and end: a simulated provider's may be ahead. */
  planClock: Clock;
  log: Logger;
  publicUrl(): string;
  emailOf(accountId: string): Promise<string | null>;
  /** Hands a change to the webhooks; idempotent by event id. */
  record(changed: SubscriptionChanged): Promise<void>;
}

export interface BillingView extends Entitlement {
  account: BillingAccount | null;
}

export type BillingService = ReturnType<typeof createBillingService>;

export function createBillingService(deps: BillingServiceDeps) {
  const { store, folding, clock, log, plans, api, providers } = deps;

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

  function requireApi(): BillingApi {
    if (api !== null) return api;
    throw new AppError('unavailable', ErrorCode.unavailable, 'Paying online is not set up on this Signpost. Ask its administrator to change your plan.');
  }

  return {
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

    /**
     * Back from the checkout: asks at once what it came to, so that the page never shows the old plan.
     * @returns false when there is no such checkout of this account
     */
    async returned(actor: Actor, sessionId: string): Promise<boolean> {
      try {
        const session = await inTime(requireApi().fetchCheckout(sessionId));
        if (session === null || session.accountId !== actor.accountId) return false;
        const customer = session.subscription === null ? null : await inTime(folding.fetch(session.subscription));
        if (customer !== null) await folding.foldCustomers([customer]);
      } catch (error) {
        // Nothing is lost: the events tell the same a moment later.
        log.warn({ err: error, accountId: actor.accountId }, 'what a checkout came to could not be asked; its events will tell');
      }
      return true;
    },

    /** @param planKey null: what the subscription gives again. @throws AppError `not-found` */
    async setPlan(actor: Actor, accountId: string, planKey: string | null): Promise<void> {
      if ((await deps.emailOf(accountId)) === null) throw new AppError('not-found', ErrorCode.notFound, 'There is no such account.');
      if (planKey !== null && findPlan(plans, planKey) === null) throw new AppError('not-found', ErrorCode.notFound, 'There is no such plan.');
      await store.setManual(accountId, planKey === null ? null : { planKey, by: actor.userId ?? 'the API', at: clock.now() }, clock.now());
      await folding.refreshAccounts([accountId]);
    },

    /** What an administrator sees of these accounts. */
    async overview(accountIds: string[]): Promise<Map<string, BillingView>> {
      const found = new Map((await store.findAccounts(accountIds)).map((account) => [account.accountId, account]));
      return new Map(accountIds.map((id) => [id, seen(found.get(id) ?? null)]));
    },

    plans,
    freePlan: freePlan(plans),
    canPay: api !== null,
    planNow: (): Date => deps.planClock.now(),
    /** Can this account's subscription be managed on the provider's page? */
    hasPortal: (account: BillingAccount | null): boolean => customerAtApi(account) !== null,

    relay,

    /** Finishes what a dead process left, and what only time changes. */
    async sweep(): Promise<void> {
      const due = await store.accountsToChange(deps.planClock.now(), 500);
      if (due.length > 0) await folding.refreshAccounts(due);
      await relay();
    },

    /** Waits until what changed is told. */
    async idle(): Promise<void> {
      await relaying.catch(() => undefined);
    },
  };
}

