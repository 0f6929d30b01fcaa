/** What providers told us, in MongoDB: each event once, as it came and as we read it, with what became of it. */
import { MongoBulkWriteError, type Collection, type Db, type Filter } from 'mongodb';
import { DUPLICATE_KEY, type CollectionIndexes } from '../db/database.js';
import type { Told } from './provider.js';
import type { BillingEvent } from './subscription.js';

/** pending: stored, not folded yet. applied: part of an account's state. parked: nobody knows yet whose customer it is. */
export type EventOutcome = 'pending' | 'applied' | 'parked' | 'ignored';

export interface StoredEvent {
  id: string;
  provider: string;
  type: string;
  occurredAt: Date;
  receivedAt: Date;
  apiVersion: string | null;
  customer: string | null;
  outcome: EventOutcome;
  reason: string | null;
  event: BillingEvent | null;
  /** The body as it came. */
  raw: string;
}

interface EventDoc extends Omit<StoredEvent, 'id'> {
  _id: string;
  /** Exists only until the event is folded. */
  pendingAt?: Date;
  /** On what was asked of the provider: when the question was begun. */
  startedAt?: Date;
}

/** What came and was not taken, counted per reason and minute, so that nobody can fill the database with it. */
export interface Refusal {
  provider: string;
  reason: string;
  count: number;
  firstAt: Date;
  lastAt: Date;
}

const DAY_S = 86_400;

export const billingEventIndexes: CollectionIndexes[] = [
  {
    collection: 'billing_events',
    indexes: [
      { key: { customer: 1 }, name: 'by_customer' },
      { key: { pendingAt: 1 }, name: 'pending', sparse: true },
      { key: { receivedAt: -1, _id: -1 }, name: 'newest' },
    ],
  },
  { collection: 'billing_refusals', indexes: [{ key: { lastAt: 1 }, name: 'retention', expireAfterSeconds: 30 * DAY_S }] },
];

/** An event as folding sees it. */
export interface FoldedEvent {
  event: BillingEvent;
  outcome: EventOutcome;
}

export interface Arrival {
  told: Told;
  raw: string;
  receivedAt: Date;
}

export type BillingEventStore = ReturnType<typeof createBillingEventStore>;

export function createBillingEventStore(db: Db) {
  const events: Collection<EventDoc> = db.collection<EventDoc>('billing_events');
  const refusals = db.collection<Refusal & { _id: string }>('billing_refusals');

  return {
    /** @returns for each whether it is new; an event that is there already stays as it is */
    async insert(arrivals: Arrival[]): Promise<boolean[]> {
      const docs = arrivals.map(toDoc);
      try {
        await events.insertMany(docs, { ordered: false });
        return docs.map(() => true);
      } catch (error) {
        if (!(error instanceof MongoBulkWriteError)) throw error;
        const failures = [error.writeErrors].flat();
        if (failures.some(({ code }) => code !== DUPLICATE_KEY)) throw error;
        const there = new Set(failures.map(({ index }) => index));
        return docs.map((_doc, i) => !there.has(i));
      }
    },

    /** Keeps what the provider answered when it was asked, unless a later question was answered already. */
    async keepFetched(event: BillingEvent, startedAt: Date): Promise<void> {
      const fields = {
        provider: event.provider, type: event.type, occurredAt: event.occurredAt, receivedAt: startedAt, apiVersion: null, customer: event.customer,
        outcome: 'applied' as const, reason: null, event, raw: '', startedAt,
      };
      const replaced = await events.updateOne({ _id: event.id, startedAt: { $lt: startedAt } }, { $set: fields });
      if (replaced.matchedCount === 1) return;
      await events.updateOne({ _id: event.id }, { $setOnInsert: fields }, { upsert: true });
    },

    /** Every event about these customers, as we read them. */
    async listOfCustomers(customers: string[]): Promise<FoldedEvent[]> {
      const docs = await events.find({ customer: { $in: customers } }, { projection: { event: 1, outcome: 1 } }).toArray();
      return docs.flatMap(({ event, outcome }) => (event === null ? [] : [{ event, outcome }]));
    },

    /** Marks what was folded. @param parked true: nobody knows whose it is yet */
    async markFolded(ids: string[], outcome: EventOutcome, reason: string | null): Promise<void> {
      if (ids.length > 0) await events.updateMany({ _id: { $in: ids } }, { $set: { outcome, reason }, $unset: { pendingAt: '' } });
    },

    /** Has them folded again later. */
    async postpone(ids: string[], until: Date, reason: string): Promise<void> {
      if (ids.length > 0) await events.updateMany({ _id: { $in: ids } }, { $set: { pendingAt: until, reason } });
    },

    /** Customers with events that should be folded by now: the process died in between, or a question to the provider failed. */
    async pendingCustomers(before: Date, limit: number): Promise<{ customer: string; subscription: string | null }[]> {
      const docs = await events.find({ pendingAt: { $lte: before } }, { projection: { customer: 1, event: 1 } }).sort({ pendingAt: 1 }).limit(limit).toArray();
      return docs.flatMap(({ customer, event }) => (customer === null ? [] : [{ customer, subscription: event?.subscription ?? null }]));
    },

    async find(id: string): Promise<StoredEvent | null> {
      const doc = await events.findOne({ _id: id });
      return doc === null ? null : toStored(doc);
    },

    async list(filter: { outcome?: EventOutcome | undefined; before?: Date | undefined }, limit: number): Promise<StoredEvent[]> {
      const query: Filter<EventDoc> = { startedAt: { $exists: false } };
      if (filter.outcome !== undefined) query.outcome = filter.outcome;
      if (filter.before !== undefined) query.receivedAt = { $lt: filter.before };
      return (await events.find(query).sort({ receivedAt: -1, _id: -1 }).limit(limit).toArray()).map(toStored);
    },

    async noteRefusal(provider: string, reason: string, now: Date): Promise<void> {
      const minute = now.toISOString().slice(0, 16);
      await refusals.updateOne({ _id: `${provider}:${minute}:${reason.slice(0, 80)}` }, {
        $inc: { count: 1 }, $set: { lastAt: now }, $setOnInsert: { provider, reason, firstAt: now },
      }, { upsert: true });
    },

    async listRefusals(limit: number): Promise<Refusal[]> {
      return refusals.find({}, { projection: { _id: 0 } }).sort({ lastAt: -1 }).limit(limit).toArray();
    },
  };
}

function toDoc({ told, raw, receivedAt }: Arrival): EventDoc {
  const { id, event, reason, ...rest } = told;
  const pending = event === null ? { outcome: 'ignored' as const } : { outcome: 'pending' as const, pendingAt: receivedAt };
  return { _id: id, ...rest, receivedAt, customer: event?.customer ?? null, reason, event, raw, ...pending };
}

function toStored({ _id, pendingAt: _pendingAt, startedAt: _startedAt, ...rest }: EventDoc): StoredEvent {
  return { id: _id, ...rest };
}
