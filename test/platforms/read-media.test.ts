/** Reading media files for networks that want an upload, from a server that misbehaves in every way. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { createAddressGuard } from '../../src/lib/address-guard.js';
import { createHttpClient } from '../../src/lib/http-client.js';
import { mediaFactsOf } from '../../src/platforms/media-facts.js';
import { PlatformFailure } from '../../src/platforms/platform.js';
import type { MediaKind } from '../../src/platforms/media-kind.js';
import { readMediaOf } from '../../src/platforms/read-media.js';
import { findPlatform } from '../../src/platforms/registry.js';

describe('reading a media file', () => {
  const answers: Record<string, RequestListener> = {
    '/photo.png': (_req, res) => res.setHeader('content-type', 'image/png').end(png(600, 400)),
    '/untold.jpg': (_req, res) => res.end(jpeg(300, 200)),
    '/moved': (_req, res) => res.writeHead(302, { location: '/photo.png' }).end(),
    '/round': (_req, res) => res.writeHead(302, { location: '/round' }).end(),
    '/inside': (_req, res) => res.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data' }).end(),
    '/page': (_req, res) => res.setHeader('content-type', 'text/html; charset=utf-8').end('<p>Log in first'),
    '/busy': (_req, res) => res.writeHead(503).end(),
    '/cut.png': (_req, res) => {
      res.writeHead(200, { 'content-type': 'image/png', 'content-length': '1000' }).write('half');
      res.destroy();
    },
    '/endless.png': (_req, res) => {
      res.writeHead(200, { 'content-type': 'image/png' });
      const more = (): void => {
        while (!res.destroyed && res.write(Buffer.alloc(65_536)));
      };
      res.on('drain', more);
      more();
    },
  };
  const server = createServer((req, res) => (answers[req.url ?? ''] ?? ((_q, r) => r.writeHead(404).end()))(req, res));
  const http = createHttpClient({ userAgent: 'signpost-test', keepAliveMs: 100, guard: createAddressGuard({ allowLoopback: true }) });
  let base = '';
  before(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  const read = (path: string, platform = 'twitter', kind: MediaKind = 'image', client = http) => readMediaOf(findPlatform(platform)!, { url: path.startsWith('/') ? base + path : path, kind }, client);

  it('brings its bytes and type, over redirects, and goes by the address when the server tells no type', async () => {
    assert.deepEqual(await read('/photo.png'), { data: png(600, 400), contentType: 'image/png' });
    assert.equal((await read('/moved')).contentType, 'image/png');
    assert.equal((await read('/untold.jpg')).contentType, 'image/jpeg');
  });

  const refused: [path: string, kind: 'rejected' | 'unreachable', words: RegExp, platform?: string][] = [
    ['/missing.png', 'rejected', /its address answers 404/], ['/page', 'rejected', /leads to a web page/], ['/round', 'rejected', /leads on and on/],
    ['/inside', 'rejected', /not on the public internet/], ['http://10.0.0.1/x.png', 'rejected', /not on the public internet/], ['http://nowhere.invalid/x.png', 'rejected', /no such host/],
    ['/endless.png', 'rejected', /too large: at most 5 MB/], ['/busy', 'unreachable', /can't be read right now \(HTTP 503\)/], ['/cut.png', 'unreachable', /can't be read right now/],
    ['/photo.png', 'rejected', /TikTok doesn't take image\/png/, 'tiktok'], ['/untold.jpg', 'rejected', /too narrow for Threads: 300 pixels, at least 320/, 'threads'],
  ];
  for (const [path, kind, words, platform] of refused) {
    it(`says in plain words what is wrong with ${path}${platform === undefined ? '' : ` for ${platform}`}`, async () => {
      const error: unknown = await read(path, platform).then(() => null, (thrown: unknown) => thrown);
      assert.ok(error instanceof PlatformFailure, String(error));
      assert.equal(error.kind, kind);
      assert.match(error.message, words);
    });
  }

  it('dials nothing on this machine or network unless it may', async () => {
    const guarded = createHttpClient({ userAgent: 'signpost-test', keepAliveMs: 100, guard: createAddressGuard({ allowLoopback: false }) });
    await assert.rejects(read('/photo.png', 'twitter', 'image', guarded), /not on the public internet/);
    await guarded.close();
  });
});

describe('what a media file says of itself', () => {
  it('is its size in pixels, as it is shown', () => {
    assert.deepEqual(size(png(600, 400), 'image/png'), [600, 400]);
    assert.deepEqual(size(jpeg(300, 200), 'image/jpeg'), [300, 200]);
    assert.deepEqual(size(jpeg(300, 200, 6), 'image/jpeg'), [200, 300], 'turned by a quarter');
    assert.deepEqual(size(Buffer.concat([Buffer.from('GIF89a'), Buffer.from([0x40, 0x01, 0xf0, 0x00])]), 'image/gif'), [320, 240]);
    const webp = Buffer.concat([Buffer.from('RIFF\0\0\0\0WEBPVP8X'), Buffer.alloc(8), Buffer.from([0x7f, 0x02, 0x00, 0xdf, 0x01, 0x00])]);
    assert.deepEqual(size(webp, 'image/webp'), [640, 480]);
  });

  it('is the length of an MP4, wherever its header stands', () => {
    const header = box('moov', box('mvhd', Buffer.concat([Buffer.alloc(12), uint32(600), uint32(600 * 75)])));
    for (const file of [Buffer.concat([box('ftyp', Buffer.from('isom')), header]), Buffer.concat([box('ftyp', Buffer.from('isom')), box('mdat', Buffer.alloc(5000)), header])]) {
      assert.equal(mediaFactsOf(file, 'video/mp4').durationMs, 75_000);
    }
  });

  it('is the picture of an MP4, as it is shown', () => {
    const track = (isTurned: boolean, version: 0 | 1 = 0): Buffer => box('trak', box('tkhd', Buffer.concat([
      Buffer.from([version, 0, 0, 0]), Buffer.alloc(version === 1 ? 48 : 36), uint32(isTurned ? 0 : 0x10000), Buffer.alloc(32), uint32(1920 << 16), uint32(1080 << 16),
    ])));
    const sound = box('trak', box('tkhd', Buffer.alloc(84)));
    const sizeIn = (...tracks: Buffer[]): [number?, number?] => size(box('moov', Buffer.concat(tracks)), 'video/mp4');
    assert.deepEqual([sizeIn(sound, track(false)), sizeIn(track(true)), sizeIn(track(true, 1)), sizeIn(sound)], [[1920, 1080], [1080, 1920], [1080, 1920], [undefined, undefined]]);
  });

  it('is nothing when it is damaged, and no bytes make it fail or hang', () => {
    const begun = performance.now();
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.constantFrom('', 'GIF', 'RIFF\0\0\0\0WEBPVP8 ', '\xff\xd8\xff\xe1', '\x89PNG\r\n\x1a\n', '\0\0\0\x18moov'), fc.constantFrom('image/jpeg', 'video/mp4'), (bytes, magic, type) => {
      const data = Buffer.concat([Buffer.from(magic, 'latin1'), bytes]);
      assert.equal(mediaFactsOf(data, type).bytes, data.length);
    }), { numRuns: 2000 });
    assert.ok(performance.now() - begun < 20_000);
  });
});

function size(data: Buffer, type: string): [number?, number?] {
  const { width, height } = mediaFactsOf(data, type);
  return [width, height];
}

function uint32(n: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(n);
  return bytes;
}

function png(width: number, height: number): Buffer {
  return Buffer.concat([Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'), uint32(width), uint32(height), Buffer.from('0802000000', 'hex')]);
}

function jpeg(width: number, height: number, orientation?: number): Buffer {
  const exif = Buffer.concat([Buffer.from('Exif\0\0MM\0*', 'latin1'), uint32(8), Buffer.from([0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation ?? 1, 0, 0])]);
  const segment = (marker: number, body: Buffer): Buffer => Buffer.concat([Buffer.from([0xff, marker, (body.length + 2) >> 8, (body.length + 2) & 0xff]), body]);
  const frame = Buffer.from([8, height >> 8, height & 0xff, width >> 8, width & 0xff, 3]);
  return Buffer.concat([Buffer.from([0xff, 0xd8]), ...(orientation === undefined ? [] : [segment(0xe1, exif)]), segment(0xdb, Buffer.alloc(64)), segment(0xc0, frame)]);
}

function box(type: string, content: Buffer): Buffer {
  return Buffer.concat([uint32(content.length + 8), Buffer.from(type, 'latin1'), content]);
}
