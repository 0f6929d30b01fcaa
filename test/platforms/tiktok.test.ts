/** What only TikTok has: photos, and posts that stay private. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
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
    assert.deepEqual([post?.remoteId, post?.media.length], [done.remoteId, 3]);
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
