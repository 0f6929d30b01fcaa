/**
 * Sends mutated messages and looks whether the server is still there and still right.
 * By command at full size: node dist/test/embedded-mongodb/fuzz.js 100000
 */
import { MongoClient, type Document } from 'mongodb';
import { startEmbeddedMongodb } from '../../src/embedded-mongodb/start.js';
import { connectRaw, opMsg, type RawClient } from './raw-client.js';
import { newDataDir } from './with-server.js';

/** A small generator with a seed, so that a failure can be repeated. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const SEEDS: Document[] = [
  { hello: 1, $db: 'admin' },
  { insert: 'f', documents: [{ _id: 1, a: [1, { b: 2 }], at: new Date(), s: 'text' }], ordered: false, $db: 'fuzz' },
  { find: 'f', filter: { a: { $elemMatch: { b: { $gt: 1 } } }, $or: [{ s: /t/i }, { at: { $lt: new Date() } }] }, sort: { a: -1 }, projection: { 'a.b': 1 }, limit: 3, batchSize: 2, $db: 'fuzz' },
  { update: 'f', updates: [{ q: { 'a.b': 2 }, u: { $set: { 'a.$.b': 3 }, $push: { c: { $each: [1], $sort: -1, $slice: 3 } }, $inc: { n: 1 } }, upsert: true, multi: false }], $db: 'fuzz' },
  { delete: 'f', deletes: [{ q: { _id: { $in: [1, 2, 'x'] } }, limit: 1 }], $db: 'fuzz' },
  { findAndModify: 'f', query: { s: 'text' }, update: [{ $set: { x: { $add: ['$n', 1] } } }], new: true, $db: 'fuzz' },
  { aggregate: 'f', pipeline: [{ $match: { n: { $gte: 0 } } }, { $group: { _id: '$s', n: { $sum: '$n' }, all: { $push: '$$ROOT' } } }, { $sort: { n: 1 } }], cursor: {}, $db: 'fuzz' },
  { createIndexes: 'f', indexes: [{ key: { s: 1, 'a.b': -1 }, name: 'i', partialFilterExpression: { s: { $exists: true } } }], $db: 'fuzz' },
  { getMore: 12345n, collection: 'f', $db: 'fuzz' },
  { distinct: 'f', key: 'a.b', query: {}, $db: 'fuzz' },
  { count: 'f', query: { s: { $regex: '^t', $options: 'i' } }, $db: 'fuzz' },
  { listCollections: 1, filter: { name: 'f' }, cursor: { batchSize: 1 }, $db: 'fuzz' },
];

function mutate(original: Buffer, random: (below: number) => number): Buffer {
  const bytes = Buffer.from(original);
  const changes = 1 + random(4);
  for (let i = 0; i < changes; i++) {
    const at = random(8) === 0 ? random(21) : 16 + random(bytes.length - 16);
    if (random(3) === 0) bytes[at] = bytes[at]! ^ (1 << random(8));
    else bytes[at] = [0, 1, 0x7f, 0x80, 0xff, random(256)][random(6)]!;
  }
  if (random(10) === 0) return bytes.subarray(0, random(bytes.length));
  if (random(10) === 0) bytes.writeInt32LE([0, -1, 15, 16, 2 ** 31 - 1, 48_000_001, bytes.length + 1][random(7)]!, 0);
  return bytes;
}

/** Sends one message and waits for an answer, a close, or 50 ms of silence (half a message gets no answer). */
async function provoke(client: RawClient, bytes: Buffer): Promise<boolean> {
  client.send(bytes);
  const whole = bytes.length >= 16 && bytes.readInt32LE(0) === bytes.length && (bytes.readUInt32LE(16) & 2) === 0;
  const quiet = new Promise<null>((resolve) => setTimeout(() => resolve(null), whole ? 3000 : 5));
  const answer = await Promise.race([client.receive(), quiet]);
  return answer !== null && whole;
}

/** @returns what went wrong; empty when the server took everything */
export async function runFuzz(count: number, seed: number, report: (line: string) => void = () => undefined): Promise<string[]> {
  const random = randomFrom(seed);
  let died: string | null = null as string | null;
  const server = await startEmbeddedMongodb({ dataDir: newDataDir(), onExit: (code, signal) => (died = `it ended with ${code ?? signal}`) });
  const healthy = await new MongoClient(server.uri).connect();
  const witness = healthy.db('witness').collection('w');
  await witness.insertOne({ _id: 'w' as never, n: 0 });
  const faults: string[] = [];
  let done = 0;
  const worker = async (): Promise<void> => {
    let client: RawClient | null = null;
    while (done < count && !died) {
      const i = done++;
      client ??= await connectRaw(server.port);
      const bytes = mutate(opMsg(SEEDS[random(SEEDS.length)]!), random);
      if (!(await provoke(client, bytes))) {
        client.socket.destroy();
        client = null;
      }
      if (i % 5000 === 4999) report(`${i + 1} sent`);
    }
    client?.socket.destroy();
  };
  await Promise.all(Array.from({ length: 8 }, () => worker().catch((error: unknown) => faults.push(String(error)))));
  if (died) return [...faults, `seed ${seed}: the server died: ${String(died)}`];
  const startedAt = Date.now();
  await witness.updateOne({ _id: 'w' as never }, { $inc: { n: 1 } });
  if ((await witness.findOne())?.['n'] !== 1) faults.push('the witness document is wrong');
  if (Date.now() - startedAt > 3000) faults.push('the server answers slowly afterwards');
  for (const { name } of await healthy.db('fuzz').listCollections({}, { nameOnly: true }).toArray()) {
    const result = await healthy.db('fuzz').command({ validate: name });
    if (result['valid'] !== true) faults.push(`seed ${seed}: ${name} is not valid: ${JSON.stringify(result['errors'])}`);
  }
  await healthy.close();
  await server.stop();
  return faults;
}

if (process.argv[1] === import.meta.filename) {
  const seed = Number(process.argv[3] ?? Date.now() % 1e6);
  console.log(`seed ${seed}`);
  const faults = await runFuzz(Number(process.argv[2] ?? 100_000), seed, console.log);
  for (const fault of faults) console.error(fault);
  console.log(`${faults.length} faults`);
  process.exit(faults.length > 0 ? 1 : 0);
}
