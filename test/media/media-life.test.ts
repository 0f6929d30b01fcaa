/** Lives of uploaded files: their end, whatever a process dies in, and posts that are written with them at the moment they are deleted. */
import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, describe, it, test } from 'node:test';
import { composeMedia, type Media } from '../../src/compose-media.js';
import { ensureIndexes } from '../../src/db/database.js';
import { AppError } from '../../src/lib/app-error.js';
import { createLogger } from '../../src/lib/logger.js';
import { createNotifier } from '../../src/lib/notifier.js';
import { createMediaFiles } from '../../src/media/media-files.js';
import { createMediaRemoval } from '../../src/media/media-removal.js';
import { createMediaService, type MediaService } from '../../src/media/media-service.js';
import { createMediaStore, mediaIndexes } from '../../src/media/media-store.js';
import { createMediaUsageStore } from '../../src/media/media-usage-store.js';
import { createPostMediaStore } from '../../src/posts/post-media-store.js';
import type { Post } from '../../src/posts/post.js';
import { aPng } from '../support/media-files.js';
import { anInput, NOW, postsOverDatabase } from '../support/posts.js';
import { runProgram, temporaryFolder } from '../support/program.js';
import { dropDatabase, temporaryDatabaseName, uriOfDatabase } from '../support/temporary-database.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const ABOUT = { fileName: 'a.png', description: '' };

async function* bytes(data: Buffer = aPng()): AsyncGenerator<Buffer> {
  yield data;
}

const folder = await temporaryFolder();
after(() => folder.remove());
const clock = { at: NOW, now: () => clock.at };
const door: { files: Media['files'] | null } = { files: null };
const posts = await postsOverDatabase({
  files: { find: (...args) => door.files!.find(...args), isHere: (url) => door.files!.isHere(url), use: (...args) => door.files!.use(...args), endUse: (...args) => door.files!.endUse(...args) },
});
await ensureIndexes(posts.db, mediaIndexes);
let sweep: () => Promise<void> = () => Promise.resolve();
const media = composeMedia({
  config: { mediaDir: folder.path, mediaMaxBytes: 1_000_000, mediaRetentionDays: 90 }, db: posts.db, clock, log: createLogger('silent'), notifier: createNotifier(), isWeb: true,
  publicUrl: () => 'http://127.0.0.1:3000', limitOf: async () => null,
  jobs: { sweep: (_name, _every, handler) => void (sweep = handler) },
});
door.files = media.files;

