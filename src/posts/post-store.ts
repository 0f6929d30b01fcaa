/** Posts in MongoDB: every move is a compare-and-swap on the version that was read, and carries its events in the same write. */
import type { AnyBulkWriteOperation, Collection, Db, Filter, UpdateFilter } from 'mongodb';
import { DUPLICATE_KEY, refusedParts, type CollectionIndexes } from '../db/database.js';
import { createBatcher } from '../lib/batcher.js';
import { newToken } from '../lib/ids.js';
import { UNFINISHED, type Change, type ClaimRules, type Lease, type Post, type PostEvent, type PostStatus } from './post.js';
import { BEING_SENT, toPost, type PostDoc } from './post-doc.js';
import { casOf, putWaits, saveAll } from './post-moves.js';
import { packEvents, unpackEvents } from './stored-events.js';

export const postIndexes: CollectionIndexes[] = [
  {
    collection: 'posts',
    indexes: [
      { key: { dueAt: 1 }, name: 'due', sparse: true },
      { key: { 'lease.until': 1 }, name: 'lease_until', sparse: true },
      { key: { outboxAt: 1 }, name: 'outbox', sparse: true },
      { key: { profileId: 1, createdAt: -1, _id: -1 }, name: 'by_profile' },
      { key: { profileId: 1, status: 1, scheduledAt: -1, _id: -1 }, name: 'by_profile_status_and_time' },
      { key: { accountId: 1, createdAt: -1 }, name: 'by_account' },
      { key: { heldFor: 1 }, name: 'held_for', sparse: true },
      {
        key: { profileId: 1, idempotencyKey: 1 },
        name: 'one_post_per_idempotency_key',
        unique: true,
        partialFilterExpression: { idempotencyKey: { $type: 'string' } },
      },
    ],
  },
];

export interface PostCursor {
  /** Its `createdAt` or `scheduledAt`, whichever the order goes by. */
  at: Date;
  id: string;
}

export interface PostListFilter {
  profileId: string;
  statuses?: PostStatus[];
  /** Posts that are public on every channel but not with all that follows: listed besides those of `statuses`, or left out of them. */
  incomplete?: 'include' | 'exclude';
  platforms?: string[];
  type?: 'scheduled' | 'now';
  /** Inclusive bounds of `scheduledAt`. */
  scheduledFrom?: Date;
  scheduledTo?: Date;
  /** Deleted posts are listed on request only. */
  includeDeleted?: boolean;
  /** newest: written last, first (the default). soonest, latest: by `scheduledAt`. */
  order?: 'newest' | 'soonest' | 'latest';
  /** Only posts that come after this one in that order, for the next page. */
  after?: PostCursor;
  limit: number;
}

/** A post's events as they were read, or as they were just written. */
export interface WaitingEvents {
  postId: string;
  events: PostEvent[];
  /** The post's sequence at that moment: that of the last event. */
  sequence: number;
}

export interface PostStore {
  /** @returns false when the profile already has a post with this idempotency key. */
  insert(post: Post, events: PostEvent[]): Promise<boolean>;
  find(id: string): Promise<Post | null>;
  findByIdempotencyKey(profileId: string, key: string): Promise<Post | null>;
  list(filter: PostListFilter): Promise<Post[]>;
  countByStatus(profileId: string): Promise<Partial<Record<PostStatus, number>>>;
  countSince(accountId: string, since: Date): Promise<number>;
  /** An account's posts of this status, oldest first. */
  listByAccount(accountId: string, status: PostStatus, limit: number): Promise<Post[]>;
  /** Which of these are stored. */
  existing(ids: string[]): Promise<Set<string>>;
  /** Compare-and-swap on `before.version`, and on the lease where `before` holds one. @returns false when somebody else was first. */
  save(change: Change): Promise<boolean>;
  /** The same for many in one round trip; one answer for each, in order; an Error for one that MongoDB refused. */
  saveMany(changes: Change[]): Promise<(boolean | Error)[]>;
  /** Leases up to `limit` posts that are due by `horizon`, earliest first. */
  claimDue(horizon: Date, lease: Lease, limit: number, rules?: ClaimRules): Promise<Post[]>;
  /** Takes over posts whose lease ran out: their owner died or lost the database. */
  claimAbandoned(now: Date, lease: Lease, limit: number, rules?: ClaimRules): Promise<Post[]>;
  renewLease(ids: string[], token: string, until: Date): Promise<void>;
  /** Ends leases that nobody works under: those with this token, or the one of one post. */
  giveUpLease(token: string, postId: string | null): Promise<void>;
  /** Gives posts back untouched, e.g. when the process stops before their time. */
  release(posts: Post[]): Promise<void>;
  /** Distinct due times up to `until`, for rebuilding wake-ups. */
  dueTimes(until: Date, limit: number): Promise<Date[]>;
  /** Posts of which something is held for this channel, and that no worker has in hand. */
  listHeld(channelId: string, limit: number): Promise<Post[]>;
  /** Posts of a profile of which something is still to be sent to this channel. */
  countWaiting(profileId: string, channelId: string): Promise<number>;
  /** Events not yet relayed: oldest first, or those of the given posts. */
  readOutbox(limit: number, postIds?: string[]): Promise<WaitingEvents[]>;
  /** Empties the outboxes that hold just what was relayed. */
  clearOutbox(relayed: WaitingEvents[]): Promise<void>;
}

