/** Which posts still need the uploads they name, read from the posts in MongoDB. */
import type { Db } from 'mongodb';
import { fileIdsOf } from './post-files.js';
import { UNFINISHED } from './post.js';
import type { PostDoc } from './post-doc.js';

export function createPostMediaStore(db: Db) {
  const posts = db.collection<PostDoc>('posts');
  return {
    /** Of those that are stored: whether anything is still to be sent, and which uploads each names. */
    async postsWith(ids: string[]): Promise<Map<string, { waits: boolean; mediaIds: string[] }>> {
      if (ids.length === 0) return new Map();
      const docs = await posts.find({ _id: { $in: ids } }, { projection: { status: 1, media: 1, thread: 1, firstComment: 1, options: 1 } }).toArray();
      return new Map(docs.map((doc) => [doc._id, { waits: UNFINISHED.includes(doc.status), mediaIds: fileIdsOf(doc) }]));
    },
  };
}
