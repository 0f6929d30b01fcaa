/** The log of deliveries in MongoDB: looking one up, listing, filtering and counting them. */
import type { Collection, Db, Filter } from 'mongodb';
import type { Delivery, DeliveryState } from './delivery.js';
import { ROW_FIELDS, toDelivery, toRow, type DeliveryDoc, type DeliveryRow } from './delivery-doc.js';

const HOUR_MS = 3_600_000;

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

/** Deliveries of one endpoint that were made in one hour. */
export interface HourCount {
  endpointId: string;
  /** Whole hours since the beginning of the time looked at. */
  hour: number;
  total: number;
  /** Those whose last attempt failed. */
  failed: number;
}

export interface DeliveryLogStore {
  countByHour(accountId: string, since: Date): Promise<HourCount[]>;
  find(accountId: string, id: string): Promise<Delivery | null>;
  /** Those of these deliveries that are there. */
  findMany(accountId: string, ids: string[]): Promise<DeliveryRow[]>;
  list(filter: DeliveryFilter): Promise<DeliveryRow[]>;
  /** The newest deliveries of one event, for a post's or a test's page. */
  listByEndpoint(endpointId: string, limit: number): Promise<DeliveryRow[]>;
}

export function createDeliveryLogStore(db: Db): DeliveryLogStore {
  const deliveries: Collection<DeliveryDoc> = db.collection<DeliveryDoc>('webhook_deliveries');

  return {
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
    async findMany(accountId, ids) {
      if (ids.length === 0) return [];
      return (await deliveries.find({ _id: { $in: ids }, accountId }, { projection: ROW_FIELDS }).toArray()).map(toRow);
    },
    async list(filter) {
      const docs = await deliveries.find(toFilter(filter), { projection: ROW_FIELDS }).sort({ createdAt: -1, _id: -1 }).limit(filter.limit).toArray();
      return docs.map(toRow);
    },
    async listByEndpoint(endpointId, limit) {
      const docs = await deliveries.find({ endpointId }, { projection: ROW_FIELDS }).sort({ createdAt: -1, _id: -1 }).limit(limit).toArray();
      return docs.map(toRow);
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
