/** What Signpost asks of Stripe, through the official client: checkout and portal sessions, and the current state of a subscription. */
import Stripe from 'stripe';
import { AppError, ErrorCode } from '../../lib/app-error.js';
import type { BillingApi, CheckoutRequest } from '../billing-api.js';
import { PROVIDER, snapshotOf } from './stripe-events.js';
import { ACCOUNT_FIELD, accountIn, checkoutShape, subscriptionShape } from './stripe-shapes.js';

const TIMEOUT_MS = 15_000;

/** @param apiUrl where the API is, e.g. `http://127.0.0.1:3002`; null: Stripe itself */
export function createStripeApi({ apiKey, apiUrl }: { apiKey: string; apiUrl: string | null }): BillingApi {
  const stripe = new Stripe(apiKey, { telemetry: false, timeout: TIMEOUT_MS, maxNetworkRetries: 1, ...(apiUrl === null ? {} : addressOf(apiUrl)) });

  return {
    async checkout(request) {
      const session = await asked(() => stripe.checkout.sessions.create(checkoutOf(request), { idempotencyKey: request.idempotencyKey }));
      if (typeof session.url !== 'string') throw unavailable(new Error('the session has no address'));
      return session.url;
    },

    async portal(customer, returnUrl) {
      const session = await asked(() => stripe.billingPortal.sessions.create({ customer: bare(customer), return_url: returnUrl }));
      return session.url;
    },

    async fetchSubscription(id) {
      const answer: unknown = await askedOrNull(() => stripe.subscriptions.retrieve(id));
      const subscription = subscriptionShape.safeParse(answer).data;
      if (subscription === undefined || subscription.customer === null) return null;
      return {
        provider: PROVIDER, customer: `${PROVIDER}:${subscription.customer}`, accountId: accountIn(subscription.metadata[ACCOUNT_FIELD]), snapshot: snapshotOf(subscription),
      };
    },

    async fetchCheckout(sessionId) {
      const answer: unknown = await askedOrNull(() => stripe.checkout.sessions.retrieve(sessionId));
      const session = checkoutShape.safeParse(answer).data;
      if (session === undefined) return null;
      return { customer: session.customer, subscription: session.subscription, accountId: accountIn(session.client_reference_id, session.metadata[ACCOUNT_FIELD]) };
    },
  };
}

function checkoutOf({ accountId, email, customer, plan, successUrl, cancelUrl }: CheckoutRequest): Stripe.Checkout.SessionCreateParams {
  return {
    mode: 'subscription',
    line_items: [{ price: plan.prices[0] ?? '', quantity: 1 }],
    client_reference_id: accountId,
    success_url: successUrl,
    cancel_url: cancelUrl,
    metadata: { [ACCOUNT_FIELD]: accountId },
    // Every event of the subscription names the account, so that the order in which they come doesn't matter.
    subscription_data: { metadata: { [ACCOUNT_FIELD]: accountId } },
    ...(customer === null ? (email === '' ? {} : { customer_email: email }) : { customer: bare(customer) }),
  };
}

function addressOf(url: string): { host: string; port: number; protocol: 'http' | 'https' } {
  const { hostname, port, protocol } = new URL(url);
  const isHttps = protocol === 'https:';
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? (isHttps ? 443 : 80) : Number(port), protocol: isHttps ? 'https' : 'http' };
}

function bare(customer: string): string {
  return customer.slice(customer.indexOf(':') + 1);
}

async function asked<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw unavailable(error);
  }
}

async function askedOrNull<T>(call: () => Promise<T>): Promise<T | null> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof Stripe.errors.StripeInvalidRequestError && error.statusCode === 404) return null;
    throw unavailable(error);
  }
}

function unavailable(cause: unknown): AppError {
  return new AppError('unavailable', ErrorCode.unavailable, 'The payment provider does not answer as it should right now. Nothing was changed; try again in a moment.', { retryAfterS: 30, cause });
}
