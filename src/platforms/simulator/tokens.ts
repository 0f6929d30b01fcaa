/** The simulated networks' token endpoint: codes work once and need their PKCE verifier, refresh tokens rotate, access tokens expire. */
import { createHash, randomBytes } from 'node:crypto';
import type { SimulatedAnswer, SimulatedCall, SimulatedNetwork } from './network.js';
import { textField } from './network.js';
import type { SimulatedCode, SimulatedGrant } from './world.js';

/** New tokens for a grant, in place of its old ones. */
export function renewGrant(network: SimulatedNetwork, call: SimulatedCall, grant: SimulatedGrant): SimulatedGrant {
  const made = newGrant(network.id, grant.accountId, grant.id, call.now + lifeOf(network, call));
  const next = network.keepsRefreshToken === true ? { ...made, refreshToken: grant.refreshToken } : made;
  call.world.put('grant', next);
  return next;
}

/** Answers `grant_type=authorization_code` and `refresh_token` (RFC 6749, RFC 7636). */
export function answerTokenRequest(network: SimulatedNetwork, call: SimulatedCall): SimulatedAnswer {
  const type = textField(call.body, 'grant_type');
  if (textField(call.body, network.consent.clientParam) === '') return network.token.error('invalid_client', `The parameter ${network.consent.clientParam} is missing.`);
  if (type === 'authorization_code') return exchange(network, call);
  if (type === 'refresh_token') return refresh(network, call);
  return network.token.error('unsupported_grant_type', 'Use authorization_code or refresh_token.');
}

function exchange(network: SimulatedNetwork, call: SimulatedCall): SimulatedAnswer {
  const { world, body, now } = call;
  const code = world.find('code', network.id, textField(body, 'code'));
  if (code === undefined) return network.token.error('invalid_grant', 'The code is not known.');
  if (code.grantId !== null) {
    // RFC 6749, 4.1.2: a code that comes twice may be stolen, so what it gave is revoked.
    const given = world.find('grant', network.id, code.grantId);
    if (given !== undefined) world.put('grant', { ...given, isRevoked: true });
    return network.token.error('invalid_grant', 'The code was used before.');
  }
  const fault = codeProblem(network, code, call);
  if (fault !== null) return network.token.error('invalid_grant', fault);
  const grant = newGrant(network.id, code.accountId, randomBytes(9).toString('base64url'), now + lifeOf(network, call));
  world.put('code', { ...code, grantId: grant.id });
  world.put('grant', grant);
  return network.token.answer(grant, world.find('account', network.id, grant.accountId)!, now);
}

function codeProblem(network: SimulatedNetwork, code: SimulatedCode, { body, now }: SimulatedCall): string | null {
  if (code.expiresAt < now) return 'The code has expired.';
  if (code.redirectUri !== textField(body, 'redirect_uri')) return 'The redirect_uri differs from the one that was used to get the code.';
  if (code.clientId !== textField(body, network.consent.clientParam)) return 'The code was given to another app.';
  if (code.codeChallenge === null) return null;
  const challenge = createHash('sha256').update(textField(body, 'code_verifier')).digest('base64url');
  return challenge === code.codeChallenge ? null : "The code_verifier doesn't match the code_challenge.";
}

function refresh(network: SimulatedNetwork, call: SimulatedCall): SimulatedAnswer {
  const { world, body, now } = call;
  const grant = world.grantByRefreshToken(network.id, textField(body, 'refresh_token'));
  if (grant === undefined || grant.isRevoked) return network.token.error('invalid_grant', 'The refresh token is not known, was used before, or was revoked.');
  const next = renewGrant(network, call, grant);
  return network.token.answer(next, world.find('account', network.id, next.accountId)!, now);
}

function lifeOf(network: SimulatedNetwork, { settings }: SimulatedCall): number {
  return network.accessTokenMs ?? settings.accessTokenMs;
}

/** A fresh grant, not stored yet. */
export function newGrant(network: string, accountId: string, id: string, accessExpiresAt: number): SimulatedGrant {
  return {
    network, id, accountId, accessExpiresAt, isRevoked: false,
    accessToken: `sim_at_${randomBytes(24).toString('base64url')}`, refreshToken: `sim_rt_${randomBytes(24).toString('base64url')}`,
  };
}
