/** A simulator in a process of its own, to be killed: prints its address, runs until then. */
import { createLogger } from '../../src/lib/logger.js';
import { simulatedNetworks } from '../../src/platforms/registry.js';
import { startSimulator } from '../../src/platforms/simulator/simulator.js';

const { url } = await startSimulator({ host: '127.0.0.1', port: 0, journalFile: process.argv[2]!, networks: simulatedNetworks, log: createLogger('silent') });
process.stdout.write(`${url}\n`);
