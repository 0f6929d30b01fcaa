/** Deliveries in MongoDB: claimed in batches with leases, moved only by who holds the lease. */
import type { AnyBulkWriteOperation, Collection, Db, Filter } from 'mongodb';
import { isDuplicateKey, type CollectionIndexes } from '../db/database.js';
import { RECOVERABLE, type Delivery, type DeliveryAttempt, type DeliveryState, type Lease, type NextStep } from './delivery.js';
import { DAY_S, RETENTION_DAYS } from './event.js';
import { insertIgnoringDuplicates } from './event-store.js';

const HOUR_MS = 3_600_000;
/** What keeps a delivery in the line of an ordered endpoint. */
export const OUT_OF_LINE = { lineOf: '', position: '', inFlightFor: '' } as const;
/** More resends than this push the oldest attempts out of the log. */
const ATTEMPTS_KEPT = 40;

/** Facts that most deliveries don't have when they are made. */
type Later = 'attempts' | 'note' | 'lastStatus' | 'lastError' | 'endedAt' | 'resumeTo' | 'recoveryId';

/** `dueFor`, `dueAt` and `lease` exist only while they mean something, so that the sparse indexes cost by what is due and not by what is stored. */
export interface DeliveryDoc extends Omit<Delivery, 'id' | 'dueAt' | 'lease' | 'position' | Later>, Partial<Pick<Delivery, Later>> {
  _id: string;
  /** The endpoint again, while the delivery waits. */
  dueFor?: string;
  dueAt?: Date;
  lease?: Lease;
  /** The endpoint again, while the delivery stands in its line: see `delivery-line.ts`. */
  lineOf?: string;
  position?: string;
  /** The endpoint again, while this delivery of its line is being sent: a unique index lets there be one. */
  inFlightFor?: string;
  /** Claims since the last stored attempt: a delivery that kills its sender again and again is given up. */
  claims: number;
}

export const deliveryIndexes: CollectionIndexes[] = [
  {
    collection: 'webhook_deliveries',
    indexes: [
      { key: { dueFor: 1, dueAt: 1 }, name: 'due_by_endpoint', sparse: true },
      { key: { dueAt: 1 }, name: 'due', sparse: true },
      { key: { 'lease.until': 1 }, name: 'lease_until', sparse: true },
      { key: { lineOf: 1, position: 1 }, name: 'line', sparse: true },
      { key: { inFlightFor: 1 }, name: 'one_in_flight_in_line', unique: true, sparse: true },
      { key: { accountId: 1, createdAt: -1, _id: -1 }, name: 'by_account' },
      { key: { endpointId: 1, createdAt: -1, _id: -1 }, name: 'by_endpoint' },
      { key: { createdAt: 1 }, name: 'retention', expireAfterSeconds: RETENTION_DAYS * DAY_S },
    ],
  },
];

export interface Outcome {
  delivery: Delivery;
  attempt: DeliveryAttempt;
  next: NextStep;
  tries: number;
}

export interface DeliveryFilter {
  accountId: string;
  endpointId?: string;
  states?: readonly DeliveryState[];
  /** What endpoints know it as, or an event type. */
  event?: string;
  from?: Date;
  /** Part of a post id, an event id, a URL or an error. */
  text?: string;
  before?: { createdAt: Date; id: string };
  limit: number;
}

/** A delivery without the bulky parts. */
export type DeliveryRow = Omit<Delivery, 'body' | 'attempts'>;

/** Deliveries of one endpoint that were made in one hour. */
export interface HourCount {
  endpointId: string;
  /** Whole hours since the beginning of the time looked at. */
  hour: number;
  total: number;
  /** Those whose last attempt failed. */
  failed: number;
}

