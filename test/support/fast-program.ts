/** The program with shorter waits between retries and look-ups, for tests that can't wait an hour; started as a process of its own. */
import { compose } from '../../src/compose.js';
import { readConfig } from '../../src/config.js';
import { createLogger } from '../../src/lib/logger.js';

const config = readConfig(process.env);
const app = await compose(config, {
  log: createLogger(config.logLevel),
  // The simulated networks make everything public that they will make public within a second.
  retryPolicy: { maxTries: 40, retryDelaysMs: [300, 600, 1_200], lookUpDelaysMs: [300, 600, 1_200], settleMs: 2_500, maxLookUps: 60 },
});
process.on('unhandledRejection', (error) => process.stderr.write(`unhandled: ${String(error)}\n`));
process.on('SIGTERM', () => void app.stop().then(() => process.exit(0)));
const { url } = await app.start();
process.stdout.write(config.roles.web ? `Signpost runs at ${url}\n` : 'A worker of Signpost runs\n');
