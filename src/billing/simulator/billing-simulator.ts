/** The simulated payment provider: a checkout page, a portal page, the API calls that Signpost uses, and signed events; below a path of Signpost's own address. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Router } from 'express';
import type { Logger } from '../../lib/logger.js';
import type { PlanBook } from '../plan.js';
import { openBillingWorld, type SimulatedPrice } from './billing-world.js';
import { createEventSender } from './event-sender.js';
import { createLife } from './life.js';
import { simulatorApi } from './simulator-api.js';
import { simulatorPages } from './simulator-pages.js';

export interface BillingSimulatorOptions {
  /** Signpost's address as browsers see it. */
  signpostUrl(): string;
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
  /** Mounted before sessions: it is another party, though it lives below our address. */
  router: Router;
  /** By how much time was passed on there, in milliseconds. */
  aheadMs(): number;
  /** Sends events that were not taken when they happened. */
  sendUnsent(): void;
  stop(): void;
}

/** Below which path of Signpost's address it is; no port of its own, so that it works in containers and behind proxies. */
export const SIMULATED_PAYMENTS = '/simulated-payments';

const styleSheet = path.resolve(fileURLToPath(new URL('../../../../views/simulator/simulator.css', import.meta.url)));

export function createBillingSimulator(options: BillingSimulatorOptions): BillingSimulator {
  const world = openBillingWorld(options.file, Date.now);
  const prices = pricesOf(options.plans);
  const publicUrl = (): string => options.signpostUrl() + SIMULATED_PAYMENTS;
  const life = createLife({ world, prices, publicUrl });
  const sender = createEventSender({
    hookUrl: options.hookUrl, secret: options.secret, log: options.log, random: Math.random,
    unsent: () => world.state.unsent,
    taken(event) {
      world.state.unsent = world.state.unsent.filter((one) => one !== event);
      world.save();
    },
  });
  const inside = Router();
  inside.get('/simulator.css', (_req, res) => res.sendFile(styleSheet));
  inside.use('/v1', simulatorApi({ world, life, prices, apiKey: options.apiKey, publicUrl }));
  inside.use(simulatorPages({ world, life, prices, sender, base: SIMULATED_PAYMENTS }));
  return {
    router: Router().use(SIMULATED_PAYMENTS, inside),
    sendUnsent: () => sender.sendUnsent(),
    aheadMs: () => world.state.offsetS * 1000,
    stop: () => sender.stop(),
  };
}

function pricesOf({ plans }: PlanBook): SimulatedPrice[] {
  return plans.flatMap(({ name, price, prices, lookupKeys }) => (price === null || prices[0] === undefined ? [] : [{ id: prices[0], lookupKey: lookupKeys[0] ?? null, name, ...price }]));
}
