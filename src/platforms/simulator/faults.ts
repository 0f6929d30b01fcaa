/** Faults on demand: asked for by a marker in a post's text, or by rules set through the control API; seeded, so a run repeats. */
import { createHash, randomBytes } from 'node:crypto';
import type { Act, SimulatedNetwork } from './network.js';
import type { World } from './world.js';

/** Each fault and what it does; the control API and the documentation list these. */
export const faultKinds = {
  'timeout-after-accept': 'accepts the request, then never answers',
  'error-after-accept': 'accepts the request, then answers with a server error',
  'reset-after-accept': 'accepts the request, then cuts the connection',
  'html-after-accept': 'accepts the request, then answers with an HTML page',
  'reset-before-accept': 'cuts the connection without doing anything',
  'server-error': 'answers with a server error and does nothing',
  'html-error': 'answers with an HTML error page and does nothing',
  slow: 'does what was asked after a wait; `ms` sets it (default 3000)',
  'rate-limited': 'answers 429; `after` sets Retry-After in seconds, `after=none` leaves it out (default 2)',
  'signed-out': 'answers that the token is no longer good',
  'revoked': 'revokes the grant: no token works until the channel is connected again',
  'already-rotated': 'on refresh: the refresh token was used by somebody else a moment before',
  suspended: 'answers that the account is suspended',
  duplicate: 'answers that this was posted before',
  'daily-limit': 'answers that the daily number of posts is reached',
  refused: 'refuses the post with a plain message',
  localized: "refuses the post with a message in another language",
  stuck: 'accepts it and processes for ever',
  'processing-fails': 'accepts it, then its processing fails',
  expires: 'accepts it; what was prepared expires before it is published, on networks that prepare first',
  late: 'accepts it; it becomes public `ms` later (default 120000)',
} as const;

export type FaultKind = keyof typeof faultKinds;

export interface Fault {
  kind: FaultKind;
  /** `ms`, `after` and the like, as written. */
  options: Record<string, string>;
}

export interface FaultRule extends Fault {
  id: string;
  network: string | null;
  handle: string | null;
  act: Act;
  /** How often it fires; null: always. */
  times: number | null;
  /** 0 to 1. */
  probability: number;
  seed: number;
}

export interface RuleTarget {
  network: string;
  handle: string;
}

export interface FaultRequest {
  network: string;
  accountId: string;
  handle: string;
  act: Act;
  text: string;
}

export interface Faults {
  /** Those aimed at this channel; all of them when none is named. */
  rules(channel: Partial<RuleTarget>): FaultRule[];
  add(rule: Omit<FaultRule, 'id'>): FaultRule;
  /** Takes back those aimed at this channel; all of them when none is named. */
  clear(channel: Partial<RuleTarget>): void;
  /** Decides whether this request meets a fault, and counts it when it does. */
  draw(request: FaultRequest): Fault | null;
}

const MARKER = /\[\[\s*fault:\s*([a-z-]+)((?:\s+[a-z]+=[\w.-]+)*)\s*\]\]/gi;

