/** Google's OAuth, shared by its networks: a refresh token comes once, with the first consent, and stays. */
import { signedOut } from '../failures.js';
import { requestTokens, type Tokens } from '../oauth-tokens.js';
import type { CredentialGrant, PlatformIo } from '../platform.js';

export function googleAuthorizeUrl(request: { state: string; redirectUri: string; codeChallenge: string }, scope: string, io: PlatformIo): string {
  const query = new URLSearchParams({
    client_id: io.app.clientId, redirect_uri: request.redirectUri, response_type: 'code', scope, state: request.state, access_type: 'offline', prompt: 'consent',
    code_challenge: request.codeChallenge, code_challenge_method: 'S256',
  });
  return `${io.baseUrls.consent}/o/oauth2/v2/auth?${query.toString()}`;
}

export function googleTokens(network: string, form: Record<string, string>, io: PlatformIo): Promise<Tokens> {
  return requestTokens(io, { network, url: `${io.baseUrls.auth}/token`, form: { client_id: io.app.clientId, client_secret: io.app.clientSecret, ...form } });
}

/** @param rest what else the credentials hold; a refresh token in it is kept when Google sends none */
export function googleGrant(tokens: Tokens, rest: Record<string, unknown>): CredentialGrant {
  const refreshToken = tokens.refreshToken ?? rest['refreshToken'];
  if (typeof refreshToken !== 'string') throw signedOut('Google', { details: 'Google gave no refresh token.' });
  return { credentials: { ...rest, accessToken: tokens.accessToken, refreshToken }, expiresAt: tokens.expiresAt };
}
