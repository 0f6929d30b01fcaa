/** The server inside one process: opens the files, listens on loopback, runs commands, stops in order. */
import { createServer, type Server, type Socket } from 'node:net';
import { loadCatalog } from './catalog.js';
import { runCommand } from './command-table.js';
import type { Engine } from './command-context.js';
import { serveConnection, type Traffic } from './connection.js';
import { createCursors } from './cursors.js';
import { createExecutor } from './executor.js';
import { sweepExpired, sweepGarbage } from './expiry.js';
import { createIndexBuilder } from './index-builder.js';
import { openStore } from './store.js';

export interface EmbeddedServer {
  port: number;
  /** Stops taking connections, ends what is running, closes the files. */
  close(): Promise<void>;
}

const TTL_SWEEP_MS = 10_000;
const MAX_CONNECTIONS = 5000;

/** @param port 0 for any free one. */
export async function startServer(options: { dataDir: string; port: number }): Promise<EmbeddedServer> {
  const store = openStore(options.dataDir);
  const catalog = loadCatalog(store);
  const executor = createExecutor(store, catalog);
  const builder = createIndexBuilder(store, catalog, executor);
  const cursors = createCursors();
  const sockets = new Set<Socket>();
  const traffic: Traffic = { buffered: 0 };
  let nextConnection = 1;
  let stopping = false;
  const server = createServer();
  const port = (): number => (server.address() as { port: number }).port;
  const engine: Engine = { store, catalog, executor, builder, cursors, startedAt: Date.now(), counters: new Map(), connections: () => sockets.size, port };

  server.on('connection', (socket) => {
    if (sockets.size >= MAX_CONNECTIONS) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    serveConnection(socket, { id: nextConnection++, traffic, handle: (message, id) => runCommand(engine, message, id), onClose: () => sockets.delete(socket) });
  });
  await listen(server, options.port);
  builder.resume();

  const sweep = async (): Promise<void> => {
    cursors.sweep(Date.now());
    await sweepGarbage(catalog, executor);
    await sweepExpired(store, catalog, executor, Date.now());
  };
  let sweeping: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    if (!stopping) sweeping = sweeping.then(sweep).catch((error: unknown) => void process.stderr.write(`embedded-mongodb: sweep failed: ${String(error)}\n`));
  }, TTL_SWEEP_MS);

  const close = async (): Promise<void> => {
    stopping = true;
    clearInterval(timer);
    server.close();
    await executor.idle();
    for (const socket of sockets) socket.destroy();
    await Promise.race([sweeping, new Promise((resolve) => setTimeout(resolve, 1000).unref())]);
    await executor.idle();
    await store.close();
  };
  return { port: port(), close };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: '127.0.0.1', port, backlog: 1024 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
