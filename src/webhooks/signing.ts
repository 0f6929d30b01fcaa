/** Signs a delivery over the bytes that are sent: Standard Webhooks' headers, Ayrshare's, and on request one in Stripe's style. */
import { createHmac, randomBytes } from 'node:crypto';

const PREFIX = 'whsec_';
/** Standard Webhooks asks for 24 to 64 bytes; 48 have no padding in base64, which some libraries trip over. */
const NEW_SECRET_BYTES = 48;

export function newSecret(): string {
  return PREFIX + randomBytes(NEW_SECRET_BYTES).toString('base64');
}

/**
 * The key for Standard Webhooks. `whsec_...` means base64 of the key, as the specification says. Any other text is a
 * key of its own: its UTF-8 bytes.
 */
export function standardKey(secret: string): Buffer {
  return secret.startsWith(PREFIX) ? Buffer.from(secret.slice(PREFIX.length), 'base64') : Buffer.from(secret, 'utf8');
}

/** The same key in the form that Standard Webhooks libraries take. */
export function standardForm(secret: string): string {
  return secret.startsWith(PREFIX) ? secret : PREFIX + Buffer.from(secret, 'utf8').toString('base64');
}

/** @returns null when the text can be a secret, else what is wrong with it */
export function secretProblem(secret: string): string | null {
  if (secret.length === 0 || secret.length > 256) return 'A secret has 1 to 256 characters.';
  if (/\p{Cc}/u.test(secret)) return 'A secret must not contain line breaks or other control characters.';
  if (!secret.startsWith(PREFIX)) return null;
  const encoded = secret.slice(PREFIX.length);
  const key = Buffer.from(encoded, 'base64');
  const wellFormed = key.toString('base64').replace(/=+$/, '') === encoded.replace(/=+$/, '');
  if (!wellFormed || key.length < 24 || key.length > 64) return 'A secret that starts with whsec_ goes on with 24 to 64 bytes in base64. Leave it empty and Signpost makes one.';
  return null;
}

export interface ToSign {
  body: Buffer;
  /** `webhook-id`: the same on every attempt and resend. */
  id: string;
  /** Unix seconds of this attempt. */
  timestamp: number;
  /** In plain text, the current one first; old ones while a rotation overlaps. */
  secrets: readonly string[];
  deliveryId: string;
  /** Number of this attempt, from 1. */
  attempt: number;
  /** Name of the extra header in Stripe's style, if it is wanted. */
  timedHeader?: string | null;
}

export function signatureHeaders({ body, id, timestamp, secrets, deliveryId, attempt, timedHeader = null }: ToSign): Record<string, string> {
  const bodyDigests = secrets.map((secret) => createHmac('sha256', secret).update(body).digest('hex'));
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': secrets.map((secret) => standardSignature(secret, id, timestamp, body)).join(' '),
    'x-authorization-timestamp': String(timestamp),
    'x-authorization-content-sha256': bodyDigests[0] ?? '',
    'x-authorization-content-sha256-v2': bodyDigests.map((digest) => `v1=${digest}`).join(','),
    'x-ayrshare-delivery-id': deliveryId,
    'x-ayrshare-delivery-attempt': String(attempt),
    ...(timedHeader === null ? {} : { [timedHeader.toLowerCase()]: timedSignature(secrets, timestamp, body) }),
  };
}

/** `t=<unix seconds>,v1=<hex>[,v1=<hex>]` over `t.body`, as Stripe's libraries check it: the key is the whole text of the secret, `whsec_` included. */
export function timedSignature(secrets: readonly string[], timestamp: number, body: Buffer): string {
  return [`t=${timestamp}`, ...secrets.map((secret) => `v1=${timedDigest(secret, timestamp, body)}`)].join(',');
}

export function timedDigest(secret: string, timestamp: number | string, body: Buffer): string {
  return createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest('hex');
}

export function standardSignature(secret: string, id: string, timestamp: number | string, body: Buffer): string {
  return `v1,${createHmac('sha256', standardKey(secret)).update(`${id}.${timestamp}.`).update(body).digest('base64')}`;
}
