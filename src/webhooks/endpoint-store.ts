/** Endpoints in MongoDB. */
import type { Collection, Db, UpdateFilter } from 'mongodb';
import { isDuplicateKey, type CollectionIndexes } from '../db/database.js';
import { outboxIndex, type OutboxFields } from '../db/outbox.js';
import type { StoredBreaker } from './breaker.js';
import { TIMEOUT_S, type Endpoint, type Recovery } from './endpoint.js';
import type { EventInput } from './event.js';

/** `apiAction` is left out where there is none, so that the unique index concerns registered actions only. */
export type EndpointDoc = Omit<Endpoint, 'id' | 'apiAction' | 'parkedUntil'> & { _id: string; apiAction?: string; slot?: number; rate?: { second: number; used: number } } & OutboxFields<EventInput>;

export const endpointIndexes: CollectionIndexes[] = [
  {
    collection: 'webhook_endpoints',
    indexes: [
      { key: { profileId: 1, createdAt: 1 }, name: 'by_profile' },
      { key: { accountId: 1, createdAt: 1 }, name: 'by_account' },
      { key: { failingSince: 1 }, name: 'failing' },
      outboxIndex,
      { key: { 'recovery.startedAt': 1 }, name: 'recovering', sparse: true },
      { key: { accountId: 1, slot: 1 }, name: 'within_the_plan', unique: true, partialFilterExpression: { slot: { $type: 'number' } } },
      { key: { profileId: 1, apiAction: 1 }, name: 'one_url_per_action', unique: true, partialFilterExpression: { apiAction: { $type: 'string' } } },
    ],
  },
];

export type EndpointChange = Partial<Pick<Endpoint, 'name' | 'url' | 'style' | 'events' | 'state' | 'stateReason' | 'headers' | 'timeoutS' | 'description' | 'maxPerMinute' | 'ordered' | 'timedHeader' | 'clientCertificate' | 'recovery' | 'updatedAt' | 'failingSince' | 'breaker'>>;

export interface AttemptNote {
  endpointId: string;
  attempt: NonNullable<Endpoint['lastAttempt']>;
}

export interface EndpointStore {
  /**
   * @param slot its place under the plan's limit; null without one
   * @returns `there` when the profile has an endpoint for this `apiAction` already, `slot-taken` when somebody else got the place
   */
  insert(endpoint: Endpoint, slot: number | null): Promise<'inserted' | 'there' | 'slot-taken'>;
  /** Places of all of an account's endpoints; null for those that were made without a limit. */
  slotsOf(accountId: string): Promise<(number | null)[]>;
  find(id: string): Promise<Endpoint | null>;
  findMany(ids: string[]): Promise<Endpoint[]>;
  listByAccount(accountId: string): Promise<Endpoint[]>;
  listByProfiles(profileIds: string[]): Promise<Endpoint[]>;
  findByAction(profileId: string, apiAction: string): Promise<Endpoint | null>;
  /** Turns it off and writes the event that tells so, in one update. @returns null when it is gone, or not enabled any more */
  disable(id: string, change: EndpointChange, event: EventInput): Promise<Endpoint | null>;
  /** @returns the endpoint as it is now; null when it is gone */
  change(id: string, change: EndpointChange): Promise<Endpoint | null>;
  /** @returns the endpoint with these secrets; null when it is gone, or its secrets are no longer those of `before` */
  replaceSecrets(before: Pick<Endpoint, 'id' | 'secrets'>, secrets: Endpoint['secrets'], updatedAt: Date): Promise<Endpoint | null>;
  /** Starts a recovery unless one runs. @returns false when one does */
  startRecovery(id: string, recovery: Recovery): Promise<boolean>;
  /** Notes how far a recovery is. */
  noteRecovery(id: string, recoveryId: string, requeued: number, endedAt: Date | null): Promise<void>;
  listRecovering(limit: number): Promise<Endpoint[]>;
  remove(id: string): Promise<boolean>;
  /** Endpoints that are on and whose every attempt failed since before this time. */
  listFailing(since: Date, limit: number): Promise<Endpoint[]>;
  /** Tells all processes that it was parked, or is no longer; the later word wins. */
  noteBreaker(id: string, breaker: StoredBreaker): Promise<void>;
  /**
   * Asks for the right to probe a parked endpoint whose time is over: one of all that ask gets it, and to the others it is parked as
   * `meanwhile` says, should the answer never come.
   * @param knownAt when it was parked, as far as is known to who asks: a stored word from before that is of no account
   */
  takeProbe(id: string, meanwhile: StoredBreaker, knownAt: Date): Promise<boolean>;
  /** Notes the last attempts, in bulk; a later note wins. */
  noteAttempts(notes: AttemptNote[]): Promise<void>;
}

