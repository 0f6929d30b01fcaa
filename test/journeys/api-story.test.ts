/** The whole story by API: connect, register a webhook, schedule, published at its time, told with valid signatures. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { apiClient, connectChannel, createApiKey, signUp, type ApiClient } from '../../src/cli/newcomer.js';
import { checkSignatures } from '../../src/cli/signature-check.js';
import type { HttpSession } from '../support/http-session.js';
import { startReceiver, type Received, type Receiver } from '../support/receiver.js';
import { startApp, type TestApp } from '../support/start-app.js';
import { waitUntil } from '../support/wait-until.js';

const SECRET = 'a secret of the test';

interface Scheduled {
  action: string;
  subAction?: string;
  status: string;
  code: number;
  id: string;
  refId: string;
  errors: unknown[];
  postIds: { status: string; id: string; platform: string; postUrl?: string }[];
  url: string;
}

describe('the whole story by API', () => {
  let app: TestApp;
  let receiver: Receiver;
  let session: HttpSession;
  let api: ApiClient;

  before(async () => {
    receiver = await startReceiver();
    app = await startApp();
    ({ session } = await signUp(app.url, { timeZone: 'Europe/Berlin' }));
    await connectChannel(session, 'bluesky', 'ada.bsky.social');
    await connectChannel(session, 'twitter', 'ada');
    await connectChannel(session, 'tiktok', 'ada.video');
    api = apiClient(app.url, await createApiKey(session));
  });
  after(async () => {
    await app.stop();
    await receiver.stop();
  });

  const soon = (ms = 1_500): string => new Date(Date.now() + ms).toISOString();
  const eventOf = (request: Received): Partial<Scheduled> => (request.json ?? {}) as Partial<Scheduled>;
  const heard = (id: string, subAction?: string): Promise<Received> =>
    receiver.waitFor(`the webhook ${subAction ?? 'scheduled'} of ${id}`, (request) => eventOf(request).id === id && eventOf(request).subAction === subAction, 30_000);
  const published = (id: string): Promise<Record<string, unknown>> =>
    waitUntil(`post ${id} to be published`, async () => {
      const { body } = await api.get(`/api/post/${id}`);
      return body['status'] === 'success' && !JSON.stringify(body['postIds']).includes('"pending"') && body;
    }, { timeoutMs: 30_000 });

  it('lists the connected channels', async () => {
    const { status, body } = await api.get('/api/user');
    assert.equal(status, 200);
    assert.deepEqual(body['activeSocialAccounts'], ['bluesky', 'tiktok', 'twitter']);
    assert.equal(body['title'], 'Primary Profile');
  });

  it('registers a webhook and lists it', async () => {
    const url = `${receiver.url}/hook`;
    const { status, body } = await api.post('/api/hook/webhook', { action: 'scheduled', url, secret: SECRET });
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(body['status'], 'success');
    assert.equal((await api.get('/api/hook/webhook')).body['scheduled'], url);
  });

  it('publishes a scheduled post at its time and says so with both signatures', async () => {
    const scheduleDate = soon();
    const { status, body } = await api.post('/api/post', { post: 'Hello, two networks.', platforms: ['twitter', 'bluesky'], scheduleDate });
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(body['status'], 'scheduled');
    const id = String(body['id']);

    const request = await heard(id);
    assert.ok(request.at >= new Date(Math.floor(Date.parse(scheduleDate) / 1_000) * 1_000), 'not before its time');
    assert.deepEqual(checkSignatures(request, SECRET), []);
    assert.notDeepEqual(checkSignatures(request, 'another secret'), []);
    const event = eventOf(request);
    assert.equal(event.action, 'scheduled');
    assert.equal(event.status, 'success');
    assert.equal(event.code, 200);
    assert.deepEqual(event.errors, []);
    assert.deepEqual(event.postIds?.map(({ platform }) => platform), ['bluesky', 'twitter']);
    assert.equal(event.url, `${receiver.url}/hook`);

    await published(id);
    for (const { postUrl } of event.postIds ?? []) {
      const page = await fetch(postUrl ?? '');
      assert.equal(page.status, 200, postUrl);
      assert.match(await page.text(), /Hello, two networks\./);
    }
  });

  it('tells twice about a network that accepts first and publishes later', async () => {
    const { body } = await api.post('/api/post', { post: 'A clip.', platforms: ['tiktok'], mediaUrls: ['https://media.example.com/clip.mp4'], scheduleDate: soon() });
    const id = String(body['id']);
    const accepted = await heard(id);
    assert.deepEqual(eventOf(accepted).postIds?.map((row) => row.id), ['pending']);
    const done = await heard(id, 'tikTokPublished');
    for (const request of [accepted, done]) assert.deepEqual(checkSignatures(request, SECRET), []);
    const row = eventOf(done).postIds?.[0];
    assert.equal(row?.status, 'success');
    assert.notEqual(row?.id, 'pending');
    await published(id);
    assert.equal(new Set(receiver.received.filter((request) => eventOf(request).id === id).map((request) => request.headers['webhook-id'])).size, 2);
  });

  it('publishes at once without a date, and answers with the addresses', async () => {
    const { status, body } = await api.post('/api/post', { post: 'Right now.', platforms: ['bluesky'] });
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(body['status'], 'success');
    const rows = body['postIds'] as Scheduled['postIds'];
    assert.equal(rows[0]?.platform, 'bluesky');
    assert.equal((await fetch(rows[0]?.postUrl ?? '')).status, 200);
  });

  it('says in the webhook what a network refused, beside what succeeded', async () => {
    const text = 'One of two is refused. [[fault: refused]]';
    const { body } = await api.post('/api/post', { post: text, platforms: ['bluesky'], scheduleDate: soon() });
    const request = await heard(String(body['id']));
    assert.deepEqual(checkSignatures(request, SECRET), []);
    assert.equal(eventOf(request).status, 'error');
    assert.equal(eventOf(request).errors?.length, 1);
  });

  it('cancels a post before its time, and nothing is published or told', async () => {
    const { body } = await api.post('/api/post', { post: 'Never to be seen.', platforms: ['bluesky'], scheduleDate: soon(3_600_000) });
    const id = String(body['id']);
    const removed = await api.delete('/api/post', { id });
    assert.equal(removed.status, 200);
    assert.equal(removed.body['status'], 'success');
    assert.notEqual((await api.get(`/api/post/${id}`)).body['status'], 'pending');
    assert.equal(receiver.received.some((request) => eventOf(request).id === id), false);
  });

  it('told of each post once, and of a video that became public later a second time', async () => {
    const { body } = await api.post('/api/post', { post: 'Two networks, one of them slow.', platforms: ['tiktok', 'bluesky'], mediaUrls: ['https://media.example.com/clip.mp4'], scheduleDate: soon() });
    const id = String(body['id']);
    await heard(id, 'tikTokPublished');
    await published(id);
    // Whatever else was made of it is ahead of what comes after it.
    const after = await api.post('/api/post', { post: 'After it.', platforms: ['bluesky'], scheduleDate: soon() });
    await heard(String(after.body['id']));
    const told = new Map<string, string[]>();
    for (const request of receiver.received) {
      const { id: postId = '', subAction = 'scheduled' } = eventOf(request);
      told.set(postId, [...(told.get(postId) ?? []), subAction]);
    }
    assert.deepEqual(told.get(id), ['scheduled', 'tikTokPublished']);
    for (const [postId, actions] of told) assert.equal(new Set(actions).size, actions.length, `${postId}: ${actions.join(', ')}`);
  });

  it('lists all of it in the history', async () => {
    const { status, body } = await api.get('/api/history');
    assert.equal(status, 200);
    const texts = (body['history'] as { post: string }[]).map((row) => row.post);
    for (const text of ['Hello, two networks.', 'A clip.', 'Right now.']) assert.ok(texts.includes(text), text);
  });
});
