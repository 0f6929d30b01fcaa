/** The whole product with newcomers who upload, and a look at what lies on disk and in the database. */
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { after } from 'node:test';
import { signUp, apiClient, connectChannel, createApiKey, type ApiClient } from '../../src/cli/newcomer.js';
import type { HttpSession } from '../../src/cli/http-session.js';
import { connectDatabase, type Database } from '../../src/db/database.js';
import { temporaryFolder } from '../support/program.js';
import { startApp, type StartAppOptions, type TestApp } from '../support/start-app.js';
import { uriOfDatabase } from '../support/temporary-database.js';

export interface MediaApp extends TestApp {
  newcomer(channels?: string[]): Promise<Uploader>;
  /** Files that lie below the media folder, with those that are still coming in. */
  onDisk(): Promise<string[]>;
  db: Database['db'];
}

export interface Answer {
  status: number;
  body: Record<string, unknown>;
}

export interface Uploader {
  session: HttpSession;
  api: ApiClient;
  key: string;
  /** Sends a form with the file. */
  upload(data: Uint8Array, options?: { name?: string; type?: string; field?: string; path?: string; fields?: Record<string, string> }): Promise<Answer>;
  /** The same as JSON. */
  uploadJson(body: unknown, path?: string): Promise<Answer>;
}

let count = 0;

export async function startMediaApp(options: StartAppOptions = {}): Promise<MediaApp> {
  const folder = await temporaryFolder();
  const app = await startApp({
    retryPolicy: { retryDelaysMs: [50], lookUpDelaysMs: [20] }, simulator: { processingMs: 80, holdMs: 50 }, ...options,
    env: { MEDIA_DIR: folder.path, MEDIA_MAX_MB: '1', ...options.env },
  });
  const { db, close } = await connectDatabase(uriOfDatabase(app.databaseName), app.databaseName);
  after(async () => {
    await close();
    await app.stop();
    await folder.remove();
  });
  return {
    ...app,
    db,
    async onDisk() {
      const names = await readdir(folder.path, { recursive: true }).catch(() => [] as string[]);
      const files = await Promise.all(names.map(async (name) => ((await stat(path.join(folder.path, name))).isFile() ? [name] : [])));
      return files.flat();
    },
    async newcomer(channels = []) {
      count += 1;
      const { session } = await signUp(app.url, { email: `uploader${count}@example.com` });
      for (const channel of channels) await connectChannel(session, channel, channel === 'bluesky' ? `uploader${count}.bsky.social` : `uploader${count}`);
      const key = await createApiKey(session);
      const send = async (where: string, init: RequestInit): Promise<Answer> => {
        const response = await fetch(new URL(where, app.url), { method: 'POST', ...init, headers: { authorization: `Bearer ${key}`, ...(init.headers as Record<string, string>) } });
        return { status: response.status, body: (await response.json()) as Record<string, unknown> };
      };
      return {
        session, key, api: apiClient(app.url, key),
        upload(data, { name = 'photo.png', type = 'image/png', field = 'file', path: where = '/api/media/upload', fields = {} } = {}) {
          const form = new FormData();
          for (const [key_, value] of Object.entries(fields)) form.append(key_, value);
          form.append(field, new Blob([Buffer.from(data)], { type }), name);
          return send(where, { body: form });
        },
        uploadJson: (body, where = '/api/media/upload') => send(where, { body: typeof body === 'string' ? body : JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      };
    },
  };
}

/** The part of an address that this test's machine can ask, whatever host it names. */
export function localPath(url: unknown): string {
  return new URL(String(url)).pathname;
}
