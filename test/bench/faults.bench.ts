/** Kills worker, web process and database at random moments during a herd with misbehaving networks, and counts what that broke. */
import { runFaults } from '../support/fault-run.js';
import { atMost, type Bench, type BenchResult } from './bench.js';

const KILLS = Number(process.env['KILLS'] ?? 200);
const SEED = Number(process.env['SEED'] ?? 1);

export const bench: Bench = {
  name: 'faults',
  description: `${KILLS} kills (KILLS=...) at random moments (SEED=...): no post lost, none public twice, every doubt unconfirmed`,
  run,
};

async function run(): Promise<BenchResult> {
  const { kills, broken, publications, published, unconfirmed, failed, tookMs } = await runFaults({
    kills: KILLS, seed: SEED, accounts: 5, posts: Math.max(40, KILLS * 4), say: (line) => console.log(`  ${line}`),
  });
  for (const line of broken.slice(0, 50)) console.log(`  BROKEN ${line}`);
  return {
    figures: { workerKills: kills.worker, webKills: kills.web, databaseKills: kills.database, publications, published, unconfirmed, failed, seconds: tookMs / 1_000 },
    goals: { broken: atMost(0, broken.length) },
  };
}