export interface DeliveryStore {
  /** Writes what isn't there yet; born leased when `lease` is set. @returns ids of those that were new */
  insert(deliveries: Delivery[]): Promise<Set<string>>;
  /** Leases up to `limit` due deliveries of each endpoint. */
  claim(wanted: { endpointId: string; limit: number }[], now: Date, lease: Lease): Promise<Delivery[]>;
  /** Leases this one, whatever else its endpoint has waiting; not while another one of its endpoint's line is in flight. */
  claimOne(id: string, lease: Lease): Promise<Delivery | null>;
  /** Gives back what was leased and not started. */
  release(deliveries: Pick<Delivery, 'id' | 'lease'>[], now: Date): Promise<void>;
  /** Stores attempts and what follows from them, for those whose lease still holds. */
  record(outcomes: Outcome[]): Promise<void>;
  /** Leases that ran out: their process died or hung. */
  listExpired(now: Date, limit: number): Promise<(Delivery & { claims: number })[]>;
  /** What is leased under this name, until `until` at the latest. */
  listLeased(owner: string, now: Date, until: Date, limit: number): Promise<(Delivery & { claims: number })[]>;
  dueEndpoints(now: Date, limit: number): Promise<string[]>;
  nextDueAt(endpointId: string): Promise<Date | null>;
  /** Ends everything that waits for this endpoint. @returns how many */
  cancelWaiting(endpointId: string, note: string, now: Date): Promise<number>;
  cancelLeased(delivery: Pick<Delivery, 'id' | 'lease'>, note: string, now: Date): Promise<void>;
  /** Makes it due now, for one attempt. @returns false when it is being sent right now or is gone */
  resend(id: string, now: Date): Promise<boolean>;
  /** Makes up to `limit` of them due again for a recovery. @returns how many; 0 when there are no more */
  requeue(recovery: { id: string; endpointId: string; since: Date; until: Date }, now: Date, limit: number): Promise<number>;
  /** How many a recovery would send. */
  countRecoverable(endpointId: string, since: Date): Promise<number>;
  /** How many wait for this endpoint, counted up to `limit`. */
  countWaiting(endpointId: string, limit: number): Promise<number>;
  countByHour(accountId: string, since: Date): Promise<HourCount[]>;
  find(accountId: string, id: string): Promise<Delivery | null>;
  /** Those of these deliveries that are there. */
  findMany(accountId: string, ids: string[]): Promise<DeliveryRow[]>;
  list(filter: DeliveryFilter): Promise<DeliveryRow[]>;
  /** The newest deliveries of one event, for a post's or a test's page. */
  listByEndpoint(endpointId: string, limit: number): Promise<DeliveryRow[]>;
}

