/**
 * Paddle's incoming events: `Paddle-Signature: ts=...;h1=...`, HMAC-SHA256 over `ts:body`. Paddle's own library allows only five seconds of
 * skew and compares in variable time, so the check is ours.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { TOLERANCE_S, type BillingAdapter, type Verified } from '../provider.js';
import type { BillingEvent, BillingFact, SubscriptionStatus } from '../subscription.js';

const PROVIDER = 'paddle';
/** Paddle allows no more in one subscription. */
const MOST_ITEMS = 100;

const time = z.iso.datetime({ offset: true }).transform((text) => new Date(text)).nullish().catch(null).transform((at) => at ?? null);
const id = z.string().min(1).max(255);

const eventShape = z.looseObject({
  event_id: id,
  event_type: z.string().min(1).max(200),
  occurred_at: z.iso.datetime({ offset: true }).transform((text) => new Date(text)),
  data: z.looseObject({
    id,
    customer_id: id.nullish().catch(null),
    subscription_id: id.nullish().catch(null),
    status: z.string().nullish().catch(null),
    items: z.array(z.looseObject({ price: z.looseObject({ id, custom_data: z.looseObject({ lookup_key: z.string().nullish() }).nullish().catch(null) }).nullish().catch(null) })).nullish().catch(null),
    current_billing_period: z.looseObject({ ends_at: time }).nullish().catch(null),
    billing_period: z.looseObject({ ends_at: time }).nullish().catch(null),
    scheduled_change: z.looseObject({ action: z.string(), effective_at: time }).nullish().catch(null),
    details: z.looseObject({ totals: z.looseObject({ grand_total: z.coerce.number(), currency_code: z.string() }).nullish().catch(null) }).nullish().catch(null),
    custom_data: z.looseObject({ signpost_account: z.string().nullish().catch(null) }).nullish().catch(null),
  }),
});
type PaddleEvent = z.output<typeof eventShape>;

const STATUS: ReadonlyMap<string, SubscriptionStatus> = new Map([['active', 'active'], ['trialing', 'trialing'], ['past_due', 'past-due'], ['paused', 'paused'], ['canceled', 'ended']] as const);

export function createPaddleAdapter({ secrets }: { secrets: readonly string[] }): BillingAdapter {
  return {
    id: PROVIDER,
    provider: PROVIDER,
    name: 'Paddle',
    verify(raw, headers, now): Verified {
      const problem = problemOf(raw, headers['paddle-signature'], secrets, now);
      return problem === null ? read(raw) : { outcome: 'refused', reason: problem };
    },
    read,
  };
}

function problemOf(raw: Buffer, header: string | undefined, secrets: readonly string[], now: Date): string | null {
  const parts = (header ?? '').split(';').map((part) => part.split('='));
  const ts = parts.find(([name]) => name === 'ts')?.[1] ?? '';
  const given = parts.filter(([name]) => name === 'h1').map(([, value]) => Buffer.from(value ?? ''));
  if (!/^\d{1,12}$/.test(ts) || given.length === 0) return 'The header Paddle-Signature is missing or incomplete.';
  const expected = secrets.map((secret) => Buffer.from(createHmac('sha256', secret).update(`${ts}:`).update(raw).digest('hex')));
  const matches = given.some((one) => expected.some((other) => one.length === other.length && timingSafeEqual(one, other)));
  if (!matches) return 'The signature does not match the body.';
  return Math.abs(now.getTime() / 1000 - Number(ts)) > TOLERANCE_S ? `The signature is more than ${TOLERANCE_S / 60} minutes off.` : null;
}

function read(raw: Buffer): Verified {
  let body: unknown;
  try {
    body = JSON.parse(raw.toString('utf8'));
  } catch {
    return { outcome: 'unreadable', reason: 'The body is not JSON.' };
  }
  const parsed = eventShape.safeParse(body);
  if (!parsed.success) return { outcome: 'unreadable', reason: 'The body is not an event of Paddle.' };
  const event = parsed.data;
  const found = readEvent(event);
  const told = { id: `${PROVIDER}:${event.event_id}`, provider: PROVIDER, type: event.event_type, occurredAt: event.occurred_at, apiVersion: null };
  return { outcome: 'told', told: typeof found === 'string' ? { ...told, event: null, reason: found } : { ...told, event: found, reason: null } };
}

function readEvent(event: PaddleEvent): BillingEvent | string {
  const { data, event_type: type } = event;
  if (!data.customer_id) return 'The event names no customer.';
  const fact = factOf(event);
  if (typeof fact === 'string') return fact;
  const account = data.custom_data?.signpost_account ?? '';
  return {
    id: `${PROVIDER}:${event.event_id}`, provider: PROVIDER, type, occurredAt: event.occurred_at, customer: `${PROVIDER}:${data.customer_id}`,
    subscription: type.startsWith('subscription.') ? data.id : (data.subscription_id ?? null),
    accountId: /^acc_[0-9a-z]{1,40}$/.test(account) ? account : null,
    fact,
  };
}

function factOf(event: PaddleEvent): BillingFact | string {
  const { data, event_type: type } = event;
  if (/^subscription\.(created|activated|updated|past_due|paused|resumed|trialing|canceled|imported)$/.test(type)) {
    const periodEnd = data.current_billing_period?.ends_at ?? null;
    const [first = null, ...further] = (data.items ?? []).map(({ price }) => ({ priceId: price?.id ?? null, lookupKey: price?.custom_data?.lookup_key ?? null }));
    const status = STATUS.get(data.status ?? '') ?? 'unknown';
    const change = type === 'subscription.canceled' ? 'ended' : type === 'subscription.created' ? 'created' : 'updated';
    return {
      kind: 'subscription', change,
      snapshot: {
        status: change === 'ended' ? 'ended' : status, priceId: first?.priceId ?? null, lookupKey: first?.lookupKey ?? null, ...(further.length === 0 ? {} : { furtherPrices: further.slice(0, MOST_ITEMS) }), periodEnd,
        cancelAt: data.scheduled_change?.action === 'cancel' ? data.scheduled_change.effective_at : null,
        trialEnd: status === 'trialing' ? periodEnd : null,
      },
    };
  }
  if (type !== 'transaction.completed' && type !== 'transaction.payment_failed') return `Signpost does nothing about ${type.slice(0, 100)}.`;
  const totals = data.details?.totals;
  const outcome = type === 'transaction.completed' ? 'paid' as const : 'failed' as const;
  return {
    kind: 'payment',
    paidUntil: outcome === 'paid' ? (data.billing_period?.ends_at ?? null) : null,
    invoice: { id: data.id, at: event.occurred_at, amount: totals?.grand_total ?? 0, currency: (totals?.currency_code ?? '').toLowerCase(), outcome, url: null, nextAttemptAt: null },
  };
}
