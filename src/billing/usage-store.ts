/** How many posts an account was accepted in a month, in MongoDB: the ids themselves, so that counting and giving back can be repeated. */
import { MongoServerError, type Collection, type Db, type Filter, type UpdateFilter } from 'mongodb';
import { DUPLICATE_KEY, type CollectionIndexes } from '../db/database.js';

/** One counted post: `s` is the post's event sequence when it was counted, so that an older "it never went out" can't undo a newer count. */
interface Counted {
  p: string;
  s: number;
  at: Date;
}

interface UsageDoc {
  _id: string;
  accountId: string;
  month: string;
  posts: Counted[];
  /** Since when posts were counted here of which nobody has checked that they exist. */
  uncheckedAt?: Date;
  /** Posts counted up to then are known to exist. */
  checkedUntil?: Date;
  /** Limits that were reached in this month: each is told once. */
  reachedLimits?: number[];
  /** Exists until it is told that a limit was reached. */
  untold?: QuotaReached;
}

export interface QuotaReached {
  /** Of the event that tells it. */
  id: string;
  at: Date;
  limit: number;
}

export const usageIndexes: CollectionIndexes[] = [
  {
    collection: 'billing_usage',
    indexes: [{ key: { accountId: 1, month: 1 }, name: 'by_account_and_month' }, { key: { uncheckedAt: 1 }, name: 'unchecked', sparse: true }, { key: { 'untold.at': 1 }, name: 'untold', sparse: true }],
  },
];

/** Without a limit there is nothing to guard, and short documents are cheap to write. */
const BUCKETS = 256;

export interface Count {
  accountId: string;
  month: string;
  /** Null: no limit. */
  limit: number | null;
  postId: string;
  sequence: number;
  at: Date;
}

export interface Unchecked {
  id: string;
  accountId: string;
  month: string;
  uncheckedAt: Date;
  checkedUntil: Date;
  /** Counted up to `checkedUntil`, and not checked before. */
  postIds: string[];
}

export type UsageStore = ReturnType<typeof createUsageStore>;

