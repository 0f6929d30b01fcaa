/** Uploads in posts, through page and API: sent on to networks, checked before, kept while needed; and forms with files. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { formIn } from '../../src/cli/http-session.js';
import { signUp, apiClient, createApiKey } from '../../src/cli/newcomer.js';
import { simulatedUrls } from '../../src/platforms/network-urls.js';
import { findPlatform } from '../../src/platforms/registry.js';
import { ioFor, openSimulator, valuesGiven } from '../platforms/simulated.js';
import { aPng, aPngOf, anMp4 } from '../support/media-files.js';
import { waitUntil } from '../support/wait-until.js';
import { startMediaApp, type Uploader } from './media-app.js';

const real = await openSimulator();
after(() => real.close());
const app = await startMediaApp({ env: { SIGNUP: 'open' }, networkUrls: (platform) => simulatedUrls(platform.id, { callUrl: real.simulator.url, browserUrl: real.simulator.publicUrl }) });
const ada = await app.newcomer(['bluesky', 'twitter', 'mastodon', 'facebook', 'discord']);
const inADay = (): string => new Date(Date.now() + 86_400_000).toISOString();
const upload = async (who: Uploader, data = aPng(640, 480)): Promise<{ id: string; url: string }> => (await who.upload(data)).body as { id: string; url: string };

test('an uploaded image goes out on every network, those that take the file and those that fetch it', async () => {
  const { url } = await upload(ada);
  const platforms = ['bluesky', 'twitter', 'mastodon', 'facebook', 'discord'];
  const { status, body } = await ada.api.post('/api/post', { post: 'With a picture', platforms, mediaUrls: [url] });
  assert.equal(status, 200, JSON.stringify(body));
  assert.equal(body['status'], 'success', JSON.stringify(body));
  const { posts } = (await (await fetch(`${app.simulatorUrl}/simulator/posts`)).json()) as { posts: { network: string; text: string; media: string[] }[] };
  const sent = posts.filter(({ text }) => text === 'With a picture');
  assert.deepEqual(sent.map(({ network }) => network).sort((a, b) => (a < b ? -1 : 1)), [...platforms].sort((a, b) => (a < b ? -1 : 1)));
  for (const post of sent) assert.deepEqual(post.media, [url], post.network);
  assert.equal((await fetch(sent[0]!.media[0]!)).status, 200);
});

test('a real network that takes the file gets its bytes, although its address is this machine\'s own', async () => {
  const { session } = await signUp(app.url, { email: 'real@example.com' });
  await session.get('/channels');
  const begun = await session.request('/channels/connect/bluesky', { method: 'POST', body: new URLSearchParams({ _csrf: session.csrfToken()!, network: 'real' }), headers: { origin: app.url } });
  const shown = await session.get(begun.headers.get('location')!);
  const { action, fields } = formIn(shown.text, '/channels/connect/bluesky/fields');
  const bluesky = findPlatform('bluesky')!;
  await session.post(action, { ...fields, ...(await valuesGiven(bluesky, ioFor(bluesky, real), 'real.bsky.social')) });
  const key = await createApiKey(session);
  const form = new FormData();
  form.append('file', new Blob([aPng(100, 80)]), 'a.png');
  const { url } = (await (await fetch(`${app.url}/api/media/upload`, { method: 'POST', body: form, headers: { authorization: `Bearer ${key}` } })).json()) as { url: string };
  const api = apiClient(app.url, key);
  const { body } = await api.post('/api/post', { post: 'Real bytes', platforms: ['bluesky'], mediaUrls: [url] });
  assert.equal(body['status'], 'success', JSON.stringify(body));
  assert.equal((await real.posts({ text: 'Real bytes' })).length, 1);
  const elsewhere = await api.post('/api/post', { post: 'Not ours', platforms: ['bluesky'], mediaUrls: ['https://127.0.0.1:9/photo.png'] });
  assert.match(JSON.stringify(elsewhere.body), /not on the public internet/, 'others still have to be public');
});

test('what a network doesn\'t take is said when the post is written, from the file itself', async () => {
  const { url } = await upload(ada, anMp4({ seconds: 200 }));
  const { status, body } = await ada.api.post('/api/post', { post: 'Long', platforms: ['bluesky'], mediaUrls: [url], scheduleDate: inADay() });
  assert.equal(status, 400);
  assert.match(JSON.stringify(body), /The video is too long for Bluesky: 200 s, at most 180 s/);
  const page = await ada.session.get('/posts/new');
  const preview = await ada.session.request('/posts/preview', {
    method: 'POST', headers: { origin: app.url }, body: new URLSearchParams({ _csrf: formIn(page.text, '/posts').fields['_csrf']!, post: 'Long', platforms: 'bluesky', mediaUrls: url }),
  });
  assert.match(await preview.text(), /too long for Bluesky/);
});

test('a file is kept while a post that waits uses it, and can be deleted afterwards', async () => {
  const { id, url } = await upload(ada);
  const { body } = await ada.api.post('/api/post', { post: 'Later', platforms: ['bluesky'], mediaUrls: [url], scheduleDate: inADay() });
  const refused = await ada.api.delete('/api/media', { id });
  assert.equal(refused.status, 409);
  assert.match(String(refused.body['message']), /used by a post that waits/);
  assert.equal((await fetch(url)).status, 200);
  await ada.api.delete('/api/post', { id: body['id'] });
  assert.equal((await ada.api.delete('/api/media', { id })).status, 200);
  const again = await ada.api.post('/api/post', { post: 'Again', platforms: ['bluesky'], mediaUrls: [url], scheduleDate: inADay() });
  assert.equal(again.status, 400);
  assert.equal(again.body['code'], 136);
  assert.match(JSON.stringify(again.body), /no such uploaded file/);
});

test('plain http is for uploads alone', async () => {
  for (const url of ['http://example.com/a.jpg', 'http://example.com/media/a.jpg', `http://example.com/media/${'a'.repeat(40)}.jpg`, `${app.url}/media/${'b'.repeat(40)}.jpg`]) {
    const { status, body } = await ada.api.post('/api/post', { post: 'Hello', platforms: ['bluesky'], mediaUrls: [url], scheduleDate: inADay() });
    assert.equal(status, 400, url);
    assert.equal(body['code'], 136, JSON.stringify(body));
  }
  const elsewhere = await ada.api.post('/api/post', { post: 'Hello', platforms: ['bluesky'], mediaUrls: [`https://example.com/media/${'a'.repeat(40)}.jpg`], scheduleDate: inADay() });
  assert.equal(elsewhere.status, 200, 'another server may have such addresses too');
});

/** Sends the composer's form with files as a browser without scripts does. */
async function sendForm(who: Uploader, path: string, from: string, fields: Record<string, string>, files: [string, Buffer][], csrf?: string): Promise<Response> {
  const page = await who.session.get(from);
  const form = new FormData();
  for (const [name, value] of Object.entries({ ...formIn(page.text, path).fields, files: '', ...fields })) if (name !== 'files' && name !== 'addItem') form.append(name, value);
  if (csrf !== undefined) form.set('_csrf', csrf);
  if (files.length === 0) form.append('files', new Blob([]), '');
  for (const [name, data] of files) form.append('files', new Blob([new Uint8Array(data)]), name);
  return who.session.request(path, { method: 'POST', body: form, headers: { origin: app.url } });
}

