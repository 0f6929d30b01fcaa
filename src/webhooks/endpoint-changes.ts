/** Changes endpoints that are there, whoever asks for it, and tells all who hold them in memory. */
import { AppError, ErrorCode } from '../lib/app-error.js';
import type { Clock } from '../lib/clock.js';
import type { Notifier } from '../lib/notifier.js';
import type { Seal } from '../lib/seal.js';
import type { DeliveryStore } from './delivery-store.js';
import type { Endpoint } from './endpoint.js';
import { rotatedSecrets } from './endpoint-building.js';
import type { EndpointChange, EndpointStore } from './endpoint-store.js';
import { openSecrets, type Targets } from './targets.js';

export interface EndpointChangesDeps {
  endpoints: Pick<EndpointStore, 'find' | 'change' | 'replaceSecrets' | 'remove'>;
  deliveries: Pick<DeliveryStore, 'cancelWaiting'>;
  targets: Pick<Targets, 'forget'>;
  seal: Seal;
  clock: Clock;
  notifier: Notifier;
}

export interface EndpointChanges {
  /** @throws AppError `not-found` when it was removed meanwhile */
  change(endpoint: Endpoint, to: EndpointChange): Promise<Endpoint>;
  /** Signs with this secret from now on, and with the old ones for `overlapMs`; nothing changes when it is the current one. @throws AppError `not-found` */
  signWith(endpoint: Endpoint, secret: string, overlapMs?: number): Promise<Endpoint>;
  remove(endpoint: Endpoint): Promise<void>;
  /** It was changed or added: who holds it must read it anew. */
  tell(endpoint: Pick<Endpoint, 'id' | 'accountId'>): void;
}

const OVERLAP_MS = 24 * 3_600_000;
const MOST_TRIES = 50;

export function createEndpointChanges(deps: EndpointChangesDeps): EndpointChanges {
  const now = () => deps.clock.now();

  function tell({ id, accountId }: Pick<Endpoint, 'id' | 'accountId'>): void {
    deps.targets.forget(id);
    deps.notifier.notify(`account:${accountId}:deliveries`);
  }

  return {
    tell,
    async change(endpoint, to) {
      const changed = await deps.endpoints.change(endpoint.id, { ...to, updatedAt: now() });
      if (changed === null) throw noEndpoint();
      tell(endpoint);
      return changed;
    },
    async signWith(endpoint, secret, overlapMs = OVERLAP_MS) {
      let known = endpoint;
      // Somebody else may rotate it at the same moment: each secret that was given out must have signed.
      for (let i = 0; i < MOST_TRIES; i++) {
        if (openSecrets(known, deps.seal, now())[0] === secret) return known;
        const changed = await deps.endpoints.replaceSecrets(known, rotatedSecrets(known, secret, overlapMs, now(), deps.seal), now());
        tell(endpoint);
        if (changed !== null) return changed;
        const latest = await deps.endpoints.find(endpoint.id);
        if (latest === null) throw noEndpoint();
        known = latest;
      }
      throw new AppError('conflict', ErrorCode.conflict, 'The secret of this endpoint is being changed by many at once right now. Try again in a moment.');
    },
    async remove(endpoint) {
      await deps.endpoints.remove(endpoint.id);
      await deps.deliveries.cancelWaiting(endpoint.id, 'The endpoint was removed.', now());
      tell(endpoint);
    },
  };
}

export function noEndpoint(): AppError {
  return new AppError('not-found', ErrorCode.notFound, 'There is no such endpoint. It may have been removed.');
}
