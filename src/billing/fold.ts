/**
 * Folds all that was told about one customer into one state. A pure function of the set of events: they are put in the order in which they
 * happened first, so that the order of arrival and repetitions change nothing.
 */
import type { BillingEvent, CustomerState, Invoice, Subscription, SubscriptionSnapshot } from './subscription.js';

const KEPT_INVOICES = 24;

export function fold(events: readonly BillingEvent[]): CustomerState {
  const state: CustomerState = { accountId: null, isDeleted: false, subscriptions: [], invoices: [] };
  for (const event of inOrder(events)) apply(state, event);
  state.invoices = state.invoices.sort((a, b) => b.at.getTime() - a.at.getTime() || (a.id < b.id ? 1 : -1)).slice(0, KEPT_INVOICES);
  return state;
}

/** Within one second, which is as exactly as providers tell: what has to come first by its meaning. */
function rankOf({ fact }: BillingEvent): number {
  if (fact.kind === 'link') return 0;
  if (fact.kind === 'subscription') return { created: 1, updated: 2, fetched: 6, ended: 7 }[fact.change];
  if (fact.kind === 'payment') return { failed: 3, 'action-required': 4, paid: 5 }[fact.invoice.outcome];
  return 8;
}

function inOrder(events: readonly BillingEvent[]): BillingEvent[] {
  const unique = [...new Map(events.map((event) => [event.id, event])).values()];
  const sorted = unique.sort((a, b) => a.occurredAt.getTime() - b.occurredAt.getTime() || rankOf(a) - rankOf(b) || (a.id < b.id ? -1 : 1));
  return withinSeconds(sorted);
}

/** Several updates of one subscription within a second: each says what was there before, which tells their order. */
function withinSeconds(sorted: BillingEvent[]): BillingEvent[] {
  const ordered: BillingEvent[] = [];
  for (let i = 0; i < sorted.length;) {
    let end = i + 1;
    while (end < sorted.length && isSameMoment(sorted[i]!, sorted[end]!)) end += 1;
    ordered.push(...chain(sorted.slice(i, end)));
    i = end;
  }
  return ordered;
}

function isSameMoment(a: BillingEvent, b: BillingEvent): boolean {
  return a.occurredAt.getTime() === b.occurredAt.getTime() && a.subscription === b.subscription && isUpdate(a) && isUpdate(b);
}

function isUpdate({ fact }: BillingEvent): boolean {
  return fact.kind === 'subscription' && fact.change === 'updated';
}

function chain(group: BillingEvent[]): BillingEvent[] {
  const rest = [...group];
  const ordered: BillingEvent[] = [];
  while (rest.length > 0) {
    const first = rest.findIndex((event) => !rest.some((other) => other !== event && follows(event, other)));
    ordered.push(...rest.splice(Math.max(first, 0), 1));
  }
  return ordered;
}

/** True when what `later` says was there before is what `earlier` says is there, and not the other way round. */
function follows(later: BillingEvent, earlier: BillingEvent): boolean {
  return startsFrom(later, earlier) && !startsFrom(earlier, later);
}

function startsFrom(later: BillingEvent, earlier: BillingEvent): boolean {
  if (later.fact.kind !== 'subscription' || earlier.fact.kind !== 'subscription') return false;
  const before = Object.entries(later.fact.previous ?? {}) as [keyof SubscriptionSnapshot, unknown][];
  const { snapshot } = earlier.fact;
  return before.length > 0 && before.every(([key, value]) => textOf(snapshot[key]) === textOf(value));
}

function textOf(value: unknown): string {
  return value instanceof Date ? value.toISOString() : String(value);
}

function apply(state: CustomerState, event: BillingEvent): void {
  const { fact } = event;
  if (event.accountId !== null) state.accountId = event.accountId;
  if (fact.kind === 'customer-deleted') {
    state.isDeleted = true;
    for (const subscription of state.subscriptions) subscription.endedAt ??= event.occurredAt;
  }
  if (fact.kind === 'subscription') applySnapshot(state, event, fact);
  if (fact.kind === 'payment') applyPayment(state, event, fact);
  if (fact.kind === 'refund') noteInvoice(state, { id: fact.charge, at: event.occurredAt, amount: fact.amount, currency: fact.currency, outcome: 'refunded', url: null, nextAttemptAt: null });
  if (fact.kind === 'trial-ending') applyTrialEnding(state, event);
}

function applySnapshot(state: CustomerState, event: BillingEvent, { change, snapshot }: Extract<BillingEvent['fact'], { kind: 'subscription' }>): void {
  const subscription = subscriptionOf(state, event);
  // Once ended, an id never lives again.
  if (subscription.endedAt !== null) return;
  // A word that is too new for us says nothing: what was known holds on.
  subscription.snapshot = { ...snapshot, status: snapshot.status === 'unknown' ? subscription.snapshot.status : snapshot.status };
  if (snapshot.status !== 'trialing') delete subscription.isTrialEnding;
  if (change === 'ended' || snapshot.status === 'ended') {
    subscription.endedAt = event.occurredAt;
    subscription.problem = null;
  } else if (snapshot.status === 'past-due') {
    subscription.problem ??= { since: event.occurredAt, kind: 'failed', nextAttemptAt: null, url: null };
  } else if (snapshot.status === 'active' || snapshot.status === 'trialing') {
    subscription.problem = null;
  }
}

function applyPayment(state: CustomerState, event: BillingEvent, { invoice, paidUntil }: Extract<BillingEvent['fact'], { kind: 'payment' }>): void {
  noteInvoice(state, invoice);
  if (event.subscription === null) return;
  const subscription = subscriptionOf(state, event);
  if (subscription.endedAt !== null) return;
  if (invoice.outcome !== 'paid') {
    subscription.problem = { since: subscription.problem?.since ?? event.occurredAt, kind: invoice.outcome, nextAttemptAt: invoice.nextAttemptAt, url: invoice.url };
    return;
  }
  const { snapshot } = subscription;
  subscription.problem = null;
  // A first payment that waits for the bank is not a lapse of one; both are over once it is paid.
  if (['past-due', 'unpaid', 'incomplete'].includes(snapshot.status)) snapshot.status = 'active';
  if (paidUntil !== null && (snapshot.periodEnd === null || paidUntil > snapshot.periodEnd)) snapshot.periodEnd = paidUntil;
}

function applyTrialEnding(state: CustomerState, event: BillingEvent): void {
  const subscription = subscriptionOf(state, event);
  if (subscription.endedAt === null && subscription.snapshot.status === 'trialing') subscription.isTrialEnding = true;
}

/** One line for an invoice: the last thing that happened to it; once paid, it stays paid. */
function noteInvoice(state: CustomerState, invoice: Invoice): void {
  const i = state.invoices.findIndex(({ id }) => id === invoice.id);
  if (i === -1) state.invoices.push(invoice);
  else if (state.invoices[i]!.outcome !== 'paid') state.invoices[i] = invoice;
}

/** What is known before the first snapshot arrives: that there is a subscription, and nothing else. */
function subscriptionOf(state: CustomerState, { subscription: id, provider }: BillingEvent): Subscription {
  const known = state.subscriptions.find((subscription) => subscription.id === id);
  if (known !== undefined) return known;
  const unseen: Subscription = {
    id: id ?? '', provider, endedAt: null, problem: null,
    snapshot: { status: 'unknown', priceId: null, lookupKey: null, periodEnd: null, cancelAt: null, trialEnd: null },
  };
  state.subscriptions.push(unseen);
  return unseen;
}
