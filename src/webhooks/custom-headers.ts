/** Headers of the user's own that go out with every delivery of an endpoint, e.g. a static key of the receiver. */
import type { Seal } from '../lib/seal.js';

export interface CustomHeader {
  name: string;
  sealed: string;
}

/** What a page shows in place of a stored value; sent back unchanged it keeps the value. */
export const MASK = '••••••••';
export const MAX_HEADERS = 10;
const MAX_VALUE = 4_096;

/** Those that Signpost or the connection itself sets, and those that receivers and clouds trust. */
const FORBIDDEN = new Set([
  'host', 'connection', 'transfer-encoding', 'te', 'trailer', 'upgrade', 'keep-alive', 'expect', 'user-agent', 'date', 'via', 'cookie', 'set-cookie', 'origin', 'forwarded', 'http2-settings',
  'accept-encoding', 'x-authorization-timestamp', 'x-authorization-content-sha256', 'x-authorization-content-sha256-v2',
]);
const FORBIDDEN_PREFIX = /^(content-|proxy-|webhook-|svix-|x-signpost-|x-ayrshare-|x-amz-|x-goog-|x-ms-|x-forwarded-|sec-)/;

export interface HeaderInput {
  name: string;
  value: string;
}

/** One header per line, `Name: value`. @returns the headers, or what is wrong with them */
export function parseHeaders(text: string): HeaderInput[] | string {
  const lines = text.split(/\r\n|\r|\n/).map((line) => line.trim()).filter((line) => line !== '');
  const headers: HeaderInput[] = [];
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon < 1) return `"${line.slice(0, 60)}" is not a header. Write one per line, as Name: value.`;
    headers.push({ name: line.slice(0, colon).trim(), value: line.slice(colon + 1).trim() });
  }
  return headersProblem(headers) ?? headers;
}

export function headersProblem(headers: readonly HeaderInput[]): string | null {
  if (headers.length > MAX_HEADERS) return `There are at most ${MAX_HEADERS} headers.`;
  const seen = new Set<string>();
  for (const { name, value } of headers) {
    const lower = name.toLowerCase();
    const problem = nameProblem(name);
    if (problem !== null) return problem;
    if (seen.has(lower)) return `The header ${name} is there twice.`;
    if (value === '' || value.length > MAX_VALUE || (value !== MASK && !/^[\x20-\x7e]*$/.test(value))) return `The value of ${name} must be plain text of 1 to ${MAX_VALUE} characters.`;
    seen.add(lower);
  }
  return null;
}

/** The Stripe-style signature unless its owner names it otherwise. */
export const TIMED_HEADER = 'Signpost-Signature';

/** @returns what is wrong with this name for the header of the Stripe-style signature; null when it can be used beside these headers */
export function timedHeaderProblem(name: string, headers: readonly { name: string }[]): string | null {
  const problem = nameProblem(name);
  if (problem !== null) return problem;
  return headers.some((header) => header.name.toLowerCase() === name.toLowerCase()) ? `The header ${name} is among your own headers already.` : null;
}

function nameProblem(name: string): string | null {
  const lower = name.toLowerCase();
  if (!/^[a-z0-9!#$%&'*+.^_`|~-]{1,100}$/.test(lower)) return `"${name.slice(0, 60)}" is not the name of a header. Use letters, digits and hyphens.`;
  if (FORBIDDEN.has(lower) || FORBIDDEN_PREFIX.test(lower)) return `The header ${name} can't be set: Signpost or the connection sets it, or receivers trust it.`;
  return null;
}

/** The stored headers after a change; a masked value keeps what was stored. */
export function sealHeaders(headers: readonly HeaderInput[], before: readonly CustomHeader[], seal: Seal, context: string): CustomHeader[] {
  return headers.flatMap(({ name, value }) => {
    if (value !== MASK) return [{ name, sealed: seal.seal(value, context) }];
    const kept = before.find((header) => header.name.toLowerCase() === name.toLowerCase());
    return kept === undefined ? [] : [{ name, sealed: kept.sealed }];
  });
}

export function openHeaders(headers: readonly CustomHeader[], seal: Pick<Seal, 'unseal'>, context: string): Record<string, string> {
  return Object.fromEntries(headers.map(({ name, sealed }) => [name.toLowerCase(), seal.unseal(sealed, context)]));
}

/** As lines for a form, values masked. */
export function maskedLines(headers: readonly Pick<CustomHeader, 'name'>[]): string {
  return headers.map(({ name }) => `${name}: ${MASK}`).join('\n');
}
