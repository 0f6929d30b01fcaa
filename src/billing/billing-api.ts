/** What Signpost asks of a billing provider: pages for paying and for managing, and the current state of a subscription. */
import type { Plan } from './plan.js';
import type { SubscriptionSnapshot } from './subscription.js';

export interface CheckoutRequest {
  accountId: string;
  email: string;
  /** The provider's id with the provider before it; null for a new customer. */
  customer: string | null;
  plan: Plan;
  /** Where the browser comes back to; `{CHECKOUT_SESSION_ID}` in it is replaced by the provider. */
  successUrl: string;
  cancelUrl: string;
  /** The same key never makes two sessions. */
  idempotencyKey: string;
}

export interface CurrentSubscription {
  provider: string;
  customer: string;
  accountId: string | null;
  snapshot: SubscriptionSnapshot;
}

export interface BillingApi {
  /** Whose customers it knows. */
  provider: string;
  /** @returns the address of a page where the plan can be paid for. @throws AppError `unavailable` */
  checkout(request: CheckoutRequest): Promise<string>;
  /** @returns the address of a page where the subscription can be changed or cancelled. @throws AppError `unavailable` */
  portal(customer: string, returnUrl: string): Promise<string>;
  /** @returns null when the provider knows no such subscription. @throws AppError `unavailable` */
  fetchSubscription(id: string): Promise<CurrentSubscription | null>;
  /** What a checkout came to. @returns null when there is no such checkout. @throws AppError `unavailable` */
  fetchCheckout(sessionId: string): Promise<{ customer: string | null; subscription: string | null; accountId: string | null } | null>;
}