export function createEndpointStore(db: Db): EndpointStore {
  const endpoints: Collection<EndpointDoc> = db.collection<EndpointDoc>('webhook_endpoints');
  return {
    async insert({ id, apiAction, parkedUntil: _parkedUntil, ...rest }, slot) {
      try {
        await endpoints.insertOne({ _id: id, ...rest, ...(apiAction === null ? {} : { apiAction }), ...(slot === null ? {} : { slot }) });
        return 'inserted';
      } catch (error) {
        if (!isDuplicateKey(error)) throw error;
        return apiAction !== null && (await endpoints.countDocuments({ profileId: rest.profileId, apiAction }, { limit: 1 })) === 1 ? 'there' : 'slot-taken';
      }
    },
    async slotsOf(accountId) {
      return (await endpoints.find({ accountId }, { projection: { slot: 1 } }).toArray()).map(({ slot }) => slot ?? null);
    },
    async find(id) {
      const doc = await endpoints.findOne({ _id: id });
      return doc === null ? null : toEndpoint(doc);
    },
    async findMany(ids) {
      return ids.length === 0 ? [] : (await endpoints.find({ _id: { $in: ids } }).toArray()).map(toEndpoint);
    },
    async listByAccount(accountId) {
      return (await endpoints.find({ accountId }).sort({ createdAt: 1 }).toArray()).map(toEndpoint);
    },
    async listByProfiles(profileIds) {
      return (await endpoints.find({ profileId: { $in: profileIds } }).toArray()).map(toEndpoint);
    },
    async findByAction(profileId, apiAction) {
      const doc = await endpoints.findOne({ profileId, apiAction });
      return doc === null ? null : toEndpoint(doc);
    },
    async disable(id, change, event) {
      const doc = await endpoints.findOneAndUpdate({ _id: id, state: 'enabled' }, { $set: { ...change, state: 'disabled', outboxAt: event.at }, $push: { outbox: event } }, { returnDocument: 'after' });
      return doc === null ? null : toEndpoint(doc);
    },
    async change(id, change) {
      const doc = await endpoints.findOneAndUpdate({ _id: id }, { $set: change }, { returnDocument: 'after' });
      return doc === null ? null : toEndpoint(doc);
    },
    async replaceSecrets({ id, secrets: before }, secrets, updatedAt) {
      const doc = await endpoints.findOneAndUpdate({ _id: id, 'secrets.0.sealed': before[0]?.sealed ?? '' }, { $set: { secrets, updatedAt } }, { returnDocument: 'after' });
      return doc === null ? null : toEndpoint(doc);
    },
    async startRecovery(id, recovery) {
      const idle = { $or: [{ recovery: null }, { 'recovery.endedAt': { $ne: null } }] };
      return (await endpoints.updateOne({ _id: id, ...idle }, { $set: { recovery } })).matchedCount === 1;
    },
    async noteRecovery(id, recoveryId, requeued, endedAt) {
      await endpoints.updateOne({ _id: id, 'recovery.id': recoveryId }, { $inc: { 'recovery.requeued': requeued }, $set: { 'recovery.endedAt': endedAt } });
    },
    async listRecovering(limit) {
      return (await endpoints.find({ 'recovery.startedAt': { $exists: true }, 'recovery.endedAt': null }).limit(limit).toArray()).map(toEndpoint);
    },
    async remove(id) {
      return (await endpoints.deleteOne({ _id: id })).deletedCount === 1;
    },
    async listFailing(since, limit) {
      return (await endpoints.find({ failingSince: { $lte: since }, state: 'enabled' }).sort({ failingSince: 1 }).limit(limit).toArray()).map(toEndpoint);
    },
    async noteBreaker(id, breaker) {
      await endpoints.updateOne({ _id: id, $or: [{ breaker: null }, { 'breaker.at': { $lte: breaker.at } }] }, { $set: { breaker } });
    },
    async takeProbe(id, meanwhile, knownAt) {
      const isOver = { $or: [{ breaker: null }, { 'breaker.at': { $lt: knownAt } }, { 'breaker.openUntil': { $lte: meanwhile.at } }] };
      return (await endpoints.updateOne({ _id: id, ...isOver }, { $set: { breaker: meanwhile } })).matchedCount === 1;
    },
    async noteAttempts(notes) {
      if (notes.length === 0) return;
      await endpoints.bulkWrite(notes.flatMap(attemptUpdates), { ordered: true });
    },
  };
}

/** `failingSince` is set by the first failure after a success, and cleared by a success. */
function attemptUpdates({ endpointId, attempt }: AttemptNote): { updateOne: { filter: Record<string, unknown>; update: UpdateFilter<EndpointDoc> } }[] {
  if (attempt.ok) return [{ updateOne: { filter: { _id: endpointId }, update: { $set: { lastAttempt: attempt, failingSince: null } } } }];
  return [
    { updateOne: { filter: { _id: endpointId }, update: { $set: { lastAttempt: attempt } } } },
    { updateOne: { filter: { _id: endpointId, failingSince: null }, update: { $set: { failingSince: attempt.at } } } },
  ];
}

/** Endpoints that an older version stored lack what came since. */
const SINCE = { description: '', headers: [], timeoutS: TIMEOUT_S.default, maxPerMinute: null, ordered: false, timedHeader: null, clientCertificate: null, recovery: null, breaker: null } as const;

function toEndpoint({ _id, apiAction, rate: _rate, slot: _slot, outbox: _outbox, outboxAt: _outboxAt, ...rest }: EndpointDoc): Endpoint {
  return { id: _id, ...SINCE, ...rest, apiAction: apiAction ?? null, headers: rest.headers ?? [], parkedUntil: rest.breaker?.openUntil ?? null };
}
