/** A post's document in MongoDB. */
import type { Lease, Post } from './post.js';
import type { StoredEvent } from './stored-events.js';

/**
 * A post as it is stored. `dueAt` exists only while the post waits unleased with something to do, and `outboxAt` only while events wait to be
 * relayed, so that sparse indexes over them cost by the work due and not by the posts stored.
 */
export interface PostDoc extends Omit<Post, 'id' | 'dueAt' | 'lease'> {
  _id: string;
  dueAt?: Date;
  /** The channels that something of it is still to go to; like `dueAt` only while it is unleased, so that publishing moves no entry of their index. */
  waitsFor?: string[];
  lease?: Lease;
  outbox: StoredEvent[];
  outboxAt?: Date;
  /** Token of the last write, so that a bulk write can tell which of its parts won. */
  writer: string;
}
