/** Deliveries on their way in MongoDB: claimed in batches with leases, moved only by who holds the lease. */
import type { AnyBulkWriteOperation, Collection, Db } from 'mongodb';
import { isDuplicateKey } from '../db/database.js';
import type { Delivery, DeliveryAttempt, Lease, NextStep } from './delivery.js';
import { OUT_OF_LINE, toDelivery, toDoc, type DeliveryDoc } from './delivery-doc.js';
import { insertIgnoringDuplicates } from './event-store.js';

/** More resends than this push the oldest attempts out of the log. */
const ATTEMPTS_KEPT = 40;

export interface Outcome {
  delivery: Delivery;
  attempt: DeliveryAttempt;
  next: NextStep;
  tries: number;
  /** The attempt ended with its process, not with an answer: what it was made for goes on, with this count of claims. */
  interrupted?: { claims: number };
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
  /** How many wait for this endpoint, counted up to `limit`. */
  countWaiting(endpointId: string, limit: number): Promise<number>;
}

export function createDeliveryStore(db: Db): DeliveryStore {
  const deliveries: Collection<DeliveryDoc> = db.collection<DeliveryDoc>('webhook_deliveries');

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
    async countWaiting(endpointId, limit) {
      return deliveries.countDocuments({ dueFor: endpointId }, { limit });
    },
  };
}

/** Only what changes: whoever holds the lease knows the rest, and every field named costs the database. */
function outcomeUpdate({ delivery, attempt, next, tries, interrupted }: Outcome): AnyBulkWriteOperation<DeliveryDoc> {
  const dueAt = 'dueAt' in next ? next.dueAt : null;
  const waits = next.state === 'waiting' && dueAt !== null;
  const goesOn = waits && interrupted !== undefined;
  const trigger = delivery.maxTries === 1 || goesOn ? delivery.trigger : 'automatic';
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
          ...(waits ? { dueFor: delivery.endpointId, dueAt, claims: interrupted?.claims ?? 0 } : {}),
          ...(waits && delivery.endedAt === null ? {} : { endedAt: waits ? null : attempt.startedAt }),
          ...(delivery.resumeTo === null || goesOn ? {} : { resumeTo: null }),
          ...(delivery.trigger === trigger ? {} : { trigger }),
          ...(isFirst ? { attempts: [attempt] } : {}),
        },
        $unset: { lease: '', ...(delivery.position === null ? {} : waits ? { inFlightFor: '' } : OUT_OF_LINE) },
        ...(isFirst ? {} : { $push: { attempts: { $each: [attempt], $slice: -ATTEMPTS_KEPT } } }),
      },
    },
  };
}
