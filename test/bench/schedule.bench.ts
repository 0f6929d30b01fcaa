/** How fast posts are scheduled through the API, beside the same documents inserted one by one with the bare driver. */
import { Agent, request } from 'node:http';
import { MongoClient, type Document } from 'mongodb';
import { apiClient, connectChannel, createApiKey, signUp } from '../../src/cli/newcomer.js';
import { startEmbeddedMongodb } from '../../src/embedded-mongodb/start.js';
import { startProgram, temporaryFolder } from '../support/program.js';
import { atLeast, type Bench, type BenchResult } from './bench.js';

const CONNECTIONS = 50;
const POSTS = 3_000;
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
  try {
    const { session } = await signUp(program.url);
    await connectChannel(session, 'bluesky', 'ada.bsky.social');
    const key = await createApiKey(session);
    const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
    const schedule = (i: number): Promise<void> => postOnce(agent, program.url, key, i);

    await perSecond(WARM_UP, schedule);
    const postsPerSecond = await perSecond(POSTS, schedule);
    agent.destroy();
    const documents = await client.db(name).collection('posts').find().limit(POSTS).toArray();
    const bare = client.db(name).collection('bench_posts');
    await sameIndexes(client.db(name).collection('posts'), bare);
    const copies = documents.map((doc, i) => ({ ...doc, _id: `bench_${i}` }) as unknown as Document);
    await perSecond(WARM_UP, async (i) => void (await bare.insertOne({ ...copies[i], _id: `warm_${i}` } as unknown as Document)));
    const bareInsertsPerSecond = await perSecond(copies.length, async (i) => void (await bare.insertOne(copies[i] ?? {})));

    const counted = await apiClient(program.url, key).get('/api/history?limit=1');
    if (counted.status !== 200) throw new Error(`the history could not be read: ${JSON.stringify(counted.body)}`);
    const ratio = postsPerSecond / bareInsertsPerSecond;
    return { figures: { postsPerSecond, bareInsertsPerSecond, ratio }, goals: { shareOfBareDriver: atLeast(0.25, ratio) } };
  } finally {
    await program.end('SIGTERM');
    await client.db(name).dropDatabase();
    await client.close();
    await database?.stop();
    await folder.remove();
  }
}

/** Runs `work` with as many at once as there are connections. */
async function perSecond(count: number, work: (i: number) => Promise<void>): Promise<number> {
  let next = 0;
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: CONNECTIONS }, async () => {
    while (next < count) await work(next++);
  }));
  return count / ((performance.now() - startedAt) / 1000);
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
