/** What a simulated network is: facts, its routes as plain functions from request to answer, its own way to say no. */
import type { SimulatedAccount, SimulatedGrant, SimulatedPost, World } from './world.js';

/** What a route is about; faults are aimed at one of these. */
export type Act = 'prepare' | 'publish' | 'poll' | 'look-up' | 'refresh' | 'remove' | 'upload' | 'read';

export interface SimulatedAnswer {
  status: number;
  /** An object is sent as JSON, a string as HTML. */
  body: unknown;
  headers?: Record<string, string>;
}

export interface SimulatedCall {
  params: Record<string, string>;
  query: Record<string, string>;
  /** Parsed JSON or form fields; an empty object for anything else. */
  body: Record<string, unknown>;
  raw: Buffer;
  headers: Record<string, string | undefined>;
  /** Whose token it is; on a route with `open: true` a placeholder that must not be used. */
  account: SimulatedAccount;
  world: World;
  now: number;
  settings: SimulatorSettings;
  /** A fault that changes what happens after acceptance. */
  effect: 'stuck' | 'processing-fails' | 'late' | 'expires' | null;
  /** Address of this network's API as the caller wrote it, for answers that contain further addresses. */
  apiUrl: string;
  /** Address of this network's public pages, as browsers reach it. */
  webUrl: string;
}

export interface SimulatedRoute {
  method: 'get' | 'post' | 'put' | 'delete';
  /** Express path below `/<network>/api`. */
  path: string;
  /** A function where one address does several things. */
  act: Act | ((call: SimulatedCall) => Act);
  /** True when it needs no access token. */
  open?: boolean;
  /** On a route that renews tokens: whose tokens they are, where that isn't told by a field `refresh_token`. */
  grantOf?(call: SimulatedCall): SimulatedGrant | undefined;
  /** The post's text, where the request is about one: markers in it ask for faults. */
  textOf?(call: SimulatedCall): string;
  handle(call: SimulatedCall): SimulatedAnswer;
}

/** How the network words each refusal; bodies as its documentation and platforms' users show them. */
export interface SimulatedRefusals {
  signedOut(): SimulatedAnswer;
  /** @param retryAfterS null: it doesn't say when */
  tooMany(retryAfterS: number | null, now: number): SimulatedAnswer;
  serverError(): SimulatedAnswer;
  suspended(): SimulatedAnswer;
  duplicate(): SimulatedAnswer;
  dailyLimit(now: number): SimulatedAnswer;
  /** @param message as the network would word it, perhaps in another language */
  refused(message: string): SimulatedAnswer;
}

export interface SimulatedNetwork {
  id: string;
  name: string;
  /** Suggested on the consent page, e.g. `ada.bsky.social`. */
  exampleHandle: string;
  /** What a handle may be; the consent page says so when it is not. */
  handlePattern: RegExp;
  /** Path below `/<network>/web` where a browser consents, and the name of the app's parameter. */
  consent: { path: string; clientParam: string };
  /** Instead of consent, or besides it: a page that gives what is typed in to connect, as `BotFather` does. */
  gives?: { path: string; title: string; lead: string; values(grant: SimulatedGrant, account: SimulatedAccount, apiUrl: string): { label: string; value: string }[] };
  /** What renews tokens stays good, as at Google and Meta. */
  keepsRefreshToken?: true;
  /** What takes its time there: what is `prepared` before it is published, a post `after` its acceptance, or `uploads` that a post needs. */
  processing?: 'prepared' | 'after' | 'uploads';
  /** What the app asks for, in the network's words. */
  permissions: string[];
  /** Paths below `/<network>/web`, with `:handle` and `:id`; other names are filled in by `pageParams`. */
  pages: { profile: string; post: string };
  /** Further parts of a post's address, e.g. a Discord server's id. */
  pageParams?(account: SimulatedAccount, post: SimulatedPost): Record<string, string>;
  /** Where posts are numbered in each account: what one is kept under, which no other account's has. */
  storedId?(account: SimulatedAccount, id: string): string;
  /** Life of its access tokens; left out: as the settings say. */
  accessTokenMs?: number;
  /** The same handle always gets the same id. */
  accountId(handle: string): string;
  token: {
    path: string;
    answer(grant: SimulatedGrant, account: SimulatedAccount, now: number): SimulatedAnswer;
    error(error: string, description: string): SimulatedAnswer;
  };
  refusals: SimulatedRefusals;
  /** Rate-limit headers of a publish answer. */
  rate: { limit: number; windowMs: number; headers(limit: number, remaining: number, resetAt: number): Record<string, string> };
  /** The id that the API gives a post. */
  remoteId(post: SimulatedPost): string;
  /** Where a request carries its access token; left out: `Authorization: Bearer`. */
  tokenOf?(call: SimulatedCall): string;
  routes: SimulatedRoute[];
}

export interface SimulatorSettings {
  /** Life of an access token. */
  accessTokenMs: number;
  /** Life of a code from the consent page. */
  codeMs: number;
  /** From acceptance to public, on networks that process. */
  processingMs: number;
  /** How long an answer that never comes is held before the connection is cut. */
  holdMs: number;
  /** Refuse what exceeds a network's rate limit, not only announce it. */
  enforceRateLimits: boolean;
  /** Refuse a text that the same account has posted before, as some networks do. */
  refuseDuplicates: boolean;
  /** How far the networks' clocks are ahead of ours. */
  clockSkewMs: number;
}

export const defaultSettings: SimulatorSettings = {
  accessTokenMs: 2 * 3600_000,
  codeMs: 60_000,
  processingMs: 4000,
  holdMs: 60_000,
  enforceRateLimits: false,
  refuseDuplicates: false,
  clockSkewMs: 0,
};

export function ok(body: unknown, headers?: Record<string, string>): SimulatedAnswer {
  return headers === undefined ? { status: 200, body } : { status: 200, body, headers };
}

export function textField(body: Record<string, unknown>, name: string): string {
  const value = body[name];
  return typeof value === 'string' ? value : '';
}

export function objectField(body: Record<string, unknown>, name: string): Record<string, unknown> {
  const value = body[name];
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
