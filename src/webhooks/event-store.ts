/** Events in MongoDB: written once by id, marked until they are fanned out to deliveries. */
import { MongoBulkWriteError, type Collection, type Db, type OptionalUnlessRequiredId } from 'mongodb';
import type { CollectionIndexes } from '../db/database.js';
import type { EventInput } from './event.js';

const RETENTION_S = 30 * 24 * 3_600;
export const DUPLICATE_KEY = 11000;

/** `fanOutAt` exists only until the event's deliveries are made, so the sweep's index costs by what is open. */
type EventDoc = Omit<EventInput, 'id'> & { _id: string; fanOutAt?: Date; recordedAt: Date };

export const eventIndexes: CollectionIndexes[] = [
  {
    collection: 'webhook_events',
    indexes: [
      { key: { fanOutAt: 1 }, name: 'to_fan_out', sparse: true },
      { key: { accountId: 1, at: -1, _id: -1 }, name: 'by_account' },
      { key: { 'data.postId': 1, type: 1 }, name: 'by_post', sparse: true },
      { key: { recordedAt: 1 }, name: 'retention', expireAfterSeconds: RETENTION_S },
    ],
  },
];

export interface EventStore {
  /** Writes what isn't there yet. @returns ids of those that were new */
  insert(events: EventInput[], now: Date): Promise<Set<string>>;
  markFannedOut(ids: string[]): Promise<void>;
  /** Events whose fan-out should have ended by now: the process died in it. */
  listStuck(before: Date, limit: number): Promise<EventInput[]>;
  /** Events of these posts and types. */
  listByPosts(postIds: string[], types: readonly string[]): Promise<EventInput[]>;
  find(id: string): Promise<EventInput | null>;
}

export function createEventStore(db: Db): EventStore {
  const events: Collection<EventDoc> = db.collection<EventDoc>('webhook_events');
  return {
    async insert(inputs, now) {
      const docs = inputs.map(({ id, ...rest }) => ({ _id: id, ...rest, fanOutAt: now, recordedAt: now }));
      const refused = await insertIgnoringDuplicates(events, docs);
      return new Set(docs.filter((_doc, index) => !refused.has(index)).map((doc) => doc._id));
    },
    async markFannedOut(ids) {
      if (ids.length > 0) await events.updateMany({ _id: { $in: ids } }, { $unset: { fanOutAt: '' } });
    },
    async listStuck(before, limit) {
      return (await events.find({ fanOutAt: { $lte: before } }).sort({ fanOutAt: 1 }).limit(limit).toArray()).map(toEvent);
    },
    async listByPosts(postIds, types) {
      if (postIds.length === 0) return [];
      return (await events.find({ 'data.postId': { $in: postIds }, type: { $in: [...types] as EventInput['type'][] } }).toArray()).map(toEvent);
    },
    async find(id) {
      const doc = await events.findOne({ _id: id });
      return doc === null ? null : toEvent(doc);
    },
  };
}

function toEvent({ _id, fanOutAt: _fanOutAt, recordedAt: _recordedAt, ...rest }: EventDoc): EventInput {
  return { id: _id, ...rest } as EventInput;
}

/** @returns positions of the documents that were there already */
export async function insertIgnoringDuplicates<T extends { _id: string }>(collection: Collection<T>, docs: OptionalUnlessRequiredId<T>[]): Promise<Set<number>> {
  const there = new Set<number>();
  if (docs.length === 0) return there;
  try {
    await collection.insertMany(docs, { ordered: false });
  } catch (error) {
    if (!(error instanceof MongoBulkWriteError)) throw error;
    const failures = Array.isArray(error.writeErrors) ? error.writeErrors : [error.writeErrors];
    for (const failure of failures) {
      if (failure.code !== DUPLICATE_KEY) throw error;
      there.add(failure.index);
    }
  }
  return there;
}