export function createDeliveryStore(db: Db): DeliveryStore {
  const deliveries: Collection<DeliveryDoc> = db.collection<DeliveryDoc>('webhook_deliveries');
  const bulky = { body: 0, attempts: 0 } as const;

  async function dueIds(endpointId: string, now: Date, limit: number): Promise<string[]> {
    const docs = await deliveries.find({ dueFor: endpointId, dueAt: { $lte: now } }, { projection: { _id: 1 } }).sort({ dueAt: 1 }).limit(limit).toArray();
    return docs.map((doc) => doc._id);
  }

  /** One that is parked, ordered or limited may have more due than one look takes, for long; then each endpoint is looked up by itself, so that it hides no other. */
  async function otherDueEndpoints(now: Date, limit: number): Promise<string[]> {
    const due: string[] = [];
    let last = '';
    for (let looked = 0; looked < limit; looked++) {
      const doc = await deliveries.findOne({ dueFor: { $gt: last } }, { sort: { dueFor: 1, dueAt: 1 }, projection: { dueFor: 1, dueAt: 1 } });
      if (doc?.dueFor === undefined || doc.dueAt === undefined) break;
      if (doc.dueAt <= now) due.push(doc.dueFor);
      last = doc.dueFor;
    }
    return due;
  }

  return {
    async insert(made) {
      const docs = made.map(toDoc);
      const there = await insertIgnoringDuplicates(deliveries, docs);
      return new Set(docs.filter((_doc, index) => !there.has(index)).map((doc) => doc._id));
    },
    async claim(wanted, now, lease) {
      const ids = (await Promise.all(wanted.map(({ endpointId, limit }) => dueIds(endpointId, now, limit)))).flat();
      if (ids.length === 0) return [];
      await deliveries.updateMany(
        { _id: { $in: ids }, state: 'waiting', dueAt: { $lte: now } },
        { $set: { state: 'sending', lease }, $unset: { dueFor: '', dueAt: '' }, $inc: { claims: 1 } },
      );
      return (await deliveries.find({ _id: { $in: ids }, 'lease.token': lease.token }, { projection: { attempts: 0 } }).toArray()).map(toDelivery);
    },
    async claimOne(id, lease) {
      const there = await deliveries.findOne({ _id: id, state: 'waiting' }, { projection: { lineOf: 1 } });
      if (there === null) return null;
      const inLine = there.lineOf === undefined ? {} : { inFlightFor: there.lineOf };
      try {
        const doc = await deliveries.findOneAndUpdate(
          { _id: id, state: 'waiting' },
          { $set: { state: 'sending', lease, ...inLine }, $unset: { dueFor: '', dueAt: '' }, $inc: { claims: 1 } },
          { returnDocument: 'after', projection: { attempts: 0 } },
        );
        return doc === null ? null : toDelivery(doc);
      } catch (error) {
        if (isDuplicateKey(error)) return null;
        throw error;
      }
    },
    async release(leased, now) {
      if (leased.length === 0) return;
      const docs = await deliveries.find({ _id: { $in: leased.map(({ id }) => id) } }, { projection: { endpointId: 1 } }).toArray();
      const endpointOf = new Map(docs.map((doc) => [doc._id, doc.endpointId]));
      const operations = leased.filter(({ id }) => endpointOf.has(id)).map(({ id, lease }): AnyBulkWriteOperation<DeliveryDoc> => ({
        updateOne: {
          filter: { _id: id, state: 'sending', 'lease.token': lease?.token ?? '' },
          update: { $set: { state: 'waiting', dueFor: endpointOf.get(id)!, dueAt: now }, $unset: { lease: '', inFlightFor: '' }, $inc: { claims: -1 } },
        },
      }));
      if (operations.length > 0) await deliveries.bulkWrite(operations, { ordered: false });
    },
    async record(outcomes) {
      if (outcomes.length > 0) await deliveries.bulkWrite(outcomes.map(outcomeUpdate), { ordered: false });
    },
    async listExpired(now, limit) {
      const docs = await deliveries.find({ 'lease.until': { $lte: now } }, { projection: { attempts: 0 } }).limit(limit).toArray();
      return docs.map((doc) => ({ ...toDelivery(doc), claims: doc.claims }));
    },
    async listLeased(owner, now, until, limit) {
      const docs = await deliveries.find({ 'lease.until': { $gt: now, $lte: until }, 'lease.owner': owner }, { projection: { attempts: 0 } }).limit(limit).toArray();
      return docs.map((doc) => ({ ...toDelivery(doc), claims: doc.claims }));
    },
    async dueEndpoints(now, limit) {
      const docs = await deliveries.find({ dueAt: { $lte: now } }, { projection: { dueFor: 1 } }).sort({ dueAt: 1 }).limit(limit).toArray();
      const found = new Set(docs.map((doc) => doc.dueFor ?? '').filter((id) => id !== ''));
      if (docs.length === limit) for (const id of await otherDueEndpoints(now, limit)) found.add(id);
      return [...found];
    },
    async nextDueAt(endpointId) {
      const doc = await deliveries.findOne({ dueFor: endpointId }, { sort: { dueAt: 1 }, projection: { dueAt: 1 } });
      return doc?.dueAt ?? null;
    },
    async cancelWaiting(endpointId, note, now) {
      const result = await deliveries.updateMany(
        { dueFor: endpointId, state: 'waiting' },
        { $set: { state: 'cancelled', note, endedAt: now, resumeTo: null }, $unset: { dueFor: '', dueAt: '', ...OUT_OF_LINE } },
      );
      return result.modifiedCount;
    },
    async cancelLeased({ id, lease }, note, now) {
      await deliveries.updateOne(
        { _id: id, 'lease.token': lease?.token ?? '' },
        { $set: { state: 'cancelled', note, endedAt: now, resumeTo: null }, $unset: { lease: '', ...OUT_OF_LINE } },
      );
    },
    async resend(id, now) {
      const doc = await deliveries.findOne({ _id: id, state: { $ne: 'sending' } }, { projection: { state: 1, dueAt: 1, endpointId: 1, resumeTo: 1 } });
      if (doc === null) return false;
      const resumeTo = doc.resumeTo ?? { state: doc.state, dueAt: doc.dueAt ?? null };
      const result = await deliveries.updateOne(
        { _id: id, state: doc.state },
        { $set: { state: 'waiting', dueFor: doc.endpointId, dueAt: now, trigger: 'manual', resumeTo, note: null, claims: 0 } },
      );
      return result.matchedCount === 1;
    },
    async requeue({ id, endpointId, since, until }, now, limit) {
      const due = { endpointId, createdAt: { $gte: since, $lte: until }, state: { $in: [...RECOVERABLE] }, recoveryId: { $ne: id } };
      const docs = await deliveries.find(due, { projection: { _id: 1 } }).limit(limit).toArray();
      if (docs.length === 0) return 0;
      await deliveries.updateMany(
        { _id: { $in: docs.map((doc) => doc._id) }, state: { $in: [...RECOVERABLE] } },
        { $set: { state: 'waiting', dueFor: endpointId, dueAt: now, tries: 0, claims: 0, trigger: 'recovery', note: null, endedAt: null, resumeTo: null, recoveryId: id } },
      );
      return docs.length;
    },
    async countRecoverable(endpointId, since) {
      return deliveries.countDocuments({ endpointId, createdAt: { $gte: since }, state: { $in: [...RECOVERABLE] } }, { limit: 10_000 });
    },
    async findMany(accountId, ids) {
      if (ids.length === 0) return [];
      return (await deliveries.find({ _id: { $in: ids }, accountId }, { projection: bulky }).toArray()).map((doc) => toDelivery(doc));
    },
    async countWaiting(endpointId, limit) {
      return deliveries.countDocuments({ dueFor: endpointId }, { limit });
    },
    async countByHour(accountId, since) {
      const hour = { $floor: { $divide: [{ $subtract: ['$createdAt', since] }, HOUR_MS] } };
      const groups = await deliveries.aggregate<{ _id: { endpointId: string; hour: number }; total: number; failed: number }>([
        { $match: { accountId, createdAt: { $gte: since } } },
        { $group: { _id: { endpointId: '$endpointId', hour }, total: { $sum: 1 }, failed: { $sum: { $cond: [{ $gt: ['$lastError', null] }, 1, 0] } } } },
      ]).toArray();
      return groups.map(({ _id, total, failed }) => ({ endpointId: _id.endpointId, hour: Number(_id.hour), total, failed }));
    },
    async find(accountId, id) {
      const doc = await deliveries.findOne({ _id: id, accountId });
      return doc === null ? null : toDelivery(doc);
    },
    async list(filter) {
      const docs = await deliveries.find(toFilter(filter), { projection: bulky }).sort({ createdAt: -1, _id: -1 }).limit(filter.limit).toArray();
      return docs.map((doc) => toDelivery(doc));
    },
    async listByEndpoint(endpointId, limit) {
      const docs = await deliveries.find({ endpointId }, { projection: bulky }).sort({ createdAt: -1, _id: -1 }).limit(limit).toArray();
      return docs.map((doc) => toDelivery(doc));
    },
  };
}

