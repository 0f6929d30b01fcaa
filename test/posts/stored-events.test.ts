import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { withEvents } from '../../src/posts/post-events.js';
import type { Post, Publication } from '../../src/posts/post.js';
import { packEvents, unpackEvents } from '../../src/posts/stored-events.js';

const at = new Date('2026-03-01T12:00:00Z');

function publication(id: string): Publication {
  return {
    id, channelId: `chn_${id}`, platform: 'bluesky', channelName: 'me', state: 'published', dueAt: null, tries: 1, attempts: [], handle: null, processingSince: null,
    remoteId: 'r', url: null, publishedAt: at, failure: null,
  };
}

const post: Post = {
  id: 'p1', accountId: 'acc_1', profileId: 'prf_1', refId: 'ref', text: 'Hello', media: [], options: {}, notes: null, type: 'scheduled', scheduledAt: at, timeZone: 'UTC',
  status: 'success', publications: [publication('pub_1'), publication('pub_2')], dueAt: null, lease: null, version: 3, sequence: 4, history: [], idempotencyKey: null,
  requestDigest: null, createdAt: at, updatedAt: at, deletedAt: null,
};

describe('events in a post\'s outbox', () => {
  it('store the snapshot of one write once, and come back as they were told', () => {
    const first = withEvents(post, [{ type: 'publication.published', publicationId: 'pub_1' }, { type: 'publication.published', publicationId: 'pub_2' }, { type: 'post.published' }], at);
    const later = withEvents({ ...first.post, text: 'Edited' }, [{ type: 'post.updated' }, { type: 'publication.failed', publicationId: 'pub_1' }], at);
    const stored = [...packEvents(first.events), ...packEvents(later.events)];
    assert.deepEqual(stored.map(({ data }) => typeof data === 'string'), [true, false, false, true, false]);
    assert.deepEqual(unpackEvents(structuredClone(stored)), [...first.events, ...later.events]);
  });

  it('are read as they are where each has a snapshot of its own', () => {
    const { events } = withEvents(post, [{ type: 'publication.published', publicationId: 'pub_1' }, { type: 'post.published' }], at);
    assert.deepEqual(unpackEvents(structuredClone(events)), events);
  });
});
