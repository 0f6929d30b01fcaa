/** The shape of the operator's plans, and every problem of a text that should be some. */
import { z } from 'zod';
import { NO_LIMITS, type PlanBook } from './plan.js';

/** The ids of a month's posts are kept in one document, which may have 16 MB. */
const MOST_POSTS = 100_000;

const anObject = (what: string) => ({ error: (issue: { code: string }) => (issue.code === 'invalid_type' ? `must be ${what}` : undefined) });
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
  }, anObject('an object such as {"amount": 1900, "currency": "eur"}, or null')).nullable().default(null),
  prices: z.array(name('a price'), 'must be a list, such as ["price_1AbC"]').default([]),
  lookupKeys: z.array(name('a lookup key'), 'must be a list, such as ["flat"]').default([]),
  limits: z.strictObject({
    postsPerMonth: z.int('must be a whole number, or null for no limit').min(0, 'must be 0 or more').max(MOST_POSTS, `must be at most ${MOST_POSTS}; null is no limit`).nullable().default(null),
    profiles: z.int('must be a whole number, or null for no limit').min(1, 'must be 1 or more: everybody has the Primary Profile').nullable().default(null),
    endpoints: limit, mediaBytes: limit, apiCallsPerMinute: limit,
  }, anObject('an object such as {"postsPerMonth": 5}')).default(NO_LIMITS),
}, anObject('an object such as {"key": "free", "name": "Free"}'));

const bookSchema = z.strictObject({
  graceDays: z.number('must be a number of days').min(0, 'must be 0 or more').max(90, 'must be at most 90').default(7),
  plans: z.array(planSchema, 'must be a list of plans').min(1, 'must hold at least one plan').max(50, 'must hold at most 50 plans'),
}, anObject('an object such as {"plans": [{"key": "free", "name": "Free"}]}'));

/** What is there of it, however wrong the rest is: what plans say of each other is looked at in any case. */
const words = z.array(z.string().trim().catch('')).catch([]);
const looseBook = z.object({
  plans: z.array(z.object({ key: z.string().catch(''), price: z.object({ amount: z.number().catch(0) }).nullish().catch(null), prices: words.nullish().catch([]), lookupKeys: words.nullish().catch([]) }).catch({ key: '' })).catch([]),
}).catch({ plans: [] });

export type PlanProblems = string[];

/** @returns the plans, or every problem of the text in words such as `plans[1].limits.postsPerMonth: must be 0 or more` */
export function readPlans(text: string): PlanBook | PlanProblems {
  let value: unknown;
  try {
    // Some editors begin every file with a mark of its encoding.
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    return [`it is not JSON: ${error instanceof Error ? error.message : String(error)}`];
  }
  const parsed = bookSchema.safeParse(value);
  const problems = [...(parsed.error?.issues ?? []).flatMap(problemsOf), ...disagreements(value)];
  return parsed.success && problems.length === 0 ? parsed.data : problems;
}

function problemsOf(issue: z.core.$ZodIssue): string[] {
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => `${pathText([...issue.path, key])}: is not known`);
  return [`${pathText(issue.path)}: ${issue.message}`];
}

/** What no plan shows alone. */
function disagreements(value: unknown): string[] {
  const { plans } = looseBook.parse(value);
  const seen = new Map<string, number>();
  const problems = plans[0]?.price ? ['plans[0].price: must be null: the first plan is what everybody has without a subscription'] : [];
  plans.forEach(({ key, price, prices, lookupKeys }, i) => {
    for (const [field, values] of [['key', [key]], ['prices', prices ?? []], ['lookupKeys', lookupKeys ?? []]] as const) {
      for (const one of values.filter((text) => text !== '')) {
        const other = seen.get(`${field}:${one}`);
        if (other === undefined) seen.set(`${field}:${one}`, i);
        else problems.push(`plans[${i}].${field}: ${one} stands in plan ${other + 1} too`);
      }
    }
    if ((price?.amount ?? 0) > 0 && (prices ?? []).length === 0) problems.push(`plans[${i}].prices: must name at least one price of the provider, since the plan costs something`);
  });
  return problems;
}

function pathText(path: readonly PropertyKey[]): string {
  return path.map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i === 0 ? '' : '.'}${String(part)}`)).join('') || 'the file';
}
