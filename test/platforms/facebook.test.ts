/** What only Facebook has: stories and carousels. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { PlatformContent } from '../../src/platforms/platform.js';
import { findPlatform } from '../../src/platforms/registry.js';
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
