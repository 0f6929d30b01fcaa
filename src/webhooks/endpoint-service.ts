/** Use cases of endpoints: add, change, rotate, pause, remove, test. */
import { primaryProfileId } from '../accounts/profile.js';
import type { Actor } from '../lib/actor.js';
import type { Clock } from '../lib/clock.js';
import { newId } from '../lib/ids.js';
import type { Seal } from '../lib/seal.js';
import { closedBreaker } from './breaker.js';
import { sealHeaders } from './custom-headers.js';
import { diagnose, type Diagnosis } from './diagnose.js';
import type { DeliveryLine } from './delivery-line.js';
import type { DeliveryStore } from './delivery-store.js';
import type { DeliveryWorker } from './delivery-worker.js';
import { sealContext, type Endpoint } from './endpoint.js';
import { buildEndpoint, requireClientCertificate, type EndpointInput } from './endpoint-building.js';
import { noEndpoint, type EndpointChanges } from './endpoint-changes.js';
import { requireEvents, requireHeaders, requireSecret, requireTimedHeader, requireUrl } from './endpoint-checks.js';
import type { EndpointPlaces } from './endpoint-places.js';
import type { EndpointStore } from './endpoint-store.js';
import type { UrlPolicy } from './endpoint-url.js';
import type { EventService } from './event-service.js';
import { newSecret } from './signing.js';
import { openSecrets } from './targets.js';

export interface EndpointServiceDeps {
  endpoints: Pick<EndpointStore, 'find' | 'listByAccount' | 'disable'>;
  places: EndpointPlaces;
  changes: EndpointChanges;
  deliveries: Pick<DeliveryStore, 'cancelWaiting'>;
  line: Pick<DeliveryLine, 'lineUp' | 'dissolve'>;
  events: Pick<EventService, 'recordTest'>;
  /** An event was written into an endpoint's document: it may be relayed. */
  eventsWritten(): void;
  worker: Pick<DeliveryWorker, 'unpark'>;
  seal: Seal;
  clock: Clock;
  urls: UrlPolicy;
}

/** The secret is in the answer once and never again. */
export interface Created {
  endpoint: Endpoint;
  secret: string;
}

const HOUR_MS = 3_600_000;

export type EndpointService = ReturnType<typeof createEndpointService>;

