/** What becomes of posts whose time went by while nothing ran: sent late, left, or left to their owner, as each of them says. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { apiClient, connectChannel, createApiKey, signUp, type ApiClient } from '../../src/cli/newcomer.js';
import { httpSession, type HttpSession } from '../support/http-session.js';
import { temporaryFolder } from '../support/program.js';
import { startReceiver, type Receiver } from '../support/receiver.js';
import { startApp, type TestApp } from '../support/start-app.js';
import { dropDatabase, uriOfDatabase } from '../support/temporary-database.js';
import { waitUntil } from '../support/wait-until.js';

describe('posts whose time went by during a stop', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let first: TestApp;
  let second: TestApp;
  let receiver: Receiver;
  let api: ApiClient;
  let session: HttpSession;
  const ids: Record<string, string> = {};

  before(async () => {
    folder = await temporaryFolder();
    receiver = await startReceiver();
    const retryPolicy = { lateAfterMs: 1_000, lateGapMs: 200 };
    first = await startApp({ retryPolicy, env: { DATA_DIR: folder.path } });
    const { session: before } = await signUp(first.url);
    await connectChannel(before, 'bluesky', 'ada.bsky.social');
    const key = await createApiKey(before);
    api = apiClient(first.url, key);
    await api.post('/api/hook/webhook', { action: 'scheduled', url: `${receiver.url}/hook`, secret: 'a secret of the test' });
    const scheduleDate = new Date(Date.now() + 3_000).toISOString();
    for (const whenLate of ['send', 'skip', 'ask']) {
      const { body } = await api.post('/api/post', { post: `When late: ${whenLate}`, platforms: ['bluesky'], scheduleDate, whenLate });
      ids[whenLate] = String(body['id']);
    }
    await first.app.stop();
    await waitUntil('the time to go by', () => Date.now() > Date.parse(scheduleDate) + 1_500);
    second = await startApp({ retryPolicy, env: { DATA_DIR: folder.path, MONGODB_URI: uriOfDatabase(first.databaseName) } });
    api = apiClient(second.url, key);
    session = httpSession(second.url);
    await session.post('/sign-in', { email: 'ada@example.com', password: 'correct horse battery' }, { from: '/sign-in' });
  });
  after(async () => {
    await second.stop();
    await dropDatabase(first.databaseName);
    await receiver.stop();
    await folder.remove();
  });

  const settled = (id: string): Promise<Record<string, unknown>> => waitUntil(`post ${id} to be settled`, async () => {
    const { body } = await api.get(`/api/post/${id}`);
    return ['success', 'error'].includes(String(body['status'])) && body;
  });

  it('is sent late unless it says otherwise', async () => {
    assert.equal((await settled(ids['send']!))['status'], 'success');
  });

  for (const [whenLate, words] of [['skip', /was not to be sent late/], ['ask', /Send it now, if you still want it/]] as const) {
    it(`is missed where it says "${whenLate}": told by API, webhook and page`, async () => {
      const body = await settled(ids[whenLate]!);
      const [row] = body['errors'] as { code: number; message: string }[];
      assert.deepEqual([body['status'], row?.code], ['error', 915]);
      assert.match(row!.message, words);
      const event = await receiver.waitFor('the webhook', (request) => (request.json as { id?: string } | undefined)?.id === ids[whenLate], 15_000);
      assert.deepEqual([(event.json as { status: string }).status, (event.json as { errors: { code: number }[] }).errors[0]?.code], ['error', 915]);
      const page = await session.get(`/posts/${ids[whenLate]!}`);
      assert.match(page.text, words);
      assert.match(page.text, /Missed/);
      assert.match(page.text, /id="retry-pub_/);
    });
  }

  it('is sent all the same once its owner asks for it, by page or API', async () => {
    const page = await session.get(`/posts/${ids['ask']!}`);
    const publicationId = /name="publicationId" value="([^"]+)"/.exec(page.text)?.[1] ?? assert.fail('no button');
    await session.post(`/posts/${ids['ask']!}/retry`, { publicationId });
    assert.equal((await api.put('/api/post/retry', { id: ids['skip'] })).status, 200);
    for (const whenLate of ['ask', 'skip']) await waitUntil('it to be sent', async () => (await api.get(`/api/post/${ids[whenLate]!}`)).body['status'] === 'success');
  });
});
