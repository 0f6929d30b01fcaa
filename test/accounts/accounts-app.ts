/** The accounts room on its own: real stores in a database of this test file, the HTTP shell, and nothing of the other domains. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { after } from 'node:test';
import { Router } from 'express';
import { pino } from 'pino';
import { accountPages, visitorPages } from '../../src/accounts/account-pages.js';
import { createAccountService, type AccountService } from '../../src/accounts/account-service.js';
import { accountIndexes, createAccountStore } from '../../src/accounts/account-store.js';
import type { SignUpMode } from '../../src/accounts/account.js';
import { apiKeyPages } from '../../src/accounts/api-key-pages.js';
import { createApiKeyService, type ApiKeyService } from '../../src/accounts/api-key-service.js';
import { apiKeyIndexes, createApiKeyStore } from '../../src/accounts/api-key-store.js';
import { createAuthenticator } from '../../src/accounts/authenticator.js';
import { homePages } from '../../src/accounts/home-pages.js';
import { createLoginLimit, loginLimitIndexes } from '../../src/accounts/login-limit.js';
import { createProfileService, type ProfileService } from '../../src/accounts/profile-service.js';
import { createProfileStore, profileIndexes } from '../../src/accounts/profile-store.js';
import { createSessionStore, sessionIndexes } from '../../src/accounts/session-store.js';
import { ensureIndexes, type Database } from '../../src/db/database.js';
import { actorOf } from '../../src/http/actor.js';
import { createWebApp } from '../../src/http/web-app.js';
import { httpSession, type HttpSession } from '../support/http-session.js';
import { temporaryDatabase } from '../support/temporary-database.js';

export interface AccountsApp {
  base: string;
  db: Database['db'];
  accounts: AccountService;
  profiles: ProfileService;
  apiKeys: ApiKeyService;
  browser(): HttpSession;
  /** Moves the clock of the domain; sessions and rate limits have clocks of their own. */
  advance(ms: number): void;
  logText(): string;
}

export const PASSWORD = 'correct horse battery';

export async function startAccounts(options: { signup?: SignUpMode; loopbackOnly?: boolean } = {}): Promise<AccountsApp> {
  const { client, db } = await temporaryDatabase();
  await ensureIndexes(db, [...accountIndexes, ...profileIndexes, ...apiKeyIndexes, ...sessionIndexes, ...loginLimitIndexes]);
  let aheadMs = 0;
  const clock = { now: () => new Date(Date.now() + aheadMs) };
  const lines: string[] = [];
  const store = createAccountStore(db);
  const profiles = createProfileService({ store: createProfileStore(db), clock });
  const accounts = createAccountService({
    store, profiles, clock, loginLimit: createLoginLimit(client, db.databaseName), signup: options.signup ?? 'auto', loopbackOnly: options.loopbackOnly ?? true,
  });
  const apiKeys = createApiKeyService({ store: createApiKeyStore(db), clock, timeZoneOf: async (accountId) => (await store.findUserOfAccount(accountId))?.timeZone ?? 'UTC' });
  const authenticator = createAuthenticator({ accounts, apiKeys });
  const no = async (): Promise<boolean> => false;
  const app = createWebApp({
    log: pino({ base: undefined }, { write: (line: string) => void lines.push(line) }),
    isHttps: false, trustProxy: 1, sessionSecret: 'a secret of thirty-two characters', sessionStore: createSessionStore(client, db.databaseName),
    authenticator, formOrigins: () => [], ready: () => db.command({ ping: 1 }), rawRouters: [],
    apiRouters: [Router().get('/who', (req, res) => void res.json(actorOf(req)))],
    publicPages: [visitorPages({ accounts, authenticator })],
    pages: [
      homePages({ hasChannel: no, hasPost: no, hasEndpoint: no, hasApiKey: (actor) => apiKeys.hasAny(actor), countPosts: async () => ({}), upcoming: async () => [], signedOutChannels: async () => [] }),
      accountPages({ accounts, authenticator }),
      apiKeyPages({ apiKeys, publicUrl: () => 'http://127.0.0.1:3000' }),
    ],
  });
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  after(() => {
    server.close();
    server.closeAllConnections();
  });
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    base, db, accounts, profiles, apiKeys,
    browser: () => httpSession(base),
    advance: (ms) => {
      aheadMs += ms;
    },
    logText: () => lines.join(''),
  };
}

/** Signs up in a browser of its own, and stays signed in. */
export async function signUp(app: AccountsApp, email: string, fields: Record<string, string> = {}): Promise<HttpSession> {
  const browser = app.browser();
  const page = await browser.post('/sign-up', { email, password: PASSWORD, timeZone: 'Europe/Berlin', ...fields }, { from: '/sign-up' });
  if (page.status !== 200) throw new Error(`sign-up of ${email} was answered ${page.status}: ${page.text}`);
  return browser;
}
