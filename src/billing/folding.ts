/**
 * From recorded events to what accounts have: each customer's events are folded anew, and the accounts they belong to are brought up to date.
 * All of it can be repeated at any time, in any process, and comes to the same.
 */
import type { Clock } from '../lib/clock.js';
import { newId } from '../lib/ids.js';
import type { BillingApi } from './billing-api.js';
import type { BillingEventStore, EventOutcome, FoldedEvent } from './billing-event-store.js';
import type { BillingAccount, BillingStore, Customer, PlanSummary, SubscriptionChanged } from './billing-store.js';
import { fold } from './fold.js';
import { planOfPrice, type PlanBook } from './plan.js';
import { entitlementOf, type BillingEvent, type CustomerState } from './subscription.js';

export interface FoldingDeps {
  events: BillingEventStore;
  store: BillingStore;
  plans: PlanBook;
  clock: Clock;
  /** The time by which plans begin and end: a simulated provider's may be ahead. */
  planClock: Clock;
  /** Whose customers count: those of a provider that isn't set up any more (or was simulated) give nothing. */
  providers: ReadonlySet<string>;
  /** Asks the provider for the current state; null where no key is set. */
  api: BillingApi | null;
  /** Which of these accounts exist. */
  existingAccounts(ids: string[]): Promise<Set<string>>;
  /** What an account has was written; `before` and `after` differ in `changed`. */
  onWritten(accountId: string): void;
  onChanged(changed: SubscriptionChanged): void;
}

const TRIES = 8;
/** Type of the event that stands for what the provider answered. */
const FETCHED = 'fetched';
const ASK_AGAIN_MS = 30_000;
const NOBODYS = 'Nobody has said yet which account this customer belongs to.';
const STRAY = 'The account that it names does not exist here.';

export interface Folding {
  /** @param unasked subscriptions whose current state the provider has not told yet: their events are looked at again later */
  foldCustomers(customers: string[], unasked?: Set<string>): Promise<void>;
  /** Brings accounts up to date with their customers and the clock. */
  refreshAccounts(accountIds: string[]): Promise<void>;
  /** Asks the provider for a subscription and keeps its answer. @returns its customer, null when it could not be told */
  fetch(subscription: string): Promise<string | null>;
}

export function createFolding(deps: FoldingDeps): Folding {
  const { events, store, clock } = deps;

  async function fetchOne(subscription: string): Promise<string | null> {
    if (deps.api === null) return null;
    const startedAt = clock.now();
    const current = await deps.api.fetchSubscription(subscription);
    if (current === null) return null;
    // As new as everything that was known when it was asked: what was told since, and happened later, counts more again.
    const before = (await events.listOfCustomers([current.customer])).filter(({ receivedAt }) => receivedAt <= startedAt).map(({ event }) => event);
    const known = before.filter((event) => event.subscription === subscription && event.type !== FETCHED);
    const occurredAt = known.reduce((latest, event) => (event.occurredAt > latest ? event.occurredAt : latest), new Date(0));
    const event: BillingEvent = {
      id: `${current.provider}:fetched:${subscription}`, provider: current.provider, type: FETCHED, occurredAt: known.length === 0 ? startedAt : occurredAt,
      customer: current.customer, subscription, accountId: current.accountId, fact: { kind: 'subscription', change: 'fetched', snapshot: current.snapshot },
    };
    await events.keepFetched(event, startedAt);
    return current.customer;
  }

  async function foldOnce(customers: string[]): Promise<Folded[]> {
    // The versions are read before the events: an event that comes in between makes the write fail and the fold begin again.
    const stored = new Map((await store.findCustomers(customers)).map((customer) => [customer.id, customer]));
    const byCustomer = grouped(await events.listOfCustomers(customers), ({ event }) => event.customer);
    const states = customers.map((id) => ({ id, events: byCustomer.get(id) ?? [], before: stored.get(id) ?? null }))
      .map((one) => ({ ...one, state: withLink(fold(one.events.map(({ event }) => event)), one.before) }));
    const lost = await store.saveCustomers(states.map(({ id, state, before }): Customer => ({ id, ...state, version: before?.version ?? 0 })));
    return states.filter(({ id }) => !lost.has(id));
  }

  /** Says of each event what became of it; last of all, so that a process that dies before leaves it to be folded again. */
  async function markFolded(folded: Folded[], known: Set<string>, unasked: Set<string>): Promise<void> {
    const marks = new Map<string, { outcome: EventOutcome; reason: string | null; ids: string[] }>();
    const later: string[] = [];
    for (const { events: all, state } of folded) {
      const isKnown = state.accountId !== null && known.has(state.accountId);
      for (const { event, outcome } of all) {
        if (outcome === (isKnown ? 'applied' : 'parked')) continue;
        if (outcome === 'pending' && event.subscription !== null && unasked.has(event.subscription)) {
          later.push(event.id);
          continue;
        }
        const reason = isKnown ? priceProblem(event) : state.accountId === null ? NOBODYS : STRAY;
        const key = `${isKnown} ${reason}`;
        const mark = marks.get(key) ?? { outcome: isKnown ? 'applied' : 'parked', reason, ids: [] };
        mark.ids.push(event.id);
        marks.set(key, mark);
      }
    }
    await Promise.all([
      ...[...marks.values()].map(({ ids, outcome, reason }) => events.markFolded(ids, outcome, reason)),
      events.postpone(later, new Date(clock.now().getTime() + ASK_AGAIN_MS), 'The provider could not be asked for the current state yet.'),
    ]);
  }

  function priceProblem({ fact }: BillingEvent): string | null {
    if (fact.kind !== 'subscription' || fact.change === 'ended' || planOfPrice(deps.plans, fact.snapshot) !== null) return null;
    const { priceId, lookupKey } = fact.snapshot;
    return `No plan has its price ${priceId ?? '(none)'}${lookupKey === null ? '' : ` or lookup key ${lookupKey}`}, so it gives none. Name it in the plans file.`;
  }

  async function refreshOnce(accountIds: string[]): Promise<string[]> {
    const stored = new Map((await store.findAccounts(accountIds)).map((account) => [account.accountId, account]));
    const theirs = (await store.customersOfAccounts(accountIds)).filter(({ id }) => deps.providers.has(providerOf(id)));
    const byAccount = grouped(theirs, ({ accountId }) => accountId ?? '');
    const changes = accountIds.map((accountId) => refreshed(stored.get(accountId) ?? blank(accountId), byAccount.get(accountId) ?? [], deps.plans, { now: clock.now(), planNow: deps.planClock.now() }));
    const lost = await store.saveAccounts(changes);
    for (const { account, event } of changes) {
      if (lost.has(account.accountId)) continue;
      deps.onWritten(account.accountId);
      if (event !== null) deps.onChanged(event);
    }
    return [...lost];
  }

  async function refreshAccounts(accountIds: string[]): Promise<void> {
    let rest = accountIds;
    for (let i = 0; i < TRIES && rest.length > 0; i++) rest = await refreshOnce(rest);
    if (rest.length > 0) throw new Error('accounts are being written by others all the time');
  }

  return {
    async foldCustomers(customers, unasked = new Set()) {
      const folded: Folded[] = [];
      let rest = [...new Set(customers)];
      for (let i = 0; i < TRIES && rest.length > 0; i++) {
        const done = await foldOnce(rest);
        folded.push(...done);
        rest = rest.filter((id) => !done.some((one) => one.id === id));
      }
      const named = folded.flatMap(({ state, before }) => [state.accountId, before?.accountId ?? null]).filter((id) => id !== null);
      const known = await deps.existingAccounts([...new Set(named)]);
      if (known.size > 0) await refreshAccounts([...known]);
      await markFolded(folded, known, unasked);
    },
    refreshAccounts,
    fetch: fetchOne,
  };
}

