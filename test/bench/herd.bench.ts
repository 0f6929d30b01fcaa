/** Many posts due in one second: the engine alone and the whole path over HTTP, beside one Agenda job per post and BullMQ on Redis; and with a million others waiting. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { startEmbeddedMongodb, type EmbeddedMongodb } from '../../src/embedded-mongodb/start.js';
import { createLogger } from '../../src/lib/logger.js';
import { simulatedNetworks } from '../../src/platforms/registry.js';
import { startSimulator } from '../../src/platforms/simulator/simulator.js';
import { startProgram, temporaryFolder } from '../support/program.js';
import { atLeast, atMost, type Bench, type BenchResult, type Goal } from './bench.js';
import type { ContestantAnswer, ContestantOrder } from './herd-contestant.js';
import { cpuSecondsOf, percentile, type HerdFigures } from './herd-measure.js';
import type { PathFigures } from './herd-path.js';
import { DATABASE, startRedis } from './herd-references.js';

const POSTS = Number(process.env['POSTS'] ?? 10_000);
const ACCOUNTS = Math.min(1_000, POSTS);
/** Scheduled for later while a herd comes. */
const OTHERS = Number(process.env['OTHERS'] ?? 1_000_000);
const IDLE_SECONDS = 30;
/** Machines are noisy: what is compared runs in turn, so often, and the middle one of each figure counts. */
const ROUNDS = Number(process.env['ROUNDS'] ?? 3);

export const bench: Bench = {
  name: 'herd',
  description: `${POSTS} posts due in one second over ${ACCOUNTS} accounts, beside one Agenda job per post and BullMQ; POSTS=1000 OTHERS=50000 ROUNDS=1 makes it shorter`,
  run,
};

/** ONLY=engine0ms,bullmq0ms measures these alone. */
const IN_ROUNDS = ['engine0ms', 'bullmq0ms', 'agenda0ms', 'engine20ms', 'bullmq20ms'] as const;
const ONCE = ['agenda20ms', 'path', 'agendaPath', 'million'] as const;
/** `alone` is `engine0ms` again, in turn with `million`. */
type Contest = (typeof IN_ROUNDS)[number] | (typeof ONCE)[number] | 'alone';

interface Results {
  /** What each round of a contest gave. */
  herds: Map<Contest, (HerdFigures | PathFigures)[]>;
  /** Share of a core, of program and database together. */
  idleCore: number | null;
}

async function run(): Promise<BenchResult> {
  const results: Results = { herds: new Map(), idleCore: null };
  const only = process.env['ONLY']?.split(',');
  const contests = [...Array.from({ length: ROUNDS }, () => IN_ROUNDS).flat(), ...ONCE].filter((contest) => only?.includes(contest) ?? true);
  for (const contest of contests) await hold(contest, results);
  console.log('');
  const named = [...results.herds.keys()].flatMap((contest) => Object.entries(middleOf(results, contest)!).map(([key, value]) => [`${contest}.${key}`, value as number] as const));
  const idle = results.idleCore === null ? [] : [['idlePercentOfACore', results.idleCore * 100] as const];
  return { figures: Object.fromEntries([...named, ...idle].filter(([, value]) => !Number.isNaN(value))), goals: goalsOf(results) };
}

function take(results: Results, contest: Contest, figures: HerdFigures | null): void {
  if (figures === null) return;
  console.log(`  ${contest}: ${Math.round(figures.perSecond)} posts/s, start lag p99 ${Math.round(figures.lagP99Ms)} ms`);
  results.herds.set(contest, [...(results.herds.get(contest) ?? []), figures]);
}

/** Of each figure by itself; null where the contest was not held. */
function middleOf({ herds }: Results, contest: Contest): HerdFigures | null {
  const rounds = herds.get(contest);
  if (rounds === undefined) return null;
  return Object.fromEntries(Object.keys(rounds[0]!).map((name) => [name, percentile(rounds.map((figures) => figures[name as keyof HerdFigures]), 0.5)])) as unknown as HerdFigures;
}

async function hold(contest: Exclude<Contest, 'alone'>, results: Results): Promise<void> {
  if (contest === 'million') await withDatabase((database, folder) => amongOthers(database, folder, results));
  else take(results, contest, await herdOf(contest));
}

function herdOf(contest: Exclude<Contest, 'million' | 'alone'>): Promise<HerdFigures | null> {
  switch (contest) {
    case 'engine0ms': return withDatabase((database) => compete('engine', { database }));
    case 'engine20ms': return withDatabase((database) => compete('engine', { database, callMs: 20 }));
    case 'agenda0ms': return withDatabase((database) => compete('agenda', { database }));
    case 'agenda20ms': return withDatabase((database) => compete('agenda', { database, callMs: 20 }));
    case 'bullmq0ms': return withRedis(0);
    case 'bullmq20ms': return withRedis(20);
    case 'path': return withSimulator('path');
    case 'agendaPath': return withSimulator('agendaPath');
  }
}

