/** Plans are data: what each allows, what it costs, and by which prices of a provider it is known. */
/** Null: no limit. */
export interface Limits {
  /** Posts accepted in a calendar month of the account's zone, over all platforms. */
  postsPerMonth: number | null;
  /** The Primary Profile among them. */
  profiles: number | null;
  endpoints: number | null;
  /** Of uploaded files, all together. */
  mediaBytes: number | null;
  apiCallsPerMinute: number | null;
}

export interface Price {
  /** In the currency's smallest unit, e.g. cents. */
  amount: number;
  /** ISO 4217 in lower case, e.g. `eur`. */
  currency: string;
  interval: 'month' | 'year';
}

export interface Plan {
  key: string;
  name: string;
  description: string;
  /** Null: it costs nothing. */
  price: Price | null;
  /** Ids of the provider's prices that stand for this plan; the first is the one that is bought. */
  prices: string[];
  /** The same by lookup key, which survives a change of price. */
  lookupKeys: string[];
  limits: Limits;
}

/** Plans in order: the first is everybody's without a subscription, a later one is worth more. */
export interface PlanBook {
  plans: Plan[];
  /** Days that a plan goes on after a payment failed. */
  graceDays: number;
}

export const NO_LIMITS: Limits = { postsPerMonth: null, profiles: null, endpoints: null, mediaBytes: null, apiCallsPerMinute: null };

/** What everybody has while billing is off. */
export const unlimitedPlan: Plan = { key: 'unlimited', name: 'Unlimited', description: 'Billing is off.', price: null, prices: [], lookupKeys: [], limits: NO_LIMITS };

export const defaultPlans: PlanBook = {
  graceDays: 7,
  plans: [
    {
      key: 'free', name: 'Free', description: '5 posts a month over all platforms, on as many connected channels as you like.',
      price: null, prices: [], lookupKeys: [], limits: { ...NO_LIMITS, postsPerMonth: 5 },
    },
    {
      key: 'flat', name: 'Flat', description: 'One price, as many posts as you like.',
      price: { amount: 1900, currency: 'eur', interval: 'month' }, prices: ['price_signpost_flat'], lookupKeys: ['signpost_flat'], limits: NO_LIMITS,
    },
  ],
};

export function freePlan(book: PlanBook): Plan {
  return book.plans[0]!;
}

export function findPlan(book: PlanBook, key: string): Plan | null {
  return book.plans.find((plan) => plan.key === key) ?? null;
}

/** How a provider names what is paid for. */
export interface PriceName {
  priceId: string | null;
  lookupKey: string | null;
}

/** The plan that a provider's prices stand for, the one that is worth most of several; null when the operator's file names none of them. */
export function planOfPrice(book: PlanBook, { furtherPrices = [], ...first }: PriceName & { furtherPrices?: readonly PriceName[] }): Plan | null {
  return book.plans.findLast((plan) => [first, ...furtherPrices].some((price) => standsFor(plan, price))) ?? null;
}

function standsFor(plan: Plan, { priceId, lookupKey }: PriceName): boolean {
  return (lookupKey !== null && plan.lookupKeys.includes(lookupKey)) || (priceId !== null && plan.prices.includes(priceId));
}

/** Position in the operator's file: a later plan is worth more. */
export function rankOf(book: PlanBook, key: string): number {
  return book.plans.findIndex((plan) => plan.key === key);
}
