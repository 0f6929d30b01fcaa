import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { MongoClient, type Db } from 'mongodb';
import { ensureIndexes } from '../../src/db/database.js';
import { newId, newPostId, newRefId } from '../../src/lib/ids.js';
import type { PostDoc } from '../../src/posts/post-doc.js';
import { intentKey } from '../../src/posts/post-intents.js';
import { createPostStore, postIndexes, type PostStore } from '../../src/posts/post-store.js';
import type { Change, Post } from '../../src/posts/post.js';
import { recordFailure, startSending } from '../../src/publishing/transitions.js';

const at = new Date('2026-03-01T12:00:00Z');

function newPost(): Post {
  return {
    id: newPostId(), accountId: 'acc_1', profileId: 'prf_1', refId: newRefId(), text: 'Hello', media: [], options: {}, notes: null, type: 'scheduled', scheduledAt: at, timeZone: 'UTC',
    status: 'scheduled', dueAt: at, lease: null, version: 1, sequence: 0, history: [], idempotencyKey: null, requestDigest: null, createdAt: at, updatedAt: at, deletedAt: null,
    publications: [{
      id: newId('pub'), channelId: 'chn_1', platform: 'bluesky', channelName: 'me', state: 'pending', dueAt: at, tries: 0, attempts: [], handle: null, processingSince: null,
      remoteId: null, url: null, publishedAt: null, failure: null,
    }],
  };
}

/** A move that tells of a failure in so many words. */
function failed(before: Post, words = 1): Change {
  const failure = { kind: 'rejected' as const, code: 1, message: 'word '.repeat(words) };
  const publications = before.publications.map((publication) => ({ ...publication, state: 'failed' as const, dueAt: null, failure }));
  return { before, after: { ...before, status: 'error', publications, history: [...before.history, { at, what: 'publication failed', publicationId: publications[0]!.id }] }, events: [] };
}

