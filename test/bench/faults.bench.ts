/** Kills worker, web process and database at random moments during a herd with misbehaving networks, and counts what that broke. */
import { runFaults } from '../support/fault-run.js';
import { atLeast, atMost, type Bench, type BenchResult } from './bench.js';

const KILLS = Number(process.env['KILLS'] ?? 200);
const SEED = Number(process.env['SEED'] ?? 1);

export const bench: Bench = {
  name: 'faults',
  description: `${KILLS} kills (KILLS=...) at random moments (SEED=...): no post lost, none public twice, every doubt unconfirmed, every event told`,
  run,
};

async function run(): Promise<BenchResult> {
  const result = await runFaults({ kills: KILLS, seed: SEED, accounts: Math.max(5, KILLS / 10), posts: Math.max(40, KILLS * 4), say: (line) => console.log(`  ${line}`) });
  const { kills, broken, publications, published, unconfirmed, failed, events, webhookRequests, repeats, settledAfterMs, tookMs } = result;
  for (const line of broken.slice(0, 50)) console.log(`  BROKEN ${line}`);
  return {
    figures: {
      workerKills: kills.worker, webKills: kills.web, databaseKills: kills.database, publications, published, unconfirmed, failed, events, webhookRequests,
      repeatedRequests: repeats, settledAfterSeconds: settledAfterMs / 1_000, seconds: tookMs / 1_000,
    },
    goals: { kills: atLeast(KILLS, kills.worker + kills.web + kills.database), broken: atMost(0, broken.length) },
  };
}
