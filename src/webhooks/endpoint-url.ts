/** The rules for a URL that users give for webhooks. Friendly and early; what is really dialled is judged again at the connection. */
import { isIP } from 'node:net';
import type { AddressGuard } from '../lib/address-guard.js';
import { BLOCKED_ADDRESS } from '../lib/http-connector.js';

export interface UrlPolicy {
  guard: AddressGuard;
  /** Signpost can be reached from this machine alone, so it may call this machine. */
  loopbackOnly: boolean;
  /** False: https only (loopback excepted). */
  allowHttp: boolean;
  /** Signpost's own address as users see it. */
  publicUrl(): string;
  /** And as this machine does. */
  localUrl(): string;
}

export const MAX_URL_LENGTH = 2_048;
/** Below 1024 only the web's own ports; above, not the ports where databases and the like listen. */
const RISKY_PORTS = new Set([1433, 1521, 2049, 2375, 2376, 2379, 3306, 3389, 5432, 5672, 5900, 5984, 6000, 6379, 6443, 6667, 8086, 9042, 9200, 9300, 10250, 11211, 27017, 27018]);
/** They lead to keys of the machine, whatever ranges are open. */
const METADATA_NAME = /^(metadata|instance-data)(\.goog|(\.[a-z0-9-]+)*\.internal)?$/;
const RESOLVE_TIMEOUT_MS = 1_500;

/** @returns null when the URL can be called, else plain words: which rule it breaks, what to do */
export async function urlProblem(text: string, policy: UrlPolicy): Promise<string | null> {
  const written = writtenProblem(text, policy);
  if (written !== null) return written;
  const url = new URL(text);
  return isOwnInbox(text, policy.publicUrl()) ? null : resolvedProblem(bareHost(url), policy.guard);
}

/** The rules that need no look-up. */
export function writtenProblem(text: string, policy: UrlPolicy): string | null {
  if (text === '') return 'Enter the URL that webhooks are sent to.';
  if (text.length > MAX_URL_LENGTH) return `A webhook URL has at most ${MAX_URL_LENGTH} characters.`;
  if (/[\s\p{Cc}]/u.test(text)) return 'A webhook URL must not contain spaces or line breaks.';
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:\/\//i.test(text)) return 'This is not a web address. Use one such as https://example.com/webhooks.';
  if (text.includes('\\')) return 'A webhook URL must not contain a backslash; programs read it in different ways.';
  if (url.username !== '' || url.password !== '' || /^https?:\/\/[^/?#]*@/i.test(text)) return 'A webhook URL must not contain a user name or password.';
  if (text.includes('#')) return 'A webhook URL must not contain a fragment (the part after #); it is never sent.';
  if (isOwnInbox(text, policy.publicUrl())) return null;
  const own = ownProblem(url, policy);
  if (own !== null) return own;
  return hostProblem(url, policy) ?? schemeProblem(url, policy) ?? portProblem(url);
}

/** A webhook that calls Signpost's own API could call itself for ever. */
function ownProblem(url: URL, policy: UrlPolicy): string | null {
  const itself = "This is Signpost's own address. Only your inbox can be called there.";
  const host = bareHost(url);
  const known = new URL(policy.publicUrl());
  if (isLoopback(host)) return portOf(url) === portOf(new URL(policy.localUrl())) || (isLoopback(bareHost(known)) && portOf(url) === portOf(known)) ? itself : null;
  if (host !== bareHost(known)) return null;
  if (portOf(url) === portOf(known)) return itself;
  // On a machine of one's own other programs share the name; whoever opened ranges has said so.
  return policy.guard.allowsNames ? null : "This is Signpost's own host name. Use another host, or ask the operator to open its range with WEBHOOK_ALLOW_CIDRS.";
}

function portOf(url: URL): string {
  return url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
}

function hostProblem(url: URL, policy: UrlPolicy): string | null {
  const host = bareHost(url);
  if (isIP(host) !== 0) return policy.guard.refusal(host);
  if (METADATA_NAME.test(host)) return `${host} is a name of a cloud's metadata service; it can't be called.`;
  if (isLoopbackName(host)) {
    return policy.loopbackOnly ? null : 'This is an address of the machine itself (loopback). It is allowed only while Signpost can be reached from this machine alone; use a public address.';
  }
  if (!host.includes('.') || /\.(local|internal|lan|home|corp|onion|home\.arpa)$/.test(host)) {
    return policy.guard.allowsNames ? null : `${host} is a name of a private network. Use a public address, or ask the operator to open its range with WEBHOOK_ALLOW_CIDRS.`;
  }
  return null;
}

/** Asked again at every attempt: the operator may have changed the setting since the URL was given. */
export function schemeProblem(url: URL, policy: Pick<UrlPolicy, 'loopbackOnly' | 'allowHttp'>): string | null {
  if (url.protocol === 'https:' || policy.allowHttp || (policy.loopbackOnly && isLoopback(bareHost(url)))) return null;
  return 'Use https: webhooks carry your posts, and plain http can be read on the way. The operator can allow http with WEBHOOK_ALLOW_HTTP=true.';
}

function portProblem(url: URL): string | null {
  if (url.port === '') return null;
  const port = Number(url.port);
  const fine = port === 80 || port === 443 || (port >= 1024 && !RISKY_PORTS.has(port));
  return fine ? null : `Port ${port} is not used for webhooks. Use 443, 80, or a port from 1024 on that no database or system service uses.`;
}

/** A name that leads nowhere yet is accepted: DNS may follow, and the delivery log says so if it doesn't. */
async function resolvedProblem(host: string, guard: AddressGuard): Promise<string | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), RESOLVE_TIMEOUT_MS);
  });
  const judged = guard.resolve(host).then(() => null, (error: NodeJS.ErrnoException) => (error.code === BLOCKED_ADDRESS ? error.message : null));
  try {
    return await Promise.race([judged, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Is this the URL of an inbox that this Signpost serves? */
export function isOwnInbox(text: string, publicUrl: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  return url.origin === new URL(publicUrl).origin && url.search === '' && /^\/inbox\/[A-Za-z0-9_-]{20,64}$/.test(url.pathname);
}

function bareHost(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '').toLowerCase();
}

/** Written as a name or as an address; the URL parser has brought every notation of an address into one. */
function isLoopback(host: string): boolean {
  return isLoopbackName(host) || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

function isLoopbackName(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost');
}
