/** Threads and first comments over the API and the simulated networks: in order, each once, and what breaks off can be sent on. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { apiClient, connectChannel, createApiKey, signUp, type ApiClient } from '../../src/cli/newcomer.js';
import type { ListedPost } from '../../src/platforms/simulator/control-api.js';
import { findPlatform } from '../../src/platforms/registry.js';
import { formIn, type HttpSession } from '../support/http-session.js';
import { startReceiver, type Receiver } from '../support/receiver.js';
import { startApp, type TestApp } from '../support/start-app.js';
import { waitUntil } from '../support/wait-until.js';

interface ThreadRow {
  item?: number;
  status: string;
  id?: string;
  postUrl?: string;
}

interface Row {
  status: string;
  platform: string;
  id: string;
  postUrl: string;
  thread?: ThreadRow[];
  firstComment?: ThreadRow;
  warnings?: { code: number; message: string }[];
}

describe('a thread and a first comment, by API', () => {
  let app: TestApp;
  let api: ApiClient;
  let receiver: Receiver;

  before(async () => {
    receiver = await startReceiver();
    app = await startApp({ retryPolicy: { retryDelaysMs: [50], lookUpDelaysMs: [50], settleMs: 200 } });
    const { session } = await signUp(app.url);
    for (const [platform, handle] of [['bluesky', 'ada.bsky.social'], ['twitter', 'ada'], ['mastodon', 'ada'], ['threads', 'ada'], ['facebook', 'ada']] as const) await connectChannel(session, platform, handle);
    await connectSlack(session);
    api = apiClient(app.url, await createApiKey(session));
    await api.post('/api/hook/webhook', { action: 'scheduled', url: `${receiver.url}/hook`, secret: 'a secret of the test' });
  });
  after(async () => {
    await app.stop();
    await receiver.stop();
  });

  /** Its values are typed in. */
  async function connectSlack(session: HttpSession): Promise<void> {
    const given = await fetch(`${app.simulatorUrl}/slack/web/apps`, { method: 'POST', body: new URLSearchParams({ newHandle: 'general' }) });
    const values = [...(await given.text()).matchAll(/<dd><code>([^<]*)<\/code><\/dd>/g)].map((match) => match[1]!);
    const page = await session.get('/channels/connect/slack?network=simulated');
    const { action, fields } = formIn(page.text, '/channels/connect/slack/fields');
    const done = await session.post(action, { ...fields, ...Object.fromEntries(findPlatform('slack')!.connectFields!.fields.map(({ name }, i) => [name, values[i] ?? ''])) });
    assert.match(done.text, /is connected/);
  }

  async function publicOn(network: string, marker: string): Promise<ListedPost[]> {
    const response = await fetch(`${app.simulatorUrl}/simulator/posts?network=${network}`);
    const { posts } = (await response.json()) as { posts: ListedPost[] };
    return posts.filter(({ text }) => text.includes(marker)).sort((a, b) => (a.acceptedAt < b.acceptedAt ? -1 : 1));
  }

  const rowsOf = (body: Record<string, unknown>): Row[] => body['postIds'] as Row[];
  const finished = (id: string): Promise<Record<string, unknown>> => waitUntil(`post ${id} to be finished`, async () => {
    const { body } = await api.get(`/api/post/${id}`);
    return body['status'] !== 'processing' && body['status'] !== 'pending' && body;
  });

  it('goes out in order on every network that has threads', async () => {
    const { body } = await api.post('/api/post', { post: 'Walk: one', platforms: ['bluesky', 'twitter', 'mastodon', 'threads', 'slack'], thread: ['Walk: two', { post: 'Walk: three' }] });
    const done = await finished(String(body['id']));
    assert.equal(done['status'], 'success', JSON.stringify(done));
    assert.deepEqual(done['thread'], [{ post: 'Walk: two' }, { post: 'Walk: three' }]);
    for (const row of rowsOf(done)) {
      assert.deepEqual(row.thread?.map(({ item, status }) => [item, status]), [[2, 'success'], [3, 'success']], row.platform);
      const shown = await publicOn(row.platform, 'Walk:');
      assert.deepEqual(shown.map(({ text }) => text), ['Walk: one', 'Walk: two', 'Walk: three'], row.platform);
    }
  });

  it('comments first on its own post', async () => {
    const { status, body } = await api.post('/api/post', { post: 'Comment: root', platforms: ['twitter', 'threads', 'facebook'], firstComment: { comment: 'Comment: first' } });
    assert.equal(status, 200, JSON.stringify(body));
    const done = await finished(String(body['id']));
    assert.deepEqual(done['firstComment'], { comment: 'Comment: first' });
    assert.deepEqual(rowsOf(done).map(({ firstComment }) => firstComment?.status), ['success', 'success', 'success']);
    for (const network of ['twitter', 'threads']) assert.equal((await publicOn(network, 'Comment:')).length, 2, network);
  });

  it('breaks off where the third of five items fails: the root stays published, and the rest can be sent', async () => {
    const items = ['Five: 2', 'Five: 3 [[fault: refused]]', 'Five: 4', 'Five: 5'];
    const scheduleDate = new Date(Date.now() + 1_200).toISOString();
    const { body } = await api.post('/api/post', { post: 'Five: 1', platforms: ['twitter'], thread: items, scheduleDate });
    const id = String(body['id']);
    const broken = await finished(id);
    assert.equal(broken['status'], 'success');
    assert.deepEqual(broken['errors'], []);
    const [row] = rowsOf(broken);
    assert.deepEqual(row!.thread!.map(({ status }) => status), ['success', 'error', 'not sent', 'not sent']);
    assert.match(row!.warnings![0]!.message, /^Thread item 3: X refused/);
    const listed = async (status: string): Promise<boolean> => ((await api.get(`/api/history?status=${status}`)).body['history'] as { id: string }[] | undefined)?.some?.((row) => row.id === id) === true;
    assert.deepEqual([await listed('success'), await listed('error'), await listed('success,error')], [true, false, true]);
    const told = await receiver.waitFor('its webhook', (request) => (request.json as { id?: string } | undefined)?.id === id, 15_000);
    const event = told.json as { status: string; code: number; postIds: Row[] };
    assert.deepEqual([event.status, event.code, event.postIds[0]!.thread!.map(({ status }) => status)], ['success', 200, ['success', 'error', 'not sent', 'not sent']]);

    assert.equal((await api.put('/api/post/retry', { id })).status, 200);
    const whole = await waitUntil('the rest to be sent', async () => {
      const { body: now } = await api.get(`/api/post/${id}`);
      return rowsOf(now)[0]?.thread?.every(({ status }) => status === 'success') && now;
    });
    assert.equal(rowsOf(whole)[0]!.warnings, undefined);
    const shown = await publicOn('twitter', 'Five:');
    assert.deepEqual(shown.map(({ text }) => text), ['Five: 1', ...items]);
    // It has been told as a success already. What comes after it has its own.
    const { body: next } = await api.post('/api/post', { post: 'After five', platforms: ['twitter'], scheduleDate: new Date(Date.now() + 1_200).toISOString() });
    await receiver.waitFor('the next webhook', (request) => (request.json as { id?: string } | undefined)?.id === next['id'], 15_000);
    assert.equal(receiver.received.filter((request) => (request.json as { id?: string } | undefined)?.id === id).length, 1);
  });

  it('goes on in the middle when its token expires there', async () => {
    const { body } = await api.post('/api/post', { post: 'Token: 1', platforms: ['twitter', 'bluesky'], thread: ['Token: 2', 'Token: 3 [[fault: signed-out]]', 'Token: 4'] });
    const done = await finished(String(body['id']));
    assert.deepEqual(rowsOf(done).map(({ thread }) => thread?.map(({ status }) => status)), [['success', 'success', 'success'], ['success', 'success', 'success']], JSON.stringify(done));
    for (const network of ['twitter', 'bluesky']) assert.equal((await publicOn(network, 'Token:')).length, 4);
  });

  it('sends no item twice whatever becomes of the answer in the middle', async () => {
    await Promise.all(['error-after-accept', 'reset-after-accept', 'reset-before-accept'].map(async (fault) => {
      const mark = `${fault}:`;
      const platforms = ['bluesky', 'mastodon', 'slack', 'threads', 'twitter'];
      const { body } = await api.post('/api/post', { post: `${mark} 1`, platforms, thread: [`${mark} 2 [[fault: ${fault}]]`, `${mark} 3`] });
      const done = await finished(String(body['id']));
      assert.deepEqual(rowsOf(done).map(({ platform, thread }) => [platform, thread?.map(({ status }) => status).join()]), platforms.map((platform) => [platform, 'success,success']));
      for (const network of platforms) assert.deepEqual((await publicOn(network, mark)).map(({ text }) => text.replace(/ \[\[.*/, '')), [1, 2, 3].map((n) => `${mark} ${n}`), network);
    }));
  });

  it('splits the text itself where an option asks for it, numbered', async () => {
    const text = 'Split: first paragraph.\n\nSplit: second paragraph.\n\nSplit: third.';
    const { body } = await api.post('/api/post', { post: text, platforms: ['twitter', 'bluesky'], twitterOptions: { thread: true, threadNumber: true, mediaUrls: [null, 'https://media.example.com/a.jpg'] } });
    await finished(String(body['id']));
    const tweets = await publicOn('twitter', 'Split:');
    assert.deepEqual(tweets.map((post) => post.text), ['Split: first paragraph. 1/3', 'Split: second paragraph. 2/3', 'Split: third. 3/3']);
    assert.deepEqual(tweets.map(({ media }) => media.length), [0, 1, 0]);
    assert.deepEqual((await publicOn('bluesky', 'Split:')).map((post) => post.text), [text]);
  });

  it('is refused before anything is sent where a network has no threads, or an item breaks a rule', async () => {
    const { status, body } = await api.post('/api/post', { post: 'No', platforms: ['facebook', 'slack', 'twitter'], thread: ['x'.repeat(281)], firstComment: { comment: 'c' } });
    assert.equal(status, 400);
    const errors = body['errors'] as { field: string; platform: string; message: string }[];
    assert.deepEqual(errors.map(({ field, platform }) => [field, platform]), [['thread', 'facebook'], ['firstComment', 'slack'], ['thread[0].post', 'twitter']]);
  });

  it('is taken down as a whole', async () => {
    const { body } = await api.post('/api/post', { post: 'Down: 1', platforms: ['twitter', 'slack'], thread: ['Down: 2', 'Down: 3'] });
    await finished(String(body['id']));
    const { status, body: answer } = await api.delete('/api/post', { id: body['id'] });
    assert.equal(status, 200, JSON.stringify(answer));
    for (const network of ['twitter', 'slack']) assert.deepEqual((await publicOn(network, 'Down:')).map(({ isPublic }) => isPublic), [false, false, false], network);
  });

  it('can be changed and taken back while it waits', async () => {
    const scheduleDate = new Date(Date.now() + 3_600_000).toISOString();
    const { body } = await api.post('/api/post', { post: 'Later', platforms: ['bluesky'], thread: ['two'], firstComment: { comment: 'c' }, scheduleDate });
    const id = String(body['id']);
    await api.put('/api/post', { id, thread: ['two', 'three'], firstComment: null });
    const { body: changed } = await api.get(`/api/post/${id}`);
    assert.deepEqual([changed['thread'], changed['firstComment']], [[{ post: 'two' }, { post: 'three' }], undefined]);
    await api.put('/api/post', { id, thread: [] });
    assert.equal((await api.get(`/api/post/${id}`)).body['thread'], undefined);
  });
});
