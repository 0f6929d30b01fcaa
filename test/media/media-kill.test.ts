/** The real program, killed in the middle of uploads: what was answered is there afterwards, byte for byte. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createApiKey, signUp } from '../../src/cli/newcomer.js';
import { aPng } from '../support/media-files.js';
import { startProgram, temporaryFolder } from '../support/program.js';
import { waitUntil } from '../support/wait-until.js';

test('every upload that was answered survives kill -9, and the account goes on', async () => {
  const folder = await temporaryFolder();
  const first = await startProgram({ dataDir: folder.path });
  const { session } = await signUp(first.url);
  const key = await createApiKey(session);
  const answered: { path: string; data: Buffer }[] = [];
  let isOver = false;
  const send = async (base: string, data: Buffer): Promise<string | null> => {
    const form = new FormData();
    form.append('file', new Blob([new Uint8Array(data)]), 'a.png');
    const response = await fetch(`${base}/api/media/upload`, { method: 'POST', body: form, headers: { authorization: `Bearer ${key}` } });
    const { url } = (await response.json()) as { url?: string };
    return url === undefined ? null : new URL(url).pathname;
  };
  const uploader = async (n: number): Promise<void> => {
    for (let i = 1; !isOver; i++) {
      const data = aPng(20 + n, 20 + i);
      const path = await send(first.url, data).catch(() => null);
      if (path !== null) answered.push({ path, data });
    }
  };
  const uploaders = Promise.all([1, 2, 3, 4].map(uploader));
  await waitUntil('some uploads to be answered', () => answered.length >= 12, { timeoutMs: 30_000 });
  await first.end('SIGKILL');
  isOver = true;
  await uploaders;
  const second = await startProgram({ dataDir: folder.path });
  for (const { path, data } of answered) {
    const response = await fetch(second.url + path);
    assert.equal(response.status, 200, path);
    assert.deepEqual(Buffer.from(await response.arrayBuffer()), data);
  }
  const listed = (await (await fetch(`${second.url}/api/media`, { headers: { authorization: `Bearer ${key}` } })).json()) as { url: string }[];
  assert.ok(answered.every(({ path }) => listed.some(({ url }) => url.endsWith(path))));
  const after = await send(second.url, aPng(5, 5));
  assert.equal((await fetch(second.url + after)).status, 200);
  await second.end('SIGTERM');
  await folder.remove();
});
