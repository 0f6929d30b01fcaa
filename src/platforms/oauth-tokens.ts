/** What the networks' OAuth 2 token endpoints have in common: form in, tokens out, `invalid_grant` when it is over. */
import { z } from 'zod';
import { ErrorCode } from '../lib/app-error.js';
import { unreachable } from './failures.js';
import { callNetwork, readAnswer, retryAtOf } from './network-call.js';
import { PlatformFailure, type PlatformIo } from './platform.js';

const tokenAnswer = z.object({
  access_token: z.string().min(1),
  refresh_token: z.string().min(1).optional(),
  /** Seconds. */
  expires_in: z.coerce.number().positive().optional(),
}).loose();

/** RFC 6749; Meta's Graph API has an object instead, Reddit a number, Instagram and Pinterest fields of their own. */
const tokenError = z.object({
  error: z.union([z.string(), z.number(), z.object({ message: z.string().optional(), code: z.number().optional() })]).optional(),
  error_description: z.string().optional(), error_message: z.string().optional(), message: z.string().optional(),
});

/** What lives longer is renewed as if it didn't. */
const LONGEST_SECONDS = 10 * 365 * 86_400;

export interface Tokens {
  accessToken: string;
  refreshToken: string | null;
  expiresAt: Date | null;
  /** Everything else that the network said, e.g. `open_id`, `sub`. */
  rest: Record<string, unknown>;
}

export interface TokenRequest {
  network: string;
  url: string;
  /** GET sends the form as the query, as Meta's networks want it. */
  method?: 'GET' | 'POST';
  form: Record<string, string>;
  headers?: Record<string, string>;
}

/**
 * Asks a token endpoint (RFC 6749, 4.1.3 and 6).
 * @throws PlatformFailure `signed-out` when the network refuses the code or the refresh token for good, `rate-limited`, or
 *   `unreachable` when it gave no usable answer
 */
export async function requestTokens(io: PlatformIo, request: TokenRequest): Promise<Tokens> {
  const call = { network: request.network, effect: 'read' } as const;
  const { method = 'POST', form } = request;
  const answer = await callNetwork(io, {
    ...call, method, url: request.url, timeoutMs: 20_000,
    headers: { ...(method === 'POST' ? { 'content-type': 'application/x-www-form-urlencoded' } : {}), ...request.headers },
    ...(method === 'POST' ? { body: new URLSearchParams(form).toString() } : { query: form }),
  });
  if (answer.status === 429) throw tooManyTokenRequests(request.network, retryAtOf(answer.headers, io.now()));
  const refused = tokenError.safeParse(answer.body).data;
  // TikTok, Reddit and Slack answer errors with 200 and an `error` field.
  if (refused !== undefined && (answer.status === 400 || answer.status === 401 || refused.error !== undefined)) throw refusal(request, answer.status, refused);
  // A refusal that is not the token endpoint's own (a proxy's page, a firewall) says nothing about the tokens.
  if (answer.status >= 400) throw unreachable(request.network, { status: answer.status, details: `HTTP ${answer.status} from the token endpoint` });
  const { access_token, refresh_token, expires_in, ...rest } = readAnswer(call, tokenAnswer, answer);
  return {
    accessToken: access_token,
    refreshToken: refresh_token ?? null,
    expiresAt: expires_in === undefined ? null : new Date(io.now().getTime() + Math.min(expires_in, LONGEST_SECONDS) * 1000),
    rest,
  };
}

function refusal(request: TokenRequest, status: number, answer: z.infer<typeof tokenError>): PlatformFailure {
  const { error } = answer;
  const graph = typeof error === 'object' ? error : undefined;
  const name = typeof error === 'string' ? error : undefined;
  const words = answer.error_description ?? answer.error_message ?? graph?.message ?? answer.message;
  const details = [name, words].filter((part) => part !== undefined).join(': ') || `HTTP ${status}`;
  // Meta: 1 and 2 are passing faults, 4 is a rate limit.
  if (graph?.code === 1 || graph?.code === 2 || graph?.code === 4) return unreachable(request.network, { status, details });
  // Wrong app credentials are the operator's mistake: the channel is not to be blamed and its tokens stay good.
  // Answered 401 without a name, the app itself is meant (RFC 6749, 5.2).
  const isNameless401 = status === 401 && name === undefined && graph === undefined;
  if (isNameless401 || name === 'invalid_client' || name === 'unauthorized_client' || name === 'bad_client_secret' || graph?.code === 101) {
    return new PlatformFailure('rejected', `${request.network} doesn't accept the app's client id or secret. Ask the operator of this Signpost to check them.`, {
      code: ErrorCode.platformRejected, status, details,
    });
  }
  return new PlatformFailure('signed-out', `${request.network} no longer accepts this channel's sign-in. Connect the channel again.`, {
    code: ErrorCode.platformSignedOut, status, details,
  });
}

function tooManyTokenRequests(network: string, retryAt: Date | undefined): PlatformFailure {
  return new PlatformFailure('rate-limited', `${network} takes no sign-ins right now. Signpost tries again by itself.`, {
    code: ErrorCode.platformRateLimited, status: 429, ...(retryAt === undefined ? {} : { retryAt }),
  });
}
