/** Posts through the pages, as a browser without JavaScript uses them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { connectDatabase } from '../../src/db/database.js';
import { readLocalTime } from '../../src/posts/post-time.js';
import { createPostStore } from '../../src/posts/post-store.js';
import type { HttpSession, Page } from '../support/http-session.js';
import { formIn } from '../support/http-session.js';
import { uriOfDatabase } from '../support/temporary-database.js';
import { waitUntil } from '../support/wait-until.js';
import { startPostsApp } from './posts-app.js';

const app = await startPostsApp();
const { session, api } = await app.newcomer();

/** Fields of a form that would be accepted. */
const valid = { post: 'Hello', platforms: ['bluesky'], when: 'later', scheduleDate: '2027-07-08T14:30', mediaUrls: '' };

async function compose(browser: HttpSession, fields: Record<string, string | string[]>): Promise<Page> {
  const page = await browser.get('/posts/new');
  const { fields: hidden } = formIn(page.text, '/posts');
  const { formKey = '', timeZone = '', version = '' } = hidden;
  return browser.post('/posts', { formKey, timeZone, version, ...fields });
}

const idOf = (page: Page): string => /\/posts\/([A-Za-z0-9]{20})$/.exec(page.url)?.[1] ?? assert.fail(`not a post's page: ${page.url}`);

/** Disconnects the first channel of the page. */
async function disconnectOne(browser: HttpSession): Promise<void> {
  const path = /(\/channels\/chn_[0-9a-z]+)\/?[a-z]*"/.exec((await browser.get('/channels')).text)?.[1] ?? assert.fail('no channel');
  assert.equal((await browser.post(`${path}/disconnect`, {})).status, 200);
}

function countOf(page: Page): number {
  return [...page.text.matchAll(/class="post-row"/g)].length;
}

