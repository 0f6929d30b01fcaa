/** What the simulated payment provider knows: customers, subscriptions, invoices and sessions, kept in one small file. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { startProblem } from '../../lib/start-problem.js';
import type { StripeObject } from './stripe-objects.js';

export interface SimulatedPrice {
  id: string;
  lookupKey: string | null;
  name: string;
  amount: number;
  currency: string;
  interval: 'month' | 'year';
}

export interface SimulatedSubscription {
  id: string;
  customer: string;
  status: 'active' | 'trialing' | 'past_due' | 'paused' | 'canceled';
  priceId: string;
  /** Unix seconds, as everything here. */
  created: number;
  periodStart: number;
  periodEnd: number;
  cancelAtPeriodEnd: boolean;
  endedAt: number | null;
  trialEnd: number | null;
  /** Was it told that the trial is about to end? */
  isTrialEndTold: boolean;
  /** The invoice that could not be paid. */
  openInvoice: string | null;
  metadata: Record<string, string>;
}

export interface SimulatedSession {
  id: string;
  kind: 'checkout' | 'portal';
  customer: string | null;
  subscription: string | null;
  priceId: string | null;
  email: string | null;
  reference: string | null;
  metadata: Record<string, string>;
  subscriptionMetadata: Record<string, string>;
  /** Where the browser goes after paying, or back from the portal. */
  successUrl: string;
  cancelUrl: string;
  isComplete: boolean;
  idempotencyKey: string | null;
}

export interface SimulatedInvoice {
  id: string;
  subscription: string;
  number: number;
  amount: number;
  currency: string;
  created: number;
  periodEnd: number;
  isPaid: boolean;
  isRefunded: boolean;
}

interface State {
  /** Seconds by which time was passed on. */
  offsetS: number;
  customers: Record<string, { id: string; email: string | null }>;
  subscriptions: Record<string, SimulatedSubscription>;
  sessions: Record<string, SimulatedSession>;
  invoices: Record<string, SimulatedInvoice>;
  /** Events that were not taken yet, in order: a real provider forgets none either when a machine stops. */
  unsent: StripeObject[];
}

const EMPTY: State = { offsetS: 0, customers: {}, subscriptions: {}, sessions: {}, invoices: {}, unsent: [] };

export interface BillingWorld {
  state: State;
  /** Unix seconds of the simulated clock. */
  now(): number;
  newId(prefix: string): string;
  /** Writes the file; call after each change. */
  save(): void;
}

/** @throws Error in plain words when the file can't be read */
export function openBillingWorld(file: string, now: () => number): BillingWorld {
  const state: State = { ...structuredClone(EMPTY), ...remembered(file) };
  return {
    state,
    now: () => Math.floor(now() / 1000) + state.offsetS,
    newId: (prefix) => `${prefix}_sim_${randomBytes(12).toString('hex')}`,
    save() {
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(`${file}.new`, JSON.stringify(state));
      renameSync(`${file}.new`, file);
    },
  };
}

function remembered(file: string): Partial<State> {
  if (!existsSync(file)) return {};
  try {
    const state: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (typeof state !== 'object' || state === null || Array.isArray(state)) throw new Error('it holds something else');
    return state;
  } catch (error) {
    throw startProblem(`What the simulated payment provider remembers can't be read from ${file}: ${error instanceof Error ? error.message : String(error)}. Put a copy of it back, or delete it: then the provider begins anew.`, error);
  }
}