export function createFaults(world: World): Faults {
  const seen = new Map<string, number>();

  function fromMarkers(request: FaultRequest): Fault | null {
    for (const fault of markersIn(request.text)) {
      const acts = fault.options['on'] === undefined ? defaultActs(fault.kind) : [fault.options['on']];
      if (!acts.includes(request.act)) continue;
      const key = `marker ${request.network} ${request.accountId} ${digest(`${request.text} ${fault.kind}`)}`;
      const times = fault.options['times'] === 'always' ? Infinity : Number(fault.options['times'] ?? 1);
      if (world.fired(key) >= times) continue;
      world.fire(key);
      return fault;
    }
    return null;
  }

  function fromRules(request: FaultRequest): Fault | null {
    for (const rule of world.rules()) {
      if (rule.act !== request.act || (rule.network ?? request.network) !== request.network || (rule.handle ?? request.handle) !== request.handle) continue;
      const key = `rule ${rule.id}`;
      if (rule.times !== null && world.fired(key) >= rule.times) continue;
      if (rule.probability < 1 && chance(rule, request) >= rule.probability) continue;
      if (rule.times !== null) world.fire(key);
      return rule;
    }
    return null;
  }

  /** From the seed, the text and how often this text was seen: the same run draws the same numbers whatever the order. */
  function chance(rule: FaultRule, request: FaultRequest): number {
    const key = digest(`${rule.id} ${request.network} ${request.accountId} ${request.act} ${request.text}`);
    const nth = (seen.get(key) ?? 0) + 1;
    seen.set(key, nth);
    const hash = createHash('sha256').update(`${rule.seed} ${rule.kind} ${request.network} ${request.handle} ${request.act} ${request.text} ${nth}`).digest();
    return hash.readUInt32BE(0) / 2 ** 32;
  }

  return {
    rules: (channel) => world.rules().filter((rule) => isOf(rule, channel)),
    add(input) {
      const rule = { ...input, id: randomBytes(9).toString('base64url') };
      world.setRules([...world.rules(), rule]);
      return rule;
    },
    clear(channel) {
      world.setRules(world.rules().filter((rule) => !isOf(rule, channel)));
    },
    draw: (request) => fromMarkers(request) ?? fromRules(request),
  };
}

function isOf(rule: FaultRule, { network, handle }: Partial<RuleTarget>): boolean {
  return (network === undefined || rule.network === network) && (handle === undefined || rule.handle === handle);
}

/** Every known fault that a text asks for, e.g. `[[fault: slow ms=500]]`. */
export function markersIn(text: string): Fault[] {
  return [...text.matchAll(MARKER)].flatMap((match) => {
    const kind = match[1]!.toLowerCase();
    if (!isFaultKind(kind)) return [];
    const options = Object.fromEntries([...match[2]!.matchAll(/([a-z]+)=([\w.-]+)/gi)].map((pair) => [pair[1]!.toLowerCase(), pair[2]!]));
    return [{ kind, options }];
  });
}

/** Where a marker strikes when it doesn't say: what happens while processing begins with the preparation, on networks that have one. */
function defaultActs(kind: FaultKind): string[] {
  return kind === 'stuck' || kind === 'processing-fails' || kind === 'late' || kind === 'expires' ? ['prepare', 'publish'] : ['publish'];
}

const LONGEST_MS = 366 * 86_400_000;

/** @returns a fault's option as a number; what is none, or beyond a year of ms, is taken as not written */
export function numberOption({ options }: Fault, name: string, otherwise: number): number {
  const value = Number(options[name] ?? otherwise);
  return value >= 0 && value <= LONGEST_MS ? value : otherwise;
}

/** Whose faults these are: what decides where one can strike. */
export interface FaultedNetwork extends Pick<SimulatedNetwork, 'processing' | 'keepsRefreshToken'> {
  /** Its channels renew their tokens. */
  renewsTokens: boolean;
}

/** @returns the act at which this fault shows at this network when it is asked for at `act`; null when it can't happen there */
export function aimOf(kind: FaultKind, act: Act, { processing, keepsRefreshToken, renewsTokens }: FaultedNetwork): Act | null {
  if (act === 'refresh' && !renewsTokens) return null;
  if (kind === 'already-rotated') return renewsTokens && keepsRefreshToken !== true ? 'refresh' : null;
  if (kind === 'expires') return processing === 'prepared' ? 'prepare' : null;
  if (kind === 'late') return processing === 'prepared' ? 'prepare' : 'publish';
  if (kind !== 'stuck' && kind !== 'processing-fails') return act;
  if (processing === undefined) return null;
  return processing === 'after' ? 'publish' : processing === 'prepared' ? 'prepare' : 'upload';
}

export function isFaultKind(kind: string): kind is FaultKind {
  return Object.hasOwn(faultKinds, kind);
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 22);
}