describe('a thread in the composer', () => {
  const items = { thread: ['Second', '', 'Third'], threadMedia: ['', '', 'https://example.com/3.jpg'], firstComment: 'First!', firstCommentMedia: '' };

  test('is stored without what was left empty, comes back to be edited, and is shown with its states', async () => {
    const page = await compose(session, { ...valid, platforms: ['twitter'], ...items });
    const id = idOf(page);
    const { body } = await api.get(`/api/post/${id}`);
    assert.deepEqual([body['thread'], body['firstComment']], [[{ post: 'Second' }, { post: 'Third', mediaUrls: ['https://example.com/3.jpg'] }], { comment: 'First!' }]);
    assert.match(page.text, /Thread item 2[\s\S]*Second[\s\S]*Thread item 3[\s\S]*Third[\s\S]*First comment[\s\S]*First!/);
    const edit = await session.get(`/posts/${id}/edit`);
    assert.match(edit.text, /id="thread-0"[^>]*>\nSecond<[\s\S]*id="thread-1"[^>]*>\nThird<[\s\S]*id="thread-1-media"[^>]*>\nhttps:\/\/example.com\/3.jpg</);
    const { fields: hidden } = formIn(edit.text, `/posts/${id}/edit`);
    await session.post(`/posts/${id}/edit`, { formKey: '', timeZone: hidden['timeZone'] ?? '', version: hidden['version'] ?? '', ...valid, platforms: ['twitter'], thread: ['Third'], threadMedia: [''], whenLate: 'skip' });
    const { body: changed } = await api.get(`/api/post/${id}`);
    assert.deepEqual([changed['thread'], changed['firstComment']], [[{ post: 'Third' }], undefined]);
    assert.match((await session.get(`/posts/${id}/edit`)).text, /<option value="skip" selected>/);
  });

  test('gets one more item without JavaScript, and keeps what was typed', async () => {
    const page = await compose(session, { ...valid, ...items, addItem: 'yes' });
    assert.equal(page.status, 200);
    assert.doesNotMatch(page.text, /id="form-problems"/);
    assert.match(page.text, /id="thread-1"[^>]*>\nThird<[\s\S]*id="thread-2"[^>]*>\n<[\s\S]*id="thread-2-media"/);
    assert.match(page.text, /id="post-text"[^>]*>\nHello</);
    assert.match(page.text, /id="first-comment"[^>]*>\nFirst!</);
  });

  test('says beside each item what is wrong with it', async () => {
    const page = await compose(session, { ...valid, platforms: ['tiktok', 'twitter'], mediaUrls: 'https://example.com/a.mp4', ...items, thread: ['ok', 'x'.repeat(290)], threadMedia: ['http://example.com/a.jpg', ''] });
    assert.equal(page.status, 422);
    assert.match(page.text, /id="thread-0-media-problem"[^>]*>[^<]*must start with https/);
    const again = await compose(session, { ...valid, platforms: ['tiktok', 'twitter'], mediaUrls: 'https://example.com/a.mp4', ...items, thread: ['ok', 'x'.repeat(290)], threadMedia: ['', ''] });
    assert.match(again.text, /id="thread-1-problem"[^>]*>[^<]*too long for X: 290/);
    assert.match(again.text, /id="thread-problem"[^>]*>[^<]*TikTok has no threads/);
    assert.match(again.text, /id="first-comment-problem"[^>]*>[^<]*TikTok takes no comments/);
    assert.match(again.text, /<li>Thread item 3: [^<]*too long/);
  });

  test('breaks off in the middle, says where, and is sent on by a button', async () => {
    const { body } = await api.post('/api/post', { post: 'Root of it', platforms: ['twitter'], thread: ['fine', 'not [[fault: refused]]', 'last'] });
    const id = String(body['id']);
    const page = await session.get(`/posts/${id}`);
    assert.match(page.text, /Partly published/);
    assert.match(page.text, /Thread item 3[\s\S]*Failed[\s\S]*X refused[\s\S]*Thread item 4[\s\S]*Not sent/);
    assert.match(page.text, /thread item 2 published/);
    const publicationId = /name="publicationId" value="([^"]+)">\s*<p class="mb-2">The post is public/.exec(page.text)?.[1] ?? assert.fail('no button');
    await session.post(`/posts/${id}/retry`, { publicationId });
    await waitUntil('the rest to be sent', async () => /Published/.test((await session.get('/posts?status=success')).text) && (await api.get(`/api/post/${id}`)).body['status'] === 'success' && !/Send the rest/.test((await session.get(`/posts/${id}`)).text));
  });
});

