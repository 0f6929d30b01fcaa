/** How fast posts are scheduled through the API, beside the same documents inserted one by one with the bare driver. */
import { Agent, request } from 'node:http';
import { MongoClient, type Db, type Document } from 'mongodb';
import { connectChannel, createApiKey, signUp } from '../../src/cli/newcomer.js';
import { startEmbeddedMongodb } from '../../src/embedded-mongodb/start.js';
import { startProgram, temporaryFolder } from '../support/program.js';
import { waitUntil } from '../support/wait-until.js';
import { atLeast, type Bench, type BenchResult } from './bench.js';

const CONNECTIONS = 50;
/** Both are measured in turns, so that a busy moment of the machine meets both. */
const ROUNDS = 4;
const PER_ROUND = 1_000;
const WARM_UP = 500;

export const bench: Bench = {
  name: 'schedule',
  description: `posts scheduled through the API per second (${CONNECTIONS} connections), beside the bare driver; goal: a quarter of it`,
  run,
};

async function run(): Promise<BenchResult> {
  const folder = await temporaryFolder();
  const database = process.env.MONGODB_URI ? null : await startEmbeddedMongodb({ dataDir: `${folder.path}/mongodb` });
  const server = database?.uri ?? process.env.MONGODB_URI ?? '';
  const name = `signpost_bench_${process.pid}`;
  const client = await MongoClient.connect(server, { maxPoolSize: CONNECTIONS });
  const uri = new URL(server);
  uri.pathname = `/${name}`;
  const program = await startProgram({ dataDir: folder.path, env: { MONGODB_URI: uri.href } });
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  try {
    const { session } = await signUp(program.url);
    await connectChannel(session, 'bluesky', 'ada.bsky.social');
    const key = await createApiKey(session);
    const posts = client.db(name).collection('posts');
    const bare = client.db(name).collection('bench_posts');
    await sameIndexes(posts, bare);
    const took = { posts: 0, bare: 0 };
    for (let round = 0; round <= ROUNDS; round++) {
      // The first round only warms up.
      const count = round === 0 ? WARM_UP : PER_ROUND;
      const known = new Set((await posts.find({}, { projection: { _id: 1 } }).toArray()).map((doc) => String(doc._id)));
      const postsMs = await atOnce(count, (i) => postOnce(agent, program.url, key, i));
      await waitUntil('the events to be relayed', async () => (await posts.countDocuments({ outboxAt: { $exists: true } })) === 0);
      const copies = await asInserted(client.db(name), known);
      const bareMs = await atOnce(copies.length, async (i) => void (await bare.insertOne(copies[i] ?? {})));
      if (copies.length !== count) throw new Error(`${count} posts were scheduled, ${copies.length} were stored`);
      if (round > 0) Object.assign(took, { posts: took.posts + postsMs, bare: took.bare + bareMs });
    }
    const postsPerSecond = (ROUNDS * PER_ROUND * 1_000) / took.posts;
    const bareInsertsPerSecond = (ROUNDS * PER_ROUND * 1_000) / took.bare;
    const ratio = postsPerSecond / bareInsertsPerSecond;
    return { figures: { postsPerSecond, bareInsertsPerSecond, ratio }, goals: { shareOfBareDriver: atLeast(0.25, ratio) } };
  } finally {
    agent.destroy();
    await program.end('SIGTERM');
    await client.db(name).dropDatabase();
    await client.close();
    await database?.stop();
    await folder.remove();
  }
}

/** The posts that are not known yet, as the API inserted them: with their event, which was relayed since. */
async function asInserted(db: Db, known: ReadonlySet<string>): Promise<Document[]> {
  const stored = (await db.collection('posts').find().toArray()).filter((doc) => !known.has(String(doc._id)));
  const events = new Map((await db.collection('webhook_events').find({ type: 'post.scheduled' }).toArray()).map((event) => [String(event['data'].postId), event]));
  return stored.map((doc): Document => {
    const recorded = events.get(String(doc._id));
    if (recorded === undefined) throw new Error(`the event of post ${String(doc._id)} is missing`);
    const { _id: id, recordedAt: outboxAt, ...event } = recorded;
    return { ...doc, _id: `copy_${String(doc._id)}`, outbox: [{ id, ...event }], outboxAt };
  });
}

/** Runs `work` with as many at once as there are connections. @returns how long it took, in ms */
async function atOnce(count: number, work: (i: number) => Promise<void>): Promise<number> {
  let next = 0;
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: CONNECTIONS }, async () => {
    while (next < count) await work(next++);
  }));
  return performance.now() - startedAt;
}

function postOnce(agent: Agent, base: string, key: string, i: number): Promise<void> {
  const scheduleDate = new Date(Date.now() + 86_400_000 + (i % 3_600) * 1_000).toISOString();
  const body = JSON.stringify({ post: `Bench post number ${i}`, platforms: ['bluesky'], scheduleDate });
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const call = request(new URL('/api/post', base), { method: 'POST', agent, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`scheduling answered ${response.statusCode}: ${Buffer.concat(chunks).toString()}`));
      });
    });
    call.on('error', reject);
    call.end(body);
  });
}

/** The bare driver writes into the same indexes, so that both do the database's whole work. */
async function sameIndexes(from: ReturnType<ReturnType<MongoClient['db']>['collection']>, to: typeof from): Promise<void> {
  for (const { v: _, ns: _ns, key, ...options } of await from.indexes()) {
    if (Object.keys(key).join() !== '_id') await to.createIndex(key, options);
  }
}
