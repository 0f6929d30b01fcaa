/** Events in MongoDB: written once by id, kept for a time. */
import { type Collection, type Db, type Filter, type OptionalUnlessRequiredId } from 'mongodb';
import { DUPLICATE_KEY, refusedParts, type CollectionIndexes } from '../db/database.js';
import { DAY_S, isPostEvent, RETENTION_DAYS, type EventInput } from './event.js';
import { OUTCOME_TYPES } from './payload.js';


/** `outcomeOf` names the post, on the few events that later ones are judged by: an index over all posts' events would cost each of them. */
type EventDoc = Omit<EventInput, 'id'> & { _id: string; recordedAt: Date; outcomeOf?: string };

export const eventIndexes: CollectionIndexes[] = [
  {
    collection: 'webhook_events',
    indexes: [
      { key: { accountId: 1, at: -1, _id: -1 }, name: 'by_account' },
      { key: { outcomeOf: 1 }, name: 'outcomes_by_post', sparse: true },
      { key: { recordedAt: 1 }, name: 'retention', expireAfterSeconds: RETENTION_DAYS * DAY_S },
    ],
  },
];

export interface EventFilter {
  accountId: string;
  since?: Date | undefined;
  types?: readonly string[] | undefined;
  before?: { at: Date; id: string } | undefined;
  limit: number;
}

export interface EventStore {
  /** Writes what isn't there yet. */
  insert(events: EventInput[], now: Date): Promise<void>;
  /** What these posts' outcome events said so far, see `OUTCOME_TYPES`. */
  listOutcomes(postIds: string[]): Promise<EventInput[]>;
  findMany(ids: string[]): Promise<EventInput[]>;
  /** Newest first. */
  list(filter: EventFilter): Promise<EventInput[]>;
}

export function createEventStore(db: Db): EventStore {
  const events: Collection<EventDoc> = db.collection<EventDoc>('webhook_events');
  return {
    async insert(inputs, now) {
      await insertIgnoringDuplicates(events, inputs.map((event) => toDoc(event, now)));
    },
    async listOutcomes(postIds) {
      if (postIds.length === 0) return [];
      return (await events.find({ outcomeOf: { $in: postIds } }).toArray()).map(toEvent);
    },
    async findMany(ids) {
      return ids.length === 0 ? [] : (await events.find({ _id: { $in: ids } }).sort({ at: -1, _id: -1 }).toArray()).map(toEvent);
    },
    async list({ accountId, since, types, before, limit }) {
      const and: Filter<EventDoc>[] = [{ accountId, type: { $ne: 'post.accepted' } }];
      if (since !== undefined) and.push({ at: { $gte: since } });
      if (types !== undefined) and.push({ type: { $in: [...types] as EventInput['type'][] } });
      if (before !== undefined) and.push({ $or: [{ at: { $lt: before.at } }, { at: before.at, _id: { $lt: before.id } }] });
      return (await events.find({ $and: and }).sort({ at: -1, _id: -1 }).limit(limit).toArray()).map(toEvent);
    },
  };
}

function toDoc(event: EventInput, now: Date): EventDoc {
  const { id, ...rest } = event;
  return { _id: id, ...rest, recordedAt: now, ...(isPostEvent(event) && OUTCOME_TYPES.includes(event.type) ? { outcomeOf: event.data.postId } : {}) };
}

function toEvent({ _id, recordedAt: _recordedAt, outcomeOf: _outcomeOf, ...rest }: EventDoc): EventInput {
  return { id: _id, ...rest } as EventInput;
}

/** @returns positions of the documents that were there already */
export async function insertIgnoringDuplicates<T extends { _id: string }>(collection: Collection<T>, docs: OptionalUnlessRequiredId<T>[]): Promise<Set<number>> {
  const there = new Set<number>();
  if (docs.length === 0) return there;
  try {
    await collection.insertMany(docs, { ordered: false });
  } catch (error) {
    for (const failure of refusedParts(error)) {
      if (failure.code !== DUPLICATE_KEY) throw error;
      there.add(failure.index);
    }
  }
  return there;
}
