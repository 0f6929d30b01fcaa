/** Plans are data: what each allows, what it costs, and by which prices of a provider it is known. */
import { z } from 'zod';

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

const NO_LIMITS: Limits = { postsPerMonth: null, profiles: null, endpoints: null, mediaBytes: null, apiCallsPerMinute: null };

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

const limit = z.int('must be a whole number, or null for no limit').min(0, 'must be 0 or more').nullable().default(null);
const name = (what: string) => z.string(`${what} must be text`).trim().min(1, `${what} must not be empty`).max(200, `${what} must have at most 200 characters`);

const planSchema = z.strictObject({
  key: z.string('must be text').regex(/^[a-z][a-z0-9-]{0,39}$/, 'must be lower-case letters, digits and hyphens, such as "flat"'),
  name: name('the name'),
  description: z.string('must be text').max(500, 'must have at most 500 characters').default(''),
  price: z.strictObject({
    amount: z.int('must be a whole number of the smallest unit, such as 1900 for 19.00').min(0, 'must be 0 or more'),
    currency: z.string('must be text').regex(/^[A-Za-z]{3}$/, 'must be three letters, such as "eur"').transform((code) => code.toLowerCase()),
    interval: z.enum(['month', 'year'], 'must be "month" or "year"').default('month'),
  }).nullable().default(null),
  prices: z.array(name('a price')).default([]),
  lookupKeys: z.array(name('a lookup key')).default([]),
  limits: z.strictObject({
    postsPerMonth: limit, endpoints: limit, mediaBytes: limit, apiCallsPerMinute: limit,
    profiles: z.int('must be a whole number, or null for no limit').min(1, 'must be 1 or more: everybody has the Primary Profile').nullable().default(null),
  }).default(NO_LIMITS),
});

const bookSchema = z.strictObject({
  graceDays: z.number('must be a number of days').min(0, 'must be 0 or more').max(90, 'must be at most 90').default(7),
  plans: z.array(planSchema, 'must be a list of plans').min(1, 'must hold at least one plan').max(50, 'must hold at most 50 plans'),
}).superRefine(({ plans }, context) => {
  const add = (path: (string | number)[], message: string): void => context.addIssue({ code: 'custom', path, message });
  if (plans[0] !== undefined && plans[0].price !== null) add(['plans', 0, 'price'], 'must be null: the first plan is what everybody has without a subscription');
  const seen = new Map<string, number>();
  plans.forEach((plan, i) => {
    for (const [kind, values] of [['key', [plan.key]], ['prices', plan.prices], ['lookupKeys', plan.lookupKeys]] as const) {
      for (const value of values) {
        const token = `${kind}:${value}`;
        if (seen.has(token)) add(['plans', i, kind], `${value} stands in plan ${seen.get(token)! + 1} too`);
        else seen.set(token, i);
      }
    }
    if (plan.price !== null && plan.price.amount > 0 && plan.prices.length === 0) add(['plans', i, 'prices'], 'must name at least one price of the provider, since the plan costs something');
  });
});

export type PlanProblems = string[];

/** @returns the plans, or every problem of the text in words such as `plans[1].limits.postsPerMonth: must be 0 or more` */
export function readPlans(text: string): PlanBook | PlanProblems {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return [`it is not JSON: ${error instanceof Error ? error.message : String(error)}`];
  }
  const parsed = bookSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  return parsed.error.issues.map((issue) => `${pathOf(issue)}: ${issue.code === 'unrecognized_keys' ? 'is not known' : issue.message}`);
}

function pathOf(issue: z.core.$ZodIssue): string {
  const path = issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0] ?? ''] : issue.path;
  return path.map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i === 0 ? '' : '.'}${String(part)}`)).join('') || 'the file';
}

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