/** Only what changes: whoever holds the lease knows the rest, and every field named costs the database. */
function outcomeUpdate({ delivery, attempt, next, tries }: Outcome): AnyBulkWriteOperation<DeliveryDoc> {
  const dueAt = 'dueAt' in next ? next.dueAt : null;
  const waits = next.state === 'waiting' && dueAt !== null;
  const trigger = delivery.maxTries === 1 ? delivery.trigger : 'automatic';
  const isFirst = delivery.attemptCount === 0;
  return {
    updateOne: {
      filter: { _id: delivery.id, 'lease.token': delivery.lease?.token ?? '' },
      update: {
        $set: {
          state: next.state,
          tries,
          attemptCount: delivery.attemptCount + 1,
          lastStatus: attempt.status,
          lastError: attempt.error?.message ?? null,
          ...(waits ? { dueFor: delivery.endpointId, dueAt, claims: 0 } : {}),
          ...(waits && delivery.endedAt === null ? {} : { endedAt: waits ? null : attempt.startedAt }),
          ...(delivery.resumeTo === null ? {} : { resumeTo: null }),
          ...(delivery.trigger === trigger ? {} : { trigger }),
          ...(isFirst ? { attempts: [attempt] } : {}),
        },
        $unset: { lease: '', ...(delivery.position === null ? {} : waits ? { inFlightFor: '' } : OUT_OF_LINE) },
        ...(isFirst ? {} : { $push: { attempts: { $each: [attempt], $slice: -ATTEMPTS_KEPT } } }),
      },
    },
  };
}

