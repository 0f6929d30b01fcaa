/** Chooses the database: the one that was named, or the embedded one, which is started, watched and stopped with the program. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from './lib/logger.js';
import { startProblem } from './lib/start-problem.js';
import { findEmbeddedMongodb, startEmbeddedMongodb, type EmbeddedMongodb, type StartOptions } from './embedded-mongodb/start.js';

export interface DatabaseServer {
  uri: string;
  /** Null when the database is somebody else's to run. */
  embeddedPid: number | null;
  stop(): Promise<void>;
}

const RESTART_DELAYS_MS = [100, 500, 2_000, 5_000];
/** One that ran this long didn't die of its start: the next one is tried at once. */
const STEADY_AFTER_MS = 3_000;

/**
 * @param mongodbUri null: start the embedded database in `dataDir`
 * @throws Error with `code: 'DATA_DIR_IN_USE'` when another Signpost runs on that directory
 */
export async function startDatabase(mongodbUri: string | null, dataDir: string, log: Logger): Promise<DatabaseServer> {
  if (mongodbUri !== null) return { uri: mongodbUri, embeddedPid: null, stop: async () => undefined };
  const directory = path.join(dataDir, 'mongodb');
  let stopping = false;
  let restarts = 0;
  let startedAt = performance.now();
  let server = await startOnLastPort({ dataDir: directory, onExit: died });

  function died(): void {
    if (performance.now() - startedAt > STEADY_AFTER_MS) restarts = 0;
    restart();
  }

  /** A database that died is started again on the same port, so that the driver's connections find it; what was acknowledged is on disk. */
  function restart(): void {
    if (stopping) return;
    const delayMs = RESTART_DELAYS_MS[Math.min(restarts, RESTART_DELAYS_MS.length - 1)];
    restarts += 1;
    log.error({ restarts }, 'the embedded database ended unexpectedly, starting it again');
    setTimeout(() => {
      if (stopping) return;
      startEmbeddedMongodb({ dataDir: directory, port: server.port, onExit: died }).then((next) => {
        server = next;
        startedAt = performance.now();
        return stopping ? next.stop() : undefined;
      }).catch((error: unknown) => {
        const text = isPortTaken(error)
          ? `another program has taken port ${server.port} of the embedded database while it was down: it is started again when the port is free. To use another port, stop Signpost and start it again.`
          : 'the embedded database could not be started again';
        log.error(isPortTaken(error) ? {} : { err: error }, text);
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

/** Started together with the program, or while its database is started again, a worker waits this long for it. */
const FIND_WITHIN_MS = 15_000;

/**
 * For a worker beside the program that runs the embedded database.
 * @throws Error with a plain message when nobody runs it
 */
export async function findDatabase(mongodbUri: string | null, dataDir: string): Promise<DatabaseServer> {
  if (mongodbUri !== null) return { uri: mongodbUri, embeddedPid: null, stop: async () => undefined };
  const directory = path.join(dataDir, 'mongodb');
  const until = performance.now() + (existsSync(directory) ? FIND_WITHIN_MS : 0);
  let found = await findEmbeddedMongodb(directory);
  while (found === null && performance.now() < until) {
    await wait(200);
    found = await findEmbeddedMongodb(directory);
  }
  if (found === null) {
    throw startProblem(`No Signpost runs on the data directory ${dataDir}, so there is no database for a worker to share. Start it first (npm start), set DATA_DIR to its folder, or set MONGODB_URI.`);
  }
  return { uri: found.uri, embeddedPid: null, stop: async () => undefined };
}

/** On the port of the last start, so that workers beside us find the database again after a restart; on any where that is taken. */
async function startOnLastPort(options: StartOptions): Promise<EmbeddedMongodb> {
  const file = path.join(options.dataDir, '..', 'mongodb.port');
  const server = await startEmbeddedMongodb({ ...options, port: lastPort(file) }).catch((error: unknown) => {
    if (!isPortTaken(error)) throw error;
    return startEmbeddedMongodb(options);
  });
  writeFileSync(file, `${server.port}\n`);
  return server;
}

function isPortTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
}

function lastPort(file: string): number {
  try {
    const port = Number(readFileSync(file, 'utf8'));
    return Number.isInteger(port) && port > 1023 && port < 65_536 ? port : 0;
  } catch {
    return 0;
  }
}
