/** The contract of a billing provider: from raw bytes and headers to one event in our words. */
import type { BillingEvent } from './subscription.js';

export interface Told {
  /** The provider's event id with the provider before it, e.g. `stripe:evt_1`. */
  id: string;
  provider: string;
  type: string;
  occurredAt: Date;
  /** In which version of its API the provider wrote it, where it has versions. */
  apiVersion: string | null;
  /** Null: there is nothing in it for us; `reason` says why. */
  event: BillingEvent | null;
  reason: string | null;
}

/** `refused`: it doesn't come from the provider, or not now. `unreadable`: it does, but it isn't what it should be. */
export type Verified = { outcome: 'told'; told: Told } | { outcome: 'refused' | 'unreadable'; reason: string };

export interface BillingAdapter {
  /** Names it in the address of its door, e.g. `stripe`. */
  id: string;
  name: string;
  /** What stands before the ids of its customers and events. */
  provider: string;
  /**
   * Checks the signature over the raw bytes, then reads them.
   * @param headers with lower-case names
   */
  verify(raw: Buffer, headers: Record<string, string | undefined>, now: Date): Verified;
  /** Reads a body again that was verified when it came. */
  read(raw: Buffer): Verified;
}

/** Signatures older than this are refused: a copy of one is worth nothing later. */
export const TOLERANCE_S = 300;
