/** Starts the simulated networks, or finds those of the web process; a page of compose.ts. */
import path from 'node:path';
import type { Db } from 'mongodb';
import { isPortTaken } from './compose-server.js';
import type { Config } from './config.js';
import { readAddresses, rememberSimulatorPort, simulatorPort, type Addresses } from './db/instance.js';
import type { Logger } from './lib/logger.js';
import { machineId } from './lib/processes.js';
import { startProblem } from './lib/start-problem.js';
import { simulatedNetworks } from './platforms/registry.js';
import type { SimulatorSettings } from './platforms/simulator/network.js';
import { startSimulator, type Simulator } from './platforms/simulator/simulator.js';

/** On the port that was asked for; else on the one that links to simulated posts already name, or the one after ours, or any. */
export async function startOwnSimulator(config: Config, db: Db, log: Logger, settings?: Partial<SimulatorSettings>): Promise<Simulator> {
  const wanted = config.simulatorPort !== null ? [config.simulatorPort] : [await simulatorPort(db), config.port === 0 ? null : config.port + 1, 0].filter((port) => port !== null);
  for (const port of wanted) {
    try {
      const started = await startSimulator({
        host: config.host, port, journalFile: path.join(config.dataDir, 'simulator.jsonl'), networks: simulatedNetworks, log,
        ...(config.simulatorPublicUrl === null ? {} : { publicUrl: config.simulatorPublicUrl }),
        ...(settings === undefined ? {} : { settings }),
      });
      await rememberSimulatorPort(db, started.port);
      return started;
    } catch (error) {
      if (!isPortTaken(error)) throw error;
      if (port === wanted.at(-1)) throw startProblem(`Port ${port}, meant for the simulated networks, is taken by another program. Set SIMULATOR_PORT to another one.`, error);
    }
  }
  throw new Error('unreachable: the last port either serves or throws');
}

/** What a worker knows of the web process. */
export interface WebProcess {
  /** Null before a web process ever ran on this database. */
  addresses(): Addresses | null;
  /** Where this process calls the simulated networks. */
  simulator(): { callUrl: string; browserUrl: string } | null;
  /** Reads the addresses again: a restart may have changed them. */
  refresh(): Promise<void>;
}

export async function findWebProcess(db: Db): Promise<WebProcess> {
  const machine = machineId();
  let addresses = await readAddresses(db);
  return {
    addresses: () => addresses,
    simulator() {
      if (addresses === null || addresses.simulator === null) return null;
      const { callUrl, browserUrl } = addresses.simulator;
      return { callUrl: addresses.machine === machine ? callUrl : browserUrl, browserUrl };
    },
    async refresh() {
      addresses = await readAddresses(db);
    },
  };
}
