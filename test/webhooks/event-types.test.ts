/** Every type of event is really told: provoked through pages, API and simulated networks, received by an endpoint, and fitting its published schema. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { z } from 'zod';
import { apiClient, connectChannel, createApiKey, signUp, type ApiClient } from '../../src/cli/newcomer.js';
import { bodySchema, CATALOGUE } from '../../src/webhooks/event-catalogue.js';
import { PUBLIC_EVENT_TYPES, type PublicEventType } from '../../src/webhooks/event.js';
import type { HttpSession } from '../support/http-session.js';
import { startReceiver, type Received, type Receiver } from '../support/receiver.js';
import { startApp, type TestApp } from '../support/start-app.js';

interface Told {
  id: string;
  type: PublicEventType;
  data: Record<string, unknown>;
}

/** Told by billing alone, which is off here; its own tests receive them at an endpoint. */
const OF_BILLING = ['subscription.changed', 'quota.reached'];

describe('the types of events', () => {
  let app: TestApp;
  let receiver: Receiver;
  let session: HttpSession;
  let api: ApiClient;
  let aheadMs = 0;
  const HOUR = 3_600_000;
  const now = (): Date => new Date(Date.now() + aheadMs);
  const later = (ms: number): string => new Date(now().getTime() + ms).toISOString();
  const toldIn = (request: Received): Told => request.json as Told;
  const heard = async (type: PublicEventType, matches: (data: Told['data']) => boolean = () => true): Promise<Told> =>
    toldIn(await receiver.waitFor(type, (request) => request.path === '/all' && toldIn(request).type === type && matches(toldIn(request).data), 40_000));
  const ofPost = (id: string) => (data: Told['data']) => data['postId'] === id;

  async function post(text: string, more: object = {}): Promise<string> {
    const { body } = await api.post('/api/post', { post: text, platforms: ['twitter'], ...more });
    assert.ok(typeof body['id'] === 'string' || Array.isArray(body['posts']), JSON.stringify(body));
    return typeof body['id'] === 'string' ? body['id'] : (body['posts'] as { id: string }[])[0]!.id;
  }

  before(async () => {
    receiver = await startReceiver();
    app = await startApp({ clock: { now } });
    ({ session } = await signUp(app.url));
    api = apiClient(app.url, await createApiKey(session));
    const { status, body } = await api.post('/api/webhooks/endpoints', { url: `${receiver.url}/all` });
    assert.equal(status, 201, JSON.stringify(body));
    await connectChannel(session, 'twitter', 'ada');
    await connectChannel(session, 'bluesky', 'ada.bsky.social');
  });
  after(async () => {
    await app.stop();
    await receiver.stop();
  });

  it('of posts that somebody writes, changes and cancels', async () => {
    assert.equal((await heard('channel.connected', (data) => data['platform'] === 'twitter')).data['username'], 'ada');
    const id = await post('Later.', { scheduleDate: later(5 * HOUR) });
    await heard('post.scheduled', ofPost(id));
    await session.get('/posts');
    assert.equal((await api.put('/api/post', { id, scheduleDate: later(6 * HOUR) })).status, 200);
    await heard('post.updated', ofPost(id));
    assert.equal((await api.delete('/api/post', { id })).status, 200);
    const cancelled = await heard('post.cancelled', ofPost(id));
    const sequences = receiver.received.map(toldIn).filter(({ data }) => data['postId'] === id).map(({ data }) => Number(data['sequence']));
    assert.equal(new Set(sequences).size, sequences.length, 'each event of a post has a sequence of its own');
    assert.equal(Math.max(...sequences), cancelled.data['sequence']);
  });

  it('of posts that go out at once, wholly, partly or not at all', async () => {
    const whole = await post('Out at once.');
    await heard('publication.published', ofPost(whole));
    await heard('post.published', ofPost(whole));
    const parts = await post('Half.', { platforms: ['twitter', 'bluesky'], post: { default: 'Half.', twitter: 'Half. [[fault: refused]]' } });
    await heard('post.partially_published', ofPost(parts));
    await heard('publication.failed', ofPost(parts));
    const none = await post('Refused. [[fault: refused]]');
    await heard('post.failed', ofPost(none));
  });

  it('of a thread that broke off', async () => {
    const id = await post('One.', { twitterOptions: { thread: true, threadNumber: false }, post: 'One.\n\nTwo. [[fault: refused]]' });
    await heard('publication.incomplete', ofPost(id));
  });

  it('of channels that a network signs out and a person disconnects', async () => {
    await post('Signed out. [[fault: revoked]]', { platforms: ['bluesky'] });
    const signedOut = await heard('channel.signed_out');
    assert.equal(signedOut.data['platform'], 'bluesky');
    assert.equal(typeof signedOut.data['problem'], 'string');
    const channelId = String(signedOut.data['channelId']);
    await session.get('/channels');
    await session.post(`/channels/${channelId}/disconnect`, {}, { from: '/channels' });
    await heard('channel.disconnected', (data) => data['channelId'] === channelId);
  });

  it('of an endpoint that was turned off, of tests, and of nothing twice', async () => {
    receiver.answerWith(({ path }) => ({ status: path === '/gone' ? 410 : 200 }));
    const gone = (await api.post('/api/webhooks/endpoints', { url: `${receiver.url}/gone`, events: ['webhook.test'] })).body['endpoint'] as { id: string };
    await api.post(`/api/webhooks/endpoints/${gone.id}/test`, {});
    await heard('endpoint.disabled', (data) => data['endpointId'] === gone.id);
    const all = ((await api.get('/api/webhooks/endpoints')).body['endpoints'] as { id: string; url: string }[]).find(({ url }) => url.endsWith('/all'))!;
    await api.post(`/api/webhooks/endpoints/${all.id}/test`, {});
    await heard('webhook.test');
  });

  it('of posts whose outcome nobody can tell, and of posts that missed their time', async () => {
    const given = await fetch(`${app.simulatorUrl}/telegram/web/botfather`, { method: 'POST', body: new URLSearchParams({ newHandle: 'ada_news' }) });
    const [botToken = '', chatId = ''] = [...(await given.text()).matchAll(/<dd><code>([^<]*)/g)].map((match) => match[1]);
    await session.post('/channels/connect/telegram/fields', { botToken, chatId }, { from: '/channels/connect/telegram' });
    // A network that can't be asked what became of it.
    const unsure = await post('Public? [[fault: reset-after-accept]]', { platforms: ['telegram'] });
    await heard('publication.unconfirmed', ofPost(unsure));
    const waiting = await post('Too late.', { scheduleDate: later(2 * HOUR) });
    await heard('post.scheduled', ofPost(waiting));
    aheadMs += 40 * HOUR;
    await heard('post.missed', ofPost(waiting));
  });

  it('is told once each, fits its schema, and none is missing', () => {
    const told = receiver.received.filter(({ path }) => path === '/all').map(toldIn);
    for (const event of told) {
      const parsed = bodySchema(event.type).safeParse(event);
      assert.ok(parsed.success, `${event.type}: ${parsed.success ? '' : z.prettifyError(parsed.error)}`);
    }
    assert.equal(new Set(told.map(({ id }) => id)).size, told.length);
    const types = new Set<string>(told.map(({ type }) => type));
    assert.deepEqual(PUBLIC_EVENT_TYPES.filter((type) => !types.has(type) && !OF_BILLING.includes(type)), []);
    for (const { type, example } of CATALOGUE) assert.ok(bodySchema(type).safeParse(example).success, type);
  });
});
