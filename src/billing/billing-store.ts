/** Customers and what accounts have, in MongoDB; both are folded from events and written by compare-and-swap. */
import { type AnyBulkWriteOperation, type Collection, type Db } from 'mongodb';
import { DUPLICATE_KEY, refusedParts, type CollectionIndexes } from '../db/database.js';
import { newToken } from '../lib/ids.js';
import type { CustomerState, Invoice, ManualPlan, Subscription } from './subscription.js';

export interface Customer extends CustomerState {
  /** The provider's id with the provider before it, e.g. `stripe:cus_1`. */
  id: string;
  version: number;
}

/** What was last told about an account's plan, so that a change is noticed. */
export interface PlanSummary {
  planKey: string;
  planName: string;
  source: string;
  status: string;
  periodEnd: Date | null;
  cancelAt: Date | null;
  graceUntil: Date | null;
  /** Set as soon as a trial is about to end. */
  trialEndsAt: Date | null;
}

export interface SubscriptionChanged {
  id: string;
  at: Date;
  sequence: number;
  accountId: string;
  before: PlanSummary | null;
  after: PlanSummary;
}

export interface BillingAccount {
  accountId: string;
  subscriptions: Subscription[];
  invoices: Invoice[];
  /** Its customer at the provider, for the portal; the one that has a subscription, else the newest. */
  customer: string | null;
  manual: ManualPlan | null;
  summary: PlanSummary | null;
  /** When the plan changes by time alone. */
  changesAt: Date | null;
  sequence: number;
  version: number;
}

interface CustomerDoc extends Omit<Customer, 'id'> {
  _id: string;
  writer: string;
}

interface AccountDoc extends Omit<BillingAccount, 'accountId' | 'changesAt'> {
  _id: string;
  changesAt?: Date;
  outbox: SubscriptionChanged[];
  outboxAt?: Date;
  writer: string;
}

export const billingIndexes: CollectionIndexes[] = [
  { collection: 'billing_customers', indexes: [{ key: { accountId: 1 }, name: 'by_account' }] },
  { collection: 'billing_accounts', indexes: [{ key: { changesAt: 1 }, name: 'changes_at', sparse: true }, { key: { outboxAt: 1 }, name: 'outbox', sparse: true }] },
];

export type BillingStore = ReturnType<typeof createBillingStore>;

