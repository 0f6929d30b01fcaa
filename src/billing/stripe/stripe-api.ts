/** What Signpost asks of Stripe, through the official client: checkout and portal sessions, and the current state of a subscription. */
import Stripe from 'stripe';
import { AppError, ErrorCode } from '../../lib/app-error.js';
import type { BillingApi, CheckoutRequest } from '../billing-api.js';
import { createStripeClient } from './stripe-client.js';
import { snapshotOf, type StripeProvider } from './stripe-events.js';
import { ACCOUNT_FIELD, accountIn, checkoutShape, subscriptionShape } from './stripe-shapes.js';

export interface StripeApiOptions {
  apiKey: string;
  /** Where the API is, e.g. `http://127.0.0.1:3000/simulated-payments`; null: Stripe itself. Asked at the first call. */
  apiUrl(): string | null;
  provider?: StripeProvider;
}

export function createStripeApi({ apiKey, apiUrl, provider = 'stripe' }: StripeApiOptions): BillingApi {
  let client: Stripe | null = null;
  const stripe = (): Stripe => (client ??= createStripeClient(apiKey, apiUrl()));
  // What can't be asked is asked again soon anyway.
  const once = { maxNetworkRetries: 0 };

  return {
    provider,

    async checkout(request) {
      const session = await asked(() => stripe().checkout.sessions.create(checkoutOf(request), { idempotencyKey: request.idempotencyKey }));
      if (typeof session.url !== 'string') throw unavailable(new Error('the session has no address'));
      return session.url;
    },

    async portal(customer, returnUrl) {
      const session = await asked(() => stripe().billingPortal.sessions.create({ customer: bare(customer), return_url: returnUrl }));
      return session.url;
    },

    async fetchSubscription(id) {
      const answer: unknown = await askedOrNull(() => stripe().subscriptions.retrieve(id, {}, once));
      const subscription = subscriptionShape.safeParse(answer).data;
      if (subscription === undefined || subscription.customer === null) return null;
      return {
        provider, customer: `${provider}:${subscription.customer}`, accountId: accountIn(subscription.metadata[ACCOUNT_FIELD]), snapshot: snapshotOf(subscription),
      };
    },

    async fetchCheckout(sessionId) {
      const answer: unknown = await askedOrNull(() => stripe().checkout.sessions.retrieve(sessionId, {}, once));
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