const STATUSES: readonly PostStatus[] = ['scheduled', 'publishing', 'success', 'partial', 'error', 'awaiting approval', 'paused', 'deleted'];

export function createPostStore(db: Db): PostStore {
  // An intent is on disk before its network is called, so that a power cut can't make a post go out twice.
  const posts: Collection<PostDoc> = db.collection<PostDoc>('posts', { writeConcern: { w: 'majority' } });

  /** False for a post whose idempotency key is taken. */
  async function insertAll(docs: PostDoc[]): Promise<(boolean | Error)[]> {
    try {
      await posts.insertMany(docs, { ordered: false });
      return docs.map(() => true);
    } catch (error) {
      const failures = new Map(refusedParts(error).map((failure) => [failure.index, failure]));
      return docs.map((doc, i) => {
        const failure = failures.get(i);
        if (failure === undefined) return true;
        return failure.code === DUPLICATE_KEY && doc.idempotencyKey !== null ? false : new Error(failure.errmsg ?? 'the post could not be stored', { cause: error });
      });
    }
  }

  const insertSoon = createBatcher<PostDoc, boolean>(insertAll, { max: 100, concurrent: 1 });

  /** Two round trips for a whole batch: find and mark; a third where somebody was at one of them meanwhile, to see which marks are ours. */
  async function claim(filter: Filter<PostDoc>, sort: Record<string, 1>, lease: Lease, limit: number, rules?: ClaimRules): Promise<Post[]> {
    const isExcluding = rules !== undefined && rules.exclude.length > 0;
    const seen = await posts.find(isExcluding ? { ...filter, profileId: { $nin: rules.exclude } } : filter, { sort, limit, batchSize: limit }).toArray();
    const taken = rules === undefined || seen.length === 0 ? null : await rules.take([...new Set(seen.map((doc) => doc.profileId))]);
    const found = taken === null ? seen : seen.filter((doc) => taken.has(doc.profileId));
    if (found.length === 0) return [];
    const ids = found.map((doc) => doc._id);
    if (await mark(filter, found, lease)) return found.map((doc) => claimedPost(doc, lease));
    await posts.updateMany({ ...filter, _id: { $in: ids } }, leaseWith(lease));
    const marked = await posts.find({ _id: { $in: ids }, 'lease.token': lease.token }, { projection: { version: 1 }, batchSize: limit }).toArray();
    const versions = new Map(marked.map((doc) => [doc._id, doc.version]));
    const unchanged = found.filter((doc) => versions.get(doc._id) === doc.version + 1);
    const claimed = unchanged.map((doc) => claimedPost(doc, lease));
    if (claimed.length === marked.length) return claimed;
    // Written by somebody else between finding and marking: ours all the same, but as it is now.
    const known = new Set(unchanged.map((doc) => doc._id));
    const rest = await posts.find({ _id: { $in: marked.map((doc) => doc._id).filter((id) => !known.has(id)) }, 'lease.token': lease.token }).toArray();
    return [...claimed, ...rest.map(toPost)];
  }

  /** @returns true when all of them are leased just as they were found */
  async function mark(filter: Filter<PostDoc>, found: PostDoc[], lease: Lease): Promise<boolean> {
    const byVersion = new Map<number, string[]>();
    for (const { _id, version } of found) {
      const ids = byVersion.get(version);
      if (ids === undefined) byVersion.set(version, [_id]);
      else ids.push(_id);
    }
    const operations = [...byVersion].map(([version, ids]): AnyBulkWriteOperation<PostDoc> => ({
      updateMany: { filter: { ...filter, _id: { $in: ids }, version }, update: leaseWith(lease) },
    }));
    return (await posts.bulkWrite(operations, { ordered: false })).matchedCount === found.length;
  }

  return {
    async insert(post, events) {
      return insertSoon(toDoc(post, events));
    },

    async find(id) {
      const doc = await posts.findOne({ _id: id });
      return doc === null ? null : toPost(doc);
    },

    async findByIdempotencyKey(profileId, key) {
      const doc = await posts.findOne({ profileId, idempotencyKey: key });
      return doc === null ? null : toPost(doc);
    },

    async list(filter) {
      const docs = await posts.find(listQuery(filter)).sort({ [sortKey(filter)]: direction(filter), _id: direction(filter) }).limit(filter.limit).toArray();
      return docs.map(toPost);
    },

    async countByStatus(profileId) {
      // One count per status is answered from the index alone; a group would read every post.
      const counted = await Promise.all([...STATUSES.map((status) => posts.countDocuments({ profileId, status })), posts.countDocuments({ profileId, ...beingSent() })]);
      const beingSentNow = counted.at(-1)!;
      const moved: Partial<Record<PostStatus, number>> = { scheduled: -beingSentNow, publishing: beingSentNow };
      return Object.fromEntries(STATUSES.map((status, i) => [status, counted[i]! + (moved[status] ?? 0)] as const).filter(([, count]) => count > 0));
    },

    async listByAccount(accountId, status, limit) {
      return (await posts.find({ accountId, ...anyOf(ofStatus([status])) }).sort({ createdAt: 1, _id: 1 }).limit(limit).toArray()).map(toPost);
    },

    async existing(ids) {
      return new Set((await posts.find({ _id: { $in: ids } }, { projection: { _id: 1 } }).toArray()).map(({ _id }) => _id));
    },

    countSince(accountId, since) {
      return posts.countDocuments({ accountId, createdAt: { $gte: since } });
    },

    async save(change) {
      const { filter, update } = casOf(change, newToken(9));
      return (await posts.updateOne(filter, update)).matchedCount === 1;
    },

    saveMany: (changes) => saveAll(posts, changes),

    claimDue: (horizon, lease, limit, rules) => claim({ dueAt: { $lte: horizon } }, { dueAt: 1 }, lease, limit, rules),

    claimAbandoned: (now, lease, limit, rules) => claim({ 'lease.until': { $lte: now } }, { 'lease.until': 1 }, lease, limit, rules),

    async renewLease(ids, token, until) {
      await posts.updateMany({ _id: { $in: ids }, 'lease.token': token }, { $set: { 'lease.until': until } });
    },

    async giveUpLease(token, postId) {
      const past = new Date(0);
      // The range lets the index over leases find them.
      await posts.updateMany({ ...(postId === null ? { 'lease.until': { $gt: past } } : { _id: postId }), 'lease.token': token }, { $set: { 'lease.until': past } });
    },

    async release(released) {
      if (released.length === 0) return;
      await posts.bulkWrite(released.map((post): AnyBulkWriteOperation<PostDoc> => {
        const waits: Partial<PostDoc> = {};
        putWaits(waits, post.publications);
        return {
          updateOne: {
            filter: { _id: post.id, 'lease.token': post.lease?.token ?? '' },
            update: { $unset: { lease: '' }, ...(Object.keys(waits).length === 0 ? {} : { $set: waits }), $inc: { version: 1 } },
          },
        };
      }), { ordered: false });
    },

    async dueTimes(until, limit) {
      const docs = await posts.find({ dueAt: { $lte: until } }, { projection: { dueAt: 1 }, sort: { dueAt: 1 }, limit }).toArray();
      return docs.flatMap((doc) => (doc.dueAt === undefined ? [] : [doc.dueAt]));
    },

    async listHeld(channelId, limit) {
      const docs = await posts.find({ heldFor: channelId }).sort({ scheduledAt: 1 }).limit(limit).toArray();
      return docs.map(toPost);
    },

    countWaiting(profileId, channelId) {
      const waits = { channelId, $or: [{ state: { $in: ['pending', 'held'] } }, { 'followUps.state': 'held' }] };
      return posts.countDocuments({ profileId, status: { $in: UNFINISHED }, publications: { $elemMatch: waits } } as Filter<PostDoc>);
    },

    async readOutbox(limit, postIds) {
      const filter: Filter<PostDoc> = postIds === undefined ? { outboxAt: { $gt: new Date(0) } } : { _id: { $in: postIds } };
      const docs = await posts.find(filter, { projection: { outbox: 1, sequence: 1 }, sort: postIds === undefined ? { outboxAt: 1 } : {}, limit }).toArray();
      return docs.filter((doc) => doc.outbox.length > 0).map((doc) => ({ postId: doc._id, events: unpackEvents(doc.outbox), sequence: doc.sequence }));
    },

    async clearOutbox(relayed) {
      if (relayed.length === 0) return;
      // A post's sequence rises with each event, so an outbox that ends with this sequence and is this long holds just these. Where it does
      // not, all of it comes again with the sweep, and recording is idempotent. Posts in the same situation share one statement.
      const groups = new Map<string, { sequence: number; count: number; ids: string[] }>();
      for (const { postId, sequence, events } of relayed) {
        const key = `${sequence} ${events.length}`;
        const group = groups.get(key) ?? { sequence, count: events.length, ids: [] };
        group.ids.push(postId);
        groups.set(key, group);
      }
      await posts.bulkWrite([...groups.values()].map(({ sequence, count, ids }): AnyBulkWriteOperation<PostDoc> => ({
        updateMany: { filter: { _id: { $in: ids }, sequence, outbox: { $size: count } }, update: { $set: { outbox: [] }, $unset: { outboxAt: '' } } },
      })), { ordered: false });
    },
  };
}

