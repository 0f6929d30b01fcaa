/** The server inside one process: opens the files, listens on loopback, runs commands, stops in order. */
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createServer, type Server, type Socket } from 'node:net';
import { loadCatalog } from './catalog.js';
import { runCommand } from './command-table.js';
import type { Engine } from './command-context.js';
import { serveConnection, type Traffic } from './connection.js';
import { bootId, FLUSHED_BY_COMMIT, forgetFlushes, keepDurable, setBackAfterReboot } from './durability.js';
import { createCursors } from './cursors.js';
import { createExecutor } from './executor.js';
import { sweepExpired, sweepGarbage } from './expiry.js';
import { createIndexBuilder } from './index-builder.js';
import { dataFileError, inspectFile, readEverything, upgradeFormat } from './data-file.js';
import { dropLeftovers } from './pipeline-output.js';
import { FILE_NAME, openStore, type Store } from './store.js';

export interface EmbeddedServer {
  port: number;
  /** Stops taking connections, ends what is running, closes the files. */
  close(): Promise<void>;
}

const TTL_SWEEP_MS = 10_000;
const SWEEP_CHECK_MS = 500;
const FLUSH_EVERY_MS = 100;
const MAX_CONNECTIONS = 5000;
/** Pages of the data file that were read stay mapped into this process until it lets go of the file. */
const MAX_MAPPED_BYTES = 160 * 1024 * 1024;
const TRIM_EVERY_MS = 500;
const SHUTTING_DOWN = { ok: 0, errmsg: 'The server is in quiesce mode and will shut down', code: 91, codeName: 'ShutdownInProgress' };

export interface ServerOptions {
  dataDir: string;
  /** 0: the server chooses a free one. */
  port: number;
  flushEveryMs?: number | undefined;
  maxMappedBytes?: number | undefined;
  flushEachCommit?: boolean | undefined;
}

export async function startServer(options: ServerOptions): Promise<EmbeddedServer> {
  const boot = options.flushEachCommit ? null : bootId();
  const store = openChecked(options.dataDir, boot !== null);
  if (boot === null) forgetFlushes(store.path);
  const durability = boot === null ? FLUSHED_BY_COMMIT : await keepDurable(store, store.path, boot, options.flushEveryMs ?? FLUSH_EVERY_MS);
  const catalog = loadCatalog(store);
  store.transaction(() => dropLeftovers(catalog));
  const executor = createExecutor(store, catalog, durability.committed);
  const builder = createIndexBuilder(store, catalog, executor);
  const cursors = createCursors();
  const sockets = new Set<Socket>();
  const traffic: Traffic = { buffered: 0 };
  let nextConnection = 1;
  let stopping = false;
  const server = createServer();
  const port = (): number => (server.address() as { port: number }).port;
  const engine: Engine = { store, catalog, executor, durability, builder, cursors, startedAt: Date.now(), counters: new Map(), sweep: { everyMs: TTL_SWEEP_MS }, connections: () => sockets.size, port };

  server.on('connection', (socket) => {
    if (sockets.size >= MAX_CONNECTIONS) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    serveConnection(socket, { id: nextConnection++, traffic, handle: (message, id) => (stopping ? Promise.resolve(SHUTTING_DOWN) : runCommand(engine, message, id)), onClose: () => sockets.delete(socket) });
  });
  await listen(server, options.port);
  builder.resume();

  const sweep = async (): Promise<void> => {
    cursors.sweep(Date.now());
    await sweepGarbage(catalog, executor);
    await sweepExpired(store, catalog, executor, Date.now());
  };
  let sweeping: Promise<void> = Promise.resolve();
  let sweptAt = Date.now();
  const timer = setInterval(() => {
    if (stopping || Date.now() - sweptAt < engine.sweep.everyMs) return;
    sweptAt = Date.now();
    sweeping = sweeping.then(sweep).catch((error: unknown) => void process.stderr.write(`embedded-mongodb: sweep failed: ${String(error)}\n`));
  }, SWEEP_CHECK_MS);

  let trimmed = false;
  const reopen = (): Promise<void> => store.reopen().catch((error: unknown) => {
    process.stderr.write(`embedded-mongodb: the data file could not be opened again: ${String(error)}\n`);
    process.exit(1);
  });
  const trimming = setInterval(() => {
    if (stopping || trimmed || mappedBytes() < (options.maxMappedBytes ?? MAX_MAPPED_BYTES)) return;
    trimmed = true;
    sweeping = sweeping
      // What is to be flushed goes first, while others work; then little is left to wait for.
      .then(() => durability.flush())
      .then(() => executor.alone(() => durability.across(reopen)))
      .catch((error: unknown) => void process.stderr.write(`embedded-mongodb: the disk could not be flushed: ${String(error)}\n`))
      .finally(() => (trimmed = false));
  }, TRIM_EVERY_MS);

  const close = async (): Promise<void> => {
    stopping = true;
    clearInterval(timer);
    clearInterval(trimming);
    server.close();
    await executor.idle();
    for (const socket of sockets) socket.destroy();
    await Promise.race([sweeping, new Promise((resolve) => setTimeout(resolve, 1000).unref())]);
    await executor.idle();
    await durability.close();
    await store.close();
  };
  return { port: port(), close };
}

/** How much of files is mapped into memory, as Linux tells it; 0 elsewhere. */
function mappedBytes(): number {
  try {
    return Number(/^RssFile:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** Opens the data file if it is one, in the present format. @throws Error with code DATA_FILE_UNUSABLE */
function openChecked(dataDir: string, noSync: boolean): Store {
  const path = join(dataDir, FILE_NAME);
  if (setBackAfterReboot(path)) process.stderr.write('embedded-mongodb: the machine was started again without an orderly stop; the data is as of the last flush\n');
  const state = inspectFile(path);
  let store: Store;
  try {
    store = openStore(dataDir, { noSync });
  } catch (error) {
    throw dataFileError(path, `cannot be opened (${(error as Error).message}). Restore a backup.`);
  }
  if (state === 'short') readEverything(store);
  const kept = upgradeFormat(store, state === 'absent');
  if (kept) process.stderr.write(`embedded-mongodb: the data file was upgraded; the former one is kept as ${kept}\n`);
  return store;
}

/**
 * Ports that no system gives to outgoing connections by itself, and that are not MongoDB's own: one that was taken for such a connection
 * while the server was started again could not be had back, and neither could one on which a waiting client has met itself.
 */
const OWN_PORTS = { from: 20_000, to: 26_999 };
const TRIES = 20;

/** @returns when it listens; @throws Error with code EADDRINUSE when the port that was asked for is taken */
async function listen(server: Server, port: number): Promise<void> {
  if (port !== 0) return listenOn(server, port);
  for (let tried = 0; tried < TRIES; tried++) {
    const taken = await listenOn(server, randomInt(OWN_PORTS.from, OWN_PORTS.to + 1)).then(() => false, () => true);
    if (!taken) return;
  }
  return listenOn(server, 0);
}

function listenOn(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: '127.0.0.1', port, backlog: 1024 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
