/** Use cases of endpoints: register, change, remove, test. */
import { primaryProfileId } from '../accounts/profile.js';
import type { Actor } from '../lib/actor.js';
import { AppError, ErrorCode } from '../lib/app-error.js';
import type { Clock } from '../lib/clock.js';
import { newId } from '../lib/ids.js';
import type { Notifier } from '../lib/notifier.js';
import type { Seal } from '../lib/seal.js';
import { freeSlot } from '../lib/slots.js';
import { readCertificate, type CertificateInput, type StoredCertificate } from './client-certificate.js';
import { sealHeaders, type HeaderInput } from './custom-headers.js';
import type { DeliveryLine } from './delivery-line.js';
import type { DeliveryStore } from './delivery-store.js';
import type { DeliveryWorker } from './delivery-worker.js';
import { sealContext, TIMEOUT_S, type Endpoint } from './endpoint.js';
import { requireEvents, requireHeaders, requireSecret, requireTimedHeader } from './endpoint-checks.js';
import type { EndpointChange, EndpointStore } from './endpoint-store.js';
import { urlProblem, type UrlPolicy } from './endpoint-url.js';
import type { EventService } from './event-service.js';
import type { PayloadStyle } from './payload.js';
import { newSecret } from './signing.js';
import { openSecrets, type Targets } from './targets.js';

export interface EndpointServiceDeps {
  endpoints: EndpointStore;
  deliveries: Pick<DeliveryStore, 'cancelWaiting'>;
  line: Pick<DeliveryLine, 'lineUp' | 'dissolve'>;
  events: Pick<EventService, 'recordTest'>;
  /** An event was written into an endpoint's document: it may be relayed. */
  eventsWritten(): void;
  targets: Targets;
  worker: Pick<DeliveryWorker, 'unpark'>;
  seal: Seal;
  clock: Clock;
  notifier: Notifier;
  urls: UrlPolicy;
  /** How many endpoints the account's plan allows; null or absent: only the general limit holds. */
  limitOf?(accountId: string): Promise<number | null>;
}

export interface EndpointInput {
  name: string;
  url: string;
  style: PayloadStyle;
  events: string[];
  /** What is left out keeps its value, or is the default. */
  description?: string | undefined;
  headers?: HeaderInput[] | undefined;
  timeoutS?: number | undefined;
  maxPerMinute?: number | null | undefined;
  ordered?: boolean | undefined;
  timedHeader?: string | null | undefined;
  /** Null: none. An empty key means the one that is stored. */
  clientCertificate?: CertificateInput | null | undefined;
}

/** The secret is in the answer once and never again. */
export interface Created {
  endpoint: Endpoint;
  secret: string;
}

const MAX_ENDPOINTS_PER_ACCOUNT = 50;
const HOUR_MS = 3_600_000;
const OVERLAP_MS = 24 * HOUR_MS;
const MAX_LIVE_SECRETS = 3;

export type EndpointService = ReturnType<typeof createEndpointService>;

