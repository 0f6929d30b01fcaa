/** The simulator: one HTTP server that stands in for every network, with a journal, consent pages, public pages and faults on demand. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import express, { Router, type ErrorRequestHandler } from 'express';
import type { Logger } from '../../lib/logger.js';
import { decideConsent, give, showConsent, showGives } from './consent.js';
import { controlApi } from './control-api.js';
import { createFaults } from './faults.js';
import { defaultSettings, type SimulatedNetwork, type SimulatorSettings } from './network.js';
import { networkApi } from './network-api.js';
import { createOutage } from './outage.js';
import { sendPage } from './pages.js';
import { publicPages } from './public-pages.js';
import { openWorld } from './world.js';

export interface SimulatorOptions {
  host: string;
  /** 0: any free port. */
  port: number;
  /** Where it remembers; the same file continues the same world. */
  journalFile: string;
  networks: readonly SimulatedNetwork[];
  /** Where browsers reach it, when that is not `http://host:port`. */
  publicUrl?: string;
  log: Logger;
  settings?: Partial<SimulatorSettings>;
}

export interface Simulator {
  /** Where this machine reaches it, e.g. `http://127.0.0.1:4001`. */
  url: string;
  /** Where browsers reach it. */
  publicUrl: string;
  port: number;
  /** Answers what is under way for at most a second, then closes. */
  stop(): Promise<void>;
}

/** @throws Error when the port is taken or the journal is damaged */
export async function startSimulator(options: SimulatorOptions): Promise<Simulator> {
  const world = openWorld(options.journalFile);
  const settings: SimulatorSettings = { ...defaultSettings, ...options.settings };
  const faults = createFaults(world);
  const now = (): number => Date.now() + settings.clockSkewMs;
  const server = createServer();
  let url = '';
  let publicUrl = '';
  const outage = createOutage(server, () => ({ host: options.host, port: Number(new URL(url).port) }), options.log);

  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  const routers = new Map(options.networks.map((network) => [network.id, routerOf(network)]));
  // By name instead of one `use` per network: what a request costs doesn't grow with their number.
  app.use((req, res, next) => {
    const [, name = ''] = req.path.split('/', 2);
    const router = routers.get(name);
    if (router === undefined) return next();
    req.url = req.url.slice(name.length + 1) || '/';
    router(req, res, next);
  });
  app.get('/simulator.css', (_req, res) => res.sendFile(styleSheet));
  app.use('/simulator', controlApi({ world, faults, settings, networks: options.networks, now, publicUrl: () => publicUrl, outage }));
  app.get('/', (_req, res) => sendPage(res, 'home', { title: 'Simulated networks', networks: options.networks, world }));
  app.use((_req, res) => sendPage(res, 'problem', { title: 'Nothing here', message: 'This simulated page does not exist.' }, { status: 404 }));

  app.use(((error: unknown, req, res, next) => {
    if (res.headersSent) return next(error);
    const status = typeof error === 'object' && error !== null && 'status' in error && typeof error.status === 'number' ? error.status : 500;
    if (status >= 500) options.log.error({ err: error, path: req.path }, 'the simulator failed');
    sendPage(res, 'problem', { title: status < 500 ? 'This request cannot be understood' : 'Something went wrong', message: status < 500 ? 'Its address or its body is damaged or too large.' : 'The simulator has a fault; its log says more.' }, { status });
  }) satisfies ErrorRequestHandler);

  function routerOf(network: SimulatedNetwork): Router {
    const router = Router();
    const deps = { world, settings, now, faults, log: options.log, publicUrl: () => publicUrl };
    const form = express.urlencoded({ extended: false, limit: '20kb' });
    router.use('/api', networkApi(network, deps));
    router.get(`/web${network.consent.path}`, (req, res) => showConsent(network, deps, req, res));
    router.post(`/web${network.consent.path}`, form, (req, res) => decideConsent(network, deps, req, res));
    if (network.gives !== undefined) {
      router.get(`/web${network.gives.path}`, (req, res) => showGives(network, deps, req, res));
      router.post(`/web${network.gives.path}`, form, (req, res) => give(network, deps, req, res));
    }
    router.use('/web', publicPages(network, deps));
    return router;
  }

  server.on('request', app);
  server.keepAliveTimeout = 65_000;
  await listen(server, options.port, options.host).catch((error: unknown) => {
    world.close();
    throw error;
  });
  const { port } = server.address() as AddressInfo;
  url = `http://${reachable(options.host, '127.0.0.1')}:${port}`;
  publicUrl = options.publicUrl ?? `http://${reachable(options.host, hostname())}:${port}`;
  return {
    url, publicUrl, port,
    async stop() {
      outage.cancel();
      await close(server);
      world.close();
    },
  };
}

const styleSheet = path.resolve(fileURLToPath(new URL('../../../../views/simulator/simulator.css', import.meta.url)));

/** A wildcard address can be listened on but not called. */
function reachable(host: string, insteadOfWildcard: string): string {
  if (host === '0.0.0.0' || host === '::') return insteadOfWildcard;
  return host.includes(':') ? `[${host}]` : host;
}

type Server = ReturnType<typeof createServer>;

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function close(server: Server): Promise<void> {
  if (!server.listening) return Promise.resolve();
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), 1000);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
    server.closeIdleConnections();
  });
}