describe('an uploaded file', () => {
  const someone = () => posts.someone();
  const uploadAs = async (actor: ReturnType<typeof someone>) => media.service.keep(actor, await media.service.receive(actor, bytes()), ABOUT);
  const write = (actor: ReturnType<typeof someone>, url: string): Promise<Post> => posts.service.create(actor, anInput({ mediaUrls: [url] }));
  const isThere = async (id: string): Promise<boolean> => (await media.service.findPublic(id)) !== null;
  const inDays = async (days: number): Promise<void> => {
    clock.at = new Date(NOW.getTime() + days * DAY_MS);
    await sweep();
  };

  it('is deleted after its 90 days with its room given back, unless a post that waits uses it', async () => {
    clock.at = NOW;
    const actor = someone();
    const [unused, used] = [await uploadAs(actor), await uploadAs(actor)];
    const post = await write(actor, media.service.urlOf(used));
    assert.deepEqual(post.media, [{ url: media.service.urlOf(used), kind: 'image', facts: { contentType: 'image/png', bytes: used.bytes, width: 8, height: 8 } }]);
    await inDays(89.9);
    assert.deepEqual([await isThere(unused.id), await isThere(used.id)], [true, true]);
    await inDays(90.1);
    assert.deepEqual([await isThere(unused.id), await isThere(used.id)], [false, true]);
    assert.equal(await media.service.usedBytes(actor.accountId), used.bytes);
    await posts.service.cancel(actor, post.id);
    await inDays(92);
    assert.equal(await isThere(used.id), false);
    assert.equal(await media.service.usedBytes(actor.accountId), 0);
    clock.at = NOW;
  });

  it('is not deleted under a post that is being written with it, however the two meet', async () => {
    for (let i = 0; i < 25; i++) {
      const actor = someone();
      const file = await uploadAs(actor);
      const url = media.service.urlOf(file);
      const [written, removed] = await Promise.allSettled([write(actor, url), media.service.remove(actor, file.id)]);
      if (written.status === 'fulfilled') {
        assert.equal(await isThere(file.id), true);
        assert.ok(removed.status === 'rejected' && removed.reason instanceof AppError && removed.reason.kind === 'conflict', String(removed.status));
      } else {
        assert.ok(written.reason instanceof AppError && written.reason.code === 136, String(written.reason));
        assert.equal(removed.status, 'fulfilled');
      }
    }
  });

  it('is kept for a post that is written just between looking for posts and deleting the file', async () => {
    const actor = someone();
    const file = await uploadAs(actor);
    let writes = 0;
    const removal = createMediaRemoval({
      store: createMediaStore(posts.db), usage: createMediaUsageStore(posts.db), files: createMediaFiles(folder.path), clock, log: createLogger('silent'), notifier: createNotifier(),
      async postsWith(ids) {
        const found = await createPostMediaStore(posts.db).postsWith(ids);
        if (writes++ === 0) await write(actor, media.service.urlOf(file));
        return found;
      },
    });
    assert.equal(await removal.removeUnused(file.id), false);
    assert.equal(await isThere(file.id), true);
  });

  it('can be deleted as soon as a post was edited not to use it, or was cancelled', async () => {
    const actor = someone();
    const file = await uploadAs(actor);
    const post = await write(actor, media.service.urlOf(file));
    await assert.rejects(media.service.remove(actor, file.id), /used by a post that waits/);
    await posts.service.edit(actor, post.id, { mediaUrls: [] });
    await media.service.remove(actor, file.id);
    const [second, third] = [await uploadAs(actor), await uploadAs(actor)];
    const cancelled = await posts.service.create(actor, anInput({ thread: [{ text: 'And this', mediaUrls: [media.service.urlOf(second)] }], mediaUrls: [media.service.urlOf(third)] }));
    for (const { id } of [second, third]) await assert.rejects(media.service.remove(actor, id), /used by a post that waits/);
    await posts.service.cancel(actor, cancelled.id);
    for (const { id } of [second, third]) await media.service.remove(actor, id);
    assert.equal(await media.service.usedBytes(actor.accountId), 0);
  });

  it('is found under another host than the one it was given out with, and only by its account', async () => {
    const actor = someone();
    const file = await uploadAs(actor);
    const post = await write(actor, media.service.urlOf(file).replace('127.0.0.1:3000', 'localhost:3000'));
    assert.equal(post.media[0]?.url, media.service.urlOf(file));
    await assert.rejects(write(someone(), media.service.urlOf(file)), /no such uploaded file/);
    await assert.rejects(write(actor, media.service.urlOf(file).replace(/[0-9a-f]{40}/, '0'.repeat(40))), /no such uploaded file/);
    await assert.rejects(posts.service.edit(actor, post.id, { mediaUrls: [media.service.urlOf(file).replace(/[0-9a-f]{40}/, '1'.repeat(40))] }), /no such uploaded file/);
  });
});

test('a folder that nothing can be written to stops the start in plain words', async () => {
  const file = path.join(folder.path, 'a-file');
  await writeFile(file, '');
  const database = temporaryDatabaseName();
  after(() => dropDatabase(database));
  const { code, output } = await runProgram({ dataDir: path.join(folder.path, 'data'), env: { MEDIA_DIR: file, MONGODB_URI: uriOfDatabase(database) } });
  assert.equal(code, 1);
  assert.match(output, /Uploaded files can't be kept in .*a-file: .*Check MEDIA_DIR/);
  assert.doesNotMatch(output, /\n\s+at /, 'no stack');
});

test('a full disk is said as such, and nothing of the upload stays', async () => {
  const store = createMediaStore(posts.db);
  const files = { ...createMediaFiles(folder.path), receive: () => Promise.reject(Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })) };
  const service = createMediaService({
    store, usage: createMediaUsageStore(posts.db), files, removal: { removeUnused: async () => true, clear: async () => undefined }, clock, notifier: createNotifier(), publicUrl: () => '', billingUrl: () => '',
    maxBytes: 1_000, retentionDays: 90, limitOf: async () => null, shapeOf: () => ({}),
  });
  await assert.rejects(service.receive(posts.someone(), bytes()), (error) => error instanceof AppError && error.kind === 'unavailable' && /no room on the disk/.test(error.message));
});

