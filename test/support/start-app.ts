/** The whole product in the test's own process: real HTTP, a database of its own, simulated networks; everything gone at the end. */
import { compose, type App, type ComposeOptions } from '../../src/compose.js';
import { readConfig } from '../../src/config.js';
import { createLogger } from '../../src/lib/logger.js';
import { temporaryFolder } from './program.js';
import { dropDatabase, temporaryDatabaseName, uriOfDatabase } from './temporary-database.js';

export interface TestApp {
  app: App;
  /** Address of pages and API. */
  url: string;
  simulatorUrl: string;
  /** Name of its database on the server of MONGODB_URI. */
  databaseName: string;
  stop(): Promise<void>;
}

export interface StartAppOptions extends Partial<ComposeOptions> {
  /** Settings besides those that keep a test to itself. */
  env?: Record<string, string>;
}

export async function startApp({ env = {}, ...options }: StartAppOptions = {}): Promise<TestApp> {
  const folder = await temporaryFolder();
  const databaseName = temporaryDatabaseName();
  const config = readConfig({ HOST: '127.0.0.1', PORT: '0', SIMULATOR_PORT: '0', DATA_DIR: folder.path, MONGODB_URI: uriOfDatabase(databaseName), LOG_LEVEL: 'fatal', ...env });
  const app = await compose(config, { log: createLogger(process.env.TEST_LOG_LEVEL ?? 'silent'), ...options });
  const { url } = await app.start();
  return {
    app,
    url,
    simulatorUrl: app.simulatorUrl(),
    databaseName,
    async stop() {
      await app.stop();
      await dropDatabase(databaseName);
      await folder.remove();
    },
  };
}