test('without scripts, files go with the form, and what can\'t be taken is said beside the field with everything else kept', async () => {
  const later = { when: 'later', scheduleDate: inADay().slice(0, 16), platforms: 'bluesky' };
  const done = await sendForm(ada, '/posts', '/posts/new', { ...later, post: 'With two files' }, [['a.png', aPng(20, 20)], ['b.png', aPng(30, 20)]]);
  assert.equal(done.status, 303, (await done.text()).slice(0, 300));
  const shown = await ada.session.get(done.headers.get('location')!);
  assert.equal(new Set(shown.text.match(/\/media\/[0-9a-f]{40}\.png/g)).size, 2);
  const refused = await sendForm(ada, '/posts', '/posts/new', { ...later, post: 'Precious words' }, [['good.png', aPng()], ['huge.png', aPngOf(1_200_000)], ['page.html', Buffer.from('<script>')]]);
  assert.equal(refused.status, 422);
  const text = await refused.text();
  assert.match(text, /id="media-files-problem">huge\.png: The file is too large: at most 1 MB\. page\.html: This kind of file is not taken/);
  assert.match(text, /Precious words/);
  assert.equal(new Set(text.match(/\/media\/[0-9a-f]{40}\.png/g)).size, 1, 'the good one is kept, in the field of addresses');
  const none = await sendForm(ada, '/posts', '/posts/new', { ...later, post: 'Without a file' }, []);
  assert.equal(none.status, 303);
});