describe('a process that dies', () => {
  /** How a process's work on disk and database ends: before its nth step, or after it without hearing of it. */
  interface Death {
    steps: number;
    hears: boolean;
  }

  function dying<T extends object>(target: T, death: Death): T {
    return new Proxy(target, {
      get(from, name) {
        const member: unknown = Reflect.get(from, name);
        if (typeof member !== 'function') return member;
        return async (...args: unknown[]): Promise<unknown> => {
          death.steps -= 1;
          if (death.steps < 0) throw new Error('dead');
          const result: unknown = await (member as (...all: unknown[]) => unknown).apply(from, args);
          if (death.steps === 0 && !death.hears) throw new Error('dead');
          return result;
        };
      },
    });
  }

  it('in any step of an upload or a deletion leaves nothing that counts wrongly, on disk or in the database', async () => {
    const { db, someone } = await postsOverDatabase();
    await ensureIndexes(db, mediaIndexes);
    const ownFolder = await temporaryFolder();
    const whole = { store: createMediaStore(db), usage: createMediaUsageStore(db), files: createMediaFiles(ownFolder.path) };
    const partsFor = (death: Death | null): { service: MediaService; sweep(): Promise<void> } => {
      const parts = death === null ? whole : { store: dying(whole.store, death), usage: dying(whole.usage, death), files: dying(whole.files, death) };
      const shared = { ...parts, clock, log: createLogger('silent'), notifier: createNotifier() };
      const removal = createMediaRemoval({ ...shared, postsWith: async () => new Map() });
      return {
        sweep: removal.sweep,
        service: createMediaService({
          ...shared, removal, publicUrl: () => 'http://127.0.0.1', billingUrl: () => '', maxBytes: 1_000_000, retentionDays: 90, limitOf: async () => 1_000_000, shapeOf: () => ({}),
        }),
      };
    };
    const living = partsFor(null);

    /** A new process, hours later. */
    async function checkAfterwards(accountId: string, isStored: boolean | null): Promise<void> {
      clock.at = new Date(clock.at.getTime() + 3 * HOUR_MS);
      await living.sweep();
      const docs = await db.collection<{ _id: string; state: string; bytes: number }>('media').find({ accountId } as object).toArray();
      assert.ok(docs.every(({ state }) => state === 'stored'), JSON.stringify(docs));
      if (isStored !== null) assert.equal(docs.length, isStored ? 1 : 0);
      const usage = await db.collection<{ _id: string; bytes: number; moves: unknown[] }>('media_usage').findOne({ _id: accountId });
      assert.equal(usage?.bytes ?? 0, docs.reduce((sum, doc) => sum + doc.bytes, 0), 'what is counted is what is stored');
      assert.deepEqual(usage?.moves ?? [], []);
      const onDisk = await readdir(ownFolder.path, { recursive: true });
      const stored = await db.collection<{ _id: string }>('media').find().toArray();
      assert.deepEqual(onDisk.flatMap((name) => (/[0-9a-f]{40}$/.test(name) && !name.startsWith('incoming') ? [name.slice(-40)] : [])).sort((a, b) => (a < b ? -1 : 1)), stored.map(({ _id }) => _id).sort((a, b) => (a < b ? -1 : 1)));
    }

    for (const hears of [true, false]) {
      for (let steps = 0, isDone = false; !isDone; steps++) {
        assert.ok(steps < 30, 'an upload has fewer steps');
        const actor = someone();
        const received = await living.service.receive(actor, bytes());
        isDone = await partsFor({ steps, hears }).service.keep(actor, received, ABOUT).then(() => true, () => false);
        await checkAfterwards(actor.accountId, isDone ? true : null);
      }
      for (let steps = 0, isDone = false; !isDone; steps++) {
        assert.ok(steps < 30, 'a deletion has fewer steps');
        const actor = someone();
        const file = await living.service.keep(actor, await living.service.receive(actor, bytes()), ABOUT);
        isDone = await partsFor({ steps, hears }).service.remove(actor, file.id).then(() => true, () => false);
        await checkAfterwards(actor.accountId, isDone ? false : null);
      }
    }
    await ownFolder.remove();
  });
});
