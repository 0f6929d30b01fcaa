/** Chooses the database: the one that was named, or the embedded one, which is started, watched and stopped with the program. */
import path from 'node:path';
import type { Logger } from './lib/logger.js';
import { startEmbeddedMongodb } from './embedded-mongodb/start.js';

export interface DatabaseServer {
  uri: string;
  /** Null when the database is somebody else's to run. */
  embeddedPid: number | null;
  stop(): Promise<void>;
}

const RESTART_DELAYS_MS = [100, 500, 2_000, 5_000];

/**
 * @param mongodbUri null: start the embedded database in `dataDir`
 * @throws Error with `code: 'DATA_DIR_IN_USE'` when another Signpost runs on that directory
 */
export async function startDatabase(mongodbUri: string | null, dataDir: string, log: Logger): Promise<DatabaseServer> {
  if (mongodbUri !== null) return { uri: mongodbUri, embeddedPid: null, stop: async () => undefined };
  const directory = path.join(dataDir, 'mongodb');
  let stopping = false;
  let restarts = 0;
  let server = await startEmbeddedMongodb({ dataDir: directory, onExit: restart });

  /** A database that died is started again on the same port, so that the driver's connections find it; what was acknowledged is on disk. */
  function restart(): void {
    if (stopping) return;
    const delayMs = RESTART_DELAYS_MS[Math.min(restarts, RESTART_DELAYS_MS.length - 1)];
    restarts += 1;
    log.error({ restarts }, 'the embedded database ended unexpectedly, starting it again');
    setTimeout(() => {
      if (stopping) return;
      startEmbeddedMongodb({ dataDir: directory, port: server.port, onExit: restart }).then((next: typeof server) => {
        server = next;
        if (stopping) return next.stop();
        setTimeout(() => { restarts = 0; }, 60_000).unref();
      }).catch((error: unknown) => {
        log.error({ err: error }, 'the embedded database could not be started again');
        restart();
      });
    }, delayMs);
  }

  return {
    uri: server.uri,
    get embeddedPid() {
      return server.pid;
    },
    async stop() {
      stopping = true;
      await server.stop();
    },
  };
}
