/** OAuth of Instagram and Threads: a code gives a short token, that gives one of 60 days, and that renews itself while it lives. */
import type { ZodType } from 'zod';
import { requestTokens } from '../oauth-tokens.js';
import type { CredentialGrant, OAuth, PlatformIo } from '../platform.js';

/** What the credentials of both hold. */
export interface LongTokenCredentials {
  accessToken: string;
  userId: string;
  username: string;
}

export interface LongTokenNetwork {
  network: string;
  scope: string;
  /** Of its grant types: `ig_exchange_token`, `th_exchange_token`. */
  prefix: 'ig' | 'th';
  credentials: ZodType<LongTokenCredentials>;
  whoIs(accessToken: string, io: PlatformIo): Promise<Omit<LongTokenCredentials, 'accessToken'>>;
}

/**
 * https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/business-login and
 * https://developers.facebook.com/docs/threads/get-started/get-access-tokens-and-permissions
 */
export function longTokenOAuth({ network, scope, prefix, credentials: schema, whoIs }: LongTokenNetwork): OAuth & Required<Pick<OAuth, 'refresh'>> {
  const renewed = async (io: PlatformIo, path: string, form: Record<string, string>, who: (token: string) => Promise<Omit<LongTokenCredentials, 'accessToken'>>): Promise<CredentialGrant> => {
    const { accessToken, expiresAt } = await requestTokens(io, { network, method: 'GET', url: `${io.baseUrls.api}${path}`, form });
    const { userId, username } = await who(accessToken);
    return { credentials: { accessToken, userId, username }, expiresAt };
  };
  return {
    authorizeUrl({ state, redirectUri }, io) {
      const query = new URLSearchParams({ client_id: io.app.clientId, redirect_uri: redirectUri, response_type: 'code', scope, state });
      return `${io.baseUrls.consent}/oauth/authorize?${query.toString()}`;
    },
    async exchange({ code, redirectUri }, io) {
      const { clientId, clientSecret } = io.app;
      const short = await requestTokens(io, {
        network, url: `${io.baseUrls.auth}/oauth/access_token`,
        form: { client_id: clientId, client_secret: clientSecret, grant_type: 'authorization_code', redirect_uri: redirectUri, code },
      });
      return renewed(io, '/access_token', { grant_type: `${prefix}_exchange_token`, client_secret: clientSecret, access_token: short.accessToken }, (token) => whoIs(token, io));
    },
    async refresh(credentials, io) {
      const mine = schema.parse(credentials);
      return renewed(io, '/refresh_access_token', { grant_type: `${prefix}_refresh_token`, access_token: mine.accessToken }, async () => mine);
    },
  };
}
