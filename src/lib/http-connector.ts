/** Opens the HTTP client's connections: asks the guard what may be dialled, and remembers each socket's story. */
import { isIP, type LookupFunction, type Socket } from 'node:net';
import { buildConnector } from 'undici';

/** Decides which addresses may be dialled; `address-guard.ts` makes one. */
export interface ConnectionGuard {
  /** @returns null when this IP address may be dialled, else plain words why not. */
  refusal(address: string): string | null;
  /** Resolves a name; refuses it when any of its addresses may not be dialled. */
  lookup: LookupFunction;
}

/** A connection that the guard refused; nothing was sent. Recognised by its code. */
export const BLOCKED_ADDRESS = 'ERR_BLOCKED_ADDRESS';

export function blockedAddress(reason: string): NodeJS.ErrnoException {
  return Object.assign(new Error(reason), { code: BLOCKED_ADDRESS });
}

interface Phases {
  dnsMs: number | null;
  connectMs: number | null;
  tlsMs: number | null;
}

interface Story extends Phases {
  /** What was dialled last: a name may have several addresses, which are tried one after the other. */
  dialled: string | null;
  requests: number;
}

const stories = new WeakMap<Socket, Story>();
const failures = new WeakMap<Error, Story>();

/** How far a connection came that was never made; null when this is no such failure, but one of a connection that stood. */
export function connectStory(error: unknown): ({ remoteAddress: string | null } & Phases) | null {
  const story = error instanceof Error ? failures.get(error) : undefined;
  return story === undefined ? null : { remoteAddress: story.dialled, dnsMs: story.dnsMs, connectMs: story.connectMs, tlsMs: story.tlsMs };
}

/** To be asked once per request, when it goes to the socket. Connection times belong to the first request that a socket carries. */
export function socketStory(socket: Socket): { remoteAddress: string | null; reused: boolean } & Phases {
  const story = stories.get(socket);
  const remoteAddress = socket.remoteAddress ?? null;
  if (story === undefined) return { remoteAddress, reused: false, dnsMs: null, connectMs: null, tlsMs: null };
  story.requests += 1;
  if (story.requests > 1) return { remoteAddress, reused: true, dnsMs: null, connectMs: null, tlsMs: null };
  return { remoteAddress, reused: false, dnsMs: story.dnsMs, connectMs: story.connectMs, tlsMs: story.tlsMs };
}

/** What a connection shows of itself in TLS, and whom it trusts; PEM. */
export interface TlsIdentity {
  certificate?: string;
  key?: string;
  /** In place of the usual authorities. */
  ca?: readonly string[];
}

/**
 * @param guard null: every address may be dialled
 * @param connectTimeoutMs for TCP and TLS together
 */
export function createConnector(guard: ConnectionGuard | null, connectTimeoutMs: number, { certificate, key, ca }: TlsIdentity = {}): buildConnector.connector {
  // A custom lookup is never called for a literal address, so literals are judged here.
  const tls = { ...(certificate === undefined ? {} : { cert: certificate }), ...(key === undefined ? {} : { key }), ...(ca === undefined ? {} : { ca: [...ca] }) };
  const connect = buildConnector({ timeout: connectTimeoutMs, ...(guard === null ? {} : { lookup: guard.lookup }), ...tls });
  return (options, callback) => {
    const host = options.hostname.replace(/^\[|\]$/g, '');
    const story: Story = { dialled: null, dnsMs: null, connectMs: null, tlsMs: null, requests: 0 };
    const fail = (error: Error) => {
      failures.set(error, story);
      callback(error, null);
    };
    const refused = guard !== null && isIP(host) !== 0 ? guard.refusal(host) : null;
    if (refused !== null) {
      queueMicrotask(() => fail(blockedAddress(refused)));
      return;
    }
    // At run time the connector returns the socket before it is connected; its types don't say so.
    const early = connect(options, (error, socket) => {
      if (error !== null) return fail(error);
      // The lookup decided already; this holds even if it should have a gap.
      const reason = guard?.refusal(socket.remoteAddress ?? '') ?? null;
      if (reason !== null) {
        socket.destroy();
        return fail(blockedAddress(reason));
      }
      stories.set(socket, story);
      callback(null, socket);
    }) as unknown as Socket | undefined;
    if (early !== undefined) timePhases(early, story);
  };
}

function timePhases(socket: Socket, story: Story): void {
  let last = performance.now();
  const lap = () => {
    const now = performance.now();
    const took = now - last;
    last = now;
    return took;
  };
  socket.on('connectionAttempt', (address: string) => (story.dialled = address));
  // Before undici's own listeners, which send the first request in the same tick.
  socket.prependOnceListener('lookup', () => (story.dnsMs = lap()));
  socket.prependOnceListener('connect', () => (story.connectMs = lap()));
  socket.prependOnceListener('secureConnect', () => (story.tlsMs = lap()));
}
