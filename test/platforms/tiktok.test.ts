/** What only TikTok has: photos, and posts that stay private. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { PlatformFailure } from '../../src/platforms/platform.js';
import { findPlatform } from '../../src/platforms/registry.js';
import { waitUntil } from '../support/wait-until.js';
import { connect, contentFor, ioFor, openSimulator, type Connected, type TestSimulator } from './simulated.js';

describe('TikTok', () => {
  const tiktok = findPlatform('tiktok')!;
  let sim: TestSimulator;
  let ada: Connected;
  before(async () => {
    sim = await openSimulator();
    ada = await connect(tiktok, ioFor(tiktok, sim), 'ada.creates');
  });
  after(() => sim.close());

  it('publishes photos in one post', async () => {
    const media = [1, 2, 3].map((i) => ({ url: `https://media.example.com/${i}.jpg`, kind: 'image' as const }));
    const begun = await tiktok.publish({ ...contentFor(tiktok, 'Three photos'), media, options: { title: 'A title' } }, ada.grant.credentials, ioFor(tiktok, sim));
    assert.ok(begun.state === 'processing');
    const done = await waitUntil('the photos to be public', async () => {
      const answer = await tiktok.processing!.poll(begun.handle, ada.grant.credentials, ioFor(tiktok, sim));
      return answer.state === 'published' && answer;
    });
    const [post] = await sim.posts({ text: 'Three photos' });
    assert.deepEqual([post?.remoteId, post?.media.length, post?.url], [done.remoteId, 3, done.url]);
    assert.match(done.url ?? '', /\/photo\//);
    assert.equal((await fetch(done.url!)).status, 200);
  });

  it("never takes lost photos as not sent: apps can't see them listed, so a person decides", async () => {
    const since = new Date();
    const content = { ...contentFor(tiktok, 'Lost photos [[fault: timeout-after-accept]]'), media: [{ url: 'https://media.example.com/1.jpg', kind: 'image' as const }] };
    const isUnknown = (error: unknown): boolean => error instanceof PlatformFailure && error.kind === 'unknown';
    await assert.rejects(tiktok.publish(content, ada.grant.credentials, ioFor(tiktok, sim)), isUnknown);
    await assert.rejects(tiktok.lookUp!.find(content, since, ada.grant.credentials, ioFor(tiktok, sim)), isUnknown);
    assert.equal((await sim.posts({ text: content.text })).length, 1);
  });

  it('takes a private post, which never gets a public id, as published when TikTok is done', async () => {
    const begun = await tiktok.publish({ ...contentFor(tiktok, 'For me'), options: { visibility: 'private' } }, ada.grant.credentials, ioFor(tiktok, sim));
    assert.ok(begun.state === 'processing');
    const done = await waitUntil('the processing to end', async () => {
      const answer = await tiktok.processing!.poll(begun.handle, ada.grant.credentials, ioFor(tiktok, sim));
      return answer.state === 'published' && answer;
    });
    assert.equal(done.url, null);
  });
});