describe('moves of many posts at once', () => {
  let client: MongoClient;
  let db: Db;
  let store: PostStore;

  before(async () => {
    client = await MongoClient.connect(process.env['MONGODB_URI']!);
    db = client.db(`moves_${randomUUID().slice(0, 8)}`);
    await ensureIndexes(db, postIndexes);
    store = createPostStore(db);
  });
  after(async () => {
    await db.dropDatabase();
    await client.close();
  });

  async function stored(fields: Partial<Post> = {}): Promise<Post> {
    const post = { ...newPost(), ...fields };
    await store.insert(post, []);
    return post;
  }

  it('win where the version is the one that was read, and each by itself', async () => {
    const [first, stale, again] = [await stored(), await stored(), await stored()];
    assert.equal(await store.save(failed(stale)), true);
    assert.deepEqual(await store.saveMany([failed(first), failed(stale), failed(again)]), [true, false, true]);
    assert.deepEqual((await store.find(again.id))!.version, 2);
    assert.equal((await store.find(stale.id))!.history.length, 1);
  });

  for (const [how, words] of [['small ones', 1], ['ones with long texts', 20_000]] as const) {
    it(`tell which one MongoDB refused, and store the others: ${how}`, async () => {
      const [first, broken, last] = [await stored(), await stored(), await stored()];
      await db.collection<{ _id: string }>('posts').updateOne({ _id: broken.id }, { $set: { history: 'no list' } });
      const answers = await store.saveMany([failed(first, words), failed(broken), failed(last)]);
      assert.deepEqual(answers.map((answer) => answer instanceof Error || answer), [true, true, true]);
      assert.match(String(answers[1]), /could not be stored: .*must be an array/);
      assert.deepEqual([(await store.find(first.id))!.status, (await store.find(last.id))!.status, (await store.find(broken.id))!.version], ['error', 'error', 1]);
    });
  }

  /** Posts leased by one claim, as they are when their moment has come. */
  async function leased(count: number, fields: Partial<Post> = {}): Promise<Post[]> {
    const posts = await Promise.all(Array.from({ length: count }, () => stored(fields)));
    const lease = { token: newId('lease'), owner: 'me', until: new Date(Date.now() + 60_000) };
    const ids = new Set(posts.map(({ id }) => id));
    return (await store.claimDue(new Date(), lease, 500)).filter(({ id }) => ids.has(id));
  }

  it('let intents of one moment travel together, and store of each what it says', async () => {
    const [first, stale, last] = await leased(3) as [Post, Post, Post];
    assert.equal(await store.save(failed(stale)), true);
    const now = new Date('2026-03-01T12:00:00.020Z');
    const changes = [first, stale, last].map((before): Change => ({ before, after: startSending(before, [before.publications[0]!.id], now), events: [] }));
    assert.equal(new Set(changes.map(intentKey)).size, 1, 'they are alike');
    assert.deepEqual(await store.saveMany(changes), [true, false, true]);
    for (const { before, after } of [changes[0]!, changes[2]!]) assert.deepEqual(await store.find(before.id), { ...after, version: before.version + 1 });
    assert.equal((await store.find(stale.id))!.status, 'error');
  });

  it('tell which intent MongoDB refused, and store those beside it', async () => {
    const posts = await leased(4);
    await db.collection<{ _id: string }>('posts').updateOne({ _id: posts[1]!.id }, { $set: { history: 'no list' } });
    const answers = await store.saveMany(posts.map((before): Change => ({ before, after: startSending(before, [before.publications[0]!.id], at), events: [] })));
    assert.deepEqual(answers.map((answer) => answer instanceof Error || answer), [true, true, true, true]);
    assert.deepEqual(answers.map((answer) => answer instanceof Error), [false, true, false, false]);
    assert.equal((await store.find(posts[3]!.id))!.status, 'publishing');
  });

  it('are no intents of one kind after a try, with several publications, or under another lease', async () => {
    const [post, other] = await leased(2) as [Post, Post];
    const keyOf = (before: Post, ids = [before.publications[0]!.id]): string | null => intentKey({ before, after: startSending(before, ids, at), events: [] });
    const [publication] = post.publications as [Post['publications'][0]];
    assert.notEqual(keyOf(post), null);
    assert.equal(keyOf(post), keyOf({ ...post, id: 'another', publications: other.publications }));
    assert.notEqual(keyOf(post), keyOf({ ...post, lease: { ...post.lease!, token: 'other' } }));
    assert.notEqual(keyOf(post), keyOf({ ...post, version: post.version + 1 }));
    assert.equal(keyOf({ ...post, publications: [{ ...publication, tries: 1 }] }), null);
    assert.equal(keyOf({ ...post, publications: [publication, { ...publication, id: 'pub_2' }] }), null);
    assert.equal(keyOf({ ...post, status: 'deleted' }), null);
    assert.equal(intentKey(failed(post)), null);
  });

  it('file a post that is being sent under publishing, wherever somebody asks, and whatever becomes of it', async () => {
    const [sent, waiting] = await leased(2, { profileId: 'prf_sent', accountId: 'acc_sent' }) as [Post, Post];
    const intent = { before: sent, after: startSending(sent, [sent.publications[0]!.id], at), events: [] };
    assert.notEqual(intentKey(intent), null);
    assert.deepEqual(await store.saveMany([intent]), [true]);
    const list = async (...statuses: Post['status'][]): Promise<string[]> => (await store.list({ profileId: 'prf_sent', statuses, limit: 10 })).map(({ id }) => id).toSorted();
    assert.deepEqual([await list('scheduled'), await list('publishing'), await list('scheduled', 'publishing'), await list('publishing', 'error')], [[waiting.id], [sent.id], [sent.id, waiting.id].toSorted(), [sent.id]]);
    assert.deepEqual((await store.list({ profileId: 'prf_sent', statuses: ['publishing'], incomplete: 'include', order: 'latest', limit: 10 })).map(({ id, status }) => [id, status]), [[sent.id, 'publishing']]);
    assert.deepEqual(await store.countByStatus('prf_sent'), { scheduled: 1, publishing: 1 });
    assert.deepEqual((await store.listByAccount('acc_sent', 'scheduled', 10)).map(({ id }) => id), [waiting.id]);
    // It waits for another try, which is neither sent nor scheduled.
    const before = (await store.find(sent.id))!;
    const after = recordFailure(before, sent.publications[0]!.id, at, { kind: 'unreachable', code: 1, message: 'It did not answer.' }, { do: 'retry', at: new Date(at.getTime() + 60_000) }, at, at);
    assert.deepEqual([before.status, after.status], ['publishing', 'publishing']);
    assert.equal(await store.save({ before, after, events: [] }), true);
    assert.deepEqual([await list('scheduled'), await list('publishing'), await store.countByStatus('prf_sent')], [[waiting.id], [sent.id], { scheduled: 1, publishing: 1 }]);
  });

  it('are stored in parts where one command could not hold them', async () => {
    const posts = await Promise.all(Array.from({ length: 40 }, () => stored()));
    const answers = await store.saveMany(posts.map((post) => failed(post, 100_000)));
    assert.ok(answers.every((answer) => answer === true));
    assert.equal(await db.collection('posts').countDocuments({ 'publications.failure.message': { $regex: /^word / }, version: 2, _id: { $in: posts.map(({ id }) => id) } } as never), 40);
  });

  it('let what is held for a channel be found until it is held no more', async () => {
    const channelId = newId('chn');
    const post = newPost();
    post.publications = post.publications.map((publication) => ({ ...publication, channelId }));
    await store.insert(post, []);
    const count = (): Promise<number> => store.countWaiting(post.profileId, channelId);
    assert.deepEqual([await count(), await store.listHeld(channelId, 10)], [1, []]);
    const held: Post = { ...post, status: 'publishing', publications: post.publications.map((publication) => ({ ...publication, state: 'held' })) };
    await store.save({ before: post, after: held, events: [] });
    assert.deepEqual((await store.listHeld(channelId, 10)).map(({ id }) => id), [post.id]);
    const current = (await store.find(post.id))!;
    const [leased] = await store.claimDue(new Date(), { token: 'mine', owner: 'me', until: new Date(Date.now() + 60_000) }, 500).then((all) => all.filter(({ id }) => id === post.id));
    assert.deepEqual([await count(), await store.listHeld(channelId, 10)], [1, []], 'a worker has it in hand');
    await store.release([leased!]);
    assert.equal((await store.listHeld(channelId, 10))[0]!.version, current.version + 2);
    await store.save(failed((await store.find(post.id))!));
    assert.deepEqual([await count(), await store.listHeld(channelId, 10)], [0, []]);
    assert.equal((await db.collection<PostDoc>('posts').findOne({ _id: post.id }))!.heldFor, undefined);
  });
});
