/** The whole product with one newcomer who has simulated channels and an API key, for the tests of posts. */
import { after } from 'node:test';
import { apiClient, connectChannel, createApiKey, signUp, type ApiAnswer, type ApiClient } from '../../src/cli/newcomer.js';
import type { HttpSession } from '../../src/cli/http-session.js';
import { startApp, type TestApp } from '../support/start-app.js';

export interface PostsApp extends TestApp {
  /** Signs somebody up, with these channels connected. */
  newcomer(platforms?: string[]): Promise<Newcomer>;
}

export interface Newcomer {
  session: HttpSession;
  key: string;
  api: ApiClient;
  /** Any method, with a body as it is. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<ApiAnswer & { contentType: string | null }>;
}

let count = 0;

export async function startPostsApp(): Promise<PostsApp> {
  const app = await startApp({ retryPolicy: { retryDelaysMs: [50], lookUpDelaysMs: [20] }, simulator: { processingMs: 80, holdMs: 50 } });
  after(() => app.stop());
  return {
    ...app,
    async newcomer(platforms = ['bluesky', 'tiktok', 'twitter']) {
      count += 1;
      const { session } = await signUp(app.url, { email: `user${count}@example.com`, timeZone: 'Europe/Berlin' });
      for (const platform of platforms) await connectChannel(session, platform, platform === 'bluesky' ? `user${count}.bsky.social` : `user${count}`);
      const key = await createApiKey(session);
      return {
        session,
        key,
        api: apiClient(app.url, key),
        async call(method, path, body, headers = {}) {
          const response = await fetch(new URL(path, app.url), {
            method,
            headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
            ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
          });
          return { status: response.status, contentType: response.headers.get('content-type'), body: (await response.json()) as Record<string, unknown> };
        },
      };
    },
  };
}

/** So many seconds from now, as the API wants it. */
export function inSeconds(seconds: number): string {
  return new Date(Date.now() + seconds * 1000).toISOString();
}
