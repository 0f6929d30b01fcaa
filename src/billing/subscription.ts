/** What a provider has said about a customer, as one set of words for all providers; and what an account may do by it. */
import { findPlan, freePlan, planOfPrice, rankOf, type Plan, type PlanBook, type PriceName } from './plan.js';

/** `unknown`: a word of the provider that Signpost doesn't know yet; it gives no plan, and changes none either. */
export type SubscriptionStatus = 'incomplete' | 'trialing' | 'active' | 'past-due' | 'unpaid' | 'paused' | 'ended' | 'unknown';

/** A subscription as the provider described it at one moment. */
export interface SubscriptionSnapshot {
  status: SubscriptionStatus;
  priceId: string | null;
  lookupKey: string | null;
  /** What else it is for, where it is for several things at once: any of them may stand for a plan. */
  furtherPrices?: PriceName[];
  /** End of what is paid for, and time of the next charge. */
  periodEnd: Date | null;
  /** When it ends, where that is decided already. */
  cancelAt: Date | null;
  trialEnd: Date | null;
}

export interface Invoice {
  id: string;
  at: Date;
  /** In the currency's smallest unit. */
  amount: number;
  currency: string;
  outcome: 'paid' | 'failed' | 'action-required' | 'refunded';
  /** The provider's own page of it. */
  url: string | null;
  /** The provider tries again then. */
  nextAttemptAt: Date | null;
}

export type PaymentOutcome = Exclude<Invoice['outcome'], 'refunded'>;

export type BillingFact =
  /** Ties the customer to the account. */
  | { kind: 'link' }
  /** `fetched`: asked of the provider, which is worth more than any event up to then. */
  | { kind: 'subscription'; change: 'created' | 'updated' | 'ended' | 'fetched'; snapshot: SubscriptionSnapshot; previous?: Partial<SubscriptionSnapshot> }
  | { kind: 'payment'; invoice: Invoice & { outcome: PaymentOutcome }; paidUntil: Date | null }
  | { kind: 'trial-ending'; trialEnd: Date | null }
  /** `amount`: all that was given back of this charge so far. */
  | { kind: 'refund'; charge: string; amount: number; currency: string }
  | { kind: 'customer-deleted' };

/** One thing that a provider told us, in our words. */
export interface BillingEvent {
  /** Unique over all providers, e.g. `stripe:evt_1`. */
  id: string;
  provider: string;
  /** The provider's own word. */
  type: string;
  occurredAt: Date;
  /** The provider's id with the provider before it, e.g. `stripe:cus_1`. */
  customer: string;
  /** The provider's id; null for what concerns the customer as a whole. */
  subscription: string | null;
  /** The account that the event names, if it does. */
  accountId: string | null;
  fact: BillingFact;
}

/** A payment that failed and was not made up for. */
export interface PaymentProblem {
  since: Date;
  kind: 'failed' | 'action-required';
  nextAttemptAt: Date | null;
  url: string | null;
}

export interface Subscription {
  id: string;
  provider: string;
  snapshot: SubscriptionSnapshot;
  endedAt: Date | null;
  problem: PaymentProblem | null;
  /** The provider has said that the trial is about to end. */
  isTrialEnding?: boolean;
}

/** Everything that the events about one customer come to. */
export interface CustomerState {
  accountId: string | null;
  isDeleted: boolean;
  subscriptions: Subscription[];
  /** Newest first. */
  invoices: Invoice[];
}

/** What an account has at a moment. */
export interface Entitlement {
  plan: Plan;
  /** Why: by its subscription, by an administrator's hand, or because there is nothing else. */
  source: 'subscription' | 'hand' | 'free';
  /** The subscription that gives the plan, or the one that would if it were paid. */
  subscription: Subscription | null;
  /** A failed payment: until when the plan goes on; null when nothing is overdue. */
  graceUntil: Date | null;
  /** The next moment at which this changes by time alone. */
  changesAt: Date | null;
}

export interface ManualPlan {
  planKey: string;
  by: string;
  at: Date;
}

/** The plan that holds now. Pure: the same subscriptions, plans and time give the same answer. */
export function entitlementOf(subscriptions: readonly Subscription[], manual: ManualPlan | null, book: PlanBook, now: Date): Entitlement {
  const byHand = manual === null ? null : findPlan(book, manual.planKey);
  const offers = subscriptions.map((subscription) => offerOf(subscription, book, now)).filter((offer) => offer !== null);
  const changesAt = earliest(offers.map((offer) => offer.until).filter((at) => at !== null && at > now));
  const giving = offers.filter((offer) => offer.gives).sort((a, b) => rankOf(book, b.plan.key) - rankOf(book, a.plan.key) || (a.subscription.id < b.subscription.id ? -1 : 1))[0];
  const lapsed = offers.filter((offer) => !offer.gives).at(-1);
  if (byHand !== null) return { plan: byHand, source: 'hand', subscription: giving?.subscription ?? null, graceUntil: giving?.graceUntil ?? null, changesAt };
  if (giving !== undefined) return { plan: giving.plan, source: 'subscription', subscription: giving.subscription, graceUntil: giving.graceUntil, changesAt };
  return { plan: freePlan(book), source: 'free', subscription: lapsed?.subscription ?? null, graceUntil: lapsed?.graceUntil ?? null, changesAt };
}

interface Offer {
  /** The free one where no plan has its price; it then gives nothing. */
  plan: Plan;
  subscription: Subscription;
  gives: boolean;
  graceUntil: Date | null;
  /** When it stops giving by time alone. */
  until: Date | null;
}

const DAY_MS = 86_400_000;

function offerOf(subscription: Subscription, book: PlanBook, now: Date): Offer | null {
  const { snapshot, problem, endedAt } = subscription;
  if (endedAt !== null) return null;
  const plan = planOfPrice(book, snapshot);
  // Paid for, perhaps, but nobody knows what: it must be seen, and not be bought a second time.
  if (plan === null) return snapshot.status === 'unknown' || snapshot.status === 'incomplete' ? null : { plan: freePlan(book), subscription, gives: false, graceUntil: null, until: null };
  const isOver = snapshot.cancelAt !== null && snapshot.cancelAt <= now;
  if (snapshot.status === 'past-due' || ((snapshot.status === 'active' || snapshot.status === 'trialing') && problem !== null)) {
    const graceUntil = new Date((problem?.since ?? now).getTime() + book.graceDays * DAY_MS);
    const until = earliest([graceUntil, snapshot.cancelAt].filter((at) => at !== null));
    return { plan, subscription, gives: graceUntil > now && !isOver, graceUntil, until };
  }
  const gives = (snapshot.status === 'active' || snapshot.status === 'trialing') && !isOver;
  // What was not paid in the end, or rests, gives nothing, but can come back: it is to be mended, not bought a second time.
  return gives || snapshot.status === 'unpaid' || snapshot.status === 'paused' ? { plan, subscription, gives, graceUntil: null, until: snapshot.cancelAt } : null;
}

function earliest(times: (Date | null)[]): Date | null {
  return times.reduce((first, at) => (at !== null && (first === null || at < first) ? at : first), null);
}