export function createEndpointService(deps: EndpointServiceDeps) {
  const now = () => deps.clock.now();
  /** Its owner says that it works: all processes may try. */
  const unparked = () => ({ openUntil: null, openMs: 0, at: now() });

  async function requireUrl(url: string): Promise<string> {
    const problem = await urlProblem(url, deps.urls);
    if (problem !== null) throw new AppError('invalid', ErrorCode.webhookUrl, `url: ${problem}`, { fields: [{ field: 'url', message: problem, code: ErrorCode.webhookUrl }] });
    // Names in other alphabets are kept the way they travel; what is plain already stays as it was written.
    return /^[\x21-\x7e]*$/.test(url) ? url : new URL(url).href;
  }

  /** @throws AppError `conflict` when there is no room for one more */
  async function placeFor(accountId: string): Promise<number | null> {
    const taken = await deps.endpoints.slotsOf(accountId);
    if (taken.length >= MAX_ENDPOINTS_PER_ACCOUNT) throw new AppError('conflict', ErrorCode.conflict, `An account has at most ${MAX_ENDPOINTS_PER_ACCOUNT} endpoints. Remove one first.`);
    const limit = (await deps.limitOf?.(accountId)) ?? null;
    if (limit === null) return null;
    const slot = freeSlot(taken, limit);
    if (slot !== null) return slot;
    const details = { limit: { what: 'endpoints', limit, used: taken.length } };
    throw new AppError('conflict', ErrorCode.planLimit, `Your plan allows ${limit} webhook endpoint${limit === 1 ? '' : 's'}, and you have ${taken.length}. Remove one, or change your plan on the page "Plan and billing".`, { details });
  }

  /** @returns false when the profile has an endpoint for its `apiAction` already. @throws AppError `conflict` when there is no room for it */
  async function insertWithinPlan(endpoint: Endpoint): Promise<boolean> {
    for (let i = 0; i < MAX_ENDPOINTS_PER_ACCOUNT; i++) {
      const outcome = await deps.endpoints.insert(endpoint, await placeFor(endpoint.accountId));
      if (outcome !== 'slot-taken') return outcome === 'inserted';
    }
    throw new AppError('conflict', ErrorCode.conflict, 'Endpoints are being made by many at once right now. Try again in a moment.');
  }

  async function own(actor: Actor, id: string): Promise<Endpoint> {
    const endpoint = await deps.endpoints.find(id);
    if (endpoint === null || endpoint.accountId !== actor.accountId) throw noEndpoint();
    return endpoint;
  }

  function build(actor: Actor, input: EndpointInput, secret: string, apiAction: string | null): Endpoint {
    const at = now();
    const id = newId('end', at);
    const { name, url, style, events, headers = [], description = '', timeoutS = TIMEOUT_S.default, maxPerMinute = null, ordered = false, timedHeader = null } = input;
    return {
      id, accountId: actor.accountId, profileId: actor.profileId, name, description, url, style, events, apiAction, timeoutS, maxPerMinute, ordered, timedHeader, recovery: null,
      headers: sealHeaders(headers, [], deps.seal, sealContext(id)), state: 'enabled', stateReason: null,
      secrets: [{ sealed: deps.seal.seal(secret, sealContext(id)), createdAt: at, expiresAt: null }],
      clientCertificate: readClientCertificate(input.clientCertificate ?? null, id, url, null),
      lastAttempt: null, failingSince: null, parkedUntil: null, breaker: null, createdAt: at, updatedAt: at,
    };
  }

  function readClientCertificate(given: CertificateInput | null, id: string, url: string, before: StoredCertificate | null): StoredCertificate | null {
    if (given === null) return null;
    const read = url.startsWith('http:') ? { field: 'clientCertificate', message: 'A client certificate needs an https URL: without TLS nobody asks for it.' } : readCertificate(given, before, deps.seal, sealContext(id), now());
    if (!('field' in read)) return read;
    throw new AppError('invalid', ErrorCode.badRequest, `${read.field}: ${read.message}`, { fields: [read] });
  }

  async function change(endpoint: Endpoint, to: EndpointChange): Promise<Endpoint> {
    const changed = await deps.endpoints.change(endpoint.id, { ...to, updatedAt: now() });
    if (changed === null) throw noEndpoint();
    told(endpoint);
    return changed;
  }

  function told({ id, accountId }: Pick<Endpoint, 'id' | 'accountId'>): void {
    deps.targets.forget(id);
    deps.notifier.notify(`account:${accountId}:deliveries`);
  }

  async function remove(actor: Actor, id: string): Promise<void> {
    const endpoint = await own(actor, id);
    await deps.endpoints.remove(id);
    await deps.deliveries.cancelWaiting(id, 'The endpoint was removed.', now());
    told(endpoint);
  }

  /** The new secret signs at once; old ones sign too until their overlap ends. */
  function rotated(endpoint: Endpoint, secret: string, overlapMs = OVERLAP_MS): Endpoint['secrets'] {
    const at = now();
    const until = new Date(at.getTime() + overlapMs);
    const old = endpoint.secrets
      .filter(({ expiresAt }) => overlapMs > 0 && (expiresAt === null || expiresAt > at))
      .map((kept) => ({ ...kept, expiresAt: kept.expiresAt ?? until }));
    return [{ sealed: deps.seal.seal(secret, sealContext(endpoint.id)), createdAt: at, expiresAt: null }, ...old].slice(0, MAX_LIVE_SECRETS);
  }

  return {
    async list(actor: Actor): Promise<Endpoint[]> {
      return deps.endpoints.listByAccount(actor.accountId);
    },

    get: own,

    async exists(actor: Actor, id: string): Promise<boolean> {
      return (await deps.endpoints.find(id))?.accountId === actor.accountId;
    },

    /** The secrets that sign for this account's endpoints now; for checking what arrives in its inbox. */
    async secretsOf(accountId: string): Promise<{ endpoint: Endpoint; secrets: string[] }[]> {
      return (await deps.endpoints.listByAccount(accountId)).map((endpoint) => ({ endpoint, secrets: openSecrets(endpoint, deps.seal, now()) }));
    },

    /** @throws AppError `invalid` (url, events), `conflict` when there are too many */
    async create(actor: Actor, input: EndpointInput & { secret?: string | undefined }): Promise<Created> {
      const { secret = newSecret(), ...rest } = input;
      const events = requireEvents(rest);
      requireHeaders(rest.headers ?? []);
      requireTimedHeader(rest.timedHeader ?? null, rest.headers ?? []);
      requireSecret(secret);
      const url = await requireUrl(rest.url);
      const endpoint = build(actor, { ...rest, events, url }, secret, null);
      await insertWithinPlan(endpoint);
      told(endpoint);
      return { endpoint, secret };
    },

    /** @throws AppError `invalid`, `not-found` */
    async edit(actor: Actor, id: string, input: EndpointInput): Promise<Endpoint> {
      const endpoint = await own(actor, id);
      // What the API registered stays registered for its action.
      const fixed = endpoint.apiAction === null ? {} : { style: endpoint.style, events: endpoint.events };
      const events = endpoint.apiAction === null ? requireEvents(input) : endpoint.events;
      const url = input.url === endpoint.url ? endpoint.url : await requireUrl(input.url);
      const { name, style, headers, description = endpoint.description, timeoutS = endpoint.timeoutS, maxPerMinute = endpoint.maxPerMinute, ordered = endpoint.ordered, timedHeader = endpoint.timedHeader } = input;
      const sealed = headers === undefined ? endpoint.headers : sealHeaders(requireHeaders(headers), endpoint.headers, deps.seal, sealContext(id));
      requireTimedHeader(timedHeader, sealed);
      const before = endpoint.clientCertificate;
      const clientCertificate = input.clientCertificate === undefined ? before : readClientCertificate(input.clientCertificate, id, url, before);
      const changed = await change(endpoint, { name, description, clientCertificate, style, timeoutS, maxPerMinute, ordered, timedHeader, headers: sealed, ...fixed, events, url, breaker: unparked() });
      if (ordered && !endpoint.ordered) await deps.line.lineUp(id);
      if (!ordered && endpoint.ordered) await deps.line.dissolve(id);
      deps.worker.unpark(id);
      return changed;
    },

    /** A new secret; the old ones sign too for `overlapHours`, 0 to 168. */
    async rotate(actor: Actor, id: string, overlapHours = OVERLAP_MS / HOUR_MS): Promise<Created> {
      const endpoint = await own(actor, id);
      const secret = newSecret();
      return { endpoint: await change(endpoint, { secrets: rotated(endpoint, secret, overlapHours * HOUR_MS) }), secret };
    },

    /** Nothing is sent to a paused endpoint: what waits for it is cancelled, what happens meanwhile is recorded as skipped. */
    async pause(actor: Actor, id: string): Promise<void> {
      const endpoint = await own(actor, id);
      await change(endpoint, { state: 'paused', stateReason: null });
      await deps.deliveries.cancelWaiting(id, 'The endpoint was paused.', now());
    },

    async resume(actor: Actor, id: string): Promise<void> {
      const endpoint = await own(actor, id);
      await change(endpoint, { state: 'enabled', stateReason: null, failingSince: null, breaker: unparked() });
      deps.worker.unpark(id);
    },

    remove,

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
      told(endpoint);
    },

    /**
     * Ayrshare's registration: one URL per action and profile, a second call replaces the first. The secret is the profile's: another one
     * rotates it for all of its registered actions. @returns the secret only when Signpost made it
     */
    async register(actor: Actor, input: { action: string; url: string; secret?: string | undefined }): Promise<{ endpoint: Endpoint; madeSecret: string | null }> {
      const url = await requireUrl(input.url);
      const registered = (await deps.endpoints.listByProfiles([actor.profileId])).filter(({ apiAction }) => apiAction !== null);
      const shared = registered[0] === undefined ? null : (openSecrets(registered[0], deps.seal, now())[0] ?? null);
      const secret = input.secret ?? shared ?? newSecret();
      const there = registered.find(({ apiAction }) => apiAction === input.action);
      const endpoint = await write();
      for (const sibling of registered.filter(({ id }) => id !== endpoint.id)) await keepSecret(sibling, secret);
      return { endpoint, madeSecret: input.secret === undefined && shared === null ? secret : null };

      async function write(): Promise<Endpoint> {
        if (there !== undefined) return replace(there);
        const made = build(actor, { name: '', url, style: 'ayrshare', events: [input.action] }, secret, input.action);
        if (await insertWithinPlan(made)) {
          told(made);
          return made;
        }
        // Somebody registered it at the same moment: the later call replaces it.
        const other = await deps.endpoints.findByAction(actor.profileId, input.action);
        if (other === null) throw new AppError('conflict', ErrorCode.conflict, 'This webhook was just changed by somebody else. Try again.');
        return replace(other);
      }

      async function replace(endpoint: Endpoint): Promise<Endpoint> {
        await keepSecret(endpoint, secret);
        const changed = await change(endpoint, { url, state: 'enabled', stateReason: null, failingSince: null, breaker: unparked() });
        deps.worker.unpark(endpoint.id);
        return changed;
      }
    },

    async registered(actor: Actor): Promise<Endpoint[]> {
      return (await deps.endpoints.listByProfiles([actor.profileId])).filter(({ apiAction }) => apiAction !== null);
    },

    /** @throws AppError `not-found` when the profile has no webhook for this action */
    async unregister(actor: Actor, action: string): Promise<void> {
      const endpoint = await deps.endpoints.findByAction(actor.profileId, action);
      if (endpoint === null) throw new AppError('not-found', ErrorCode.notFound, `action: no webhook is registered for ${action}.`, { fields: [{ field: 'action', message: `No webhook is registered for ${action}.`, code: ErrorCode.notFound }] });
      await remove(actor, endpoint.id);
    },
  };

  async function keepSecret(endpoint: Endpoint, secret: string): Promise<void> {
    if (openSecrets(endpoint, deps.seal, now())[0] === secret) return;
    await change(endpoint, { secrets: rotated(endpoint, secret) });
  }
}

function noEndpoint(): AppError {
  return new AppError('not-found', ErrorCode.notFound, 'There is no such endpoint. It may have been removed.');
}
