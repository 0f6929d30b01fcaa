/** Makes deliveries in MongoDB due again: one that a person asks for, or what an endpoint missed. */
import type { Collection, Db } from 'mongodb';
import { RECOVERABLE } from './delivery.js';
import type { DeliveryDoc } from './delivery-doc.js';

export interface DeliveryResendStore {
  /** Makes it due now, for one attempt. @returns false when it is being sent right now or is gone */
  resend(id: string, now: Date): Promise<boolean>;
  /** Makes up to `limit` of them due again for a recovery. @returns how many it looked at, 0 when there are no more, and how many of them it was that made them due */
  requeue(recovery: { id: string; endpointId: string; since: Date; until: Date }, now: Date, limit: number): Promise<{ found: number; requeued: number }>;
  /** How many a recovery would send. */
  countRecoverable(endpointId: string, since: Date): Promise<number>;
}

/** Nobody waits for a longer count. */
const MOST_COUNTED = 10_000;

export function createDeliveryResendStore(db: Db): DeliveryResendStore {
  const deliveries: Collection<DeliveryDoc> = db.collection<DeliveryDoc>('webhook_deliveries');

  return {
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
      if (docs.length === 0) return { found: 0, requeued: 0 };
      // Another process may be at it too: each delivery is made due by one of them.
      const { modifiedCount } = await deliveries.updateMany(
        { _id: { $in: docs.map((doc) => doc._id) }, state: { $in: [...RECOVERABLE] }, recoveryId: { $ne: id } },
        { $set: { state: 'waiting', dueFor: endpointId, dueAt: now, tries: 0, claims: 0, trigger: 'recovery', note: null, endedAt: null, resumeTo: null, recoveryId: id } },
      );
      return { found: docs.length, requeued: modifiedCount };
    },
    async countRecoverable(endpointId, since) {
      return deliveries.countDocuments({ endpointId, createdAt: { $gte: since }, state: { $in: [...RECOVERABLE] } }, { limit: MOST_COUNTED });
    },
  };
}
