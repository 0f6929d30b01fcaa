/**
 * What is read of Stripe's objects, in the places of old and new API versions: an event's body follows the version of the endpoint, not ours.
 * Since 2025-03-31 a subscription's period stands on its items and an invoice's subscription below `parent`.
 */
import { z } from 'zod';

const seconds = z.number().int().min(0).max(253_402_300_799).transform((s) => new Date(s * 1000));
const time = seconds.nullish().catch(null).transform((at) => at ?? null);
const text = z.string().min(1).max(500).nullish().catch(null).transform((value) => value ?? null);
/** An id, or the whole object where it was expanded. */
const reference = z.union([z.string().min(1).max(255), z.looseObject({ id: z.string().min(1).max(255) }).transform(({ id }) => id)]).nullish().catch(null).transform((id) => id ?? null);
const metadata = z.record(z.string(), z.unknown()).nullish().catch(null).transform((given) => given ?? {});

const price = z.looseObject({ id: text, lookup_key: text }).nullish().catch(null);
const item = z.looseObject({ price, plan: z.looseObject({ id: text }).nullish().catch(null), current_period_end: time });

export const subscriptionShape = z.looseObject({
  id: z.string().min(1).max(255),
  customer: reference,
  status: z.string().max(100).catch('unknown'),
  items: z.looseObject({ data: z.array(item).catch([]) }).nullish().catch(null),
  /** Before 2025-03-31. */
  current_period_end: time,
  plan: z.looseObject({ id: text }).nullish().catch(null),
  cancel_at_period_end: z.boolean().nullish().catch(null),
  cancel_at: time,
  ended_at: time,
  trial_end: time,
  metadata,
});

export const checkoutShape = z.looseObject({
  id: z.string().min(1).max(255),
  mode: text,
  client_reference_id: text,
  customer: reference,
  subscription: reference,
  payment_status: text,
  metadata,
});

const line = z.looseObject({ amount: z.number().nullish().catch(null), period: z.looseObject({ end: time }).nullish().catch(null) });

export const invoiceShape = z.looseObject({
  id: z.string().min(1).max(255),
  customer: reference,
  /** Before 2025-03-31. */
  subscription: reference,
  subscription_details: z.looseObject({ metadata }).nullish().catch(null),
  parent: z.looseObject({ subscription_details: z.looseObject({ subscription: reference, metadata }).nullish().catch(null) }).nullish().catch(null),
  amount_paid: z.number().nullish().catch(null),
  amount_due: z.number().nullish().catch(null),
  currency: text,
  hosted_invoice_url: text,
  next_payment_attempt: time,
  lines: z.looseObject({ data: z.array(line).catch([]) }).nullish().catch(null),
});

export const chargeShape = z.looseObject({ id: z.string(), customer: reference, amount_refunded: z.number().nullish().catch(null), currency: text });
export const customerShape = z.looseObject({ id: z.string().min(1).max(255), metadata });

export const eventShape = z.looseObject({
  id: z.string().min(1).max(255),
  object: z.literal('event').optional(),
  type: z.string().min(1).max(200),
  created: seconds,
  api_version: text,
  data: z.looseObject({ object: z.unknown().optional(), previous_attributes: z.unknown().optional() }),
});

/** Thin events name an object and hold nothing of it; an endpoint may be set to send them by mistake. */
export const thinEventShape = z.looseObject({ id: z.string().min(1).max(255), object: z.literal('v2.core.event'), type: z.string().min(1).max(200), created: z.iso.datetime({ offset: true }).transform((text) => new Date(text)) });

/** Name of the field in Stripe's metadata that names the account. */
export const ACCOUNT_FIELD = 'signpost_account';

/** Only what looks like an account of ours; anything else in there is somebody else's business. */
export function accountIn(...places: unknown[]): string | null {
  const found = places.find((value) => typeof value === 'string' && /^acc_[0-9a-z]{1,40}$/.test(value));
  return typeof found === 'string' ? found : null;
}

/** An address that a page may link to. */
export function webAddress(url: string | null): string | null {
  return url !== null && /^https?:\/\//i.test(url) && URL.canParse(url) ? url : null;
}
