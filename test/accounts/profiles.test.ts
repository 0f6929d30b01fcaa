/** Profiles by page and API: made, chosen by key and by session, kept apart, and deleted with what is in them. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { apiClient, connectChannel, createApiKey, signUp, type ApiClient } from '../../src/cli/newcomer.js';
import type { HttpSession } from '../../src/cli/http-session.js';
import { freeSlot } from '../../src/lib/slots.js';
import { startApp, type TestApp } from '../support/start-app.js';

describe('profiles', () => {
  let app: TestApp;
  let session: HttpSession;
  let api: ApiClient;
  let apiKey: string;
  before(async () => {
    app = await startApp({ env: { SIGNUP: 'open' } });
    ({ session } = await signUp(app.url, { email: 'ada@example.com' }));
    apiKey = await createApiKey(session);
    api = apiClient(app.url, apiKey);
  });
  after(() => app.stop());

  const as = async (profileKey: string, method: string, path: string, body?: unknown, key = apiKey): Promise<{ status: number; body: Record<string, unknown> }> => {
    const response = await fetch(app.url + path, {
      method, headers: { authorization: `Bearer ${key}`, 'profile-key': profileKey, 'content-type': 'application/json' }, ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  const at = new Date(Date.now() + 86_400_000).toISOString();

  it('are made once for a title, listed without their keys, renamed and deleted', async () => {
    const { status, body } = await api.post('/api/profiles', { title: 'Client A', messagingActive: true, source: 'npm' });
    assert.equal(status, 200);
    assert.match(String(body['profileKey']), /^[0-9A-F]{8}(-[0-9A-F]{8}){3}$/);
    assert.match(String(body['refId']), /^[0-9a-f]{40}$/);
    const twice = await api.post('/api/profiles', { title: 'client a' });
    assert.deepEqual([twice.status, twice.body['code']], [400, 146]);
    assert.equal((await api.post('/api/profiles', { title: '  ' })).status, 400);
    assert.equal((await api.post('/api/profiles', { title: { $gt: '' } })).status, 400);
    const listed = await api.get('/api/profiles');
    assert.deepEqual((listed.body['profiles'] as Record<string, unknown>[]).map(({ title, refId }) => [title, refId]), [['Client A', body['refId']]]);
    assert.doesNotMatch(JSON.stringify(listed.body), /profileKey/);
    const renamed = await as('', 'PATCH', '/api/profiles', { profileKey: body['profileKey'], title: 'Client B' });
    assert.deepEqual(renamed.body, { status: 'success', refId: body['refId'] });
    assert.equal((await as(String(body['profileKey']), 'GET', '/api/user')).body['title'], 'Client B');
    assert.equal((await as('', 'DELETE', '/api/profiles', { profileKey: body['profileKey'] })).status, 200);
    assert.equal((await as(String(body['profileKey']), 'GET', '/api/user')).status, 403);
    assert.equal((await api.get('/api/profiles')).body['count'], 0);
  });

  it('keep channels and posts apart, and a key opens none of another account', async () => {
    const { body: { profileKey } } = await api.post('/api/profiles', { title: 'Apart' });
    const key = String(profileKey);
    await connectChannel(session, 'bluesky', 'ada.bsky.social');
    const page = await session.get('/profiles');
    const id = /action="\/profiles\/(prf_[0-9a-z]+)\/delete" data-confirm="Delete the profile “Apart”/.exec(page.text)?.[1];
    assert.ok(id);
    const there = await session.post(`/profiles/${id}/use`, {}, { from: '/profiles' });
    assert.match(there.text, /id="current-profile"[^]*Apart/);
    await connectChannel(session, 'mastodon', 'apart');
    assert.deepEqual((await as(key, 'GET', '/api/user')).body['activeSocialAccounts'], ['mastodon']);
    assert.deepEqual((await api.get('/api/user')).body['activeSocialAccounts'], ['bluesky']);
    const written = await as(key, 'POST', '/api/post', { post: 'For the client', platforms: ['mastodon'], scheduleDate: at });
    assert.equal(written.status, 200, JSON.stringify(written.body));
    const [row] = written.body['posts'] as Record<string, unknown>[];
    assert.deepEqual([row?.['status'], row?.['profileTitle']], ['scheduled', 'Apart']);
    assert.equal((await api.get(`/api/post/${String(row?.['id'])}`)).status, 400, 'not in the Primary Profile');
    assert.equal((await as(key, 'GET', `/api/post/${String(row?.['id'])}`)).status, 200);
    assert.match((await session.get('/posts')).text, /For the client/);

    const { session: other } = await signUp(app.url, { email: 'eve@example.com' });
    const otherKey = await createApiKey(other);
    assert.equal((await as(key, 'GET', '/api/user', undefined, otherKey)).status, 403);
    assert.equal((await as('x'.repeat(5_000), 'GET', '/api/user')).status, 403);
    assert.equal((await other.post(`/profiles/${id}/use`, {}, { from: '/profiles' })).status, 404);
    assert.equal((await other.post(`/profiles/${id}/delete`, {}, { from: '/profiles' })).status, 404);
    const primary = /action="\/profiles\/(prf_[0-9a-z]+)\/use"/.exec((await session.get('/profiles')).text)?.[1];
    assert.equal((await session.post(`/profiles/${primary}/delete`, {}, { from: '/profiles' })).status, 404, 'the Primary Profile stays');

    // Deleted while it is worked in: the session falls back to the Primary Profile.
    const gone = await session.post(`/profiles/${id}/delete`, {}, { from: '/profiles' });
    assert.match(gone.text, /is deleted/);
    assert.doesNotMatch(gone.text, /id="current-profile"/);
    assert.equal((await as(key, 'GET', '/api/user')).status, 403);
    assert.doesNotMatch((await session.get('/posts')).text, /For the client/);
    assert.deepEqual((await api.get('/api/user')).body['activeSocialAccounts'], ['bluesky'], 'the others keep their channels');
  });

  it('take a title from the page, and say beside the field what is wrong with it', async () => {
    const made = await session.post('/profiles', { title: 'From the page' }, { from: '/profiles' });
    assert.equal(made.status, 201);
    assert.match(made.text, /id="new-key">[0-9A-F-]{35}</);
    const again = await session.post('/profiles', { title: 'From the page' }, { from: '/profiles' });
    assert.equal(again.status, 422);
    assert.match(again.text, /exists already/);
  });
});

describe('places under a limit', () => {
  it('are free as long as there is room, whatever was made under other limits', () => {
    assert.equal(freeSlot([], 1), 0);
    assert.equal(freeSlot([0], 1), null);
    assert.equal(freeSlot([0, 2], 3), 1);
    assert.equal(freeSlot([null], 1), null);
    assert.equal(freeSlot([null, 2], 3), 0);
    assert.equal(freeSlot([0, null, 2], 3), null);
    assert.equal(freeSlot([7, 8, 9], 2), null);
    assert.equal(freeSlot([], 0), null);
  });
});