export function createBillingStore(db: Db) {
  const customers: Collection<CustomerDoc> = db.collection<CustomerDoc>('billing_customers');
  const accounts: Collection<AccountDoc> = db.collection<AccountDoc>('billing_accounts');

  return {
    async findCustomers(ids: string[]): Promise<Customer[]> {
      return (await customers.find({ _id: { $in: ids } }).toArray()).map(toCustomer);
    },

    /** Compare-and-swap on the version; 0 makes a new one. @returns ids of those where somebody else was first */
    async saveCustomers(changed: Customer[]): Promise<Set<string>> {
      return saveAll(customers, changed.map(({ id, version, ...rest }) => ({ id, version, set: rest })));
    },

    async customersOfAccounts(accountIds: string[]): Promise<Customer[]> {
      return (await customers.find({ accountId: { $in: accountIds } }).toArray()).map(toCustomer);
    },

    async findAccount(accountId: string): Promise<BillingAccount | null> {
      const doc = await accounts.findOne({ _id: accountId }, { projection: { outbox: 0 } });
      return doc === null ? null : toAccount(doc);
    },

    async findAccounts(accountIds: string[]): Promise<BillingAccount[]> {
      return (await accounts.find({ _id: { $in: accountIds } }, { projection: { outbox: 0 } }).toArray()).map(toAccount);
    },

    /** Compare-and-swap on the version, with the events in the same write. @returns ids of those where somebody else was first */
    async saveAccounts(changed: { account: BillingAccount; event: SubscriptionChanged | null }[]): Promise<Set<string>> {
      return saveAll(accounts, changed.map(({ account: { accountId, version, changesAt, ...rest }, event }) => ({
        id: accountId,
        version,
        set: { ...rest, ...(changesAt === null ? {} : { changesAt }), ...(event === null ? {} : { outboxAt: event.at }) },
        ...(changesAt === null ? { unset: ['changesAt'] } : {}),
        ...(event === null ? {} : { push: { outbox: event } }),
      })));
    },

    async setManual(accountId: string, manual: ManualPlan | null, now: Date): Promise<void> {
      const empty = { subscriptions: [], invoices: [], customer: null, summary: null, sequence: 0, version: 1, outbox: [], writer: '' };
      await accounts.updateOne({ _id: accountId }, { $setOnInsert: { ...empty, manual } }, { upsert: true }).catch(ignoreDuplicate);
      // Due for a refresh, should this process die before it makes one.
      await accounts.updateOne({ _id: accountId }, { $set: { manual, changesAt: now }, $inc: { version: 1 } });
    },

    async accountsToChange(before: Date, limit: number): Promise<string[]> {
      return (await accounts.find({ changesAt: { $lte: before } }, { projection: { _id: 1 } }).limit(limit).toArray()).map(({ _id }) => _id);
    },

    async readOutbox(limit: number): Promise<SubscriptionChanged[]> {
      return (await accounts.find({ outboxAt: { $gt: new Date(0) } }, { projection: { outbox: 1 } }).limit(limit).toArray()).flatMap(({ outbox }) => outbox);
    },

    async clearOutbox(relayed: SubscriptionChanged[]): Promise<void> {
      for (const { id, accountId } of relayed) {
        await accounts.updateOne({ _id: accountId }, { $pull: { outbox: { id } } });
        await accounts.updateOne({ _id: accountId, outbox: { $size: 0 } }, { $unset: { outboxAt: '' } });
      }
    },

    /** Has every account looked at again when plans or providers are others than at the last start. */
    async refreshAllIfNew(fingerprint: string, now: Date): Promise<void> {
      const state = db.collection<{ _id: string; fingerprint: string }>('billing_state');
      if ((await state.findOne({ _id: 'plans' }))?.fingerprint === fingerprint) return;
      await accounts.updateMany({}, { $set: { changesAt: now } });
      await state.updateOne({ _id: 'plans' }, { $set: { fingerprint } }, { upsert: true });
    },
  };
}

interface Write {
  id: string;
  version: number;
  set: object;
  unset?: string[];
  push?: object;
}

interface Versioned {
  _id: string;
  version: number;
  writer: string;
}

async function saveAll<T extends Versioned>(collection: Collection<T>, writes: Write[]): Promise<Set<string>> {
  const target = collection as unknown as Collection<Versioned>;
  if (writes.length === 0) return new Set();
  const writer = newToken(9);
  const operations = writes.map(({ id, version, set, unset = [], push }): AnyBulkWriteOperation<Versioned> => ({
    updateOne: {
      filter: { _id: id, version: version === 0 ? { $exists: false } : version } as { _id: string },
      update: {
        $set: { ...set, version: version + 1, writer },
        ...(unset.length === 0 ? {} : { $unset: Object.fromEntries(unset.map((name) => [name, ''])) }),
        ...(push === undefined ? {} : { $push: push }),
      },
      upsert: version === 0,
    },
  }));
  try {
    const { matchedCount, upsertedCount } = await target.bulkWrite(operations, { ordered: false });
    if (matchedCount + upsertedCount === writes.length) return new Set();
  } catch (error) {
    if (refusedParts(error).some(({ code }) => code !== DUPLICATE_KEY)) throw error;
  }
  const stored = await target.find({ _id: { $in: writes.map(({ id }) => id) } }, { projection: { writer: 1 } }).toArray();
  const won = new Set(stored.filter((doc) => doc.writer === writer).map(({ _id }) => _id));
  return new Set(writes.map(({ id }) => id).filter((id) => !won.has(id)));
}

function toCustomer({ _id, writer: _writer, ...rest }: CustomerDoc): Customer {
  return { id: _id, ...rest };
}

function toAccount({ _id, writer: _writer, outbox: _outbox, outboxAt: _outboxAt, changesAt, ...rest }: AccountDoc): BillingAccount {
  return { accountId: _id, ...rest, changesAt: changesAt ?? null };
}

function ignoreDuplicate(error: unknown): void {
  if (typeof error === 'object' && error !== null && 'code' in error && error.code === DUPLICATE_KEY) return;
  throw error;
}
