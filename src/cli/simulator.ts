/** `npx signpost simulator`: the simulated networks alone, until Ctrl-C. */
import path from 'node:path';
import { lockDataDir } from '../compose-data-dir.js';
import { readConfig } from '../config.js';
import { createLogger } from '../lib/logger.js';
import { simulatedNetworks } from '../platforms/registry.js';
import { startSimulator } from '../platforms/simulator/simulator.js';

const DEFAULT_PORT = 3001;

/** Runs until SIGINT or SIGTERM. @throws Error with a plain message when its port or its data directory is another process's */
export async function simulatorCommand(): Promise<number> {
  const config = readConfig(process.env);
  // The networks' journal has one writer.
  const lock = await lockDataDir(config.dataDir);
  const port = config.simulatorPort ?? DEFAULT_PORT;
  const simulator = await startSimulator({
    host: config.host, port, journalFile: path.join(config.dataDir, 'simulator.jsonl'), networks: simulatedNetworks,
    log: createLogger(config.logLevel), ...(config.simulatorPublicUrl === null ? {} : { publicUrl: config.simulatorPublicUrl }),
  }).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') throw new Error(`Port ${port} is taken, perhaps by a Signpost that runs with its simulated networks. Set SIMULATOR_PORT to another one.`);
    throw error;
  });
  process.stdout.write(`\nThe simulated networks run at ${simulator.publicUrl}\nCtrl-C stops them.\n\n`);
  await new Promise<void>((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
  });
  await simulator.stop();
  lock.release();
  return 0;
}
