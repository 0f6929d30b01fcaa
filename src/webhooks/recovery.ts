/** Recovery: sends again what an endpoint missed since a time, piece by piece in the background; a restart goes on with it. */
import type { Actor } from '../lib/actor.js';
import { AppError, ErrorCode } from '../lib/app-error.js';
import type { Clock } from '../lib/clock.js';
import { newId } from '../lib/ids.js';
import type { Logger } from '../lib/logger.js';
import type { Notifier } from '../lib/notifier.js';
import type { DeliveryLine } from './delivery-line.js';
import type { DeliveryResendStore } from './delivery-resend-store.js';
import type { DeliveryWorker } from './delivery-worker.js';
import type { Endpoint, Recovery } from './endpoint.js';
import type { EndpointStore } from './endpoint-store.js';

export interface RecoveryDeps {
  endpoints: EndpointStore;
  resends: Pick<DeliveryResendStore, 'requeue' | 'countRecoverable'>;
  line: Pick<DeliveryLine, 'lineUp'>;
  /** @throws AppError `not-found` when it isn't the actor's */
  get(actor: Actor, endpointId: string): Promise<Endpoint>;
  worker: Pick<DeliveryWorker, 'nudge'>;
  notifier: Notifier;
  clock: Clock;
  log: Logger;
}

export interface RecoveryService {
  /** How many deliveries of this endpoint failed or were not sent since then. */
  count(actor: Actor, endpointId: string, since: Date): Promise<number>;
  /** @throws AppError `conflict` when the endpoint is off, or a recovery of it runs already */
  start(actor: Actor, endpointId: string, since: Date): Promise<Recovery>;
  /** Goes on with recoveries that a restart cut short. */
  sweep(): Promise<void>;
  stop(): Promise<void>;
}

const CHUNK = 200;
const NOTHING = { found: 0, requeued: 0 };

export function createRecoveryService(deps: RecoveryDeps): RecoveryService {
  const running = new Map<string, Promise<void>>();
  let stopping = false;

  /** Ends when nothing is left, the endpoint is off or gone, or another recovery took over. Doing a piece twice changes nothing. */
  async function run(endpointId: string, { id, since, startedAt }: Recovery): Promise<void> {
    while (!stopping) {
      const endpoint = await deps.endpoints.find(endpointId);
      if (endpoint === null || endpoint.recovery?.id !== id) return;
      const { found, requeued } = endpoint.state === 'enabled' ? await deps.resends.requeue({ id, endpointId, since, until: startedAt }, deps.clock.now(), CHUNK) : NOTHING;
      await deps.endpoints.noteRecovery(endpointId, id, requeued, found === 0 ? deps.clock.now() : null);
      deps.notifier.notify(`account:${endpoint.accountId}:deliveries`);
      if (found === 0) return;
      if (endpoint.ordered) await deps.line.lineUp(endpointId);
      deps.worker.nudge([endpointId]);
    }
  }

  function begin(endpointId: string, recovery: Recovery): void {
    if (running.has(endpointId) || stopping) return;
    const work = run(endpointId, recovery)
      .catch((error: unknown) => deps.log.error({ err: error, endpointId }, 'a recovery stopped; the sweep goes on with it'))
      .finally(() => running.delete(endpointId));
    running.set(endpointId, work);
  }

  return {
    async count(actor, endpointId, since) {
      await deps.get(actor, endpointId);
      return deps.resends.countRecoverable(endpointId, since);
    },
    async start(actor, endpointId, since) {
      const endpoint = await deps.get(actor, endpointId);
      if (endpoint.state !== 'enabled') throw new AppError('conflict', ErrorCode.conflict, 'Turn the endpoint on first; then what it missed can be sent.');
      const now = deps.clock.now();
      const recovery: Recovery = { id: newId('rec', now), since, startedAt: now, requeued: 0, endedAt: null };
      if (!(await deps.endpoints.startRecovery(endpointId, recovery))) throw new AppError('conflict', ErrorCode.conflict, 'A recovery of this endpoint is running already.');
      begin(endpointId, recovery);
      return recovery;
    },
    async sweep() {
      for (const { id, recovery } of await deps.endpoints.listRecovering(50)) if (recovery !== null) begin(id, recovery);
    },
    async stop() {
      stopping = true;
      await Promise.all(running.values());
    },
  };
}
