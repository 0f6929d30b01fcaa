/** What only Facebook has: stories and carousels. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { PlatformContent } from '../../src/platforms/platform.js';
import { findPlatform } from '../../src/platforms/registry.js';
import { waitUntil } from '../support/wait-until.js';
import { connect, contentFor, ioFor, openSimulator, type Connected, type TestSimulator } from './simulated.js';

describe('Facebook', () => {
  const facebook = findPlatform('facebook')!;
  let sim: TestSimulator;
  let page: Connected;
  before(async () => {
    sim = await openSimulator();
    page = await connect(facebook, ioFor(facebook, sim), 'ada.bakery');
  });
  after(() => sim.close());
  const publish = (content: PlatformContent) => facebook.publish(content, page.grant.credentials, ioFor(facebook, sim));
  const story = (kind: 'image' | 'video', options: Record<string, unknown>): PlatformContent => contentFor(facebook, 'Story', { options, mediaKind: kind });

  it('publishes a photo as a story', async () => {
    const done = await publish(story('image', { stories: true }));
    assert.ok(done.state === 'published');
    assert.deepEqual((await sim.posts()).filter((post) => post.remoteId === done.remoteId).map((post) => post.media), [['https://media.example.com/photo.jpg']]);
  });

  it('publishes a video as a story', async () => {
    await sim.set({ processingMs: 60_000 });
    const first = await publish(story('video', { stories: true }));
    assert.ok(first.state === 'processing');
    await sim.set({ processingMs: 60 });
    assert.equal((await facebook.processing!.poll(first.handle, page.grant.credentials, ioFor(facebook, sim))).state, 'processing');
  });

  for (const kind of ['reset-after-accept', 'error-after-accept', 'reset-before-accept', 'server-error']) {
    it(`publishes a reel and a video story once when the last answer is lost: ${kind}`, async () => {
      await sim.set({ processingMs: 60 });
      for (const options of [{ reels: true }, { stories: true }]) {
        const before = (await sim.posts({ network: 'facebook' })).length;
        await sim.fault({ kind, act: 'publish', network: 'facebook', handle: 'ada.bakery', times: 1 });
        let latest = await publish(contentFor(facebook, `Lost ${kind}`, { options, mediaKind: 'video' }));
        await waitUntil('it to be public', async () => {
          if (latest.state === 'processing') latest = await facebook.processing!.poll(latest.handle, page.grant.credentials, ioFor(facebook, sim));
          return latest.state === 'published';
        });
        const more = (await sim.posts({ network: 'facebook' })).slice(before);
        assert.deepEqual(more.map(({ remoteId, isPublic }) => [remoteId, isPublic]), [[latest.state === 'published' && latest.remoteId, true]]);
      }
    });
  }

  it('knows what it can ask for after a lost answer', async () => {
    const { canFind, find } = facebook.lookUp!;
    assert.equal(canFind!({ options: {} }), true);
    for (const options of [{ stories: true }, { draft: true }, { scheduledPublishDate: '2027-01-01T00:00:00Z' }]) assert.equal(canFind!({ options }), false);
    await assert.rejects(find({ ...contentFor(facebook, 'A reel that is nowhere'), options: { reels: true } }, new Date(), page.grant.credentials, ioFor(facebook, sim)), { kind: 'unknown' });
  });

  it('keeps a draft from the public, and what Facebook is to publish later', async () => {
    for (const options of [{ draft: true }, { scheduledPublishDate: new Date(Date.now() + 86_400_000).toISOString() }]) {
      const text = `Not yet ${Object.keys(options).join()}`;
      assert.equal((await publish({ ...contentFor(facebook, text), options })).state, 'published');
      assert.deepEqual((await sim.posts({ text })).map((post) => post.isPublic), [false]);
    }
  });

  it('refuses a reel without a video, in words', async () => {
    await assert.rejects(publish(story('image', { reels: true })), /A Facebook reel needs a video/);
  });

  it('publishes a carousel of links', async () => {
    const items = [1, 2].map((i) => ({ link: `https://example.com/${i}`, picture: `https://example.com/${i}.jpg`, name: `Item ${i}` }));
    const done = await publish({ ...contentFor(facebook, 'Carousel'), options: { carousel: { link: 'https://example.com/', items } } });
    assert.equal(done.state, 'published');
    assert.equal((await sim.posts({ text: 'Carousel' })).length, 1);
  });
});
