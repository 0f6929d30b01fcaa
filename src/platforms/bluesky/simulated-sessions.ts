/** Sessions of app passwords on the simulated Bluesky: created with handle and password, renewed with a refresh token that works once. */
import { lettersOf } from '../simulator/fake-ids.js';
import { ok, textField, type SimulatedAnswer, type SimulatedCall, type SimulatedRoute } from '../simulator/network.js';
import { newGrant } from '../simulator/tokens.js';
import type { SimulatedAccount, SimulatedGrant } from '../simulator/world.js';

const ID = 'bluesky';

const xrpcError = (status: number, error: string, message: string): SimulatedAnswer => ({ status, body: { error, message } });

/** Always the same for an account: a toy needs no list of them. */
export function appPasswordOf(account: SimulatedAccount): string {
  return lettersOf(`app password ${account.id}`, 16).toLowerCase().replace(/(.{4})(?=.)/g, '$1-');
}

/** A session's access token wraps the grant's, and tells its end as a real one does. */
export function bareToken({ headers }: SimulatedCall): string {
  return /^Bearer (.+)$/i.exec(headers['authorization'] ?? '')?.[1]?.split('.').at(-1) ?? '';
}

export const sessionRoutes: SimulatedRoute[] = [
  { method: 'post', path: '/xrpc/com.atproto.server.createSession', act: 'read', open: true, handle: createSession },
  { method: 'post', path: '/xrpc/com.atproto.server.refreshSession', act: 'refresh', open: true, grantOf, handle: refreshSession },
];

function createSession(call: SimulatedCall): SimulatedAnswer {
  const identifier = textField(call.body, 'identifier');
  const account = call.world.accountByHandle(ID, identifier) ?? call.world.find('account', ID, identifier);
  if (account === undefined || textField(call.body, 'password') !== appPasswordOf(account)) return xrpcError(401, 'AuthenticationRequired', 'Invalid identifier or password');
  return answer(call, account, newGrant(ID, account.id, `session ${lettersOf(`${call.now} ${Math.random()}`, 12)}`, call.now + call.settings.accessTokenMs));
}

function refreshSession(call: SimulatedCall): SimulatedAnswer {
  const grant = grantOf(call);
  if (grant === undefined || grant.isRevoked) return xrpcError(400, 'ExpiredToken', 'Token has been revoked');
  const account = call.world.find('account', ID, grant.accountId)!;
  return answer(call, account, newGrant(ID, account.id, grant.id, call.now + call.settings.accessTokenMs));
}

function answer({ world }: SimulatedCall, account: SimulatedAccount, grant: SimulatedGrant): SimulatedAnswer {
  world.put('grant', grant);
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const accessJwt = [part({ typ: 'at+jwt', alg: 'none' }), part({ sub: account.id, exp: Math.floor(grant.accessExpiresAt / 1000) }), grant.accessToken].join('.');
  return ok({ did: account.id, handle: account.handle, accessJwt, refreshJwt: grant.refreshToken, active: true });
}

function grantOf(call: SimulatedCall): SimulatedGrant | undefined {
  return call.world.grantByRefreshToken(ID, bareToken(call));
}