function toFilter(filter: DeliveryFilter): Filter<DeliveryDoc> {
  const and: Filter<DeliveryDoc>[] = [{ accountId: filter.accountId }];
  if (filter.endpointId !== undefined) and.push({ endpointId: filter.endpointId });
  if (filter.states !== undefined && filter.states.length > 0) and.push({ state: { $in: [...filter.states] } });
  if (filter.event !== undefined) and.push({ $or: [{ event: filter.event }, { eventType: filter.event }] });
  if (filter.from !== undefined) and.push({ createdAt: { $gte: filter.from } });
  if (filter.text !== undefined && filter.text !== '') {
    const pattern = { $regex: filter.text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), $options: 'i' };
    and.push({ $or: [{ _id: filter.text }, { eventId: filter.text }, { postId: filter.text }, { endpointUrl: pattern }, { lastError: pattern }] });
  }
  if (filter.before !== undefined) {
    const { createdAt, id } = filter.before;
    and.push({ $or: [{ createdAt: { $lt: createdAt } }, { createdAt, _id: { $lt: id } }] });
  }
  return { $and: and };
}

function toDoc({ id, dueAt, lease, position, attempts: _attempts, note, lastStatus: _lastStatus, lastError: _lastError, endedAt, resumeTo: _resumeTo, recoveryId: _recoveryId, ...rest }: Delivery): DeliveryDoc {
  return {
    _id: id,
    ...rest,
    ...(dueAt === null ? {} : { dueFor: rest.endpointId, dueAt }),
    ...(lease === null ? {} : { lease }),
    ...(position === null || dueAt === null ? {} : { lineOf: rest.endpointId, position }),
    ...(note === null ? {} : { note }),
    ...(endedAt === null ? {} : { endedAt }),
    claims: lease === null ? 0 : 1,
  };
}

export function toDelivery({ _id, dueFor: _dueFor, claims: _claims, lineOf: _lineOf, inFlightFor: _inFlightFor, ...doc }: DeliveryDoc): Delivery {
  return {
    id: _id,
    ...doc,
    sequence: doc.sequence ?? 0,
    position: doc.position ?? null,
    dueAt: doc.dueAt ?? null,
    lease: doc.lease ?? null,
    attempts: doc.attempts ?? [],
    note: doc.note ?? null,
    lastStatus: doc.lastStatus ?? null,
    lastError: doc.lastError ?? null,
    endedAt: doc.endedAt ?? null,
    resumeTo: doc.resumeTo ?? null,
    recoveryId: doc.recoveryId ?? null,
  };
}
