/** Tells a developer why a webhook's signature doesn't match: tries the usual mistakes one by one. */
import { createHmac } from 'node:crypto';
import { standardSignature } from './signing.js';
import { verifyAyrshare, verifyStandard, verifyTimed, type Verdict } from './verify.js';

export interface Diagnosis {
  standardWebhooks: Verdict;
  ayrshare: Verdict;
  /** The signature in Stripe's style. */
  timed: Verdict;
  /** Plain words: what is wrong and what to do, most likely first. Empty when everything is right. */
  findings: string[];
}

/** An endpoint of the same account, with what signs for it and what did until its overlap ended. */
export interface KnownSigner {
  name: string;
  secrets: readonly string[];
  ended: readonly string[];
}

const TOLERANCE_S = 300;
const A_YEAR_MS = 365 * 24 * 3_600_000;

/**
 * @param secrets the receiver's one, or all that may have signed
 * @param signers the account's endpoints: one of them may have signed in place of the one that is meant
 */
export function diagnose(headers: Record<string, string>, body: string, secrets: readonly string[], now: Date, signers: readonly KnownSigner[] = []): Diagnosis {
  const raw = Buffer.from(body);
  const standardWebhooks = verifyStandard(headers, raw, secrets);
  const ayrshare = verifyAyrshare(headers, raw, secrets);
  const timed = verifyTimed(headers, raw, secrets);
  const isVerified = [standardWebhooks, ayrshare, timed].includes('verified');
  const findings = [...(isVerified ? [] : whyNot(headers, body, secrets, signers)), ...whyOld(headers, now)];
  return { standardWebhooks, ayrshare, timed, findings };
}

function whyNot(headers: Record<string, string>, body: string, secrets: readonly string[], signers: readonly KnownSigner[]): string[] {
  const signed = headers['webhook-signature'] !== undefined || headers['x-authorization-content-sha256'] !== undefined || verifyTimed(headers, Buffer.alloc(0), []) !== null;
  if (!signed) return ['The request has no signature headers. Look for webhook-signature or X-Authorization-Content-SHA256; a proxy or framework in between may drop them.'];
  if (secrets.length === 0) return ['There is no secret to check with. Give the one that was shown when the endpoint was made.'];
  if (body === '') return ['The body is empty, and webhooks never are: something in between read it already. Take the raw bytes before any parser does.'];
  const found = changedBody(headers, body, secrets) ?? misusedSecret(headers, body, secrets) ?? otherSecret(headers, body, secrets, signers) ?? misreadSignature(headers, body, secrets);
  if (found !== null) return [found];
  const missing = ['webhook-id', 'webhook-timestamp'].filter((name) => headers['webhook-signature'] !== undefined && headers[name] === undefined);
  if (missing.length > 0) return [`The header ${missing.join(' and ')} is missing: it is part of what webhook-signature signs.`];
  return ['The signature fits neither this body nor this secret. Check that the secret is the one of this endpoint, and that the body is exactly what was received, before any parsing.'];
}

/** Parsing and writing JSON again, trimming or adding a line break all change the bytes that were signed. */
function changedBody(headers: Record<string, string>, body: string, secrets: readonly string[]): string | null {
  for (const [candidate, what] of [[body.trim(), 'white space was added around it'], [`${body}\n`, 'the line break at its end was removed'], [compact(body), 'it was parsed and written again']] as const) {
    if (candidate === body || candidate === null) continue;
    if (isSignedBy(headers, candidate, secrets)) {
      return `The secret is right, but the body is not what was sent: ${what}. Check the raw bytes of the request, before any JSON parser touches them.`;
    }
  }
  return null;
}

function misusedSecret(headers: Record<string, string>, body: string, secrets: readonly string[]): string | null {
  const raw = Buffer.from(body);
  for (const secret of secrets) {
    const trimmed = secret.trim();
    if (trimmed !== secret && verifyStandard(headers, raw, [trimmed]) === 'verified') return 'The secret has white space around it. Remove it.';
    const prefixed = `whsec_${secret}`;
    if (!secret.startsWith('whsec_') && verifyStandard(headers, raw, [prefixed]) === 'verified') return 'The secret lacks its beginning whsec_. Standard Webhooks libraries want all of it.';
    const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': given = '' } = headers;
    if (id !== undefined && timestamp !== undefined) {
      const keyedByText = `v1,${createHmac('sha256', secret).update(`${id}.${timestamp}.`).update(raw).digest('base64')}`;
      if (given.split(' ').includes(keyedByText) && keyedByText !== standardSignature(secret, id, timestamp, raw)) return 'It was signed with the text of the secret as the key. For Standard Webhooks the key is what base64 decoding gives, without whsec_.';
    }
  }
  return null;
}

function isSignedBy(headers: Record<string, string>, body: string, secrets: readonly string[]): boolean {
  const raw = Buffer.from(body);
  return [verifyStandard, verifyAyrshare, verifyTimed].some((verify) => verify(headers, raw, secrets) === 'verified');
}

function otherSecret(headers: Record<string, string>, body: string, secrets: readonly string[], signers: readonly KnownSigner[]): string | null {
  const signer = signers.find((one) => isSignedBy(headers, body, one.secrets));
  if (signer === undefined) return null;
  if (signer.ended.some((secret) => secrets.includes(secret))) return `This secret of the endpoint ${signer.name} was changed, and the time in which the old one signed too is over. Use the new one.`;
  return `It was signed for the endpoint ${signer.name}, with its secret and not with this one.`;
}

/** The header lost its form on the way, or the receiver's own code made it. */
function misreadSignature(headers: Record<string, string>, body: string, secrets: readonly string[]): string | null {
  const { 'webhook-signature': given } = headers;
  if (given === undefined) return null;
  const withVersion = { ...headers, 'webhook-signature': `v1,${given}` };
  if (isSignedBy(withVersion, body, secrets)) return 'webhook-signature lacks its beginning v1,: pass the header on as it was received.';
  const inBase64 = given.split(' ').map((token) => `v1,${Buffer.from(token.replace(/^v1,/, ''), 'hex').toString('base64')}`).join(' ');
  if (isSignedBy({ ...headers, 'webhook-signature': inBase64 }, body, secrets)) return 'The signature is written in hex. webhook-signature is base64.';
  return null;
}

function whyOld(headers: Record<string, string>, now: Date): string[] {
  const timestamp = Number(headers['webhook-timestamp'] ?? headers['x-authorization-timestamp']);
  if (Number.isNaN(timestamp)) return [];
  if (Math.abs(now.getTime() - timestamp) <= A_YEAR_MS) return ['The timestamp is in milliseconds. Signpost sends seconds: pass the header on as it was received.'];
  const offS = Math.round(now.getTime() / 1_000 - timestamp);
  if (Math.abs(offS) <= TOLERANCE_S) return [];
  const when = offS > 0 ? `${offS} seconds ago` : `${-offS} seconds in the future`;
  return [`The timestamp is ${when}: libraries refuse more than ${TOLERANCE_S} seconds. That is normal when you check an old request; else set your server's clock.`];
}

function compact(body: string): string | null {
  try {
    return JSON.stringify(JSON.parse(body));
  } catch {
    return null;
  }
}
