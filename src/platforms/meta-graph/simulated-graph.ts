/** How Meta's networks answer on the simulator: one error shape, tokens by GET, containers that become ready. */
import { hexOf, lettersOf } from '../simulator/fake-ids.js';
import { ok, type SimulatedAnswer, type SimulatedCall, type SimulatedNetwork, type SimulatedRefusals, type SimulatedRoute } from '../simulator/network.js';
import { answerTokenRequest, newGrant } from '../simulator/tokens.js';
import type { SimulatedGrant } from '../simulator/world.js';

interface ErrorFields {
  subcode?: number;
  title?: string;
  userMessage?: string;
  isTransient?: boolean;
  status?: number;
}

export function graphError(code: number, message: string, { subcode, title, userMessage, isTransient, status = 400 }: ErrorFields = {}): SimulatedAnswer {
  return {
    status,
    body: {
      error: {
        message, type: 'OAuthException', code, fbtrace_id: `A${lettersOf(`${Date.now()}`, 20)}`,
        ...(subcode === undefined ? {} : { error_subcode: subcode }), ...(isTransient === undefined ? {} : { is_transient: isTransient }),
        ...(title === undefined ? {} : { error_user_title: title }), ...(userMessage === undefined ? {} : { error_user_msg: userMessage }),
      },
    },
  };
}

export const graphRefusals: SimulatedRefusals = {
  signedOut: () => graphError(190, 'Error validating access token: Session has expired.', { subcode: 463, status: 401 }),
  tooMany: (after) => ({
    ...graphError(4, '(#4) Application request limit reached', { status: 400, isTransient: true }),
    ...(after === null ? {} : { headers: { 'x-business-use-case-usage': JSON.stringify({ 1: [{ type: 'pages', call_count: 100, total_cputime: 10, total_time: 10, estimated_time_to_regain_access: Math.ceil(after / 60) }] }) } }),
  }),
  serverError: () => graphError(2, 'An unexpected error has occurred. Please retry your request later.', { status: 500, isTransient: true }),
  suspended: () => graphError(200, '(#200) The account has been suspended and cannot publish.', { status: 403 }),
  duplicate: () => graphError(506, 'Duplicate status message', { title: 'Duplicate', userMessage: 'This status update is identical to the last one you posted.' }),
  dailyLimit: () => graphError(9, 'Application does not have the capability to make this API call.', { subcode: 2207042, title: 'Max posts', userMessage: 'You reached the maximum number of posts.' }),
  refused: (message) => graphError(100, 'Invalid parameter', { title: 'Error', userMessage: message }),
};

export const SIXTY_DAYS_MS = 60 * 24 * 3600_000;

interface TokenPaths {
  /** GET with `client_secret` and a short token. */
  exchangeLong?: string;
  /** GET with the long token. */
  refresh?: string;
  /** GET with a code, as Facebook has it. */
  codeByGet?: string;
}

/** The token routes besides the POST one. A token is renewed by itself, and stays good until its own end: there are no refresh tokens. */
export function graphTokenRoutes(network: () => SimulatedNetwork, paths: TokenPaths): SimulatedRoute[] {
  const grantOf = ({ query, world }: SimulatedCall): SimulatedGrant | undefined => world.grantByAccessToken(network().id, query['access_token'] ?? query['fb_exchange_token'] ?? '');
  const renewed = (call: SimulatedCall, rotates: boolean): SimulatedAnswer => {
    const grant = grantOf(call);
    if (grant === undefined || grant.isRevoked || grant.accessExpiresAt <= call.now) return graphRefusals.signedOut();
    const next = rotates ? newGrant(network().id, grant.accountId, `${grant.id} ${call.now} ${lettersOf(String(Math.random()), 6)}`, call.now + (network().accessTokenMs ?? call.settings.accessTokenMs)) : grant;
    if (rotates) call.world.put('grant', next);
    return ok({ access_token: next.accessToken, token_type: 'bearer', expires_in: Math.ceil((next.accessExpiresAt - call.now) / 1000) });
  };
  const route = (path: string | undefined, handle: SimulatedRoute['handle']): SimulatedRoute[] => (path === undefined ? [] : [{ method: 'get', path, act: 'refresh', open: true, grantOf, handle }]);
  return [
    ...route(paths.codeByGet, (call) => (call.query['grant_type'] === 'fb_exchange_token'
      ? renewed(call, false)
      : answerTokenRequest(network(), { ...call, body: { ...call.query, grant_type: 'authorization_code' } }))),
    ...route(paths.exchangeLong, (call) => renewed(call, false)),
    ...route(paths.refresh, (call) => renewed(call, true)),
  ];
}

/** Container state at a moment; a container lives for 24 h. */
export function containerId(call: SimulatedCall, what: string): string {
  return `179${hexOf(`${call.account.id} ${call.now} ${what} ${Math.random()}`, 12).replace(/[a-f]/g, (letter) => String(letter.charCodeAt(0) % 10))}`;
}
