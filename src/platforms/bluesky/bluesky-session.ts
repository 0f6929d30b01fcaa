/** Signing in at Bluesky: real servers by handle and app password, which gives a session; the simulated one by consent too. */
import { z } from 'zod';
import { rejected } from '../failures.js';
import { ask } from '../network-call.js';
import { requestTokens, type Tokens } from '../oauth-tokens.js';
import type { ConnectFields, CredentialGrant, Credentials, OAuth, PlatformIo } from '../platform.js';
import { blueskyFailure } from './bluesky-failures.js';

const NAME = 'Bluesky';
const TIMEOUT_MS = 30_000;

export const blueskyCredentials = z.object({
  accessToken: z.string(), refreshToken: z.string(), did: z.string(), handle: z.string(),
  /** `session`: of an app password; tokens of it are renewed another way than OAuth's. */
  by: z.enum(['session', 'oauth']).default('oauth'),
});
export type BlueskyCredentials = z.infer<typeof blueskyCredentials>;

const me = z.object({ did: z.string(), handle: z.string() });
const session = me.extend({ accessJwt: z.string().min(1), refreshJwt: z.string().min(1) });

/** https://docs.bsky.app/docs/api/com-atproto-server-create-session */
export const appPassword: ConnectFields = {
  help: 'At Bluesky, open Settings, then Privacy and security, then App passwords: make one for Signpost. You can take it back there any time.',
  simulatedSource: '/settings/app-passwords',
  fields: [
    { name: 'handle', label: 'Handle', help: 'Looks like ada.bsky.social.', isSecret: false },
    { name: 'appPassword', label: 'App password', help: 'Looks like abcd-efgh-ijkl-mnop. Not the password that you sign in with.', isSecret: true },
  ],
  async grant({ handle = '', appPassword: typed = '' }, io) {
    const identifier = handle.trim().replace(/^@/, '').toLowerCase();
    if (!/^([a-z0-9-]+\.)+[a-z0-9-]+$|^did:[a-z]+:[\w.:%-]+$/.test(identifier)) throw rejected('This is not a handle. It looks like ada.bsky.social.', { field: 'handle' });
    // The account's main password could do anything with it, so it is never taken.
    if (!/^[a-z0-9]{4}(-[a-z0-9]{4}){3}$/.test(typed.trim())) throw rejected('This is not an app password. It looks like abcd-efgh-ijkl-mnop; Bluesky makes one for you in its settings.', { field: 'appPassword' });
    const call = { network: NAME, effect: 'read', method: 'POST', url: `${io.baseUrls.auth}/xrpc/com.atproto.server.createSession`, timeoutMs: TIMEOUT_MS } as const;
    return sessionGrant(await ask(io, { ...call, body: { identifier, password: typed.trim() } }, session, blueskyFailure));
  },
  refresh,
};

/** Real servers want PAR and DPoP besides, so this is for the simulated one. */
export const blueskyOAuth: OAuth = {
  authorizeUrl({ state, redirectUri, codeChallenge }, io) {
    const query = new URLSearchParams({
      response_type: 'code', client_id: io.app.clientId, redirect_uri: redirectUri, state, scope: 'atproto transition:generic', code_challenge: codeChallenge, code_challenge_method: 'S256',
    });
    return `${io.baseUrls.consent}/oauth/authorize?${query.toString()}`;
  },
  async exchange({ code, redirectUri, codeVerifier }, io) {
    const tokens = await askForTokens(io, { grant_type: 'authorization_code', code, redirect_uri: redirectUri, code_verifier: codeVerifier });
    const call = { network: NAME, effect: 'read', method: 'GET', url: `${io.baseUrls.api}/xrpc/com.atproto.server.getSession`, timeoutMs: TIMEOUT_MS, token: tokens.accessToken } as const;
    return oauthGrant(tokens, await ask(io, call, me, blueskyFailure));
  },
  refresh,
};

async function refresh(credentials: Credentials, io: PlatformIo): Promise<CredentialGrant> {
  const mine = blueskyCredentials.parse(credentials);
  if (mine.by === 'oauth') return oauthGrant(await askForTokens(io, { grant_type: 'refresh_token', refresh_token: mine.refreshToken }), mine);
  const call = { network: NAME, effect: 'read', method: 'POST', url: `${io.baseUrls.auth}/xrpc/com.atproto.server.refreshSession`, timeoutMs: TIMEOUT_MS, token: mine.refreshToken } as const;
  return sessionGrant(await ask(io, call, session, blueskyFailure));
}

function sessionGrant({ accessJwt, refreshJwt, did, handle }: z.infer<typeof session>): CredentialGrant {
  const credentials: BlueskyCredentials = { accessToken: accessJwt, refreshToken: refreshJwt, did, handle, by: 'session' };
  return { credentials, expiresAt: expiryOf(accessJwt) };
}

/** Sessions don't say how long they last, their tokens do. Null when this one doesn't: it is renewed when the server refuses it. */
function expiryOf(jwt: string): Date | null {
  try {
    const { exp } = z.object({ exp: z.number() }).parse(JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString('utf8')));
    return new Date(exp * 1000);
  } catch {
    return null;
  }
}

function oauthGrant(tokens: Tokens, { did, handle }: { did: string; handle: string }): CredentialGrant {
  const credentials: BlueskyCredentials = { accessToken: tokens.accessToken, refreshToken: tokens.refreshToken ?? '', did, handle, by: 'oauth' };
  return { credentials, expiresAt: tokens.expiresAt };
}

function askForTokens(io: PlatformIo, form: Record<string, string>): Promise<Tokens> {
  return requestTokens(io, { network: NAME, url: `${io.baseUrls.auth}/oauth/token`, form: { client_id: io.app.clientId, ...form } });
}
