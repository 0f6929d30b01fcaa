/** Checks a received webhook's signatures as a receiver would, from their documentation alone and without the code that signs. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** How old or new a timestamp may be. */
const TOLERANCE_S = 300;

/**
 * @param request exact bytes and headers as they came
 * @param secret the endpoint's secret: a text of one's own, or `whsec_` and base64
 * @returns what is wrong, in plain words; empty when both signatures hold
 */
export function checkSignatures(request: { raw: Buffer; headers: IncomingHttpHeaders }, secret: string, now: Date = new Date()): string[] {
  const header = (name: string): string => String(request.headers[name] ?? '');
  const problems: string[] = [];

  const hex = createHmac('sha256', secret).update(request.raw).digest('hex');
  if (!same(header('x-authorization-content-sha256'), hex)) problems.push('X-Authorization-Content-SHA256 is not the HMAC of the body');
  if (!isRecent(header('x-authorization-timestamp'), now)) problems.push('X-Authorization-Timestamp is missing or not recent');

  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice('whsec_'.length), 'base64') : Buffer.from(secret, 'utf8');
  const signed = `${header('webhook-id')}.${header('webhook-timestamp')}.`;
  const standard = `v1,${createHmac('sha256', key).update(signed).update(request.raw).digest('base64')}`;
  if (!header('webhook-signature').split(' ').some((signature) => same(signature, standard))) problems.push('webhook-signature is not the HMAC of id, timestamp and body');
  if (!isRecent(header('webhook-timestamp'), now)) problems.push('webhook-timestamp is missing or not recent');
  return problems;
}

function isRecent(text: string, now: Date): boolean {
  return /^\d+$/.test(text) && Math.abs(Number(text) - now.getTime() / 1000) <= TOLERANCE_S;
}

function same(given: string, wanted: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(wanted)];
  return a.length === b.length && timingSafeEqual(a, b);
}
