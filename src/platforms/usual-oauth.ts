/** OAuth 2 as most networks have it: a consent page, a code for tokens, and refresh tokens that may change with each use. */
import type { ZodType } from 'zod';
import { signedOut } from './failures.js';
import { requestTokens, type Tokens } from './oauth-tokens.js';
import type { OAuth, PlatformIo } from './platform.js';

/** What the builder keeps in the credentials, besides what the network's own part knows of the account. */
export interface UsualTokens {
  accessToken: string;
  /** Null: the network gave none; the channel lives as long as its access token. */
  refreshToken: string | null;
}

export interface UsualOAuth<Who extends object> {
  /** The network's name for messages. */
  network: string;
  scope: string;
  /** Below the consent host and the token host, e.g. `/oauth/v2/authorization`. */
  consentPath: string;
  tokenPath: string;
  /** How the app shows that it is itself (RFC 6749, 2.3.1): by HTTP Basic, or by fields of the form. */
  appBy: 'basic' | 'form';
  /** What the network calls the app; `client_id` unless it has a name of its own. */
  clientParam?: string;
  /** Further fields of the consent address. */
  consentFields?: Record<string, string>;
  hasPkce?: true;
  credentials: ZodType<Who & UsualTokens>;
  /** Asks whose tokens they are; what comes back is kept in the credentials. */
  whoIs(tokens: Tokens, io: PlatformIo): Promise<Who>;
}

export function usualOAuth<Who extends object>(network: UsualOAuth<Who>): OAuth & Required<Pick<OAuth, 'refresh'>> {
  const { clientParam = 'client_id' } = network;

  const askForTokens = (io: PlatformIo, form: Record<string, string>): Promise<Tokens> => {
    const { clientId, clientSecret } = io.app;
    const basic = Buffer.from(`${encodeURIComponent(clientId)}:${encodeURIComponent(clientSecret)}`).toString('base64');
    return requestTokens(io, {
      network: network.network, url: `${io.baseUrls.auth}${network.tokenPath}`,
      form: { [clientParam]: clientId, ...(network.appBy === 'form' ? { client_secret: clientSecret } : {}), ...form },
      ...(network.appBy === 'basic' ? { headers: { authorization: `Basic ${basic}` } } : {}),
    });
  };

  return {
    authorizeUrl({ state, redirectUri, codeChallenge }, io) {
      const query = new URLSearchParams({
        [clientParam]: io.app.clientId, response_type: 'code', redirect_uri: redirectUri, scope: network.scope, state, ...network.consentFields,
        ...(network.hasPkce === true ? { code_challenge: codeChallenge, code_challenge_method: 'S256' } : {}),
      });
      return `${io.baseUrls.consent}${network.consentPath}?${query.toString()}`;
    },
    async exchange({ code, redirectUri, codeVerifier }, io) {
      const tokens = await askForTokens(io, {
        grant_type: 'authorization_code', code, redirect_uri: redirectUri, ...(network.hasPkce === true ? { code_verifier: codeVerifier } : {}),
      });
      const who = await network.whoIs(tokens, io);
      return { credentials: { ...who, accessToken: tokens.accessToken, refreshToken: tokens.refreshToken }, expiresAt: tokens.expiresAt };
    },
    async refresh(credentials, io) {
      const mine = network.credentials.parse(credentials);
      if (mine.refreshToken === null) throw signedOut(network.network, { details: 'The network gave no refresh token.' });
      const tokens = await askForTokens(io, { grant_type: 'refresh_token', refresh_token: mine.refreshToken });
      // Without a new one the old one stays good (RFC 6749, 6).
      return { credentials: { ...mine, accessToken: tokens.accessToken, refreshToken: tokens.refreshToken ?? mine.refreshToken }, expiresAt: tokens.expiresAt };
    },
  };
}
