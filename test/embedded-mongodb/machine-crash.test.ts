import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MongoClient } from 'mongodb';
import { startEmbeddedMongodb } from '../../src/embedded-mongodb/start.js';
import { FILE_NAME } from '../../src/embedded-mongodb/store.js';
import { newDataDir } from './with-server.js';

const PAGE = 4096;
const SLOT = 8192;

/** Writes over a file without making a new one: it keeps its inode. */
function overwrite(path: string, content: Buffer): void {
  const handle = openSync(path, 'r+');
  writeSync(handle, content, 0, content.length, 0);
  closeSync(handle);
}

/** What a disk may hold after the power went: of every page written since the last flush either the old or the new content. */
function tornFile(flushed: Buffer, latest: Buffer): Buffer {
  const torn = Buffer.from(latest);
  for (let at = 0; at < latest.length; at += PAGE) {
    if (Math.random() < 0.5) continue;
    torn.fill(0, at, at + PAGE);
    if (at < flushed.length) flushed.copy(torn, at, at, at + PAGE);
  }
  return torn;
}

/** The flush notes as another start of the machine finds them. */
function fromAnotherBoot(notes: Buffer): Buffer {
  const bytes = Buffer.from(notes);
  for (let at = 0; at < bytes.length; at += SLOT) {
    const slot = bytes.subarray(at, at + SLOT);
    const text = slot.toString('latin1', 64, 512);
    slot.write(text.replace(/"boot":"[^"]{4}/, '"boot":"zzzz'), 64, 'latin1');
    createHash('sha256').update(slot.subarray(64)).digest().copy(slot, 0);
  }
  return bytes;
}

test('after a crash of the machine everything written with j: true is there, and nothing is torn', { skip: process.platform !== 'linux' }, async () => {
  const dataDir = newDataDir();
  const file = join(dataDir, FILE_NAME);
  let durable = 0;
  for (let round = 0; round < 6; round++) {
    const server = await startEmbeddedMongodb({ dataDir, flushEveryMs: 1e6 });
    const client = await new MongoClient(server.uri).connect();
    const posts = client.db('a').collection<{ _id: number; k: string; n: number; body: string }>('posts');
    if (round === 0) await posts.createIndex({ k: 1 }, { unique: true });
    const found = await posts.countDocuments({ k: { $gte: '' } });
    assert.equal(found, durable, `round ${round}`);
    assert.deepEqual((await client.db('a').command({ validate: 'posts' }))['errors'], []);
    const write = (j: boolean, count: number, from: number): Promise<unknown> =>
      posts.insertMany(Array.from({ length: count }, (_, i) => ({ _id: from + i, k: `${Math.random()}`, n: 0, body: 'x'.repeat(Math.floor(Math.random() * 6000)) })), { writeConcern: { w: 1, j } });
    await write(false, 100, round * 1000);
    await posts.updateMany({}, { $inc: { n: 1 }, $set: { body: 'y'.repeat(300) } });
    await write(true, 50, round * 1000 + 100);
    durable = await posts.countDocuments();
    const flushed = readFileSync(file);
    const notes = readFileSync(`${file}-sync`);
    await write(false, 200, round * 1000 + 200);
    await posts.updateMany({ n: { $gte: 1 } }, { $inc: { n: 1 }, $set: { body: 'z'.repeat(900) } });
    for (let i = 0; i < 20; i++) await posts.updateOne({ _id: round * 1000 + i }, { $set: { k: `${Math.random()}` } });
    await posts.deleteMany({ _id: { $lt: round * 1000 + 50 } });
    process.kill(server.pid, 'SIGKILL');
    await client.close();
    await new Promise((resolve) => setTimeout(resolve, 50));
    overwrite(file, tornFile(flushed, readFileSync(file)));
    overwrite(`${file}-sync`, fromAnotherBoot(notes));
  }
});
