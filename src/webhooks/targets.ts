/** Endpoints as the sender needs them, secrets opened; kept for a second, so that a busy endpoint is not read anew for every delivery. */
import type { Clock } from '../lib/clock.js';
import type { Seal } from '../lib/seal.js';
import { openCertificate } from './client-certificate.js';
import { openHeaders } from './custom-headers.js';
import type { Target } from './delivery-sender.js';
import { sealContext, type Endpoint } from './endpoint.js';
import type { EndpointStore } from './endpoint-store.js';

export interface LoadedTarget {
  endpoint: Endpoint;
  target: Target;
}

export interface Targets {
  /** @returns null when the endpoint was removed */
  get(endpointId: string): Promise<LoadedTarget | null>;
  /** The endpoints of these profiles, read now; what is about to be sent to them need not read them again. */
  listByProfiles(profileIds: string[]): Promise<Endpoint[]>;
  /** It changed in this process: read it anew. Other processes learn of it within `KEEP_MS`. */
  forget(endpointId: string): void;
}

const KEEP_MS = 1_000;

export function createTargets({ endpoints, seal, clock }: { endpoints: EndpointStore; seal: Seal; clock: Clock }): Targets {
  const kept = new Map<string, { until: number; loaded: Promise<LoadedTarget | null> }>();
  const unsealed = rememberUnsealed(seal);
  let wanted = new Set<string>();
  let changes = 0;
  let reading: Promise<Map<string, Endpoint>> | null = null;

  /** Look-ups of the same turn travel together. */
  function read(endpointId: string): Promise<Endpoint | undefined> {
    wanted.add(endpointId);
    reading ??= Promise.resolve().then(async () => {
      const ids = [...wanted];
      wanted = new Set();
      reading = null;
      return new Map((await endpoints.findMany(ids)).map((endpoint) => [endpoint.id, endpoint]));
    });
    return reading.then((found) => found.get(endpointId));
  }

  function open(endpoint: Endpoint): LoadedTarget {
    return { endpoint, target: openTarget(endpoint, unsealed, clock.now()) };
  }

  function forgetOld(now: number): void {
    for (const [id, { until }] of kept) if (until <= now) kept.delete(id);
  }

  function keep(endpointId: string, loaded: Promise<LoadedTarget | null>, now: number): Promise<LoadedTarget | null> {
    if (kept.size > 1_000) forgetOld(now);
    kept.set(endpointId, { until: now + KEEP_MS, loaded });
    void loaded.catch(() => kept.delete(endpointId));
    return loaded;
  }

  return {
    get(endpointId) {
      const now = clock.now().getTime();
      const there = kept.get(endpointId);
      if (there !== undefined && there.until > now) return there.loaded;
      return keep(endpointId, read(endpointId).then((endpoint) => (endpoint === undefined ? null : open(endpoint))), now);
    },
    async listByProfiles(profileIds) {
      const before = changes;
      const found = await endpoints.listByProfiles(profileIds);
      const now = clock.now().getTime();
      const unknown = found.filter(({ id }) => (kept.get(id)?.until ?? 0) <= now);
      // One that was changed while it was read may be the old one.
      if (changes === before) for (const endpoint of unknown) void keep(endpoint.id, Promise.resolve().then(() => open(endpoint)), now);
      return found;
    },
    forget(endpointId) {
      changes += 1;
      kept.delete(endpointId);
    },
  };
}

/** A busy endpoint is read every second, and its secrets are the same for months. */
function rememberUnsealed(seal: Seal): Pick<Seal, 'unseal'> {
  const plain = new Map<string, string>();
  return {
    unseal(sealed, context) {
      const key = `${context} ${sealed}`;
      const there = plain.get(key);
      if (there !== undefined) return there;
      const opened = seal.unseal(sealed, context);
      if (plain.size > 1_000) plain.clear();
      plain.set(key, opened);
      return opened;
    },
  };
}

function openTarget(endpoint: Endpoint, seal: Pick<Seal, 'unseal'>, now: Date): Target {
  return {
    url: endpoint.url,
    secrets: openSecrets(endpoint, seal, now),
    headers: openHeaders(endpoint.headers, seal, sealContext(endpoint.id)),
    timeoutMs: endpoint.timeoutS * 1_000,
    timedHeader: endpoint.timedHeader,
    clientCertificate: endpoint.clientCertificate === null ? null : openCertificate(endpoint.clientCertificate, seal, sealContext(endpoint.id)),
  };
}

/** The secrets that sign now, the current one first. */
export function openSecrets(endpoint: Endpoint, seal: Pick<Seal, 'unseal'>, now: Date): string[] {
  return endpoint.secrets.filter(({ expiresAt }) => expiresAt === null || expiresAt > now).map(({ sealed }) => seal.unseal(sealed, sealContext(endpoint.id)));
}
