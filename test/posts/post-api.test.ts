/** Posts through the API, as a program made for Ayrshare would use it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { waitUntil } from '../support/wait-until.js';
import { inSeconds, startPostsApp } from './posts-app.js';

const app = await startPostsApp();
const user = await app.newcomer();
type Row = Record<string, unknown>;

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
const JSON_TYPE = 'application/json; charset=utf-8';

describe('a post for now', () => {
  test('is answered with what became of it, platforms in alphabetical order', async () => {
    const { status, contentType, body } = await user.call('POST', '/api/post', { post: 'Now!', platforms: ['twitter', 'bluesky'], source: 'npm' });
    assert.deepEqual([status, contentType, body['status'], body['errors'], body['post']], [200, JSON_TYPE, 'success', [], 'Now!']);
    assert.match(String(body['id']), /^[A-Za-z0-9]{20}$/);
    assert.match(String(body['refId']), /^[0-9a-f]{40}$/);
    const rows = body['postIds'] as Row[];
    assert.deepEqual(rows.map(({ status: word, platform }) => [word, platform]), [['success', 'bluesky'], ['success', 'twitter']]);
    for (const row of rows) {
      assert.match(String(row['postUrl']), /^http/);
      assert.ok(String(row['id']).length > 0);
      assert.deepEqual(Object.keys(row).sort(), ['id', 'platform', 'postUrl', 'status']);
    }
  });

  test('goes out with each platform\'s own text', async () => {
    const { status, body } = await user.call('POST', '/api/post', { post: { twitter: 'Own words for X', default: 'Words for the rest' }, platforms: ['twitter', 'bluesky'] });
    assert.deepEqual([status, body['post']], [200, 'Words for the rest']);
    const { posts } = (await (await fetch(`${app.simulatorUrl}/simulator/posts`)).json()) as { posts: { network: string; text: string }[] };
    for (const [network, text] of [['twitter', 'Own words for X'], ['bluesky', 'Words for the rest']]) assert.ok(posts.some((post) => post.network === network && post.text === text), network);
  });

  test('on TikTok is answered when it is accepted, and becomes public later', async () => {
    const { status, body } = await user.call('POST', '/api/post', { post: 'Clip', platforms: ['tiktok'], mediaUrls: ['https://media.example.com/clip.mp4'] });
    assert.deepEqual([status, body['status']], [200, 'success']);
    const [row] = body['postIds'] as Row[];
    assert.equal(row?.['isVideo'], true);
    if (row?.['id'] === 'pending') {
      assert.deepEqual(Object.keys(row).sort(), ['id', 'idShare', 'isVideo', 'platform', 'status']);
    }
    const done = await waitUntil('the clip to be public', async () => {
      const { body: now } = await user.api.get(`/api/post/${String(body['id'])}`);
      const [only] = now['postIds'] as Row[];
      return only?.['id'] === 'pending' ? null : only;
    });
    assert.match(String(done['postUrl']), /^http/);
  });

  test('is answered with what keeps it back, also where the network has prepared it already', async () => {
    const other = await app.newcomer(['instagram']);
    const begun = performance.now();
    const { status, body } = await other.call('POST', '/api/post', { post: 'Enough for today [[fault: daily-limit]]', platforms: ['instagram'], mediaUrls: ['https://media.example.com/photo.jpg'] });
    assert.deepEqual([status, body['status'], body['postIds']], [200, 'processing', []]);
    const [row] = body['errors'] as Row[];
    assert.deepEqual([row?.['code'], row?.['retryAvailable'], row?.['platform']], [912, true, 'instagram']);
    assert.match(String(row?.['message']), /no more posts of this account today. Signpost tries again by itself/);
    assert.ok(performance.now() - begun < 20_000, 'nobody waits for what comes in hours');
  });

  test('is sent once and left to a person where the network lists it nowhere, such as a Facebook story', async () => {
    const other = await app.newcomer(['facebook']);
    const story = { post: '', platforms: ['facebook'], mediaUrls: ['https://media.example.com/photo.jpg'], faceBookOptions: { stories: true } };
    await fetch(`${app.simulatorUrl}/simulator/faults`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ kind: 'reset-after-accept', network: 'facebook', times: 1 }) });
    const { body } = await other.call('POST', '/api/post', story);
    assert.deepEqual((body['errors'] as Row[]).map(({ code }) => code), [914]);
    const { posts } = (await (await fetch(`${app.simulatorUrl}/simulator/posts?network=facebook`)).json()) as { posts: unknown[] };
    assert.equal(posts.length, 1);
  });

  test('can be cancelled while it waits for another try and nothing of it is public, but not while a network works on it', async () => {
    const other = await app.newcomer(['twitter', 'instagram']);
    const publish = async (platform: string) => String((await other.call('POST', '/api/post', { post: `Waits at ${platform} [[fault: daily-limit]]`, platforms: [platform], mediaUrls: ['https://media.example.com/photo.jpg'] })).body['id']);
    const waiting = await publish('twitter');
    assert.match((await other.session.get(`/posts/${waiting}`)).text, /id="cancel-post"/);
    const gone = await other.call('DELETE', '/api/post', { id: waiting });
    assert.deepEqual([gone.status, gone.body['status']], [200, 'success']);
    assert.equal((await other.api.get(`/api/post/${waiting}`)).body['status'], 'deleted');
    const prepared = await publish('instagram');
    const kept = await other.call('DELETE', '/api/post', { id: prepared });
    assert.deepEqual([kept.status, kept.body['message']], [409, "Instagram is still working on the post, which may become public, and can't be deleted before that has ended. Nothing was changed."]);
  });

  test('with a time in the past goes out at once', async () => {
    const { status, body } = await user.call('POST', '/api/post', { post: 'Late', platforms: ['bluesky'], scheduleDate: '2020-01-01T00:00:00.000Z' });
    assert.deepEqual([status, body['status'], (body['postIds'] as Row[]).length], [200, 'success', 1]);
  });

  test('without the media that a platform needs is refused as Ayrshare does it, with nothing stored', async () => {
    const { status, body } = await user.call('POST', '/api/post', { post: 'No clip', platforms: ['tiktok'] });
    assert.deepEqual([status, body['status'], body['postIds'], body['validate'], body['post']], [400, 'error', [], true, 'No clip']);
    const [row] = body['errors'] as Row[];
    assert.deepEqual([row?.['action'], row?.['status'], row?.['code'], row?.['verifyCheck'], row?.['platform']], ['post', 'error', 904, true, 'tiktok']);
    const { id, refId } = body;
    assert.ok(typeof id === 'string' && typeof refId === 'string');
    assert.equal((await user.api.get(`/api/post/${id}`)).status, 400);
  });
});

describe('a post for later', () => {
  test('is answered as scheduled, shown as pending, and published at its time', async () => {
    const scheduleDate = inSeconds(2);
    const { status, body } = await user.call('POST', '/api/post', { post: 'Soon', platforms: ['bluesky'], scheduleDate, notes: 'n1' });
    assert.equal(status, 200);
    assert.deepEqual(Object.keys(body), ['status', 'scheduleDate', 'id', 'refId', 'post']);
    assert.deepEqual([body['status'], body['scheduleDate']], ['scheduled', `${scheduleDate.slice(0, 19)}Z`]);
    const { body: waiting } = await user.api.get(`/api/history/${String(body['id'])}?id=${String(body['id'])}&source=npm`);
    assert.deepEqual([waiting['status'], waiting['type'], waiting['notes'], waiting['platforms'], waiting['postIds']], ['pending', 'scheduled', 'n1', ['bluesky'], []]);
    assert.match(String(waiting['created']), ISO);
    assert.match(String(waiting['scheduleDate']), ISO);
    assert.ok(!Object.values(waiting).includes(null), 'unused keys are left out');
    const done = await waitUntil('the post to be published', async () => {
      const { body: now } = await user.api.get(`/api/post/${String(body['id'])}`);
      return now['status'] === 'success' ? now : null;
    });
    assert.equal((done['postIds'] as Row[]).length, 1);
  });

  test('can be moved with PUT and PATCH, and its text be changed', async () => {
    const { body } = await user.call('POST', '/api/post', { post: 'Movable', platforms: ['twitter'], scheduleDate: inSeconds(3600) });
    const id = String(body['id']);
    const put = await user.call('PUT', '/api/post', { id, scheduleDate: '2027-01-01T10:00:00Z', source: 'npm' });
    assert.deepEqual([put.status, put.body['status'], put.body['id'], put.body['scheduleDate']], [200, 'success', id, '2027-01-01T10:00:00Z']);
    const patch = await user.call('PATCH', '/api/post', { id, post: 'Moved', notes: 'later' });
    assert.equal(patch.status, 200);
    const { body: row } = await user.api.get(`/api/post/${id}`);
    assert.deepEqual([row['post'], row['notes'], row['scheduleDate'], row['status']], ['Moved', 'later', '2027-01-01T10:00:00Z', 'pending']);
  });

  test('can be deleted by either route, and again', async () => {
    for (const path of ['/api/post', '/api/delete']) {
      const { body } = await user.call('POST', '/api/post', { post: 'Gone', platforms: ['bluesky', 'twitter'], scheduleDate: inSeconds(3600) });
      const id = String(body['id']);
      for (let i = 0; i < 2; i++) {
        const gone = await user.call('DELETE', path, { id, source: 'npm' });
        assert.deepEqual([gone.status, gone.body['status'], gone.body['id'], gone.body['code']], [200, 'success', id, 200]);
        assert.deepEqual(gone.body['bluesky'], { action: 'delete', status: 'success', id });
      }
      assert.equal((await user.api.get(`/api/post/${id}`)).body['status'], 'deleted');
      assert.equal((await user.call('PUT', '/api/post', { id, scheduleDate: inSeconds(60) })).status, 409);
    }
  });

  test('can be deleted in bulk, and all at once', async () => {
    const ann = await app.newcomer(['bluesky']);
    const ids: string[] = [];
    for (let i = 0; i < 4; i++) ids.push(String((await ann.call('POST', '/api/post', { post: `p${i}`, platforms: ['bluesky'], scheduleDate: inSeconds(3600) })).body['id']));
    const bulk = await ann.call('DELETE', '/api/post', { bulk: ids.slice(0, 2) });
    assert.deepEqual([bulk.status, bulk.body['status']], [200, 'success']);
    const mixed = await ann.call('DELETE', '/api/post', { bulk: [ids[0], 'unknown0000000000000'] });
    assert.deepEqual([mixed.status, (mixed.body['posts'] as Row[]).map((row) => row['code'])], [400, [200, 114]]);
    const all = await ann.call('DELETE', '/api/post', { deleteAllScheduled: true });
    assert.deepEqual([all.status, all.body['count']], [200, 2]);
    assert.equal((await ann.api.get('/api/history')).body['count'], 0);
  });
});

describe('an idempotency key', () => {
  test('answers a repeated request alike, and publishes once', async () => {
    const body = { post: 'Only once', platforms: ['bluesky'], idempotencyKey: 'once' };
    const [first, second] = await Promise.all([user.call('POST', '/api/post', body), user.call('POST', '/api/post', body)]);
    const third = await user.call('POST', '/api/post', body);
    assert.deepEqual([first.status, second.status, third.status], [200, 200, 200]);
    assert.deepEqual(third.body, first.body);
    assert.deepEqual(second.body, first.body);
    const other = await user.call('POST', '/api/post', { ...body, post: 'Another' });
    assert.deepEqual([other.status, other.body['code'], (other.body['errors'] as Row[])[0]?.['field']], [409, 907, 'idempotencyKey']);
  });
});

describe('history', () => {
  test('is empty with HTTP 400 and code 221, as Ayrshare has it', async () => {
    const nobody = await app.newcomer([]);
    const { status, body } = await nobody.call('GET', '/api/history');
    assert.equal(status, 400);
    assert.equal(body['count'], 0);
    assert.deepEqual([(body['history'] as Row)['code'], (body['history'] as Row)['action'], (body['history'] as Row)['status']], [221, 'get', 'error']);
  });

  test('is filtered by what clients send', async () => {
    const ben = await app.newcomer(['bluesky', 'twitter']);
    const now = (await ben.call('POST', '/api/post', { post: 'n', platforms: ['bluesky'] })).body['id'];
    const later = (await ben.call('POST', '/api/post', { post: 'l', platforms: ['twitter'], scheduleDate: inSeconds(86_400) })).body['id'];
    const ids = async (query: string) => {
      const { status, body } = await ben.call('GET', `/api/history${query}`);
      return status === 400 ? [] : (body['history'] as Row[]).map((row) => row['id']);
    };
    assert.deepEqual(await ids(''), [later, now]);
    assert.deepEqual(await ids('?limit=1'), [later]);
    assert.deepEqual(await ids('?platforms%5B0%5D=bluesky&platforms%5B1%5D=tiktok&source=npm'), [now]);
    assert.deepEqual(await ids('?platforms=twitter,tiktok'), [later]);
    assert.deepEqual(await ids('?platforms=twitter&platforms=bluesky'), [later, now]);
    assert.deepEqual(await ids('?status=pending'), [later]);
    assert.deepEqual(await ids('?status=success'), [now]);
    assert.deepEqual(await ids('?type=immediate'), [now]);
    assert.deepEqual(await ids('?startDate=2020-01-01&endDate=2020-12-31'), []);
    assert.deepEqual(await ids('?lastDays=0'), [later, now]);
    const { body } = await ben.call('GET', '/api/history');
    assert.match(String(body['refId']), /^[0-9a-f]{40}$/);
    assert.equal((body['history'] as Row[])[0]?.['profileTitle'], 'Primary Profile');
  });
});

describe('validation without posting', () => {
  test('says that all is well, warns of what is not linked, and refuses what breaks a rule', async () => {
    const cleo = await app.newcomer(['bluesky']);
    const fine = await cleo.call('POST', '/api/validate/post', { post: 'ok', platforms: ['bluesky'] });
    assert.deepEqual([fine.status, fine.body['status'], fine.body['warnings']], [200, 'success', undefined]);
    const warned = await cleo.call('POST', '/api/validate/post', { post: 'ok', platforms: ['bluesky', 'twitter'] });
    assert.deepEqual([warned.status, (warned.body['warnings'] as Row[])[0]?.['code']], [200, 156]);
    const wrong = await cleo.call('POST', '/api/validate/post', { post: 'x'.repeat(301), platforms: ['bluesky', 'twitter'] });
    assert.deepEqual([wrong.status, wrong.body['code']], [400, 903]);
    assert.equal((await cleo.api.get('/api/history')).status, 400);
  });
});

describe('a published post', () => {
  test('is taken down at its networks when it is deleted, and deleting it again changes nothing', async () => {
    const text = 'Soon gone from everywhere';
    const { body } = await user.call('POST', '/api/post', { post: text, platforms: ['bluesky', 'twitter'] });
    const publicCount = async () => ((await (await fetch(`${app.simulatorUrl}/simulator/posts`)).json()) as { posts: { text: string; deletedAt: string | null }[] }).posts.filter((post) => post.text === text && post.deletedAt === null).length;
    assert.equal(await publicCount(), 2);
    for (let i = 0; i < 2; i++) {
      const gone = await user.call('DELETE', '/api/post', { id: body['id'] });
      assert.deepEqual([gone.status, gone.body['status'], gone.body['code']], [200, 'success', 200]);
      assert.equal(await publicCount(), 0);
    }
  });

  test('is taken down although its token is refused at that moment, and stays with a true word when the network fails', async () => {
    const other = await app.newcomer(['twitter']);
    const meets = (kind: string) => fetch(`${app.simulatorUrl}/simulator/faults`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ kind, act: 'remove', network: 'twitter', times: 1 }) });
    const publish = async () => String((await other.call('POST', '/api/post', { post: 'Short-lived', platforms: ['twitter'] })).body['id']);
    const refused = await publish();
    await meets('signed-out');
    assert.equal((await other.call('DELETE', '/api/post', { id: refused })).status, 200);
    const failing = await publish();
    await meets('server-error');
    const kept = await other.call('DELETE', '/api/post', { id: failing });
    assert.deepEqual([kept.status, kept.body['message']], [400, 'X gave no usable answer, so the post may still be there. Delete it again in a moment.']);
    assert.equal((await other.call('DELETE', '/api/post', { id: failing })).status, 200);
  });

  test('is kept where the network does not let it be deleted, until that was done by hand', async () => {
    const { body } = await user.call('POST', '/api/post', { post: 'A clip that stays', platforms: ['tiktok'], mediaUrls: ['https://media.example.com/stays.mp4'] });
    const { id } = body;
    assert.ok(typeof id === 'string');
    await waitUntil('the clip to be public', async () => ((await user.api.get(`/api/post/${id}`)).body['postIds'] as Row[])[0]?.['id'] !== 'pending');
    const kept = await user.call('DELETE', '/api/post', { id });
    assert.deepEqual([kept.status, kept.body['status'], (kept.body['tiktok'] as Row)['status']], [400, 'error', 'error']);
    assert.match(String(kept.body['message']), /TikTok does not let programs delete/);
    assert.equal((await user.api.get(`/api/post/${id}`)).body['status'], 'success');
    assert.equal((await user.call('DELETE', '/api/post', { id, markManualDeleted: true })).status, 200);
    assert.equal((await user.api.get(`/api/post/${id}`)).body['status'], 'deleted');
  });
});

describe('a post that a network refused', () => {
  test('is answered with HTTP 400, the network\'s words and no ids, and can be sent again by request', async () => {
    const { status, body } = await user.call('POST', '/api/post', { post: 'Try me twice [[fault: refused]]', platforms: ['bluesky', 'twitter'] });
    assert.deepEqual([status, body['status'], body['postIds']], [400, 'error', []]);
    const rows = body['errors'] as Row[];
    assert.deepEqual(rows.map((row) => [row['action'], row['status'], row['platform'], typeof row['code']]), [['post', 'error', 'bluesky', 'number'], ['post', 'error', 'twitter', 'number']]);
    assert.ok(rows.every((row) => String(row['message']).length > 10));
    const { id } = body;
    assert.ok(typeof id === 'string');
    assert.equal((await user.api.get(`/api/post/${id}`)).body['status'], 'error');
    for (let i = 0; i < 3; i++) {
      const again = await user.call('PUT', '/api/post/retry', { id, source: 'npm' });
      assert.deepEqual([again.status, again.body['status'], again.body['id']], [200, 'success', id], 'a client may repeat itself');
    }
    const done = await waitUntil('both to be published', async () => {
      const { body: now } = await user.api.get(`/api/post/${id}`);
      return now['status'] === 'success' ? now : null;
    });
    assert.deepEqual((done['postIds'] as Row[]).map((row) => row['platform']), ['bluesky', 'twitter']);
    assert.deepEqual(done['errors'], []);
  });

  test('is deleted here, since nothing of it is public', async () => {
    const { body } = await user.call('POST', '/api/post', { post: 'Nobody saw this [[fault: refused]]', platforms: ['bluesky'] });
    const gone = await user.call('DELETE', '/api/post', { id: body['id'] });
    assert.deepEqual([gone.status, gone.body['status']], [200, 'success']);
  });

  test('for now only is no error, and repeating the request finds the same post', async () => {
    const { status, body } = await user.call('POST', '/api/post', { post: `Half of it ${'x'.repeat(20)} [[fault: rate-limited after=3600]]`, platforms: ['bluesky', 'twitter'], idempotencyKey: 'half' });
    assert.equal(status, 200, 'what waits for a retry is no error');
    assert.equal(body['status'], 'processing');
    const { id } = body;
    const repeated = await user.call('POST', '/api/post', { post: `Half of it ${'x'.repeat(20)} [[fault: rate-limited after=3600]]`, platforms: ['bluesky', 'twitter'], idempotencyKey: 'half' });
    assert.deepEqual([repeated.status, repeated.body['id']], [200, id]);
  });
});

describe('bad input', () => {
  const valid = { post: 'Hello', platforms: ['bluesky'] };
  const cases: [name: string, method: string, path: string, body: unknown, status: number, code: number, field: string | null][] = [
    ['an empty text', 'POST', '/api/post', { ...valid, post: '' }, 400, 900, 'post'],
    ['no text', 'POST', '/api/post', { platforms: ['bluesky'] }, 400, 900, 'post'],
    ['a text over the limit', 'POST', '/api/post', { ...valid, post: 'x'.repeat(301) }, 400, 903, 'post'],
    ['an unknown platform', 'POST', '/api/post', { ...valid, platforms: ['myspace'] }, 400, 901, 'platforms[0]'],
    ['no platform', 'POST', '/api/post', { ...valid, platforms: [] }, 400, 901, 'platforms'],
    ['a date without a zone', 'POST', '/api/post', { ...valid, scheduleDate: '2027-01-01T10:00:00' }, 400, 902, 'scheduleDate'],
    ['a date that is none', 'POST', '/api/post', { ...valid, scheduleDate: 'tomorrow' }, 400, 902, 'scheduleDate'],
    ['an empty date', 'POST', '/api/post', { ...valid, scheduleDate: '' }, 400, 902, 'scheduleDate'],
    ['media that is not https', 'POST', '/api/post', { ...valid, mediaUrls: ['http://example.com/a.jpg'] }, 400, 136, 'mediaUrls[0]'],
    ['an operator for the text', 'POST', '/api/post', { ...valid, post: { $gt: '' } }, 400, 900, 'post'],
    ['an operator for a platform', 'POST', '/api/post', { ...valid, platforms: [{ $gt: '' }] }, 400, 901, 'platforms[0]'],
    ['an operator for the id to delete', 'DELETE', '/api/post', { id: { $gt: '' } }, 400, 400, 'id'],
    ['an operator for the id to change', 'PUT', '/api/post', { id: { $gt: '' }, notes: 'x' }, 400, 400, 'id'],
    ['no id to delete', 'DELETE', '/api/post', {}, 400, 400, 'id'],
    ['a body that is not JSON', 'POST', '/api/post', '{"post":', 400, 400, 'body'],
    ['a body that is a list', 'POST', '/api/post', [valid], 400, 400, 'body'],
    ['a body over 1 MB', 'POST', '/api/post', { ...valid, post: 'x'.repeat(1_100_000) }, 413, 413, 'body'],
    ['an unknown post to delete', 'DELETE', '/api/post', { id: 'abcdefghij0123456789' }, 404, 114, null],
    ['an unknown post to change', 'PATCH', '/api/post', { id: 'abcdefghij0123456789', notes: 'x' }, 404, 404, null],
    ['an unknown post to retry', 'PUT', '/api/post/retry', { id: 'abcdefghij0123456789' }, 404, 404, null],
    ['an unknown post to read', 'GET', '/api/post/abcdefghij0123456789', undefined, 400, 221, null],
    ['a limit that is none', 'GET', '/api/history?limit=many', undefined, 400, 400, 'limit'],
    ['an operator in the query', 'GET', '/api/history?status[$gt]=', undefined, 400, 400, 'status'],
  ];
  for (const [name, method, path, body, status, code, field] of cases) {
    test(`${name} is answered clearly, as JSON, with nothing stored`, async () => {
      const before = (await user.api.get('/api/history?limit=1000&lastDays=0')).body['count'];
      const answer = await user.call(method, path, body);
      assert.deepEqual([answer.status, answer.body['code'], answer.body['status'], answer.contentType], [status, code, 'error', JSON_TYPE]);
      assert.ok(String(answer.body['message']).length > 10);
      if (field !== null) assert.equal((answer.body['errors'] as Row[])[0]?.['field'], field);
      assert.equal((await user.api.get('/api/history?limit=1000&lastDays=0')).body['count'], before);
    });
  }

  test('a channel that is not connected is answered with code 156', async () => {
    const dora = await app.newcomer(['bluesky']);
    const { status, body } = await dora.call('POST', '/api/post', { post: 'x', platforms: ['bluesky', 'twitter'] });
    assert.deepEqual([status, body['code'], (body['errors'] as Row[]).length], [400, 156, 1]);
    assert.match(String(body['message']), /^X is not linked with Signpost/);
  });

  test('somebody else\'s post is unknown', async () => {
    const { body } = await user.call('POST', '/api/post', { post: 'Mine', platforms: ['bluesky'], scheduleDate: inSeconds(3600) });
    const id = String(body['id']);
    const stranger = await app.newcomer(['bluesky']);
    assert.deepEqual((await stranger.call('GET', `/api/post/${id}`)).body['code'], 221);
    assert.deepEqual((await stranger.call('DELETE', '/api/post', { id })).status, 404);
    assert.deepEqual((await stranger.call('PUT', '/api/post', { id, notes: 'x' })).status, 404);
    assert.deepEqual((await stranger.call('PUT', '/api/post/retry', { id })).status, 404);
    assert.equal((await user.api.get(`/api/post/${id}`)).body['status'], 'pending');
  });

  test('a missing and a wrong API key are refused with 403 and code 102', async () => {
    for (const authorization of ['', 'Bearer wrong', 'Basic eDp5']) {
      const { status, body } = await user.call('POST', '/api/post', { post: 'x', platforms: ['bluesky'] }, { authorization });
      assert.deepEqual([status, body['code']], [403, 102]);
    }
  });
});
