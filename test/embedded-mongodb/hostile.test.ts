import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { MongoClient } from 'mongodb';
import { crc32c } from '../../src/embedded-mongodb/checksum.js';
import { startEmbeddedMongodb, type EmbeddedMongodb } from '../../src/embedded-mongodb/start.js';
import { runFuzz } from './fuzz.js';
import { connectRaw, opMsg } from './raw-client.js';
import { newDataDir } from './with-server.js';

let server: EmbeddedMongodb;
let client: MongoClient;

before(async () => {
  server = await startEmbeddedMongodb({ dataDir: newDataDir() });
  client = await new MongoClient(server.uri).connect();
});

after(async () => {
  await client.close();
  await server.stop();
});

const isWell = async (): Promise<void> => void (await client.db('a').command({ ping: 1 }));

test('garbage and impossible lengths close that connection and no other', async () => {
  const header = (length: number): Buffer => {
    const bytes = Buffer.alloc(64, 0x41);
    bytes.writeInt32LE(length, 0);
    return bytes;
  };
  for (const bytes of [Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), header(-5), header(0), header(15), header(2 ** 31 - 1), header(48_000_001), Buffer.alloc(64, 0xff)]) {
    const raw = await connectRaw(server.port);
    raw.send(bytes);
    await raw.closed;
  }
  await isWell();
});

test('a message that breaks off harms nobody and its memory is given back', async () => {
  const raws = await Promise.all(Array.from({ length: 20 }, () => connectRaw(server.port)));
  for (const raw of raws) {
    const half = opMsg({ insert: 'c', documents: [{ x: 'y'.repeat(100_000) }], $db: 'a' });
    raw.send(half.subarray(0, 60_000));
  }
  await isWell();
  for (const raw of raws) raw.socket.destroy();
  await isWell();
});

test('BSON that lies about its lengths is answered with an error or a closed connection', async () => {
  const whole = opMsg({ find: 'c', filter: { a: { b: 'text' } }, $db: 'a' });
  for (let at = 21; at < whole.length; at++) {
    const raw = await connectRaw(server.port);
    const bytes = Buffer.from(whole);
    bytes[at] = 0xff;
    raw.send(bytes);
    await raw.receive();
    raw.socket.destroy();
  }
  await isWell();
});

test('a checksum is accepted when it is right, and closes the connection when it is wrong', async () => {
  const message = Buffer.concat([opMsg({ ping: 1, $db: 'a' }, 1), Buffer.alloc(4)]);
  message.writeInt32LE(message.length, 0);
  message.writeUInt32LE(crc32c(message.subarray(0, message.length - 4)), message.length - 4);
  const right = await connectRaw(server.port);
  right.send(message);
  assert.equal((await right.receive())?.['ok'], 1);
  right.socket.destroy();
  message[message.length - 1]! ^= 1;
  const wrong = await connectRaw(server.port);
  wrong.send(message);
  await wrong.closed;
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
});

test('nesting beyond the limit is refused', async () => {
  let doc: Record<string, unknown> = {};
  for (let i = 0; i < 5000; i++) doc = { a: doc };
  const raw = await connectRaw(server.port);
  const { serialize } = await import('bson');
  raw.send(opMsg(serialize({ find: 'c', filter: doc, $db: 'a' })));
  const answer = await raw.receive();
  assert.equal(answer?.['code'], 15);
  await isWell();
});

test('a thousand connections are served', async () => {
  const raws = await Promise.all(Array.from({ length: 1000 }, () => connectRaw(server.port)));
  for (const raw of raws) raw.send(opMsg({ ping: 1, $db: 'a' }));
  const answers = await Promise.all(raws.map((raw) => raw.receive()));
  assert.ok(answers.every((answer) => answer?.['ok'] === 1));
  for (const raw of raws) raw.socket.destroy();
  await isWell();
});

test('clients that never read their answers hold no more than one answer each in memory', async () => {
  await client.db('a').collection('big').insertMany(Array.from({ length: 16 }, () => ({ body: 'x'.repeat(1_000_000) })));
  const raws = await Promise.all(Array.from({ length: 10 }, () => connectRaw(server.port)));
  for (const raw of raws) {
    raw.socket.pause();
    for (let i = 0; i < 30; i++) raw.send(opMsg({ find: 'big', $db: 'a' }, 0, i));
  }
  for (let i = 0; i < 20; i++) await isWell();
  const rss = Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))?.[1]) / 1024;
  assert.ok(rss < 700, `${rss} MB`);
  for (const raw of raws) raw.socket.destroy();
  await isWell();
});

