/** Many posts due in one second: the engine with a network that answers at once or in 20 ms, beside one Agenda job per post and BullMQ on Redis. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { startEmbeddedMongodb } from '../../src/embedded-mongodb/start.js';
import { temporaryFolder } from '../support/program.js';
import { atLeast, type Bench, type BenchResult, type Goal } from './bench.js';
import type { ContestantAnswer, ContestantOrder } from './herd-contestant.js';
import type { HerdFigures } from './herd-measure.js';
import { startRedis } from './herd-references.js';

const POSTS = Number(process.env['POSTS'] ?? 10_000);
const ACCOUNTS = Math.min(1_000, POSTS);

export const bench: Bench = {
  name: 'herd',
  description: `${POSTS} posts due in one second over ${ACCOUNTS} accounts, beside one Agenda job per post and BullMQ; POSTS=1000 makes it shorter`,
  run,
};

async function run(): Promise<BenchResult> {
  const results = new Map<string, HerdFigures>();
  for (const callMs of [0, 20]) {
    for (const contestant of ['engine', 'bullmq', 'agenda'] as const) {
      const name = `${contestant}${callMs}ms`;
      if (!isWanted(name)) continue;
      const figures = contestant === 'bullmq' ? await withRedis(callMs) : await withDatabase(contestant, callMs);
      if (figures === null) {
        console.log('  BullMQ is left out: there is no redis-server on the PATH (Debian: apt-get install redis-server).');
        continue;
      }
      results.set(name, figures);
      console.log(`  ${name}: ${Math.round(figures.perSecond)} posts/s, start lag p99 ${Math.round(figures.lagP99Ms)} ms`);
    }
  }
  console.log('');
  return { figures: Object.assign({}, ...[...results].map(([name, figures]) => named(name, figures))) as Record<string, number>, goals: goalsOf(results) };
}

/** ONLY=engine0ms,bullmq0ms measures these alone. */
function isWanted(name: string): boolean {
  const only = process.env['ONLY'];
  return only === undefined || only.split(',').includes(name);
}

function goalsOf(results: ReadonlyMap<string, HerdFigures>): Record<string, Goal> {
  const goals: Record<string, Goal> = {};
  const [engine, engine20, agenda, agenda20, bullmq, bullmq20] = ['engine0ms', 'engine20ms', 'agenda0ms', 'agenda20ms', 'bullmq0ms', 'bullmq20ms'].map((name) => results.get(name));
  if (engine && agenda) {
    goals['postsPerSecondBesideAgenda'] = atLeast(5, engine.perSecond / agenda.perSecond);
    goals['p99LagBesideAgenda'] = atLeast(5, agenda.lagP99Ms / Math.max(1, engine.lagP99Ms));
  }
  if (engine20 && agenda20) goals['postsPerSecondBesideAgendaAt20ms'] = atLeast(5, engine20.perSecond / agenda20.perSecond);
  if (engine20 && bullmq20) goals['postsPerSecondBesideBullmqAt20ms'] = atLeast(1, engine20.perSecond / bullmq20.perSecond);
  if (engine && bullmq) goals['postsPerSecondBesideBullmqAt0ms'] = atLeast(0.5, engine.perSecond / bullmq.perSecond);
  return goals;
}

async function withDatabase(contestant: 'engine' | 'agenda', callMs: number): Promise<HerdFigures> {
  const folder = await temporaryFolder();
  const database = await startEmbeddedMongodb({ dataDir: folder.path });
  try {
    return await compete({ contestant, callMs, posts: POSTS, accounts: ACCOUNTS, uri: database.uri, redisPort: 0, serverPid: database.pid });
  } finally {
    await database.stop();
    await folder.remove();
  }
}

async function withRedis(callMs: number): Promise<HerdFigures | null> {
  const folder = await temporaryFolder();
  const redis = await startRedis(folder.path, await freePort());
  try {
    return redis === null ? null : await compete({ contestant: 'bullmq', callMs, posts: POSTS, accounts: ACCOUNTS, uri: '', redisPort: redis.port, serverPid: redis.pid });
  } finally {
    await redis?.stop();
    await folder.remove();
  }
}

async function compete(order: ContestantOrder): Promise<HerdFigures> {
  const child = fork(path.join(import.meta.dirname, 'herd-contestant.js'));
  child.send(order);
  const ended = once(child, 'exit');
  const [answer] = await Promise.race([once(child, 'message') as Promise<[ContestantAnswer]>, ended.then((): [ContestantAnswer] => [{ error: 'it ended without an answer' }])]);
  await ended;
  if ('error' in answer) throw new Error(`${order.contestant}: ${answer.error}`);
  return answer.figures;
}

/** Redis takes no 0 for any free port. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function named(name: string, figures: HerdFigures): Record<string, number> {
  return Object.fromEntries(Object.entries(figures).filter(([, value]) => !Number.isNaN(value)).map(([key, value]) => [`${name}.${key}`, value as number]));
}
