/** Listening and closing, and the addresses that follow from it; a page of compose.ts. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { startProblem } from './lib/start-problem.js';

/** A large video over a slow line takes its time. */
const LONGEST_REQUEST_MS = 30 * 60_000;
/** But something has to come, or to go: live streams send a sign of life much more often, and nothing else is silent for so long. */
const LONGEST_SILENCE_MS = 2 * 60_000;

/** Longer than clients and proxies keep a connection that idles: closed by us first, it may be just in use again, and the request is lost. */
const KEEP_ALIVE_MS = 65_000;

export function listen(server: Server, host: string, port: number): Promise<Server> {
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      reject(isPortTaken(error) ? startProblem(`Port ${port} is taken by another program. Set PORT to another one, e.g. PORT=3001 npm start.`) : error);
    });
    server.requestTimeout = LONGEST_REQUEST_MS;
    server.timeout = LONGEST_SILENCE_MS;
    server.listen(port, host, () => resolve(server));
  });
}

/** Answers what is under way for at most `graceMs`, and lets go of connections that idle. */
export function closeServer(server: Server | null, graceMs: number): Promise<void> {
  if (server === null) return Promise.resolve();
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  setTimeout(() => server.closeAllConnections(), graceMs).unref();
  return closed;
}

export function boundPort(server: Server | null): number | null {
  const address = server?.address() as AddressInfo | null | undefined;
  return address?.port ?? null;
}

export function isPortTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
}

/** A wildcard address can be listened on but not visited. */
export function reachableHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return hostname();
  return host.includes(':') ? `[${host}]` : host;
}

/** A wildcard address is reached from this machine by loopback. */
export function localHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}