function goalsOf(results: Results): Record<string, Goal> {
  const { idleCore } = results;
  const ratio = (a: Contest, b: Contest, of: (figures: HerdFigures) => number): number | null => {
    const [one, other] = [middleOf(results, a), middleOf(results, b)];
    return one === null || other === null ? null : of(one) / Math.max(1e-9, of(other));
  };
  const speed = (figures: HerdFigures): number => figures.perSecond;
  const p99 = (figures: HerdFigures): number => Math.max(1, figures.lagP99Ms);
  const cost = (figures: HerdFigures): number => figures.cpuSecondsPer1000 + figures.serverCpuSecondsPer1000;
  const goals: [string, number | null, (got: number) => Goal][] = [
    ['speedBesideAgenda', ratio('engine0ms', 'agenda0ms', speed), (got) => atLeast(5, got)],
    ['p99LagBesideAgenda', ratio('agenda0ms', 'engine0ms', p99), (got) => atLeast(5, got)],
    ['speedBesideBullmq', ratio('engine0ms', 'bullmq0ms', speed), (got) => atLeast(0.5, got)],
    ['speedBesideBullmqAt20ms', ratio('engine20ms', 'bullmq20ms', speed), (got) => atLeast(1, got)],
    ['speedOfThePathBesideAgenda', ratio('path', 'agendaPath', speed), (got) => atLeast(2, got)],
    ['costPerPostAmongOthers', ratio('million', 'alone', cost), (got) => atMost(1.2, got)],
    ['idlePercentOfACore', idleCore === null ? null : idleCore * 100, (got) => atMost(2, got)],
  ];
  return Object.fromEntries(goals.flatMap(([name, got, judge]) => (got === null || Number.isNaN(got) ? [] : [[name, judge(got)]])));
}

async function withDatabase<T>(work: (database: EmbeddedMongodb, folder: string) => Promise<T>): Promise<T> {
  const folder = await temporaryFolder();
  const database = await startEmbeddedMongodb({ dataDir: path.join(folder.path, 'mongodb') });
  try {
    return await work(database, folder.path);
  } finally {
    await database.stop();
    await folder.remove();
  }
}

async function withRedis(callMs: number): Promise<HerdFigures | null> {
  const folder = await temporaryFolder();
  const redis = await startRedis(folder.path, await freePort());
  try {
    if (redis === null) {
      console.log('  BullMQ is left out: there is no redis-server on the PATH (Debian: apt-get install redis-server).');
      return null;
    }
    return await compete('bullmq', { callMs, redisPort: redis.port, serverPid: redis.pid });
  } finally {
    await redis?.stop();
    await folder.remove();
  }
}

/** The simulated networks run in this process, which has nothing else to do meanwhile. */
function withSimulator(contestant: 'path' | 'agendaPath'): Promise<HerdFigures | null> {
  return withDatabase(async (database, folder) => {
    const simulator = await startSimulator({ host: '127.0.0.1', port: 0, journalFile: path.join(folder, 'simulator.jsonl'), networks: simulatedNetworks, log: createLogger('error') });
    try {
      return await compete(contestant, { database, simulatorUrl: simulator.url });
    } finally {
      await simulator.stop();
    }
  });
}

/** The same herd while many others wait for later, in turn with one alone; before it comes, the whole program idles on them. */
async function amongOthers(database: EmbeddedMongodb, folder: string, results: Results): Promise<void> {
  const startedAt = Date.now();
  await compete('fill', { database, posts: OTHERS });
  console.log(`  ${OTHERS} other posts stored in ${Math.round((Date.now() - startedAt) / 1_000)} s`);
  const uri = new URL(database.uri);
  uri.pathname = `/${DATABASE}`;
  const program = await startProgram({ dataDir: folder, env: { MONGODB_URI: uri.href } });
  try {
    // What a start does once is not idling; the engine tidies its memory up for some time after it.
    await pause(30_000);
    const before = cpuSecondsOf(program.pid) + cpuSecondsOf(database.pid);
    await pause(IDLE_SECONDS * 1_000);
    results.idleCore = (cpuSecondsOf(program.pid) + cpuSecondsOf(database.pid) - before) / IDLE_SECONDS;
    console.log(`  idle among them: ${(results.idleCore * 100).toFixed(2)} % of a core`);
  } finally {
    await program.end('SIGTERM');
  }
  await withDatabase(async (empty) => {
    for (let round = 0; round < ROUNDS; round++) {
      take(results, 'million', await compete('engine', { database }));
      take(results, 'alone', await compete('engine', { database: empty }));
    }
  });
}

interface Conditions extends Partial<Omit<ContestantOrder, 'contestant'>> {
  database?: EmbeddedMongodb;
}

async function compete(contestant: ContestantOrder['contestant'], { database, ...rest }: Conditions): Promise<HerdFigures | null> {
  const child = fork(path.join(import.meta.dirname, 'herd-contestant.js'));
  const order: ContestantOrder = { contestant, posts: POSTS, accounts: ACCOUNTS, callMs: 0, uri: database?.uri ?? '', serverPid: database?.pid ?? 0, redisPort: 0, simulatorUrl: '', ...rest };
  child.send(order);
  const ended = once(child, 'exit');
  const [answer] = await Promise.race([once(child, 'message') as Promise<[ContestantAnswer]>, ended.then((): [ContestantAnswer] => [{ error: 'it ended without an answer' }])]);
  await ended;
  if ('error' in answer) throw new Error(`${contestant}: ${answer.error}`);
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

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
