/** The simulated payment provider: one small HTTP server with a checkout page, a portal page, the API calls that Signpost uses, and signed events. */
import { createServer, type Server } from 'node:http';
import { hostname } from 'node:os';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import express from 'express';
import type { Logger } from '../../lib/logger.js';
import type { PlanBook } from '../plan.js';
import { openBillingWorld, type SimulatedPrice } from './billing-world.js';
import { createEventSender } from './event-sender.js';
import { createLife } from './life.js';
import { simulatorApi } from './simulator-api.js';
import { simulatorPages } from './simulator-pages.js';

export interface BillingSimulatorOptions {
  host: string;
  /** 0: any free port. */
  port: number;
  /** Where browsers reach it, when that is not `http://host:port`. */
  publicUrl: string | null;
  /** Where it remembers. */
  file: string;
  plans: PlanBook;
  apiKey: string;
  /** Signs the events. */
  secret: string;
  /** Where the events go. */
  hookUrl(): string;
  log: Logger;
}

export interface BillingSimulator {
  /** Where this machine reaches it. */
  url: string;
  publicUrl: string;
  stop(): Promise<void>;
}

const styleSheet = path.resolve(fileURLToPath(new URL('../../../../views/simulator/simulator.css', import.meta.url)));

export async function startBillingSimulator(options: BillingSimulatorOptions): Promise<BillingSimulator> {
  const world = openBillingWorld(options.file, Date.now);
  const prices = pricesOf(options.plans);
  let publicUrl = '';
  const life = createLife({ world, prices, publicUrl: () => publicUrl });
  const sender = createEventSender({ hookUrl: options.hookUrl, secret: options.secret, log: options.log, random: Math.random });
  const app = express();
  app.disable('x-powered-by');
  app.get('/simulator.css', (_req, res) => res.sendFile(styleSheet));
  app.use('/v1', simulatorApi({ world, life, prices, apiKey: options.apiKey, publicUrl: () => publicUrl }));
  app.use(simulatorPages({ world, life, prices, sender }));
  const server = createServer(app);
  await listen(server, options.port, options.host);
  const { port } = server.address() as AddressInfo;
  publicUrl = options.publicUrl ?? `http://${reachable(options.host, hostname())}:${port}`;
  return {
    url: `http://${reachable(options.host, '127.0.0.1')}:${port}`,
    publicUrl,
    async stop() {
      sender.stop();
      await new Promise<void>((resolve) => {
        const cut = setTimeout(() => server.closeAllConnections(), 1000);
        server.close(() => {
          clearTimeout(cut);
          resolve();
        });
        server.closeIdleConnections();
      });
    },
  };
}

function pricesOf({ plans }: PlanBook): SimulatedPrice[] {
  return plans.flatMap(({ name, price, prices, lookupKeys }) => (price === null || prices[0] === undefined ? [] : [{ id: prices[0], lookupKey: lookupKeys[0] ?? null, name, ...price }]));
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve());
  });
}

function reachable(host: string, insteadOfWildcard: string): string {
  if (host === '0.0.0.0' || host === '::') return insteadOfWildcard;
  return host.includes(':') ? `[${host}]` : host;
}