/** The longest that another client waits for its answer while `work` goes on, in milliseconds. */
async function longestWait(work: Promise<unknown>): Promise<number> {
  let [worst, going] = [0, true];
  const done = work.catch(() => undefined).then(() => (going = false));
  const other = await connectRaw(server.port);
  while (going) {
    const startedAt = performance.now();
    other.send(opMsg({ find: 'small', $db: 'a' }));
    await other.receive();
    worst = Math.max(worst, performance.now() - startedAt);
  }
  other.socket.destroy();
  await done;
  return worst;
}

test('a regular expression that runs away is stopped, whether or not the client gave a limit', async () => {
  const words = client.db('a').collection('words');
  await words.insertMany(Array.from({ length: 20 }, () => ({ text: `${'a'.repeat(60)}!` })));
  await assert.rejects(words.find({ text: /^(a+)+$/ }).toArray(), { code: 51156 });
  await assert.rejects(words.find({ text: /^(a|aa)+$/ }).maxTimeMS(100).toArray(), (error: { code: number }) => error.code === 51156 || error.code === 50);
  await assert.rejects(words.aggregate([{ $project: { found: { $regexMatch: { input: '$text', regex: '^(a+)+$' } } } }]).toArray(), { code: 51156 });
  assert.equal(await words.countDocuments({ text: /^(a+)+!$/ }), 20);
});

test('an expression that goes on and on ends at maxTimeMS, and without it after some seconds', async () => {
  const endless = { $reduce: { input: { $range: [0, 4_000_000] }, initialValue: 0, in: { $reduce: { input: { $range: [0, 100] }, initialValue: 0, in: { $add: ['$$value', 1] } } } } };
  const run = (options: object): Promise<unknown> => client.db('a').aggregate([{ $documents: [{}] }, { $project: { r: endless } }], options).toArray();
  await assert.rejects(run({ maxTimeMS: 200 }), { code: 50, codeName: 'MaxTimeMSExpired' });
  await assert.rejects(run({}), { code: 50 });
  await isWell();
});

test('sorts, groups, joins and updates of many documents let others have their turn', { timeout: 120_000 }, async () => {
  const many = client.db('a').collection('many');
  await many.insertMany(Array.from({ length: 60_000 }, (_, i) => ({ n: (i * 7919) % 60_013, g: i % 50, text: 'x'.repeat(40) })));
  const longest: Record<string, number> = {
    sort: await longestWait(many.find().sort({ n: 1 }).limit(5).toArray()),
    group: await longestWait(many.aggregate([{ $group: { _id: '$n', k: { $sum: 1 } } }, { $sort: { k: -1 } }, { $limit: 3 }]).toArray()),
    join: await longestWait(many.aggregate([{ $limit: 2 }, { $lookup: { from: 'many', localField: 'g', foreignField: 'g', as: 'all' } }, { $project: { k: { $size: '$all' } } }]).toArray()),
    distinct: await longestWait(many.distinct('g')),
    update: await longestWait(many.updateMany({}, { $inc: { n: 1 } })),
  };
  // Far above what it takes on an idle machine, far below what it would be without turns.
  for (const [what, ms] of Object.entries(longest)) assert.ok(ms < 1500, `${what}: ${Math.round(ms)} ms`);
});

test('what aggregations hold in memory has a limit, and is given back', { timeout: 120_000 }, async () => {
  const wide = { $documents: [{ list: { $range: [0, 200_000] } }] };
  const flood = client.db('a').aggregate([wide, { $unwind: '$list' }, { $set: { body: { $map: { input: { $range: [0, 300] }, in: 'xxxxxxxxxx' } } } }, { $sort: { list: -1 } }, { $count: 'n' }]).toArray();
  await assert.rejects(flood, { code: 292 });
  assert.equal((await client.db('a').aggregate([{ $documents: [{ a: 2 }, { a: 1 }] }, { $sort: { a: 1 } }]).toArray()).length, 2);
});

test('mutated messages neither stop it nor damage what it stores', { timeout: 120_000 }, async () => {
  assert.deepEqual(await runFuzz(1500, 42), []);
});

test('ending all sessions closes the cursors that were opened in them', async () => {
  const open = client.db('a').collection('open');
  await open.insertMany(Array.from({ length: 10 }, (_, n) => ({ n })));
  const cursor = open.find().batchSize(2);
  await cursor.next();
  await client.db('admin').command({ killAllSessions: [{ user: 'nobody', db: 'a' }] });
  for (let i = 0; i < 2; i++) await cursor.next();
  assert.equal((await client.db('admin').command({ killAllSessions: [] }))['ok'], 1);
  await assert.rejects(cursor.toArray(), { code: 43 });
  await assert.rejects(client.db('admin').command({ killAllSessions: 1 }), { code: 14 });
});
