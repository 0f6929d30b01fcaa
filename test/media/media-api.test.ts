/** Uploads by API: what is taken and how it is answered, listed, seen by anybody, and deleted; and what is refused. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';
import { aPng, aPngOf, anMp4 } from '../support/media-files.js';
import { waitUntil } from '../support/wait-until.js';
import { localPath, startMediaApp } from './media-app.js';

const app = await startMediaApp();
const ada = await app.newcomer();

test('a file sent as a form is kept, and anybody with its address gets its bytes back', async () => {
  const png = aPng(30, 20);
  const { status, body } = await ada.upload(png, { name: 'Grüße.png', fields: { description: 'A grey field' } });
  assert.equal(status, 200, JSON.stringify(body));
  assert.deepEqual(Object.keys(body), ['id', 'url', 'fileName', 'description']);
  assert.equal(body['fileName'], 'Grüße.png');
  assert.equal(body['description'], 'A grey field');
  const seen = await fetch(String(body['url']));
  assert.equal(seen.status, 200);
  assert.deepEqual(Buffer.from(await seen.arrayBuffer()), png);
  assert.equal(seen.headers.get('content-type'), 'image/png');
  assert.equal(seen.headers.get('x-content-type-options'), 'nosniff');
  assert.match(seen.headers.get('content-security-policy') ?? '', /sandbox/);
  assert.equal(seen.headers.get('cross-origin-resource-policy'), 'cross-origin');
  assert.equal(seen.headers.getSetCookie().length, 0);
});

test('a file sent as a data URI is kept at both of Ayrshare\'s addresses', async () => {
  for (const path of ['/api/media/upload', '/api/upload']) {
    const png = aPng(4, 4);
    const { status, body } = await ada.uploadJson({ file: `data:image/png;base64,${png.toString('base64')}`, fileName: 'small.png', description: 'best image' }, path);
    assert.equal(status, 200);
    assert.equal(body['fileName'], 'small.png');
    assert.equal(body['description'], 'best image');
    assert.deepEqual(Buffer.from(await (await fetch(String(body['url']))).arrayBuffer()), png);
  }
});

test('parts of a file can be asked for, and only the path it was given works', async () => {
  const png = aPng(40, 40);
  const { body } = await ada.upload(png);
  const path = localPath(body['url']);
  const part = await fetch(app.url + path, { headers: { range: 'bytes=1-3' } });
  assert.equal(part.status, 206);
  assert.equal(await part.text(), 'PNG');
  const beyond = await fetch(app.url + path, { headers: { range: 'bytes=999999-' } });
  assert.equal(beyond.status, 416);
  const head = await fetch(app.url + path, { method: 'HEAD' });
  assert.equal(head.headers.get('content-length'), String(png.length));
  for (const other of [path.replace('.png', '.html'), path.replace('.png', '.jpg'), path.replace(/.\.png$/, '0.png').replace(/^\/media\/./, '/media/z'), `/media/${'0'.repeat(40)}.png`]) {
    assert.equal((await fetch(app.url + other, { redirect: 'manual' })).status === 200, false, other);
  }
});

test('the type that counts is the file\'s own, whatever its name and the client say', async () => {
  const { body } = await ada.upload(anMp4(), { name: 'holiday.html', type: 'text/html' });
  const seen = await fetch(String(body['url']), { method: 'HEAD' });
  assert.equal(seen.headers.get('content-type'), 'video/mp4');
  assert.match(String(body['url']), /\.mp4$/);
});

test('what could carry a script is refused, and nothing of it stays', async () => {
  const before = await app.onDisk();
  const svg = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>';
  for (const [text, name, type] of [[svg, 'a.svg', 'image/svg+xml'], ['<!doctype html><script>alert(1)</script>', 'a.png', 'image/png'], [' GIF89a', 'a.gif', 'image/gif'], ['MZ\x90', 'a.jpg', 'image/jpeg']] as const) {
    const { status, body } = await ada.upload(Buffer.from(text, 'latin1'), { name, type });
    assert.equal(status, 415);
    assert.match(String(body['message']), /This kind of file is not taken/);
    assert.deepEqual((body['errors'] as { field: string }[]).map(({ field }) => field), ['file']);
  }
  await waitUntil('what was refused to be gone', async () => (await app.onDisk()).length === before.length);
});

test('names are names only: paths, control characters and direction marks are taken out', async () => {
  for (const [sent, kept] of [['../../etc/passwd.png', 'passwd.png'], ['C:\\Users\\ada\\me.png', 'me.png'], ['a\u202Egnp.exe', 'agnp.exe'], ['..', 'upload.png'], ['x'.repeat(500), 'x'.repeat(200)]] as const) {
    const { status, body } = await ada.uploadJson({ file: `data:image/png;base64,${aPng().toString('base64')}`, fileName: sent });
    assert.equal(status, 200);
    assert.equal(body['fileName'], kept);
  }
});

test('bad bodies are refused in words that name the field', async () => {
  const png = aPng().toString('base64');
  const cases: [unknown, number, RegExp][] = [
    [{}, 400, /^file: /], [{ file: 5 }, 400, /^file: /], [{ file: png }, 400, /^file: .*data URI/], [{ file: 'data:image/png;base64,' }, 400, /not base64, or empty/],
    [{ file: 'data:image/png;base64,@@@' }, 400, /not base64/], [{ file: `data:image/png;base64,${png}`, fileName: 7 }, 400, /^fileName: /], ['{"file":', 400, /not valid JSON/], ['[]', 400, /JSON object/],
  ];
  for (const [body, status, message] of cases) {
    const answer = await ada.uploadJson(body as object);
    assert.equal(answer.status, status, JSON.stringify(answer.body));
    assert.match(String(answer.body['message']), message);
  }
  const wrongField = await ada.upload(aPng(), { field: 'image' });
  assert.equal(wrongField.status, 400);
  assert.match(String(wrongField.body['message']), /field "file"/);
  const empty = await ada.upload(Buffer.alloc(0));
  assert.equal(empty.status, 400);
  assert.match(String(empty.body['message']), /empty/);
  const two = new FormData();
  for (const name of ['a.png', 'b.png']) two.append('file', new Blob([new Uint8Array(aPng())]), name);
  const both = await fetch(`${app.url}/api/upload`, { method: 'POST', body: two, headers: { authorization: `Bearer ${ada.key}` } });
  assert.equal(both.status, 400);
  assert.match(await both.text(), /too many files/);
  const fields = new FormData();
  for (let i = 0; i < 3; i++) fields.append(`field${i}`, 'x'.repeat(500_000));
  fields.append('file', new Blob([new Uint8Array(aPng())]), 'a.png');
  const heavy = await fetch(`${app.url}/api/upload`, { method: 'POST', body: fields, headers: { authorization: `Bearer ${ada.key}` } });
  assert.equal(heavy.status, 413);
  const text = await fetch(`${app.url}/api/upload`, { method: 'POST', body: 'hello', headers: { authorization: `Bearer ${ada.key}`, 'content-type': 'text/plain' } });
  assert.equal(text.status, 415);
  const noKey = await fetch(`${app.url}/api/media/upload`, { method: 'POST', body: new FormData() });
  assert.equal(noKey.status, 403);
});

test('a file over the limit is refused as form and as JSON, and nothing of it stays', async () => {
  const before = await app.onDisk();
  const large = aPngOf(1_000_001);
  for (const answer of [await ada.upload(large), await ada.uploadJson({ file: `data:image/png;base64,${large.toString('base64')}` })]) {
    assert.equal(answer.status, 413);
    assert.match(String(answer.body['message']), /at most 1 MB/);
  }
  assert.equal((await ada.upload(aPngOf(1_000_000))).status, 200);
  await waitUntil('only the one to be there', async () => (await app.onDisk()).length === before.length + 1);
});

/** Sends these bytes as a form's body, which may end too early, and leaves if asked to. */
function sendRaw(body: Buffer, { length = body.length, leaves = false, type = 'multipart/form-data; boundary=xyz' } = {}): Promise<number | null> {
  return new Promise((resolve) => {
    const sent = request(`${app.url}/api/media/upload`, { method: 'POST', headers: { authorization: `Bearer ${ada.key}`, 'content-type': type, 'content-length': String(length) } });
    sent.on('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? null);
    });
    sent.on('error', () => resolve(null));
    sent.write(body, () => {
      if (leaves) sent.destroy();
      else sent.end();
    });
  });
}

