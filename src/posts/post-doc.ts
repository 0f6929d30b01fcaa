/** A post's document in MongoDB. */
import type { Lease, Post, PostStatus } from './post.js';
import type { StoredEvent } from './stored-events.js';

/**
 * A post as it is stored. `dueAt` exists only while the post waits unleased with something to do, and `outboxAt` only while events wait to be
 * relayed, so that sparse indexes over them cost by the work due and not by the posts stored.
 */
export interface PostDoc extends Omit<Post, 'id' | 'dueAt' | 'lease'> {
  _id: string;
  /** Intents that were stored together left it at `scheduled`, see `isBeingSent`. */
  status: PostStatus;
  dueAt?: Date;
  /** The channels that it is held for, being signed out; like `dueAt` only while it is unleased. */
  heldFor?: string[];
  lease?: Lease;
  outbox: StoredEvent[];
  outboxAt?: Date;
  /** Token of the last write, so that a bulk write can tell which of its parts won. */
  writer: string;
}

type OptionalOf<T> = { [K in keyof T]-?: object extends Pick<T, K> ? K : never }[keyof T];
const OPTIONAL = Object.keys({ texts: true, thread: true, firstComment: true, whenLate: true } satisfies Record<OptionalOf<Post>, true>) as OptionalOf<Post>[];

/**
 * True for a post that is stored as `scheduled` and is `publishing`: nothing but the intent of its sole publication was written since, and an intent
 * moves no entry of the indexes over the status. Whatever is written next says the status again.
 */
function isBeingSent({ status, publications }: PostDoc): boolean {
  return status === 'scheduled' && publications.some(({ state }) => state === 'sending');
}

/** What `isBeingSent` says, as a filter. */
export const BEING_SENT = { status: 'scheduled', 'publications.state': 'sending' } as const;

/** Field by field: the driver's objects with many fields are hash tables, and copying all fields of one takes a hundred times as long as this. */
export function toPost(doc: PostDoc): Post {
  const post: Post = {
    id: doc._id, accountId: doc.accountId, profileId: doc.profileId, refId: doc.refId, text: doc.text, media: doc.media, options: doc.options, notes: doc.notes, type: doc.type,
    scheduledAt: doc.scheduledAt, timeZone: doc.timeZone, status: isBeingSent(doc) ? 'publishing' : doc.status, publications: doc.publications, dueAt: doc.dueAt ?? null, lease: doc.lease ?? null,
    version: doc.version, sequence: doc.sequence, history: doc.history, idempotencyKey: doc.idempotencyKey, requestDigest: doc.requestDigest,
    createdAt: doc.createdAt, updatedAt: doc.updatedAt, deletedAt: doc.deletedAt,
  };
  for (const name of OPTIONAL) if (doc[name] !== undefined) Object.assign(post, { [name]: doc[name] });
  return post;
}
