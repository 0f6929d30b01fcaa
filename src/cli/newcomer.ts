/** What a newcomer does in the page, done over HTTP: sign up, connect a simulated channel, make an API key. */
import { decode, formIn, httpSession, type HttpSession, type Page } from './http-session.js';

export interface Newcomer {
  session: HttpSession;
  email: string;
}

/** @throws Error with the page's text when it is refused */
export async function signUp(base: string, { email = 'ada@example.com', password = 'correct horse battery', timeZone = 'UTC' } = {}): Promise<Newcomer> {
  const session = httpSession(base);
  const page = await session.post('/sign-up', { email, password, timeZone }, { from: '/sign-up' });
  expect(page, page.status === 200 && !page.url.includes('/sign-up'), 'signing up');
  return { session, email };
}

/**
 * Connects a channel through the network's consent page, or with what its own page gives to be typed in, as a person would.
 * @param handle the account at the simulated network; made when it is not known there
 * @returns where the simulated networks are, e.g. `http://127.0.0.1:3001`
 */
export async function connectChannel(session: HttpSession, platform: string, handle: string): Promise<string> {
  const channels = await session.get('/channels');
  const start = formIn(channels.text, platform);
  const consent = await session.post(new URL(start.action, channels.url).pathname, start.fields);
  const source = consent.text.includes('/fields"') ? /<a href="(http[^"]+)" target="_blank"/.exec(consent.text)?.[1] : undefined;
  if (source !== undefined) return connectByFields(session, consent, source, handle);
  expect(consent, consent.status === 200 && consent.text.includes('decision'), `asking ${platform} for consent`);
  const { fields } = formIn(consent.text, '');
  const back = await session.post(consent.url, { ...fields, newHandle: handle, decision: 'allow' }, { csrf: null });
  expect(back, back.status === 200 && new URL(back.url).pathname.startsWith('/channels') && back.text.includes(handle), `connecting ${platform}`);
  return new URL(consent.url).origin;
}

async function connectByFields(session: HttpSession, asked: Page, source: string, handle: string): Promise<string> {
  const given = await fetch(source, { method: 'POST', body: new URLSearchParams({ newHandle: handle }) });
  const values = [...(await given.text()).matchAll(/<dd><code>([^<]*)<\/code><\/dd>/g)].map((match) => decode(match[1] ?? ''));
  const { action, fields } = formIn(asked.text, '/fields');
  const names = Object.keys(fields).filter((name) => name !== '_csrf' && name !== 'network');
  const filled = { ...fields, ...Object.fromEntries(names.map((name, i) => [name, values[i] ?? ''])) };
  const back = await session.post(new URL(action, asked.url).pathname, filled);
  expect(back, back.status === 200 && new URL(back.url).pathname === '/channels', `connecting at ${source}`);
  return new URL(source).origin;
}

/** @returns the key's text, which is shown this once */
export async function createApiKey(session: HttpSession, name = 'Walk-through'): Promise<string> {
  const page = await session.post('/api-keys', { name }, { from: '/api-keys' });
  const key = /id="new-key"[^>]*>([^<]+)</.exec(page.text)?.[1];
  expect(page, key !== undefined, 'making an API key');
  return key ?? '';
}

/** A caller of the JSON API. */
export interface ApiClient {
  get(path: string): Promise<ApiAnswer>;
  post(path: string, body: unknown): Promise<ApiAnswer>;
  put(path: string, body: unknown): Promise<ApiAnswer>;
  delete(path: string, body: unknown): Promise<ApiAnswer>;
}

export interface ApiAnswer {
  status: number;
  body: Record<string, unknown>;
}

export function apiClient(base: string, key: string): ApiClient {
  async function call(method: string, path: string, body?: unknown): Promise<ApiAnswer> {
    const response = await fetch(new URL(path, base), {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }
  return {
    get: (path) => call('GET', path),
    post: (path, body) => call('POST', path, body),
    put: (path, body) => call('PUT', path, body),
    delete: (path, body) => call('DELETE', path, body),
  };
}

function expect(page: Page, isRight: boolean, doing: string): void {
  if (isRight) return;
  const text = page.text.replace(/<(style|script)[\s\S]*?<\/\1>/g, '').replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' ').trim();
  throw new Error(`${doing} ended at ${page.url} with ${page.status}: ${text.slice(0, 600)}`);
}