test('JSON over its limit is refused whatever is in it, and several at once are read one after the other', async () => {
  const before = await app.onDisk();
  const { status, body } = await ada.uploadJson(`{"file":"data:image/png;base64,${'A'.repeat(41_000_000)}"}`);
  assert.equal(status, 413);
  assert.match(String(body['message']), /As JSON a file may have at most 30 MB/);
  const file = `data:image/png;base64,${aPngOf(600_000).toString('base64')}`;
  const answers = await Promise.all(Array.from({ length: 6 }, (_, i) => (i % 2 === 0 ? ada.uploadJson({ file, fileName: `${i}.png` }) : ada.uploadJson('{'))));
  assert.deepEqual(answers.map((answer) => answer.status), [200, 400, 200, 400, 200, 400]);
  await waitUntil('only the three to be there', async () => (await app.onDisk()).length === before.length + 3);
});

test('a form that breaks off and a client that leaves are survived, and nothing of them stays', async () => {
  const before = await app.onDisk();
  const start = Buffer.concat([Buffer.from('--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'), aPngOf(200_000)]);
  assert.equal(await sendRaw(start), 400);
  assert.equal(await sendRaw(Buffer.from('no form at all')), 400);
  assert.equal(await sendRaw(start, { length: 900_000, leaves: true }), null);
  assert.equal(await sendRaw(Buffer.from('{"file":"data:image/png;base64,AAAA'), { length: 900_000, leaves: true, type: 'application/json' }), null);
  await waitUntil('nothing to be left of it', async () => (await app.onDisk()).length === before.length);
  assert.equal((await ada.upload(aPng())).status, 200);
});

