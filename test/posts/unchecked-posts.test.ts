/** Posts that were stored unchecked (`validateScheduled: false`) are checked before they are sent: refused in words, never in doubt, never sent. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { waitUntil } from '../support/wait-until.js';
import { inSeconds, startPostsApp } from './posts-app.js';

describe('a post that was stored unchecked', async () => {
  const app = await startPostsApp();
  const ada = await app.newcomer(['twitter']);

  const broken: [what: string, body: Record<string, unknown>, words: RegExp][] = [
    ['with a text that is too long', { post: 'x'.repeat(281) }, /too long for X: 281 .*Shorten it by 1/],
    ['with options that make no sense', { post: 'A poll', twitterOptions: { poll: { duration: 'long', options: 7 } } }, /must be a|must be one of|duration|This/],
    ['with more files than the network takes', { post: 'Files', mediaUrls: [1, 2, 3, 4, 5].map((i) => `https://example.com/${i}.jpg`) }, /X takes at most 4 media files/],
  ];
  for (const [what, body, words] of broken) {
    it(`${what} fails at its time, and nothing is sent`, async () => {
      const scheduled = await ada.call('POST', '/api/post', { ...body, platforms: ['twitter'], scheduleDate: inSeconds(1.2), validateScheduled: false });
      assert.equal(scheduled.body['status'], 'scheduled', JSON.stringify(scheduled.body));
      const done = await waitUntil('the post to fail', async () => {
        const { body: shown } = await ada.call('GET', `/api/history/${String(scheduled.body['id'])}`);
        return shown['status'] === 'error' && shown;
      });
      const [error] = done['errors'] as Record<string, unknown>[];
      assert.match(String(error?.['message']), words, JSON.stringify(error));
      const listed = await fetch(`${app.simulatorUrl}/simulator/posts?network=twitter`).then((answer) => answer.json()) as { posts: unknown[] };
      assert.deepEqual(listed.posts, []);
    });
  }
});
