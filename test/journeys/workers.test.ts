/** The work shared by several processes: pages here, publishing and webhooks there, on one embedded database. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { apiClient, connectChannel, createApiKey, signUp, type ApiClient } from '../../src/cli/newcomer.js';
import type { ListedPost } from '../../src/platforms/simulator/control-api.js';
import { runProgram, startProgram, startWorker, temporaryFolder, type Program } from '../support/program.js';
import { startReceiver, type Receiver } from '../support/receiver.js';
import { waitUntil } from '../support/wait-until.js';

describe('a web process and workers beside it', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let web: Program;
  let worker: Program;
  let receiver: Receiver;
  let simulatorUrl: string;
  let key: string;
  const api = (): ApiClient => apiClient(web.url, key);

  before(async () => {
    folder = await temporaryFolder();
    receiver = await startReceiver();
    web = await startProgram({ dataDir: folder.path, env: { ROLES: 'web' } });
    worker = await startWorker({ dataDir: folder.path, env: { PORT: '0' } });
    const { session } = await signUp(web.url);
    simulatorUrl = await connectChannel(session, 'bluesky', 'ada.bsky.social');
    key = await createApiKey(session);
    await api().post('/api/hook/webhook', { action: 'scheduled', url: `${receiver.url}/hook`, secret: 'a secret of the test' });
  });
  after(async () => {
    await worker.end('SIGKILL');
    await web.end('SIGKILL');
    await receiver.stop();
    await folder.remove();
  });

  async function recordOf(text: string): Promise<ListedPost[]> {
    const response = await fetch(`${simulatorUrl}/simulator/posts?text=${encodeURIComponent(text)}`);
    return ((await response.json()) as { posts: ListedPost[] }).posts;
  }

  async function isPublishedOnce(id: string, text: string): Promise<void> {
    await waitUntil(`post ${id} to be published`, async () => (await api().get(`/api/post/${id}`)).body['status'] === 'success', { timeoutMs: 60_000, everyMs: 100 });
    assert.equal((await recordOf(text)).length, 1);
  }

  it('publishes what the other wrote, at once and on time, and delivers its webhook', async () => {
    const now = await api().post('/api/post', { post: 'At once.', platforms: ['bluesky'] });
    assert.equal(now.body['status'], 'success', JSON.stringify(now.body));
    const scheduleDate = new Date(Date.now() + 2_500);
    const { body } = await api().post('/api/post', { post: 'Later.', platforms: ['bluesky'], scheduleDate: scheduleDate.toISOString() });
    await isPublishedOnce(String(body['id']), 'Later.');
    const lateMs = Date.parse((await recordOf('Later.'))[0]!.acceptedAt) - scheduleDate.getTime();
    assert.ok(lateMs >= 0 && lateMs < 1_500, `accepted ${lateMs} ms after its time`);
    await receiver.waitFor('its webhook', (request) => (request.json as { id?: string } | undefined)?.id === body['id'], 15_000);
  });

  it('a worker has no pages, and answers health checks when it was given a port', async () => {
    assert.equal((await fetch(new URL('/healthz', worker.url))).status, 200);
    assert.equal((await fetch(new URL('/readyz', worker.url))).status, 200);
    assert.equal((await fetch(new URL('/', worker.url))).status, 404);
  });

  it('a killed worker\'s posts are taken over by the next one within seconds, and published once', async () => {
    const text = 'Claimed by the first. [[fault: slow ms=60000]]';
    const { body } = await api().post('/api/post', { post: text, platforms: ['bluesky'], scheduleDate: new Date(Date.now() + 1_500).toISOString() });
    const id = String(body['id']);
    await waitUntil('the intent to be stored', async () => (await api().get(`/api/post/${id}`)).body['status'] === 'processing');
    await worker.end('SIGKILL');
    worker = await startWorker({ dataDir: folder.path });
    await isPublishedOnce(id, text);
  });

  it('a thread goes on where the killed worker left it, each item once', async () => {
    const items = ['Item two.', 'Item three. [[fault: slow ms=3000]]', 'Item four.'];
    const { body } = await api().post('/api/post', { post: 'Item one.', platforms: ['bluesky'], thread: items, scheduleDate: new Date(Date.now() + 1_500).toISOString() });
    const id = String(body['id']);
    await waitUntil('the second item to be public', async () => (await recordOf('Item two.')).length === 1, { everyMs: 10 });
    await waitUntil('its outcome to be stored', async () => JSON.stringify((await api().get(`/api/post/${id}`)).body).includes('"item":2,"status":"success"'), { everyMs: 10 });
    await worker.end('SIGKILL');
    assert.equal((await recordOf('Item four.')).length, 0, 'it was done already: this run says nothing');
    worker = await startWorker({ dataDir: folder.path });
    await waitUntil('the rest', async () => (await recordOf('Item four.')).length > 0 && (await api().get(`/api/post/${id}`)).body['status'] === 'success', { timeoutMs: 60_000, everyMs: 100 });
    for (const text of ['Item one.', ...items]) assert.equal((await recordOf(text)).length, 1, text);
  });

  it('a worker outlives a restart of the web process with its database', async () => {
    await web.end('SIGKILL');
    web = await startProgram({ dataDir: folder.path, env: { ROLES: 'web' } });
    const { body } = await api().post('/api/post', { post: 'After the restart.', platforms: ['bluesky'], scheduleDate: new Date(Date.now() + 1_500).toISOString() });
    await isPublishedOnce(String(body['id']), 'After the restart.');
  });

  it('a worker stops in order', async () => {
    const { code } = await worker.end('SIGTERM');
    assert.equal(code, 0, worker.output());
  });

  it('a worker without a program to work for says so', async () => {
    const other = await temporaryFolder();
    const refused = await runProgram({ dataDir: other.path, env: { ROLES: 'worker' } });
    await other.remove();
    assert.equal(refused.code, 1);
    assert.match(refused.output, /No Signpost runs on the data directory .*npm start/);
    assert.doesNotMatch(refused.output, /\n\s+at /, 'a stack trace');
  });
});
