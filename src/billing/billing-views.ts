/** View models of the billing pages. */
import type { BillingView } from './billing-service.js';
import { planOfPrice, rankOf, type Limits, type Plan, type PlanBook, type Price } from './plan.js';
import { sizeText } from '../lib/size-text.js';
import type { Subscription } from './subscription.js';
import type { PostUsage } from './usage-service.js';

export interface Meter {
  id: string;
  label: string;
  used: number;
  limit: number | null;
  /** Both as people read them. */
  usedText: string;
  limitText: string | null;
  /** 0 to 100; null without a limit. */
  percent: number | null;
}

export interface StateFacts {
  view: BillingView;
  usage: PostUsage & { plan: Plan };
  profiles: number;
  endpoints: number;
  mediaBytes: number;
  held: number;
  plans: PlanBook;
  isSimulated: boolean;
  /** Can the subscription be managed on the provider's page? */
  hasPortal: boolean;
  /** By the calendar that plans follow. */
  now: Date;
}

/** As early as Stripe tells of it. */
const TRIAL_ENDS_SOON_MS = 3 * 86_400_000;

export function stateView({ view, usage, profiles, endpoints, mediaBytes, held, plans, isSimulated, hasPortal, now }: StateFacts) {
  const { plan, subscription, graceUntil, source, account } = view;
  const snapshot = subscription?.snapshot ?? null;
  const isLive = subscription !== null && subscription.endedAt === null;
  return {
    plan, priceText: priceText(plan.price), source, held, isSimulated,
    status: snapshot?.status ?? null,
    meters: [
      meter('posts', 'Posts this month', usage.used, usage.limit), meter('profiles', 'Profiles', profiles, plan.limits.profiles),
      meter('endpoints', 'Webhook endpoints', endpoints, plan.limits.endpoints), meter('media', 'Uploaded media', mediaBytes, plan.limits.mediaBytes, sizeText),
    ],
    apiCallsPerMinute: plan.limits.apiCallsPerMinute,
    resetsAt: usage.resetsAt,
    nextCharge: subscription === null ? null : nextChargeOf(subscription),
    endsAt: isLive ? (snapshot?.cancelAt ?? null) : null,
    trialEnd: snapshot?.status === 'trialing' ? snapshot.trialEnd : null,
    problem: subscription?.problem ?? null,
    graceUntil,
    isLapsed: source === 'free' && (graceUntil !== null || snapshot?.status === 'unpaid'),
    isPaused: source === 'free' && snapshot?.status === 'paused',
    invoices: (account?.invoices ?? []).map((invoice) => ({ ...invoice, text: moneyText(invoice.amount, invoice.currency) })),
    hasPortal,
    isUnknownPrice: isLive && snapshot !== null && planOfPrice(plans, snapshot) === null,
    trialEndsSoon: snapshot?.status === 'trialing' && snapshot.trialEnd !== null && (subscription?.isTrialEnding === true || snapshot.trialEnd.getTime() - now.getTime() < TRIAL_ENDS_SOON_MS),
    subscriptionCount: (account?.subscriptions ?? []).filter(isCharged).length,
    plans: plans.plans.map((one) => ({ ...one, priceText: priceText(one.price), isCurrent: one.key === plan.key, isUpgrade: rankOf(plans, one.key) > rankOf(plans, plan.key) })),
  };
}

/** The same in a sentence each, for pages about something else. */
export function planNotices({ view, usage, held, mediaBytes }: Pick<StateFacts, 'view' | 'usage' | 'held' | 'mediaBytes'>): string[] {
  const { subscription, source, graceUntil, plan } = view;
  const hasLapsed = source === 'free' && (graceUntil !== null || subscription?.snapshot.status === 'unpaid');
  return [
    ...(hasLapsed ? [`Your subscription was not paid in time: you have the plan ${plan.name} now.`] : []),
    ...(!hasLapsed && subscription?.problem ? [subscription.problem.kind === 'failed' ? 'The last payment failed.' : 'Your bank wants you to confirm the payment.'] : []),
    ...(usage.limit !== null && usage.used >= usage.limit ? [`Your plan's ${usage.limit} posts of this month are used up.`] : []),
    ...(plan.limits.mediaBytes !== null && mediaBytes >= plan.limits.mediaBytes ? [`Your plan's ${sizeText(plan.limits.mediaBytes)} of uploaded media are used up.`] : []),
    ...(held > 0 ? [`${held} post${held === 1 ? ' is' : 's are'} held, because your plan has no room for ${held === 1 ? 'it' : 'them'}.`] : []),
  ];
}

/** Whatever gives the plan; while a payment is open, that one is charged next. */
function nextChargeOf(subscription: Subscription): Date | null {
  if (!isCharged(subscription)) return null;
  return subscription.problem === null ? subscription.snapshot.periodEnd : subscription.problem.nextAttemptAt;
}

function isCharged({ endedAt, snapshot }: Subscription): boolean {
  return endedAt === null && snapshot.cancelAt === null && ['active', 'trialing', 'past-due'].includes(snapshot.status);
}

function meter(id: string, label: string, used: number, limit: number | null, text: (value: number) => string = String): Meter {
  return { id, label, used, limit, usedText: text(used), limitText: limit === null ? null : text(limit), percent: limit === null ? null : limit === 0 ? 100 : Math.min(100, Math.round((used / limit) * 100)) };
}

export function moneyText(amount: number, currency: string): string {
  try {
    const format = new Intl.NumberFormat('en', { style: 'currency', currency });
    const digits = format.resolvedOptions().maximumFractionDigits ?? 2;
    return format.format(amount / 10 ** digits);
  } catch {
    return `${amount / 100} ${currency.toUpperCase()}`;
  }
}

export function priceText(price: Price | null): string {
  return price === null ? 'Free of charge' : `${moneyText(price.amount, price.currency)} a ${price.interval}`;
}

const LIMIT_NAMES: Record<keyof Limits, string> = {
  postsPerMonth: 'Posts a month', profiles: 'Profiles', endpoints: 'Webhook endpoints', mediaBytes: 'Uploaded media', apiCallsPerMinute: 'API calls a minute',
};

/** The limits of two plans side by side; channels are unlimited in every plan. */
export function limitRows(from: Plan, to: Plan): { label: string; from: string; to: string; changes: boolean }[] {
  const text = (name: keyof Limits, value: number | null): string => (value === null ? 'Unlimited' : name === 'mediaBytes' ? sizeText(value) : String(value));
  const rows = (Object.keys(LIMIT_NAMES) as (keyof Limits)[]).map((name) => {
    const [before, after] = [text(name, from.limits[name]), text(name, to.limits[name])];
    return { label: LIMIT_NAMES[name], from: before, to: after, changes: before !== after };
  });
  return [...rows, { label: 'Connected channels', from: 'Unlimited', to: 'Unlimited', changes: false }];
}