test('files are listed newest first with size and time, per profile; others see none of them', async () => {
  const bob = await app.newcomer();
  const first = await bob.upload(aPng(3, 3), { name: 'first.png' });
  const second = await bob.upload(anMp4(), { name: 'second.mp4' });
  const response = await fetch(`${app.url}/api/media`, { headers: { authorization: `Bearer ${bob.key}` } });
  const listed = (await response.json()) as Record<string, string>[];
  assert.deepEqual(listed.map(({ fileName }) => fileName), ['second.mp4', 'first.png']);
  assert.deepEqual(listed.map(({ id }) => id), [second.body['id'], first.body['id']]);
  assert.equal(listed[1]!['size'], String(aPng(3, 3).length));
  const days = (Date.parse(listed[0]!['expiresAt']!) - Date.parse(listed[0]!['timeCreated']!)) / 86_400_000;
  assert.equal(days, 90);
  const carol = await app.newcomer();
  assert.deepEqual(await (await fetch(`${app.url}/api/media`, { headers: { authorization: `Bearer ${carol.key}` } })).json(), []);
  assert.equal((await carol.api.delete('/api/media', { id: first.body['id'] })).status, 404);
  assert.equal((await fetch(String(first.body['url']))).status, 200);
});

test('a deleted file is gone for everybody, and deleting it again says so', async () => {
  const before = await app.onDisk();
  const { body } = await ada.upload(aPng());
  assert.deepEqual((await ada.api.delete('/api/media', { id: body['id'] })).body, { status: 'success', id: body['id'] });
  assert.equal((await fetch(String(body['url']))).status, 404);
  assert.equal((await ada.api.delete('/api/media', { id: body['id'] })).status, 404);
  assert.equal((await ada.api.delete('/api/media', { id: { $ne: null } })).status, 400);
  const other = await ada.upload(aPng());
  assert.equal((await ada.api.delete(`/api/media/${String(other.body['id'])}`, {})).status, 200);
  assert.equal((await app.onDisk()).length, before.length);
});

test('an upload address takes one file of its type, once', async () => {
  const { status, body } = await ada.api.get('/api/media/uploadUrl?fileName=film.mp4&contentType=video/mp4');
  assert.equal(status, 200);
  assert.deepEqual(Object.keys(body), ['accessUrl', 'contentType', 'uploadUrl']);
  assert.equal((await fetch(String(body['accessUrl']))).status, 404);
  const put = (data: Buffer, url = String(body['uploadUrl'])) => fetch(url, { method: 'PUT', body: new Uint8Array(data), headers: { 'content-type': 'video/mp4' } });
  assert.equal((await put(aPng())).status, 415);
  assert.equal((await put(anMp4(), String(body['uploadUrl']).slice(0, -3))).status, 404);
  const [one, two] = await Promise.all([put(anMp4()), put(anMp4())]);
  assert.deepEqual([one.status, two.status].sort((a, b) => a - b), [200, 404]);
  assert.equal((await fetch(String(body['accessUrl']))).headers.get('content-type'), 'video/mp4');
  assert.equal((await put(anMp4())).status, 404);
  assert.equal((await ada.api.get('/api/media/uploadUrl?contentType=text/html')).status, 415);
  assert.equal((await ada.api.get('/api/media/uploadUrl')).status, 415);
});
