/** What providers told us, in MongoDB: each event once, as it came and as we read it, with what became of it. */
import { type Collection, type Db, type Filter, type OptionalUnlessRequiredId } from 'mongodb';
import { DUPLICATE_KEY, refusedParts, type CollectionIndexes } from '../db/database.js';
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
}

interface EventDoc extends Omit<StoredEvent, 'id'> {
  _id: string;
  /** Exists only until the event is folded. */
  pendingAt?: Date;
  /** On what was asked of the provider: when the question was begun. */
  startedAt?: Date;
  /** On what held nothing for us: no state is made of it, so it need not be kept. */
  forgetAt?: Date;
}

/** The body as it came; it holds names and addresses, so it goes sooner than what was read of it. */
interface RawDoc {
  _id: string;
  raw: string;
  receivedAt: Date;
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
/** Events of about 1 kB that are kept in memory. */
const MOST_RECENT = 5_000;
/** How long bodies are kept, and events that held nothing for us. */
const KEPT_DAYS = 90;

export const billingEventIndexes: CollectionIndexes[] = [
  {
    collection: 'billing_events',
    indexes: [
      { key: { customer: 1 }, name: 'by_customer' },
      { key: { pendingAt: 1 }, name: 'pending', sparse: true },
      { key: { receivedAt: -1, _id: -1 }, name: 'newest' },
      { key: { forgetAt: 1 }, name: 'retention', sparse: true, expireAfterSeconds: 0 },
    ],
  },
  { collection: 'billing_bodies', indexes: [{ key: { receivedAt: 1 }, name: 'retention', expireAfterSeconds: KEPT_DAYS * DAY_S }] },
  { collection: 'billing_refusals', indexes: [{ key: { lastAt: 1 }, name: 'retention', expireAfterSeconds: 30 * DAY_S }] },
];

/** An event as folding sees it. */
export interface FoldedEvent {
  event: BillingEvent;
  outcome: EventOutcome;
  receivedAt: Date;
}

export interface Arrival {
  told: Told;
  raw: string;
  receivedAt: Date;
}

export type BillingEventStore = ReturnType<typeof createBillingEventStore>;

export function createBillingEventStore(db: Db) {
  const events: Collection<EventDoc> = db.collection<EventDoc>('billing_events');
  const bodies: Collection<RawDoc> = db.collection<RawDoc>('billing_bodies');
  const refusals = db.collection<Refusal & { _id: string }>('billing_refusals');
  /** By id, oldest first. A customer's events are all folded anew at each new one. */
  const recent = new Map<string, BillingEvent>();

  /** What was read of an event never changes, but for what the provider is asked again. */
  async function read(docs: Pick<EventDoc, '_id' | 'startedAt'>[]): Promise<Map<string, BillingEvent | null>> {
    const found = new Map<string, BillingEvent | null>();
    const unread: string[] = [];
    for (const { _id, startedAt } of docs) {
      const event = startedAt === undefined ? recent.get(_id) : undefined;
      if (event === undefined) unread.push(_id);
      else found.set(_id, event);
    }
    if (unread.length === 0) return found;
    for (const { _id, event, startedAt } of await events.find({ _id: { $in: unread } }, { projection: { event: 1, startedAt: 1 } }).toArray()) {
      found.set(_id, event);
      if (event !== null && startedAt === undefined) recent.set(_id, event);
    }
    for (const id of recent.keys()) {
      if (recent.size <= MOST_RECENT) break;
      recent.delete(id);
    }
    return found;
  }

  return {
    /** @returns for each whether it is new; an event that is there already stays as it is */
    async insert(arrivals: Arrival[]): Promise<boolean[]> {
      const [, isNew] = await Promise.all([
        insertNew(bodies, arrivals.map(({ told, raw, receivedAt }) => ({ _id: told.id, raw, receivedAt }))),
        insertNew(events, arrivals.map(toDoc)),
      ]);
      return isNew;
    },

    /** Keeps what the provider answered when it was asked, unless a later question was answered already. */
    async keepFetched(event: BillingEvent, startedAt: Date): Promise<void> {
      const fields = {
        provider: event.provider, type: event.type, occurredAt: event.occurredAt, receivedAt: startedAt, apiVersion: null, customer: event.customer,
        outcome: 'applied' as const, reason: null, event, startedAt,
      };
      const replaced = await events.updateOne({ _id: event.id, startedAt: { $lt: startedAt } }, { $set: fields });
      if (replaced.matchedCount === 1) return;
      await events.updateOne({ _id: event.id }, { $setOnInsert: fields }, { upsert: true });
    },

    /** Every event about these customers, as we read them. */
    async listOfCustomers(customers: string[]): Promise<FoldedEvent[]> {
      const docs = await events.find({ customer: { $in: customers } }, { projection: { outcome: 1, receivedAt: 1, startedAt: 1 } }).toArray();
      const found = await read(docs);
      return docs.flatMap(({ _id, outcome, receivedAt }) => {
        const event = found.get(_id) ?? null;
        return event === null ? [] : [{ event, outcome, receivedAt }];
      });
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

    /** The body as it came; null when it is no longer kept. */
    async bodyOf(id: string): Promise<string | null> {
      return (await bodies.findOne({ _id: id }))?.raw ?? null;
    },

    /** What a newer Signpost reads in a body that an older one found nothing in. */
    async readAgain(id: string, event: BillingEvent, now: Date): Promise<void> {
      await events.updateOne({ _id: id, event: null }, { $set: { event, customer: event.customer, outcome: 'pending', reason: null, pendingAt: now }, $unset: { forgetAt: '' } });
    },

    /** Newest first. */
    async list(filter: { outcome?: EventOutcome | undefined; before?: { receivedAt: Date; id: string } | undefined }, limit: number): Promise<StoredEvent[]> {
      const query: Filter<EventDoc> = { startedAt: { $exists: false } };
      if (filter.outcome !== undefined) query.outcome = filter.outcome;
      if (filter.before !== undefined) {
        const { receivedAt, id } = filter.before;
        query.$or = [{ receivedAt: { $lt: receivedAt } }, { receivedAt, _id: { $lt: id } }];
      }
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

/** @returns for each whether it is new; what is there already stays as it is */
async function insertNew<T extends { _id: string }>(collection: Collection<T>, docs: T[]): Promise<boolean[]> {
  try {
    await collection.insertMany(docs as unknown as OptionalUnlessRequiredId<T>[], { ordered: false });
    return docs.map(() => true);
  } catch (error) {
    const failures = refusedParts(error);
    if (failures.some(({ code }) => code !== DUPLICATE_KEY)) throw error;
    const there = new Set(failures.map(({ index }) => index));
    return docs.map((_doc, i) => !there.has(i));
  }
}

function toDoc({ told, receivedAt }: Arrival): EventDoc {
  const { id, event, reason, ...rest } = told;
  const pending = event === null ? { outcome: 'ignored' as const, forgetAt: new Date(receivedAt.getTime() + KEPT_DAYS * DAY_S * 1000) } : { outcome: 'pending' as const, pendingAt: receivedAt };
  return { _id: id, ...rest, receivedAt, customer: event?.customer ?? null, reason, event, ...pending };
}

function toStored({ _id, pendingAt: _pendingAt, startedAt: _startedAt, forgetAt: _forgetAt, ...rest }: EventDoc): StoredEvent {
  return { id: _id, ...rest };
}
