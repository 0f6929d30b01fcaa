/** Makes an endpoint of what its owner gives: what is secret is sealed, the rest has its defaults. */
import type { Actor } from '../lib/actor.js';
import { AppError, ErrorCode } from '../lib/app-error.js';
import { newId } from '../lib/ids.js';
import type { Seal } from '../lib/seal.js';
import { readCertificate, type CertificateInput, type StoredCertificate } from './client-certificate.js';
import { sealHeaders, type HeaderInput } from './custom-headers.js';
import { sealContext, TIMEOUT_S, type Endpoint } from './endpoint.js';
import type { PayloadStyle } from './payload.js';

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

const MAX_LIVE_SECRETS = 3;

/** @throws AppError `invalid` when the client certificate can't be used */
export function buildEndpoint(actor: Actor, input: EndpointInput, secret: string, apiAction: string | null, at: Date, seal: Seal): Endpoint {
  const id = newId('end', at);
  const { name, url, style, events, headers = [], description = '', timeoutS = TIMEOUT_S.default, maxPerMinute = null, ordered = false, timedHeader = null } = input;
  return {
    id, accountId: actor.accountId, profileId: actor.profileId, name, description, url, style, events, apiAction, timeoutS, maxPerMinute, ordered, timedHeader, recovery: null,
    headers: sealHeaders(headers, [], seal, sealContext(id)), state: 'enabled', stateReason: null,
    secrets: [{ sealed: seal.seal(secret, sealContext(id)), createdAt: at, expiresAt: null }],
    clientCertificate: requireClientCertificate(input.clientCertificate ?? null, { id, url, clientCertificate: null }, at, seal),
    lastAttempt: null, failingSince: null, parkedUntil: null, breaker: null, createdAt: at, updatedAt: at,
  };
}

/** @param endpoint as it will be, with the certificate that it had @throws AppError `invalid` (clientCertificate...) */
export function requireClientCertificate(given: CertificateInput | null, endpoint: Pick<Endpoint, 'id' | 'url' | 'clientCertificate'>, at: Date, seal: Seal): StoredCertificate | null {
  if (given === null) return null;
  const read = endpoint.url.startsWith('http:')
    ? { field: 'clientCertificate', message: 'A client certificate needs an https URL: without TLS nobody asks for it.' }
    : readCertificate(given, endpoint.clientCertificate, seal, sealContext(endpoint.id), at);
  if (!('field' in read)) return read;
  throw new AppError('invalid', ErrorCode.badRequest, `${read.field}: ${read.message}`, { fields: [read] });
}

/** The new secret signs at once; old ones sign too until their overlap ends. */
export function rotatedSecrets(endpoint: Pick<Endpoint, 'id' | 'secrets'>, secret: string, overlapMs: number, at: Date, seal: Seal): Endpoint['secrets'] {
  const until = new Date(at.getTime() + overlapMs);
  const old = endpoint.secrets
    .filter(({ expiresAt }) => overlapMs > 0 && (expiresAt === null || expiresAt > at))
    .map((kept) => ({ ...kept, expiresAt: kept.expiresAt ?? until }));
  return [{ sealed: seal.seal(secret, sealContext(endpoint.id)), createdAt: at, expiresAt: null }, ...old].slice(0, MAX_LIVE_SECRETS);
}