export function createUsageStore(db: Db) {
  const usage: Collection<UsageDoc> = db.collection<UsageDoc>('billing_usage');

  function push({ postId, sequence, at }: Count) {
    return { $push: { posts: { p: postId, s: sequence, at } }, $set: { uncheckedAt: at } };
  }

  async function insertEmpty(id: string, { accountId, month }: Pick<Count, 'accountId' | 'month'>): Promise<void> {
    await usage.updateOne({ _id: id }, { $setOnInsert: { accountId, month, posts: [] } }, { upsert: true }).catch(ignoreDuplicate);
  }

  async function countFreely(count: Count): Promise<void> {
    const id = bucketId(count.accountId, count.month, count.postId);
    const filter = { _id: id, 'posts.p': { $ne: count.postId } };
    if ((await usage.updateOne(filter, push(count))).matchedCount === 1) return;
    await insertEmpty(id, count);
    await usage.updateOne(filter, push(count));
  }

  /** What was counted while there was no limit; that only shrinks while there is one. */
  async function countedFreely(accountId: string, month: string): Promise<number> {
    return sumOf({ accountId, month, _id: { $ne: guardId(accountId, month) } });
  }

  async function sumOf(filter: Filter<UsageDoc>): Promise<number> {
    const [sum] = await usage.aggregate<{ n: number }>([{ $match: filter }, { $group: { _id: null, n: { $sum: { $size: '$posts' } } } }]).toArray();
    return sum?.n ?? 0;
  }

  return {
    /**
     * Counts a post where there is room, by one conditional update: of many at once exactly as many win as there is room for. Counting a post
     * that is counted already changes nothing.
     * @returns false when the limit is reached
     */
    async take(count: Count): Promise<boolean> {
      const { accountId, month, limit, postId } = count;
      if (limit === null) {
        await countFreely(count);
        return true;
      }
      const room = limit - (await countedFreely(accountId, month));
      if (room <= 0) return false;
      const id = guardId(accountId, month);
      const filter = { _id: id, 'posts.p': { $ne: postId }, [`posts.${room - 1}`]: { $exists: false } };
      if ((await usage.updateOne(filter, push(count))).matchedCount === 1) return true;
      await insertEmpty(id, count);
      if ((await usage.updateOne(filter, push(count))).matchedCount === 1) return true;
      return (await usage.findOne({ _id: id, 'posts.p': postId }, { projection: { _id: 1 } })) !== null;
    },

    /** Says of a counted post that it counts on. @returns false when it isn't counted in any of these months */
    async keep(accountId: string, months: string[], postId: string, sequence: number): Promise<boolean> {
      const counted: Filter<UsageDoc> = { _id: { $in: idsOf(accountId, months, postId) }, 'posts.p': postId };
      return (await usage.updateMany(counted, { $max: { 'posts.$.s': sequence } })).matchedCount > 0;
    },

    /** Forgets a post that was counted before this sequence of its events. */
    async giveBack(accountId: string, months: string[], postId: string, beforeSequence: number): Promise<void> {
      const counted: Filter<UsageDoc> = { _id: { $in: idsOf(accountId, months, postId) }, 'posts.p': postId };
      await usage.updateMany(counted, { $pull: { posts: { p: postId, s: { $lt: beforeSequence } } } } as unknown as UpdateFilter<UsageDoc>);
    },

    async count(accountId: string, month: string): Promise<number> {
      return sumOf({ accountId, month });
    },

    /**
     * Notes that a limit is reached, once in a month, for the event that tells it.
     * @returns false when there is room left, or it was noted before
     */
    async noteReached(accountId: string, month: string, reached: QuotaReached): Promise<boolean> {
      const room = reached.limit - (await countedFreely(accountId, month));
      const id = guardId(accountId, month);
      if (room <= 0) await insertEmpty(id, { accountId, month });
      const isFull = room <= 0 ? {} : { [`posts.${room - 1}`]: { $exists: true } };
      const noted = await usage.updateOne({ _id: id, reachedLimits: { $ne: reached.limit }, ...isFull }, { $push: { reachedLimits: reached.limit }, $set: { untold: reached } });
      return noted.modifiedCount === 1;
    },

    /** What was reached and not told yet. */
    async listUntold(limit: number): Promise<{ accountId: string; month: string; reached: QuotaReached }[]> {
      const docs = await usage.find({ 'untold.at': { $gt: new Date(0) } }, { projection: { posts: 0 } }).limit(limit).toArray();
      return docs.flatMap(({ accountId, month, untold }) => (untold === undefined ? [] : [{ accountId, month, reached: untold }]));
    },

    async told(accountId: string, month: string, eventId: string): Promise<void> {
      await usage.updateOne({ _id: guardId(accountId, month), 'untold.id': eventId }, { $unset: { untold: '' } });
    },

    /** Which of these posts are counted in this month. */
    async countedOf(accountId: string, month: string, postIds: string[]): Promise<Set<string>> {
      const docs = await usage.find({ accountId, month, 'posts.p': { $in: postIds } }, { projection: { 'posts.p': 1 } }).toArray();
      const asked = new Set(postIds);
      return new Set(docs.flatMap(({ posts }) => posts.map(({ p }) => p)).filter((id) => asked.has(id)));
    },

    /** @returns by account id */
    async countMany(pairs: { accountId: string; month: string }[]): Promise<Map<string, number>> {
      const counts = new Map<string, number>();
      if (pairs.length === 0) return counts;
      const sums = await usage.aggregate<{ _id: string; n: number }>([{ $match: { $or: pairs } }, { $group: { _id: '$accountId', n: { $sum: { $size: '$posts' } } } }]).toArray();
      for (const { _id, n } of sums) counts.set(_id, n);
      return counts;
    },

    /** Documents that counted posts before `before` which nobody has looked after since. */
    async listUnchecked(before: Date, limit: number): Promise<Unchecked[]> {
      const docs = await usage.find({ uncheckedAt: { $lte: before } }).sort({ uncheckedAt: 1 }).limit(limit).toArray();
      return docs.flatMap(({ _id: id, accountId, month, posts, uncheckedAt, checkedUntil }) => {
        if (uncheckedAt === undefined) return [];
        const since = checkedUntil ?? new Date(0);
        return [{ id, accountId, month, uncheckedAt, checkedUntil: before, postIds: posts.filter(({ at }) => at <= before && at > since).map(({ p }) => p) }];
      });
    },

    /** Forgets what was counted for posts that never came to be. */
    async checked({ id, uncheckedAt, checkedUntil }: Unchecked, missing: string[]): Promise<void> {
      if (missing.length > 0) await usage.updateOne({ _id: id }, { $pull: { posts: { p: { $in: missing } } } } as unknown as UpdateFilter<UsageDoc>);
      await usage.updateOne({ _id: id }, { $set: { checkedUntil } });
      await usage.updateOne({ _id: id, uncheckedAt }, { $unset: { uncheckedAt: '' } });
    },
  };
}

function guardId(accountId: string, month: string): string {
  return `${accountId}:${month}`;
}

function bucketId(accountId: string, month: string, postId: string): string {
  let hash = 0;
  for (const char of postId) hash = (hash * 31 + char.codePointAt(0)!) % 65_521;
  return `${guardId(accountId, month)}:${hash % BUCKETS}`;
}

function idsOf(accountId: string, months: string[], postId: string): string[] {
  return months.flatMap((month) => [guardId(accountId, month), bucketId(accountId, month, postId)]);
}

function ignoreDuplicate(error: unknown): void {
  if (error instanceof MongoServerError && error.code === DUPLICATE_KEY) return;
  throw error;
}
