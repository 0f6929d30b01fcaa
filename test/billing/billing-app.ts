/** The whole product with billing on, and events signed as Stripe signs them. */
import Stripe from 'stripe';
import { signUp, apiClient, connectChannel, createApiKey, type ApiClient } from '../../src/cli/newcomer.js';
import type { HttpSession } from '../../src/cli/http-session.js';
import { startApp, type StartAppOptions, type TestApp } from '../support/start-app.js';
import { connectDatabase } from '../../src/db/database.js';
import { uriOfDatabase } from '../support/temporary-database.js';

export const SECRET = 'whsec_of_the_test';

export interface BillingApp extends TestApp {
  newcomer(email: string, options?: { timeZone?: string }): Promise<{ session: HttpSession; api: ApiClient; accountId: string }>;
  /** Sends a signed event. @returns status and answer */
  send(event: object | string, options?: { secret?: string; timestamp?: number; header?: string }): Promise<{ status: number; body: Record<string, unknown> }>;
}

/** With events from Stripe and nothing to ask it with. */
export async function startBillingApp(env: Record<string, string> = {}, options: StartAppOptions = {}): Promise<BillingApp> {
  const app = await startApp({
    retryPolicy: { retryDelaysMs: [50], lookUpDelaysMs: [20] }, simulator: { processingMs: 80, holdMs: 50 }, ...options,
    env: { BILLING: 'stripe', STRIPE_WEBHOOK_SECRETS: SECRET, SIGNUP: 'open', ...env },
  });
  return {
    ...app,
    async newcomer(email, { timeZone = 'UTC' } = {}) {
      const { session } = await signUp(app.url, { email, timeZone });
      await connectChannel(session, 'bluesky', `${email.split('@')[0]}.bsky.social`);
      const key = await createApiKey(session);
      return { session, api: apiClient(app.url, key), accountId: await accountIdOf(app.databaseName, email) };
    },
    send: (event, sending) => sendEvent(app.url, event, sending),
  };
}

export async function sendEvent(url: string, event: object | string, { secret = SECRET, timestamp, header }: { secret?: string; timestamp?: number; header?: string } = {}): Promise<{ status: number; body: Record<string, unknown> }> {
  const payload = typeof event === 'string' ? event : JSON.stringify(event);
  const signature = header ?? Stripe.webhooks.generateTestHeaderString({ payload, secret, ...(timestamp === undefined ? {} : { timestamp }) });
  const response = await fetch(`${url}/hooks/billing/stripe`, { method: 'POST', body: payload, headers: { 'content-type': 'application/json', 'stripe-signature': signature } });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

async function accountIdOf(databaseName: string, email: string): Promise<string> {
  const { db, close } = await connectDatabase(uriOfDatabase(databaseName), databaseName);
  const user = await db.collection<{ accountId: string }>('users').findOne({ emailNormalized: email });
  await close();
  return user?.accountId ?? '';
}

/** Ids of one event's documents in a collection, for looking at what was stored. */
export async function documents(databaseName: string, collection: string): Promise<Record<string, unknown>[]> {
  const { db, close } = await connectDatabase(uriOfDatabase(databaseName), databaseName);
  const found = await db.collection(collection).find().toArray();
  await close();
  return found;
}