function leaseWith(lease: Lease): UpdateFilter<PostDoc> {
  return { $set: { lease }, $unset: { dueAt: '', heldFor: '' }, $inc: { version: 1 } };
}

function sortKey({ order }: PostListFilter): 'createdAt' | 'scheduledAt' {
  return order === 'soonest' || order === 'latest' ? 'scheduledAt' : 'createdAt';
}

function direction({ order }: PostListFilter): 1 | -1 {
  return order === 'soonest' ? 1 : -1;
}

function listQuery(filter: PostListFilter): Filter<PostDoc> {
  const query: Filter<PostDoc> = { profileId: filter.profileId };
  const and: Filter<PostDoc>[] = [];
  if (filter.statuses !== undefined) Object.assign(query, anyOf([...ofStatus(filter.statuses), ...(filter.incomplete === 'include' ? [INCOMPLETE] : [])]));
  else if (filter.includeDeleted !== true) query.status = { $ne: 'deleted' };
  if (filter.incomplete === 'exclude') and.push({ $nor: [INCOMPLETE] });
  if (filter.platforms !== undefined) query['publications.platform'] = { $in: filter.platforms };
  if (filter.type !== undefined) query.type = filter.type;
  if (filter.scheduledFrom !== undefined) and.push({ scheduledAt: { $gte: filter.scheduledFrom } });
  if (filter.scheduledTo !== undefined) and.push({ scheduledAt: { $lte: filter.scheduledTo } });
  if (filter.after !== undefined) {
    const { at, id } = filter.after;
    const key = sortKey(filter);
    const beyond = direction(filter) === 1 ? '$gt' : '$lt';
    and.push({ $or: [{ [key]: { [beyond]: at } }, { [key]: at, _id: { [beyond]: id } }] });
  }
  if (and.length > 0) query.$and = and;
  return query;
}

