/** Ayrshare's way of registering endpoints: one URL per action and profile, a second call replaces the first, and one secret for all of a profile's. */
import type { Actor } from '../lib/actor.js';
import { AppError, ErrorCode } from '../lib/app-error.js';
import type { Clock } from '../lib/clock.js';
import type { Seal } from '../lib/seal.js';
import { closedBreaker } from './breaker.js';
import type { DeliveryWorker } from './delivery-worker.js';
import type { Endpoint } from './endpoint.js';
import { buildEndpoint } from './endpoint-building.js';
import type { EndpointChanges } from './endpoint-changes.js';
import { requireUrl } from './endpoint-checks.js';
import type { EndpointPlaces } from './endpoint-places.js';
import type { EndpointStore } from './endpoint-store.js';
import type { UrlPolicy } from './endpoint-url.js';
import { newSecret } from './signing.js';
import { openSecrets } from './targets.js';

export interface EndpointRegistrationDeps {
  endpoints: Pick<EndpointStore, 'listByProfiles' | 'findByAction'>;
  places: EndpointPlaces;
  changes: EndpointChanges;
  worker: Pick<DeliveryWorker, 'unpark'>;
  seal: Seal;
  clock: Clock;
  urls: UrlPolicy;
}

export interface EndpointRegistration {
  /** Another secret than the one before rotates it for all of the profile's registered actions. @returns the secret only when Signpost made it */
  register(actor: Actor, input: { action: string; url: string; secret?: string | undefined }): Promise<{ endpoint: Endpoint; madeSecret: string | null }>;
  list(actor: Actor): Promise<Endpoint[]>;
  /** @throws AppError `not-found` when the profile has no webhook for this action */
  unregister(actor: Actor, action: string): Promise<void>;
}

export function createEndpointRegistration(deps: EndpointRegistrationDeps): EndpointRegistration {
  const now = () => deps.clock.now();

  async function list(actor: Actor): Promise<Endpoint[]> {
    return (await deps.endpoints.listByProfiles([actor.profileId])).filter(({ apiAction }) => apiAction !== null);
  }

  async function replace(endpoint: Endpoint, url: string, secret: string): Promise<Endpoint> {
    await deps.changes.signWith(endpoint, secret);
    const changed = await deps.changes.change(endpoint, { url, state: 'enabled', stateReason: null, failingSince: null, breaker: closedBreaker(now()) });
    deps.worker.unpark(endpoint.id);
    return changed;
  }

  async function add(actor: Actor, action: string, url: string, secret: string): Promise<Endpoint> {
    const made = buildEndpoint(actor, { name: '', url, style: 'ayrshare', events: [action] }, secret, action, now(), deps.seal);
    if (await deps.places.insert(made)) {
      deps.changes.tell(made);
      return made;
    }
    // Somebody registered it at the same moment: the later call replaces it.
    const other = await deps.endpoints.findByAction(actor.profileId, action);
    if (other === null) throw new AppError('conflict', ErrorCode.conflict, 'This webhook was just changed by somebody else. Try again.');
    return replace(other, url, secret);
  }

  return {
    async register(actor, { action, url: given, secret: wanted }) {
      const url = await requireUrl(given, deps.urls);
      const registered = await list(actor);
      const shared = registered[0] === undefined ? null : (openSecrets(registered[0], deps.seal, now())[0] ?? null);
      const secret = wanted ?? shared ?? newSecret();
      const there = registered.find(({ apiAction }) => apiAction === action);
      const endpoint = there === undefined ? await add(actor, action, url, secret) : await replace(there, url, secret);
      for (const sibling of registered.filter(({ id }) => id !== endpoint.id)) await deps.changes.signWith(sibling, secret);
      return { endpoint, madeSecret: wanted === undefined && shared === null ? secret : null };
    },
    list,
    async unregister(actor, action) {
      const endpoint = await deps.endpoints.findByAction(actor.profileId, action);
      if (endpoint === null) throw new AppError('not-found', ErrorCode.notFound, `action: no webhook is registered for ${action}.`, { fields: [{ field: 'action', message: `No webhook is registered for ${action}.`, code: ErrorCode.notFound }] });
      await deps.changes.remove(endpoint);
    },
  };
}
