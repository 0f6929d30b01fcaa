/**
 * A herd of posts while worker, web process and database are killed (`kill -9`) at random moments and networks and receiver misbehave.
 * A web process publishes too, and runs the database and the simulated networks, as `npm start` does.
 */
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { findEmbeddedMongodb } from '../../src/embedded-mongodb/start.js';
import { createHerd, misbehave, PLATFORMS, settleIn, type Herd } from './fault-herd.js';
import { judge, type Verdict } from './fault-judge.js';
import { killWhileStarting, startProgram, startWorker, temporaryFolder, type Program } from './program.js';
import { seeded } from './random.js';
import { startReceiver, type Receiver } from './receiver.js';
import { waitUntil } from './wait-until.js';

export interface FaultRunOptions {
  kills: number;
  /** Seeds the moments, the victims, the posts and the faults of networks and receiver. */
  seed: number;
  accounts: number;
  posts: number;
  say(line: string): void;
}

export interface FaultRunResult extends Verdict {
  kills: Record<Victim, number>;
  /** Requests whose answer a kill swallowed, sent again by the client. */
  repeats: number;
  /** From the last kill until nothing was left to be done. */
  settledAfterMs: number;
  tookMs: number;
}

type Victim = 'worker' | 'web' | 'database';

const VICTIMS = ['worker', 'web', 'database'] as const;
const BETWEEN_KILLS_MS = { from: 200, to: 2_000 };
/** Some are killed again while they start. */
const WHILE_STARTING = { share: 0.1, withinMs: 1_500 };
/** The receiver fails this share of events once, so that they have to come again. */
const FAILS_ONCE = 0.1;
const FAST_PROGRAM = path.resolve(import.meta.dirname, 'fast-program.js');

interface Cast {
  dataDir: string;
  web: Program | null;
  worker: Program | null;
}

export async function runFaults(options: FaultRunOptions): Promise<FaultRunResult> {
  const startedAt = performance.now();
  const random = seeded(options.seed);
  const folder = await temporaryFolder();
  const receiver = await startReceiver();
  failSome(receiver, seeded(options.seed + 1));
  const cast: Cast = { dataDir: folder.path, web: null, worker: null };
  try {
    await enter(cast, 'web');
    await enter(cast, 'worker');
    const { writers, simulatorUrl } = await settleIn(() => cast.web!, options.accounts, receiver.url);
    await misbehave(simulatorUrl, options.seed);
    const herd = createHerd(writers, seeded(options.seed + 2));
    options.say(`${options.kills} kills while ${options.posts} posts are written for ${PLATFORMS.length} networks each`);
    const kills = await killAround(cast, herd, options, random);
    const { sent, repeats } = await herd.written();
    const settlingSince = performance.now();
    await fetch(`${simulatorUrl}/simulator/faults`, { method: 'DELETE' });
    const verdict = await judge(sent, folder.path, simulatorUrl, receiver.received, options.say);
    return { ...verdict, kills, repeats, settledAfterMs: performance.now() - settlingSince, tookMs: performance.now() - startedAt };
  } finally {
    await cast.worker?.end('SIGKILL');
    await cast.web?.end('SIGKILL');
    await receiver.stop();
    await folder.remove();
  }
}

async function enter(cast: Cast, role: 'web' | 'worker'): Promise<void> {
  const options = { dataDir: cast.dataDir, main: FAST_PROGRAM, env: { LOG_LEVEL: 'fatal' } };
  if (role === 'web') cast.web = await startProgram(options);
  else cast.worker = await startWorker(options);
}

async function killAround(cast: Cast, herd: Herd, options: FaultRunOptions, random: () => number): Promise<Record<Victim, number>> {
  const kills = { worker: 0, web: 0, database: 0 };
  let written = 0;
  // Each victim in turn, once.
  const isShort = options.kills < 6;
  for (let i = 0; i < options.kills; i++) {
    // However long the restarts take, each kill meets posts under way.
    const next = Math.ceil((options.posts * (i + 1)) / options.kills);
    herd.write(next - written);
    written = next;
    await wait(BETWEEN_KILLS_MS.from + random() * (BETWEEN_KILLS_MS.to - BETWEEN_KILLS_MS.from));
    const victim = VICTIMS[isShort ? i % 3 : Math.floor(random() * 3)]!;
    const again = !isShort && random() < WHILE_STARTING.share ? random() * WHILE_STARTING.withinMs : null;
    kills[victim] += 1;
    if (victim === 'database') {
      await killDatabase(cast.dataDir);
    } else {
      await cast[victim]?.end('SIGKILL');
      if (again !== null && i + 1 < options.kills) {
        await killWhileStarting({ dataDir: cast.dataDir, main: FAST_PROGRAM, env: { LOG_LEVEL: 'fatal', ...(victim === 'worker' ? { ROLES: 'worker', PORT: '' } : {}) } }, again);
        kills[victim] += 1;
        i += 1;
      }
      await enter(cast, victim);
    }
    if ((i + 1) % 10 === 0) options.say(`${i + 1} kills`);
  }
  herd.write(options.posts - written);
  return kills;
}

/** Waits for it where the last kill has left none. */
async function killDatabase(dataDir: string): Promise<void> {
  const { pid } = await waitUntil('a database to kill', () => findEmbeddedMongodb(path.join(dataDir, 'mongodb')), { timeoutMs: 60_000 });
  process.kill(pid, 'SIGKILL');
}

function failSome(receiver: Receiver, random: () => number): void {
  const seen = new Set<string>();
  receiver.answerWith(({ headers }) => {
    const id = String(headers['webhook-id']);
    if (seen.has(id)) return { status: 200 };
    seen.add(id);
    const chance = random();
    if (chance < FAILS_ONCE / 2) return { status: 500 };
    return chance < FAILS_ONCE ? 'drop' : { status: 200 };
  });
}
