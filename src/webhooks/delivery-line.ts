/** The lines of ordered endpoints in MongoDB: one delivery in flight, in the order of their events; a unique index keeps other processes out. */
import type { AnyBulkWriteOperation, Collection, Db } from 'mongodb';
import { isDuplicateKey } from '../db/database.js';
import { positionOf, type Delivery, type Lease } from './delivery.js';
import { ROW_FIELDS, toDelivery, toRow, type DeliveryDoc, type DeliveryRow } from './delivery-doc.js';

export interface DeliveryLine {
  /** Leases the first in line, if it is due and nothing else of the line is in flight. */
  claimFirst(endpointId: string, now: Date, lease: Lease): Promise<Delivery | null>;
  /** The first in line: what all others wait for. */
  first(endpointId: string): Promise<DeliveryRow | null>;
  /** How many stand in line, counted up to 10,000. */
  count(endpointId: string): Promise<number>;
  /** Puts what waits for the endpoint and stands in no line into its line. */
  lineUp(endpointId: string): Promise<void>;
  /** The endpoint is no longer ordered: what waits may go in any order. */
  dissolve(endpointId: string): Promise<void>;
}

const CHUNK = 1_000;

export function createDeliveryLine(db: Db): DeliveryLine {
  const deliveries: Collection<DeliveryDoc> = db.collection<DeliveryDoc>('webhook_deliveries');

  async function firstOf(endpointId: string): Promise<DeliveryDoc | null> {
    return deliveries.findOne({ lineOf: endpointId }, { sort: { position: 1 }, projection: ROW_FIELDS });
  }

  async function lineUp(endpointId: string): Promise<void> {
    for (;;) {
      const found = await deliveries.find({ dueFor: endpointId, state: 'waiting', lineOf: { $exists: false } }, { projection: { eventId: 1, sequence: 1 } }).limit(CHUNK).toArray();
      if (found.length === 0) return;
      const operations = found.map(({ _id, eventId, sequence }): AnyBulkWriteOperation<DeliveryDoc> => ({
        updateOne: { filter: { _id, state: 'waiting' }, update: { $set: { lineOf: endpointId, position: positionOf(eventId, sequence ?? 0) } } },
      }));
      await deliveries.bulkWrite(operations, { ordered: false });
    }
  }

  return {
    async claimFirst(endpointId, now, lease) {
      let first = await firstOf(endpointId);
      if (first === null) {
        // Made before the endpoint was ordered, or while another process still took it for unordered.
        await lineUp(endpointId);
        first = await firstOf(endpointId);
      }
      if (first === null || first.state !== 'waiting' || first.dueAt === undefined || first.dueAt > now) return null;
      try {
        const doc = await deliveries.findOneAndUpdate(
          { _id: first._id, state: 'waiting', dueAt: { $lte: now } },
          { $set: { state: 'sending', lease, inFlightFor: endpointId }, $unset: { dueFor: '', dueAt: '' }, $inc: { claims: 1 } },
          { returnDocument: 'after', projection: { attempts: 0 } },
        );
        return doc === null ? null : toDelivery(doc);
      } catch (error) {
        // Another delivery of the line is in flight.
        if (isDuplicateKey(error)) return null;
        throw error;
      }
    },
    async first(endpointId) {
      const doc = await firstOf(endpointId);
      return doc === null ? null : toRow(doc);
    },
    count: (endpointId) => deliveries.countDocuments({ lineOf: endpointId }, { limit: 10_000 }),
    lineUp,
    async dissolve(endpointId) {
      await deliveries.updateMany({ lineOf: endpointId }, { $unset: { lineOf: '', position: '' } });
    },
  };
}