export function createEndpointService(deps: EndpointServiceDeps) {
  const now = () => deps.clock.now();

  async function own(actor: Actor, id: string): Promise<Endpoint> {
    const endpoint = await deps.endpoints.find(id);
    if (endpoint === null || endpoint.accountId !== actor.accountId) throw noEndpoint();
    return endpoint;
  }

  /** The secrets that sign for this account's endpoints now, and those whose overlap has ended; for checking what arrived somewhere. */
  async function secretsOf(accountId: string): Promise<{ endpoint: Endpoint; secrets: string[]; ended: string[] }[]> {
    return (await deps.endpoints.listByAccount(accountId)).map((endpoint) => {
      const secrets = openSecrets(endpoint, deps.seal, now());
      return { endpoint, secrets, ended: openSecrets(endpoint, deps.seal, new Date(0)).filter((secret) => !secrets.includes(secret)) };
    });
  }

  return {
    async list(actor: Actor): Promise<Endpoint[]> {
      return deps.endpoints.listByAccount(actor.accountId);
    },

    get: own,

    async exists(actor: Actor, id: string): Promise<boolean> {
      return (await deps.endpoints.find(id))?.accountId === actor.accountId;
    },

    secretsOf,

    /** What is wrong with a request that a receiver got. @param secret the receiver's; null: those of the account's endpoints are tried */
    async diagnose(actor: Actor, { headers, body, secret }: { headers: Record<string, string>; body: string; secret: string | null }): Promise<Diagnosis> {
      const known = await secretsOf(actor.accountId);
      const signers = known.map(({ endpoint, secrets, ended }) => ({ name: endpoint.name || endpoint.url, secrets, ended }));
      return diagnose(headers, body, secret === null ? known.flatMap((one) => one.secrets) : [secret], now(), signers);
    },

    /** @throws AppError `invalid` (url, events), `conflict` when there are too many */
    async create(actor: Actor, input: EndpointInput & { secret?: string | undefined }): Promise<Created> {
      const { secret = newSecret(), ...rest } = input;
      const events = requireEvents(rest);
      requireHeaders(rest.headers ?? []);
      requireTimedHeader(rest.timedHeader ?? null, rest.headers ?? []);
      requireSecret(secret);
      const url = await requireUrl(rest.url, deps.urls);
      const endpoint = buildEndpoint(actor, { ...rest, events, url }, secret, null, now(), deps.seal);
      await deps.places.insert(endpoint);
      deps.changes.tell(endpoint);
      return { endpoint, secret };
    },

    /** @throws AppError `invalid`, `not-found` */
    async edit(actor: Actor, id: string, input: EndpointInput): Promise<Endpoint> {
      const endpoint = await own(actor, id);
      // What the API registered stays registered for its action.
      const fixed = endpoint.apiAction === null ? {} : { style: endpoint.style, events: endpoint.events };
      const events = endpoint.apiAction === null ? requireEvents(input) : endpoint.events;
      const url = input.url === endpoint.url ? endpoint.url : await requireUrl(input.url, deps.urls);
      const { name, style, headers, description = endpoint.description, timeoutS = endpoint.timeoutS, maxPerMinute = endpoint.maxPerMinute, ordered = endpoint.ordered, timedHeader = endpoint.timedHeader } = input;
      const sealed = headers === undefined ? endpoint.headers : sealHeaders(requireHeaders(headers), endpoint.headers, deps.seal, sealContext(id));
      requireTimedHeader(timedHeader, sealed);
      const clientCertificate = input.clientCertificate === undefined ? endpoint.clientCertificate : requireClientCertificate(input.clientCertificate, { ...endpoint, url }, now(), deps.seal);
      const changed = await deps.changes.change(endpoint, { name, description, clientCertificate, style, timeoutS, maxPerMinute, ordered, timedHeader, headers: sealed, ...fixed, events, url, breaker: closedBreaker(now()) });
      if (ordered && !endpoint.ordered) await deps.line.lineUp(id);
      if (!ordered && endpoint.ordered) await deps.line.dissolve(id);
      deps.worker.unpark(id);
      return changed;
    },

    /** A new secret; the old ones sign too for `overlapHours`, 0 to 168, or a day. */
    async rotate(actor: Actor, id: string, overlapHours?: number): Promise<Created> {
      const endpoint = await own(actor, id);
      const secret = newSecret();
      return { endpoint: await deps.changes.signWith(endpoint, secret, overlapHours === undefined ? undefined : overlapHours * HOUR_MS), secret };
    },

    /** Nothing is sent to a paused endpoint: what waits for it is cancelled, what happens meanwhile is recorded as skipped. */
    async pause(actor: Actor, id: string): Promise<void> {
      const endpoint = await own(actor, id);
      await deps.changes.change(endpoint, { state: 'paused', stateReason: null });
      await deps.deliveries.cancelWaiting(id, 'The endpoint was paused.', now());
    },

    async resume(actor: Actor, id: string): Promise<void> {
      const endpoint = await own(actor, id);
      await deps.changes.change(endpoint, { state: 'enabled', stateReason: null, failingSince: null, breaker: closedBreaker(now()) });
      deps.worker.unpark(id);
    },

    async remove(actor: Actor, id: string): Promise<void> {
      await deps.changes.remove(await own(actor, id));
    },

    /** Sends a signed test at once, whatever the endpoint subscribes to. @returns the delivery's id */
    async test(actor: Actor, id: string): Promise<string> {
      const endpoint = await own(actor, id);
      const at = now();
      const base = { id: newId('evt', at), at, sequence: 0, accountId: endpoint.accountId, profileId: endpoint.profileId };
      return deps.events.recordTest({ ...base, type: 'webhook.test', data: { message: 'This is a test from Signpost.' } }, endpoint);
    },

    /** Turns an endpoint off that can't go on: what waits for it ends, and the account's other endpoints are told. */
    async disable(id: string, reason: string): Promise<void> {
      const at = now();
      const before = await deps.endpoints.find(id);
      if (before === null) return;
      const { accountId, url } = before;
      // Told to the account: the endpoint may have been the only one of its profile.
      const event = { id: newId('evt', at), type: 'endpoint.disabled' as const, at, sequence: 0, accountId, profileId: primaryProfileId(accountId), data: { endpointId: id, url, reason } };
      const endpoint = await deps.endpoints.disable(id, { stateReason: reason, updatedAt: at }, event);
      if (endpoint === null) return;
      deps.eventsWritten();
      await deps.deliveries.cancelWaiting(id, `The endpoint was disabled: ${reason}`, now());
      deps.changes.tell(endpoint);
    },
  };
}