/** Public everywhere, but not with all that follows. */
const INCOMPLETE: Filter<PostDoc> = { status: 'partial', 'publications.state': { $nin: ['failed', 'missed', 'unconfirmed'] } };

/** Those of these statuses, each way in which they may be stored. */
function ofStatus(statuses: PostStatus[]): Filter<PostDoc>[] {
  const stored: Filter<PostDoc> = { status: statuses.length === 1 ? statuses[0]! : { $in: statuses } };
  const [scheduled, publishing] = [statuses.includes('scheduled'), statuses.includes('publishing')];
  if (scheduled === publishing) return [stored];
  return scheduled ? [{ ...stored, $nor: [BEING_SENT] }] : [stored, beingSent()];
}

function anyOf(filters: Filter<PostDoc>[]): Filter<PostDoc> {
  return filters.length === 1 ? filters[0]! : { $or: filters };
}

/** Their time has come, by any clock that agrees to some seconds: so nobody looks through all that is scheduled for later. */
function beingSent(): Filter<PostDoc> {
  return { ...BEING_SENT, scheduledAt: { $lte: new Date(Date.now() + CLOCKS_APART_MS) } };
}

const CLOCKS_APART_MS = 10_000;

/** A post as it is inserted. */
export function toDoc(post: Post, events: PostEvent[]): PostDoc {
  const { id, lease, dueAt: _dueAt, ...fields } = post;
  const oldest = events[0];
  const waits: Partial<PostDoc> = {};
  if (lease === null) putWaits(waits, post.publications);
  return {
    _id: id,
    ...fields,
    ...waits,
    ...(lease === null ? {} : { lease }),
    outbox: packEvents(events),
    ...(oldest === undefined ? {} : { outboxAt: oldest.at }),
    writer: '',
  };
}

/** As it is after the claim. */
function claimedPost(doc: PostDoc, lease: Lease): Post {
  return { ...toPost(doc), version: doc.version + 1, lease, dueAt: null };
}