describe('the composer', () => {
  test('says to connect a channel first where there is none', async () => {
    const nobody = await app.newcomer([]);
    const page = await nobody.session.get('/posts/new');
    assert.match(page.text, /Connect a channel first/);
    assert.doesNotMatch(page.text, /<textarea/);
  });

  test('schedules a post at a local time, shown in the zone with UTC beside it', async () => {
    const page = await compose(session, { ...valid, platforms: ['bluesky', 'twitter'], notes: 'Mine <b>' });
    assert.equal(page.status, 200);
    assert.match(page.text, /Your post is scheduled/);
    assert.match(page.text, /<time datetime="2027-07-08T12:30:00.000Z" title="2027-07-08 12:30:00 UTC">8 Jul 2027, 14:30<\/time>/);
    assert.match(page.text, /Europe\/Berlin \(GMT\+2\)/);
    assert.match(page.text, /Mine &lt;b&gt;/);
    const { body } = await api.get(`/api/post/${idOf(page)}`);
    assert.deepEqual([body['scheduleDate'], body['platforms']], ['2027-07-08T12:30:00Z', ['bluesky', 'twitter']]);
  });

  test('suggests the next full hour that leaves time to write', async () => {
    const local = /name="scheduleDate" value="(\d{4}-\d\d-\d\dT\d\d:00)"/.exec((await session.get('/posts/new')).text)?.[1] ?? assert.fail('no time');
    const time = readLocalTime(local, 'Europe/Berlin');
    const at = time.kind === 'exact' ? time.at : time.kind === 'overlap' ? time.first.at : assert.fail('a time that does not exist');
    const minutes = (at.getTime() - Date.now()) / 60_000;
    assert.ok(minutes > 14 && minutes < 136, `${minutes} minutes ahead`);
  });

  test('publishes now', async () => {
    const page = await compose(session, { ...valid, post: 'Right now', when: 'now', scheduleDate: '' });
    const id = idOf(page);
    await waitUntil('the post to be published', async () => (await api.get(`/api/post/${id}`)).body['status'] === 'success');
    const published = await session.get(`/posts/${id}`);
    assert.match(published.text, /Open on Bluesky/);
    assert.doesNotMatch(published.text, /hx-sse:connect/, 'nothing is left to watch');
  });

  test('makes one post of one form, however often it is sent', async () => {
    const page = await session.get('/posts/new');
    const { fields } = formIn(page.text, '/posts');
    const sent = { ...valid, post: 'Clicked twice', formKey: fields['formKey'] ?? '', timeZone: 'Europe/Berlin' };
    const [first, second] = [await session.post('/posts', sent), await session.post('/posts', sent)];
    assert.equal(idOf(first), idOf(second));
    const changed = await session.post('/posts', { ...sent, post: 'Changed after going back' });
    assert.equal(changed.status, 409);
    assert.match(changed.text, /already sent/);
    const again = await session.post('/posts', { ...sent, post: 'Changed after going back', formKey: formIn(changed.text, '/posts').fields['formKey'] ?? '' });
    assert.notEqual(idOf(again), idOf(first));
  });

  test('keeps the text and says what is missing when a channel is gone', async () => {
    const { session: ann, api: annApi } = await app.newcomer(['bluesky', 'twitter']);
    const id = idOf(await compose(ann, { ...valid, post: 'For both', platforms: ['bluesky', 'twitter'] }));
    const page = await ann.get('/posts/new');
    const form = formIn(page.text, '/posts').fields;
    await disconnectOne(ann);
    assert.match((await ann.get(`/posts/${id}/edit`)).text, /Not connected any more: (Bluesky|X)\./);
    await disconnectOne(ann);
    const refused = await ann.post('/posts', { ...valid, formKey: form['formKey'] ?? '', post: 'Nobody to send it' });
    assert.equal(refused.status, 422);
    assert.match(refused.text, /Nobody to send it[\s\S]*<\/textarea>/);
    assert.match(refused.text, /No channel is connected/);
    assert.equal((await annApi.get(`/api/post/${id}`)).body['status'], 'pending');
  });

  const bad: [name: string, fields: Record<string, string | string[]>, field: RegExp, message: RegExp][] = [
    ['an empty text', { post: '  ' }, /name="post"[^>]*aria-invalid="true"/, /Missing or incorrect post parameter/],
    ['a text over a limit', { post: 'x'.repeat(305) }, /name="post"[^>]*aria-invalid="true"/, /too long for Bluesky: 305 characters, at most 300. Shorten it by 5/],
    ['no channel', { platforms: [] }, /is-invalid" type="checkbox" name="platforms"/, /Choose at least one/],
    ['an unknown platform', { platforms: ['myspace'] }, /is-invalid" type="checkbox"/, /Unknown platform/],
    ['a channel twice and an operator', { 'platforms[$gt]': '' , platforms: [] }, /is-invalid" type="checkbox"/, /Choose at least one/],
    ['no date', { scheduleDate: '' }, /is-invalid" type="datetime-local"/, /Choose a date and time/],
    ['a date that is none', { scheduleDate: '2027-02-30T10:00' }, /is-invalid" type="datetime-local"/, /not a date and time/],
    ['a time that does not exist', { scheduleDate: '2027-03-28T02:30' }, /is-invalid" type="datetime-local"/, /does not exist in Europe\/Berlin.*2027-03-28 01:59 or earlier, or 2027-03-28 03:00 or later/],
    ['a time that happens twice', { scheduleDate: '2027-10-31T02:30' }, /is-invalid" type="datetime-local"/, /happens twice.*UTC\+02:00.*UTC\+01:00/],
    ['an unknown zone', { timeZone: 'Mars/Olympus' }, /is-invalid" type="datetime-local"/, /time zone is not known/],
    ['a time too far ahead', { scheduleDate: '2040-01-01T10:00' }, /is-invalid" type="datetime-local"/, /more than 2 years ahead/],
    ['media that is not https', { mediaUrls: 'https://example.com/a.jpg\nhttp://example.com/b.jpg' }, /name="mediaUrls"[^>]*aria-invalid="true"/, /Address 2: Media URLs invalid/],
    ['a field that is sent twice', { post: ['a', 'b'] }, /name="post"[^>]*aria-invalid="true"/, /must be plain text/],
    ['a choice that does not exist', { when: 'sometime' }, /Choose whether to publish now/, /Choose whether to publish now/],
  ];
  for (const [name, over, field, message] of bad) {
    test(`says what is wrong beside the field and keeps what was typed: ${name}`, async () => {
      const before = (await api.get('/api/history?limit=1000&lastDays=0&status=pending')).body['count'];
      const page = await compose(session, { ...valid, notes: 'keep me', ...over });
      assert.equal(page.status, 422);
      assert.match(page.text, field);
      assert.match(page.text, message);
      assert.match(page.text, /keep me/);
      assert.equal((await api.get('/api/history?limit=1000&lastDays=0&status=pending')).body['count'], before, 'nothing may be stored');
    });
  }

  test('takes the chosen one of two equal times', async () => {
    const asked = await compose(session, { ...valid, scheduleDate: '2027-10-31T02:30' });
    assert.match(asked.text, /The first \(UTC<span data-offset="first">\+02:00<\/span>\)/);
    for (const [occurrence, utc] of [['first', '2027-10-31T00:30:00Z'], ['second', '2027-10-31T01:30:00Z']] as const) {
      const page = await compose(session, { ...valid, scheduleDate: '2027-10-31T02:30', occurrence });
      assert.equal((await api.get(`/api/post/${idOf(page)}`)).body['scheduleDate'], utc);
    }
  });

  test('refuses a forged form and keeps an ended session from losing the text', async () => {
    await session.get('/posts/new');
    assert.equal((await session.post('/posts', valid, { csrf: 'forged' })).status, 403);
    const { session: leaver } = await app.newcomer(['bluesky']);
    await leaver.get('/posts/new');
    const token = leaver.csrfToken();
    await leaver.post('/sign-out', {});
    const page = await leaver.post('/posts', { ...valid, post: 'Typed for an hour' }, { csrf: token });
    assert.equal(page.status, 401);
    assert.match(page.text, /Typed for an hour/);
  });

  test('counts and judges a draft as each platform does', async () => {
    const draft = new URLSearchParams({ _csrf: session.csrfToken() ?? '', post: '👨‍👩‍👧 https://example.com/a/very/long/path', when: 'later', scheduleDate: '2020-01-01T10:00', timeZone: 'Europe/Berlin' });
    for (const platform of ['bluesky', 'twitter', 'nonsense']) draft.append('platforms', platform);
    const response = await session.request('/posts/preview', { method: 'POST', body: draft });
    assert.equal(response.status, 200);
    const { counters, time } = (await response.json()) as { counters: { platform: string; length: number }[]; time: { isPast: boolean } };
    assert.deepEqual(counters.map(({ platform, length }) => [platform, length]), [['bluesky', 38], ['twitter', 26]]);
    assert.equal(time.isPast, true);
  });
});

describe('what only some networks ask', () => {
  const clip = { ...valid, platforms: ['youtube'], mediaUrls: 'https://example.com/clip.mp4' };

  test('has fields of its own, says what is missing beside them, and is kept when the post is edited', async () => {
    const { session: ann, api: annApi, call } = await app.newcomer(['youtube']);
    const page = await ann.get('/posts/new');
    assert.match(page.text, /name="option.youtube.title"[\s\S]*name="option.youtube.visibility"/);
    const missing = await compose(ann, { ...clip, 'option.youtube.tags': 'one\ntwo' });
    assert.equal(missing.status, 422);
    assert.match(missing.text, /YouTube, Title: YouTube needs a title/);
    assert.match(missing.text, /is-invalid" type="text" id="f-option-youtube-title"/);
    assert.match(missing.text, /one\ntwo<\/textarea>/);
    const made = await compose(ann, { ...clip, 'option.youtube.title': 'My clip', 'option.youtube.visibility': 'unlisted', 'option.youtube.madeForKids': 'on', 'option.youtube.tags': 'one\ntwo' });
    const { body } = await annApi.get(`/api/post/${idOf(made)}`);
    assert.deepEqual(body['youTubeOptions'], { title: 'My clip', visibility: 'unlisted', madeForKids: true, tags: ['one', 'two'] });
    await call('PATCH', '/api/post', { id: idOf(made), youTubeOptions: { title: 'My clip', visibility: 'unlisted', publishAt: '2028-01-01T00:00:00Z' } });
    const edit = await ann.get(`/posts/${idOf(made)}/edit`);
    assert.match(edit.text, /name="option.youtube.title" value="My clip"/);
    await ann.post(`/posts/${idOf(made)}/edit`, { ...clip, version: formIn(edit.text, '/edit').fields['version'] ?? '', 'option.youtube.title': 'Better title', 'option.youtube.visibility': '' });
    assert.deepEqual((await annApi.get(`/api/post/${idOf(made)}`)).body['youTubeOptions'], { publishAt: '2028-01-01T00:00:00Z', title: 'Better title' });
  });

  test('may be another text, judged and kept by itself', async () => {
    const { session: ann, api: annApi } = await app.newcomer(['bluesky', 'twitter']);
    const both = { ...valid, platforms: ['bluesky', 'twitter'], post: 'z'.repeat(290) };
    const wrong = await compose(ann, { ...both, 'text.twitter': 'w'.repeat(281) });
    assert.equal(wrong.status, 422);
    assert.match(wrong.text, /name="text.twitter"[^>]*aria-invalid="true"/);
    assert.doesNotMatch(wrong.text, /name="post"[^>]*aria-invalid="true"/);
    const made = await compose(ann, { ...both, 'text.twitter': 'Short for X', 'text.tiktok': 'not chosen' });
    assert.match(made.text, /own-text">Short for X</);
    const edit = await ann.get(`/posts/${idOf(made)}/edit`);
    assert.match(edit.text, /name="text.twitter"[^>]*>\s*Short for X<\/textarea>/);
    const saved = await ann.post(`/posts/${idOf(made)}/edit`, { ...both, post: 'The same for all', version: formIn(edit.text, '/edit').fields['version'] ?? '' });
    assert.doesNotMatch(saved.text, /own-text/);
    assert.equal((await annApi.get(`/api/post/${idOf(made)}`)).body['post'], 'The same for all');
  });

  test('is taken from the common fields of the API where an option object lacks it', async () => {
    const { call, api: bobApi } = await app.newcomer(['reddit']);
    const wrong = await call('POST', '/api/post', { post: 'x', platforms: ['reddit'], scheduleDate: '2027-01-01T10:00:00Z' });
    assert.equal(wrong.status, 400);
    assert.deepEqual((wrong.body['errors'] as Record<string, unknown>[]).map((row) => row['field']), ['redditOptions.title', 'redditOptions.subreddit']);
    const { status, body } = await call('POST', '/api/post', { post: 'x', platforms: ['reddit'], scheduleDate: '2027-01-01T10:00:00Z', title: 'T', subreddit: 'test', redditOptions: { subreddit: 'other' } });
    assert.equal(status, 200);
    assert.deepEqual((await bobApi.get(`/api/post/${String(body['id'])}`)).body['redditOptions'], { subreddit: 'other', title: 'T' });
  });
});

describe('the list', () => {
  test('says what to do where there is nothing yet', async () => {
    const nobody = await app.newcomer([]);
    assert.match((await nobody.session.get('/posts')).text, /No posts yet[\s\S]*href="\/posts\/new"/);
  });

  test('shows each tab, pages through it, and takes a mistyped address for the first page', async () => {
    const { session: ann, call } = await app.newcomer(['bluesky']);
    for (let i = 0; i < 27; i++) await call('POST', '/api/post', { post: `post ${i}`, platforms: ['bluesky'], scheduleDate: new Date(Date.UTC(2027, 0, 1 + i)).toISOString() });
    const first = await ann.get('/posts?status=scheduled');
    assert.equal(countOf(first), 25);
    assert.ok(first.text.indexOf('post 0<') < first.text.indexOf('post 1<'), 'soonest first');
    const next = /rel="next" href="([^"]+)"/.exec(first.text)?.[1]?.replaceAll('&amp;', '&');
    const second = await ann.get(next ?? assert.fail('no next page'));
    assert.equal(countOf(second), 2);
    assert.match(second.text, /post 26</);
    assert.match((await ann.get('/posts?status=error')).text, /Nothing is failed/);
    for (const path of ['/posts?status=nonsense', '/posts?status[$gt]=x', '/posts?after=nonsense', '/posts?after[$gt]=1']) {
      const page = await ann.get(path);
      assert.deepEqual([page.status, countOf(page)], [200, 25], path);
    }
  });
});

describe('a post\'s page', () => {
  test('lets its writer edit, reschedule and cancel it until it is due', async () => {
    const id = idOf(await compose(session, { ...valid, post: 'First words', mediaUrls: 'https://example.com/a.jpg' }));
    const edit = await session.get(`/posts/${id}/edit`);
    assert.match(edit.text, /First words<\/textarea>/);
    assert.match(edit.text, /value="2027-07-08T14:30"/);
    const { fields } = formIn(edit.text, '/edit');
    const saved = await session.post(`/posts/${id}/edit`, { ...valid, version: fields['version'] ?? '', timeZone: 'Europe/Berlin', post: 'Second words', scheduleDate: '2027-07-09T10:00' });
    assert.match(saved.text, /Your changes are saved[\s\S]*Second words[\s\S]*9 Jul 2027, 10:00/);
    const stale = await session.post(`/posts/${id}/edit`, { ...valid, version: fields['version'] ?? '', post: 'Third words' });
    assert.equal(stale.status, 409);
    assert.match(stale.text, /changed meanwhile[\s\S]*Third words/);
    const broken = await session.post(`/posts/${id}/edit`, { ...valid, version: formIn(stale.text, '/edit').fields['version'] ?? '', post: '' });
    assert.equal(broken.status, 422);
    const cancelled = await session.post(`/posts/${id}/cancel`, {});
    assert.match(cancelled.text, /The post is cancelled/);
    assert.doesNotMatch(cancelled.text, /\/edit"/);
    assert.match((await session.get(`/posts/${id}/edit`)).text, /can no longer be changed/);
  });

  test('is not found for somebody else, just like an unknown one', async () => {
    const id = idOf(await compose(session, valid));
    const { session: stranger } = await app.newcomer(['bluesky']);
    await stranger.get('/posts/new');
    for (const path of [`/posts/${id}`, `/posts/${id}/edit`, `/posts/${id}/live`, '/posts/abcdefghij0123456789']) assert.equal((await stranger.get(path)).status, 404, path);
    for (const action of ['edit', 'cancel', 'retry']) assert.equal((await stranger.post(`/posts/${id}/${action}`, valid)).status, 404, action);
    assert.match((await stranger.get(`/posts/new?copy=${id}`)).text, /<textarea[^>]*name="post"[^>]*>\s*<\/textarea>/);
    assert.equal((await api.get(`/api/post/${id}`)).body['status'], 'pending');
  });

  test('can be the start of another post', async () => {
    const id = idOf(await compose(session, { ...valid, post: 'Worth repeating' }));
    const page = await session.get(`/posts/new?copy=${id}`);
    assert.match(page.text, /Worth repeating<\/textarea>/);
    assert.match(page.text, /value="bluesky"[^>]*checked/);
    assert.notEqual(formIn(page.text, '/posts').fields['formKey'], '');
  });

  test('lets its writer take it down after it was published', async () => {
    const id = idOf(await compose(session, { ...valid, post: 'Not for ever', when: 'now', scheduleDate: '' }));
    await waitUntil('the post to be published', async () => (await api.get(`/api/post/${id}`)).body['status'] === 'success');
    const page = await session.get(`/posts/${id}`);
    const { action } = formIn(page.text, '/delete');
    const gone = await session.post(action, {});
    assert.match(gone.text, /The post is deleted[\s\S]*has been taken down/);
    assert.doesNotMatch(gone.text, /Open on Bluesky/);
    assert.equal((await api.get(`/api/post/${id}`)).body['status'], 'deleted');
  });

  test('lets its writer send again what a network refused', async () => {
    const id = idOf(await compose(session, { ...valid, post: 'Once more [[fault: refused]]', when: 'now', scheduleDate: '' }));
    await waitUntil('the refusal', async () => (await api.get(`/api/post/${id}`)).body['status'] === 'error');
    const failed = await session.get(`/posts/${id}`);
    assert.match(failed.text, /Failed[\s\S]*Try again/);
    const { action, fields } = formIn(failed.text, '/retry');
    await session.post(action, fields);
    await waitUntil('the post to be published', async () => (await api.get(`/api/post/${id}`)).body['status'] === 'success');
    const again = await session.post(action, fields);
    assert.equal(again.status, 409);
  });

  test('lets its writer say what became of a publication that nobody could tell about', async () => {
    const database = await connectDatabase(uriOfDatabase(app.databaseName), app.databaseName);
    try {
      const store = createPostStore(database.db);
      for (const [verdict, url, word] of [['published', 'https://bsky.app/profile/ada/post/1', 'success'], ['not-published', '', 'error']] as const) {
        const id = idOf(await compose(session, { ...valid, post: `In doubt ${verdict}` }));
        const before = (await store.find(id))!;
        const failure = { kind: 'unknown' as const, code: 914, message: 'Nobody can tell.' };
        const publications = before.publications.map((p) => ({ ...p, state: 'unconfirmed' as const, tries: 1, dueAt: null, failure }));
        assert.equal(await store.save({ before, after: { ...before, status: 'error', publications }, events: [] }), true);
        const page = await session.get(`/posts/${id}`);
        const { action, fields } = formIn(page.text, '/confirm');
        const wrong = await session.post(action, { ...fields, verdict, url: 'javascript:alert(1)' });
        assert.equal(wrong.status, 422);
        assert.match(wrong.text, /must be an http\(s\) address/);
        await session.post(action, { ...fields, verdict, url });
        const { body } = await api.get(`/api/post/${id}`);
        assert.equal(body['status'], word);
        if (verdict === 'published') assert.equal((body['postIds'] as Record<string, unknown>[])[0]?.['postUrl'], url);
        assert.equal((await session.post(action, { ...fields, verdict, url })).status, 409);
      }
    } finally {
      await database.close();
    }
  });

  test('sends its state again when that changes', async () => {
    const id = idOf(await compose(session, valid));
    const controller = new AbortController();
    const stream = await session.request(`/posts/${id}/live`, { signal: controller.signal });
    const reader = stream.body!.getReader();
    let text = '';
    const read = async (what: RegExp): Promise<void> => {
      while (!what.test(text)) text += new TextDecoder().decode((await reader.read()).value);
    };
    await read(/Scheduled/);
    await session.post(`/posts/${id}/cancel`, {}, { from: `/posts/${id}` });
    await read(/Cancelled[\s\S]*event: end/);
    controller.abort();
  });
});