interface Folded {
  id: string;
  events: FoldedEvent[];
  before: Customer | null;
  state: CustomerState;
}

/** Whose customer it is may be known from elsewhere than its events. */
function withLink(state: CustomerState, before: Customer | null): CustomerState {
  return { ...state, accountId: state.accountId ?? before?.accountId ?? null };
}

function grouped<T>(items: T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
}

function blank(accountId: string): BillingAccount {
  return { accountId, subscriptions: [], invoices: [], customer: null, manual: null, summary: null, changesAt: null, sequence: 0, version: 0 };
}

const KEPT_INVOICES = 24;

interface Times {
  now: Date;
  planNow: Date;
}

/** `stripe` of `stripe:cus_1`. */
export function providerOf(customer: string): string {
  return customer.slice(0, customer.indexOf(':'));
}

function refreshed(before: BillingAccount, customers: Customer[], plans: PlanBook, at: Times): { account: BillingAccount; event: SubscriptionChanged | null } {
  const byId = customers.sort((a, b) => (a.id < b.id ? -1 : 1));
  const subscriptions = byId.flatMap((customer) => customer.subscriptions);
  const invoices = byId.flatMap((customer) => customer.invoices).sort((a, b) => b.at.getTime() - a.at.getTime() || (a.id < b.id ? 1 : -1)).slice(0, KEPT_INVOICES);
  const current = byId.filter(({ isDeleted }) => !isDeleted);
  const customer = current.find((one) => one.subscriptions.some(({ endedAt }) => endedAt === null)) ?? current.at(-1) ?? null;
  const base = { ...before, subscriptions, invoices, customer: customer?.id ?? null };
  return withSummary(base, before.summary, plans, at);
}

/** The account with what it has now, and the event that tells of a change. */
function withSummary(account: BillingAccount, before: PlanSummary | null, plans: PlanBook, { now, planNow }: Times): { account: BillingAccount; event: SubscriptionChanged | null } {
  const { plan, source, subscription, graceUntil, changesAt } = entitlementOf(account.subscriptions, account.manual, plans, planNow);
  const after: PlanSummary = {
    planKey: plan.key, planName: plan.name, source, status: subscription?.snapshot.status ?? 'none',
    periodEnd: subscription?.snapshot.periodEnd ?? null, cancelAt: subscription?.snapshot.cancelAt ?? null, graceUntil,
    trialEndsAt: subscription?.isTrialEnding === true ? subscription.snapshot.trialEnd : null,
  };
  // Summaries of older versions lack what was added since.
  const was = before === null ? null : { ...before, trialEndsAt: before.trialEndsAt ?? null };
  const isNews = JSON.stringify(after) !== JSON.stringify(was) && !(before === null && source === 'free' && subscription === null);
  const sequence = account.sequence + (isNews ? 1 : 0);
  const event = isNews ? { id: newId('evt', now), at: now, sequence, accountId: account.accountId, before, after } : null;
  return { account: { ...account, summary: after, changesAt, sequence }, event };
}
