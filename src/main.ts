/** Starts the process: settings, compose, listen; signals close it in order. */
import { compose } from './compose.js';
import { ConfigError, readConfig } from './config.js';
import { createLogger } from './lib/logger.js';
import { isStartProblem } from './lib/start-problem.js';

/** Everything must have ended by then; what has not is picked up at the next start. */
const SHUTDOWN_LIMIT_MS = 9_500;

async function main(): Promise<void> {
  const config = readConfig(process.env);
  const log = createLogger(config.logLevel);
  const app = await compose(config, { log });
  let closingSince: number | null = null;
  const close = (signal: string): void => {
    if (closingSince !== null) {
      // Under npm one Ctrl-C arrives twice: from the terminal, and passed on by npm.
      if (performance.now() - closingSince < 500) return;
      // The second Ctrl-C of an impatient person; leases and journals make this safe.
      process.exit(1);
    }
    closingSince = performance.now();
    process.stdout.write(`\n${signal}: finishing what is under way, then stopping.\n`);
    setTimeout(() => {
      log.error('could not stop in time, ending now; what was left is taken up at the next start');
      process.exit(1);
    }, SHUTDOWN_LIMIT_MS).unref();
    app.stop().then(() => process.exit(0), (error: unknown) => {
      log.error({ err: error }, 'stopping failed');
      process.exit(1);
    });
  };
  process.on('SIGINT', () => close('SIGINT'));
  process.on('SIGTERM', () => close('SIGTERM'));
  // One promise that nobody awaited must not end the process in the middle of other people's posts.
  process.on('unhandledRejection', (error) => {
    // Agenda doesn't wait for its last poll, which then finds the database closed.
    if (closingSince !== null) log.debug({ err: error }, 'cut off by the stop');
    else log.error({ err: error }, 'a rejected promise was not handled');
  });
  const { url, isFirstRun } = await app.start();
  process.stdout.write(config.roles.web ? welcome(url, isFirstRun, config.roles.worker) : workerWelcome(url));
}

function welcome(url: string, isFirstRun: boolean, isWorker: boolean): string {
  const next = isFirstRun
    ? 'Open it and sign up: the first account is the administrator. A checklist there leads from a channel to the first post.'
    : 'Open it to plan posts.';
  const alone = isWorker ? '' : '\nThis process publishes nothing by itself: start a worker beside it with npm run worker.';
  return `\nSignpost runs at ${url}\n${next}${alone}\nCtrl-C stops it.\n\n`;
}

function workerWelcome(url: string): string {
  const answers = url === '' ? '' : ` It answers ${url}/healthz and ${url}/readyz.`;
  return `\nA worker of Signpost runs: it publishes posts and delivers webhooks.${answers}\nCtrl-C stops it.\n\n`;
}

main().catch((error: unknown) => {
  const known = error instanceof ConfigError || isStartProblem(error);
  const text = error instanceof Error ? (known ? error.message : (error.stack ?? error.message)) : String(error);
  process.stderr.write(`\n${text}\n`);
  process.exit(1);
});