test('a form with files that nobody signed sends nothing, and one of an ended session shows what was typed', async () => {
  const count = () => app.db.collection('media').countDocuments();
  const before = [await count(), (await app.onDisk()).length];
  const forged = await sendForm(ada, '/posts', '/posts/new', { post: 'Forged', platforms: 'bluesky', when: 'now' }, [['a.png', aPng()]], 'wrong');
  assert.equal(forged.status, 403);
  const form = new FormData();
  form.append('post', 'Typed before the session ended');
  form.append('files', new Blob([new Uint8Array(aPng())]), 'a.png');
  const ended = await fetch(`${app.url}/posts`, { method: 'POST', body: form, headers: { origin: app.url } });
  assert.equal(ended.status, 401);
  assert.match(await ended.text(), /Typed before the session ended/);
  await waitUntil('nothing to be left of them', async () => (await app.onDisk()).length === before[1]);
  assert.equal(await count(), before[0]);
});

test('the page of files shows, deletes and says why it doesn\'t', async () => {
  const bob = await app.newcomer(['bluesky']);
  assert.match((await bob.session.get('/media')).text, /No files yet/);
  const uploaded = await sendForm(bob, '/media', '/media', {}, [['My photo.png', aPng(50, 40)]]);
  assert.equal(uploaded.status, 303);
  const page = await bob.session.get('/media');
  assert.match(page.text, /My photo\.png/);
  assert.match(page.text, /PNG, \d+ bytes, 50 × 40/);
  const [, path, id] = /(\/media\/([0-9a-f]{40})\.png)/.exec(page.text)!;
  await bob.api.post('/api/post', { post: 'Later', platforms: ['bluesky'], mediaUrls: [app.url + path], scheduleDate: inADay() });
  const refused = await bob.session.post(`/media/${id}/delete`, {}, { from: '/media' });
  assert.equal(refused.status, 409);
  assert.match(refused.text, /My photo\.png is used by a post that waits/);
  const nothing = await sendForm(bob, '/media', '/media', {}, []);
  assert.equal(nothing.status, 422);
  assert.match(await nothing.text(), /Choose a file first/);
  const foreign = await ada.session.post(`/media/${id}/delete`, {}, { from: '/media' });
  assert.equal(foreign.status, 404);
});

test('many files are shown page by page', async () => {
  const bob = await app.newcomer();
  for (let i = 0; i < 25; i++) await bob.upload(aPng(), { name: `file-${i}.png` });
  const names = (text: string): string[] => [...text.matchAll(/>(file-\d+\.png)<\/a>/g)].map((match) => match[1]!);
  const first = await bob.session.get('/media');
  const older = /href="(\/media\?after=[^"]+)"/.exec(first.text)?.[1];
  assert.deepEqual([names(first.text).length, names(first.text)[0]], [24, 'file-24.png']);
  const second = await bob.session.get(older!);
  assert.deepEqual(names(second.text), ['file-0.png']);
  assert.match(second.text, /href="\/media"[^>]*>.*Newer/s);
  assert.equal((await bob.session.get('/media?after=nonsense')).status, 200);
});

test('a deleted profile takes its files with it', async () => {
  const bob = await app.newcomer();
  const made = await bob.api.post('/api/profiles', { title: 'Client' });
  const form = new FormData();
  form.append('file', new Blob([new Uint8Array(aPng())]), 'a.png');
  const sent = await fetch(`${app.url}/api/media/upload`, { method: 'POST', body: form, headers: { authorization: `Bearer ${bob.key}`, 'profile-key': String(made.body['profileKey']) } });
  const { url } = (await sent.json()) as { url: string };
  assert.deepEqual((await bob.api.get('/api/media')).body, [], 'files belong to a profile');
  assert.equal((await bob.api.delete('/api/profiles', { profileKey: made.body['profileKey'] })).status, 200);
  assert.equal((await fetch(url)).status, 404);
});
