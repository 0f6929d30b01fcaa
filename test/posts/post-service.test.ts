/** Writing, changing and cancelling posts: what is stored, what is refused, and what happens when two do it at once. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AppError } from '../../src/lib/app-error.js';
import type { Post, PostEvent } from '../../src/posts/post.js';
import { aChannel, anInput, NOW, postsOverDatabase, TOMORROW } from '../support/posts.js';

const world = await postsOverDatabase();

async function refusal(run: Promise<unknown>): Promise<AppError> {
  try {
    await run;
  } catch (error) {
    assert.ok(error instanceof AppError, String(error));
    return error;
  }
  assert.fail('it was not refused');
}

async function eventsOf(post: Post): Promise<PostEvent[]> {
  return (await world.store.readOutbox(10, [post.id])).flatMap(({ events }) => events);
}

async function storedCount(profileId: string): Promise<number> {
  return (await world.store.list({ profileId, includeDeleted: true, limit: 100 })).length;
}

/** As a worker does it: leases the post, then stores that it is being sent. */
async function startSending(post: Post): Promise<void> {
  const current = (await world.store.find(post.id))!;
  const after: Post = { ...current, status: 'publishing', publications: current.publications.map((p) => ({ ...p, state: 'sending', tries: 1, dueAt: null })) };
  assert.equal(await world.store.save({ before: current, after, events: [] }), true);
}

describe('a post that is written', () => {
  test('has one waiting publication per channel, in alphabetical order, and its event in the same write', async () => {
    const actor = world.someone();
    const post = await world.service.create(actor, anInput({ platforms: ['twitter', 'bluesky'], notes: 'mine' }));
    const stored = (await world.store.find(post.id))!;
    assert.deepEqual(stored.publications.map(({ platform, state, dueAt, tries }) => ({ platform, state, dueAt, tries })), [
      { platform: 'bluesky', state: 'pending', dueAt: TOMORROW, tries: 0 },
      { platform: 'twitter', state: 'pending', dueAt: TOMORROW, tries: 0 },
    ]);
    assert.deepEqual([stored.status, stored.type, stored.scheduledAt, stored.dueAt, stored.notes, stored.timeZone], ['scheduled', 'scheduled', TOMORROW, TOMORROW, 'mine', 'Europe/Berlin']);
    const events = await eventsOf(post);
    assert.deepEqual(events.map(({ type, sequence }) => [type, sequence]), [['post.scheduled', 1]]);
    assert.equal(events[0]?.data.publications.length, 2);
    assert.ok(world.due.some(({ id }) => id === post.id), 'publishing was not told');
  });

  test('goes out at once when its time is past, and still counts as scheduled', async () => {
    const post = await world.service.create(world.someone(), anInput({ scheduledAt: new Date('2020-01-01T00:00:00Z') }));
    assert.deepEqual([post.type, post.scheduledAt, post.dueAt], ['scheduled', NOW, NOW]);
    const immediate = await world.service.create(world.someone(), anInput({ scheduledAt: null }));
    assert.deepEqual([immediate.type, immediate.dueAt, (await eventsOf(immediate)).length], ['now', NOW, 0]);
  });

  test('goes to every channel with "all"', async () => {
    const [bluesky] = world.channels.splice(0, 1);
    try {
      const post = await world.service.create(world.someone(), anInput({ platforms: ['all'], mediaUrls: ['https://example.com/a.mp4'] }));
      assert.deepEqual(post.publications.map(({ platform }) => platform), ['tiktok', 'twitter']);
    } finally {
      world.channels.unshift(bluesky!);
    }
  });

  test('keeps a text of its own for a channel, and each is judged by its own', async () => {
    const actor = world.someone();
    const long = 'x'.repeat(290);
    const post = await world.service.create(actor, anInput({ platforms: ['bluesky', 'twitter'], text: long, texts: { twitter: 'short', tiktok: 'not chosen' } }));
    assert.deepEqual([post.text, post.texts], [long, { twitter: 'short' }]);
    const error = await refusal(world.service.create(actor, anInput({ platforms: ['bluesky', 'twitter'], texts: { bluesky: 'y'.repeat(301) } })));
    assert.deepEqual(error.fields.map(({ field, platform }) => [field, platform]), [['post', 'bluesky']]);
    const mistyped = await refusal(world.service.create(actor, anInput({ texts: { blueksy: 'a' } })));
    assert.equal(mistyped.fields[0]?.field, 'post.blueksy');
    await world.service.edit(actor, post.id, { scheduledAt: new Date('2026-07-20T00:00:00Z') });
    assert.deepEqual((await world.store.find(post.id))?.texts, { twitter: 'short' });
    await world.service.edit(actor, post.id, { text: 'all alike', texts: {} });
    assert.deepEqual((await world.store.find(post.id))?.texts, {});
  });

  test('keeps the option object of its platforms only', async () => {
    const post = await world.service.create(world.someone(), anInput({ platforms: ['bluesky'], options: { blueskyoptions: { altText: ['x'] }, twitteroptions: { a: 1 } } }));
    assert.deepEqual(post.options, { bluesky: { altText: ['x'] } });
  });

  test('is held rather than refused when its channel is signed out and its time is later', async () => {
    world.channels.splice(0, 1, aChannel('bluesky', { state: 'signed-out' }));
    try {
      assert.equal((await world.service.create(world.someone(), anInput())).status, 'scheduled');
      const error = await refusal(world.service.create(world.someone(), anInput({ scheduledAt: null })));
      assert.equal(error.code, 911);
      assert.match(error.message, /Reconnect/);
    } finally {
      world.channels.splice(0, 1, aChannel('bluesky'));
    }
  });

  test('stays stored when nobody could be told that it is due', async () => {
    const failing = await postsOverDatabase({ postsDue: async () => Promise.reject(new Error('no clock')) });
    const post = await failing.service.create(failing.someone(), anInput());
    assert.equal((await failing.store.find(post.id))?.status, 'scheduled');
  });
});

describe('a post is refused and nothing is stored', () => {
  const cases: [name: string, over: Parameters<typeof anInput>[0], field: string, code: number, message: RegExp][] = [
    ['for an unknown platform', { platforms: ['bluesky', 'x'] }, 'platforms[1]', 901, /Unknown platform.*bluesky/],
    ['for a platform in capitals', { platforms: ['Bluesky'] }, 'platforms[0]', 901, /lower case/],
    ['for no platform', { platforms: [] }, 'platforms', 901, /at least one/],
    ['without text and media', { text: ' \n ' }, 'post', 900, /Missing or incorrect post parameter/],
    ['with a text over a platform\'s limit', { text: 'x'.repeat(301) }, 'post', 903, /Bluesky: 301 characters, at most 300. Shorten it by 1/],
    ['without the video that a platform needs', { platforms: ['tiktok'] }, 'mediaUrls', 904, /TikTok needs a video/],
    ['further ahead than two years', { scheduledAt: new Date('2030-01-01T00:00:00Z') }, 'scheduleDate', 902, /2 years/],
  ];
  for (const [name, over, field, code, message] of cases) {
    test(name, async () => {
      const actor = world.someone();
      const error = await refusal(world.service.create(actor, anInput(over)));
      assert.equal(error.kind, 'invalid');
      assert.deepEqual([error.fields[0]?.field, error.fields[0]?.code, error.code], [field, code, code]);
      assert.match(error.fields[0]?.message ?? '', message);
      assert.equal(await storedCount(actor.profileId), 0);
    });
  }

  test('for a channel that is not linked, and for one that was disconnected', async () => {
    const kept = world.channels.splice(0, world.channels.length, aChannel('twitter'), aChannel('bluesky', { state: 'disconnected' }));
    try {
      const error = await refusal(world.service.create(world.someone(), anInput({ platforms: ['twitter', 'bluesky', 'tiktok'] })));
      assert.equal(error.code, 156);
      assert.deepEqual(error.fields.map(({ field, platform }) => [field, platform]), [['platforms[1]', 'bluesky'], ['platforms[2]', 'tiktok']]);
      assert.match(error.message, /^Bluesky is not linked with Signpost/);
    } finally {
      world.channels.splice(0, world.channels.length, ...kept);
    }
  });

  test('with every platform\'s objection in the API\'s rows', async () => {
    const error = await refusal(world.service.create(world.someone(), anInput({ platforms: ['bluesky', 'twitter'], text: 'y'.repeat(400) })));
    assert.deepEqual((error.details['errors'] as Record<string, unknown>[]).map(({ action, status, platform, verifyCheck }) => [action, status, platform, verifyCheck]), [
      ['post', 'error', 'bluesky', true], ['post', 'error', 'twitter', true],
    ]);
    assert.deepEqual([error.details['postIds'], error.details['validate'], error.details['refId']], [[], true, 'a'.repeat(40)]);
  });

  test('but a scheduled one is left to the networks when the caller asks for that', async () => {
    const long = { text: 'z'.repeat(400), checkRules: false };
    assert.equal((await world.service.create(world.someone(), anInput(long))).status, 'scheduled');
    assert.equal((await refusal(world.service.create(world.someone(), anInput({ ...long, scheduledAt: null })))).code, 903);
  });
});

describe('an idempotency key', () => {
  test('answers a repeated request with the post that it made', async () => {
    const actor = world.someone();
    const input = anInput({ idempotencyKey: 'k1', platforms: ['twitter', 'bluesky'] });
    const first = await world.service.create(actor, input);
    await world.service.edit(actor, first.id, { notes: 'changed since' });
    const second = await world.service.create(actor, { ...input, platforms: ['bluesky', 'twitter'] });
    assert.deepEqual([second.id, second.notes], [first.id, 'changed since']);
    assert.equal(await storedCount(actor.profileId), 1);
  });

  test('is refused for another content, and after the post was deleted', async () => {
    const actor = world.someone();
    const input = anInput({ idempotencyKey: 'k2' });
    const post = await world.service.create(actor, input);
    const other = await refusal(world.service.create(actor, { ...input, text: 'Another' }));
    assert.deepEqual([other.kind, other.code, other.fields[0]?.field], ['conflict', 907, 'idempotencyKey']);
    await world.service.cancel(actor, post.id);
    assert.equal((await refusal(world.service.create(actor, input))).kind, 'conflict');
    assert.equal(await storedCount(actor.profileId), 1);
  });

  test('belongs to its profile alone', async () => {
    const input = anInput({ idempotencyKey: 'k3' });
    const [a, b] = [await world.service.create(world.someone(), input), await world.service.create(world.someone(), input)];
    assert.notEqual(a.id, b.id);
  });

  test('yields one post when twenty send it at once', async () => {
    const actor = world.someone();
    const posts = await Promise.all(Array.from({ length: 20 }, () => world.service.create(actor, anInput({ idempotencyKey: 'k4' }))));
    assert.equal(new Set(posts.map(({ id }) => id)).size, 1);
    assert.equal(await storedCount(actor.profileId), 1);
  });

  test('is not used up by a refused request', async () => {
    const actor = world.someone();
    await refusal(world.service.create(actor, anInput({ idempotencyKey: 'k5', text: '' })));
    assert.equal((await world.service.create(actor, anInput({ idempotencyKey: 'k5' }))).status, 'scheduled');
  });
});

describe('a post that waits', () => {
  test('can be edited as a whole, and says so', async () => {
    const actor = world.someone();
    const post = await world.service.create(actor, anInput({ platforms: ['bluesky', 'twitter'] }));
    const later = new Date('2026-07-05T08:00:00Z');
    await world.service.edit(actor, post.id, { text: 'New', platforms: ['twitter', 'tiktok'], mediaUrls: ['https://example.com/clip'], isVideo: true, scheduledAt: later, notes: 'n' });
    const stored = (await world.store.find(post.id))!;
    assert.deepEqual([stored.text, stored.media, stored.scheduledAt, stored.dueAt, stored.notes], ['New', [{ url: 'https://example.com/clip', kind: 'video' }], later, later, 'n']);
    assert.deepEqual(stored.publications.map(({ platform, dueAt }) => [platform, dueAt]), [['tiktok', later], ['twitter', later]]);
    assert.equal(stored.publications[1]?.id, post.publications[1]?.id, 'a channel that stays keeps its publication');
    assert.deepEqual((await eventsOf(post)).map(({ type, sequence }) => [type, sequence]), [['post.scheduled', 1], ['post.updated', 2]]);
    assert.equal(stored.history.at(-1)?.what, 'edited');
  });

  test('keeps what is not changed', async () => {
    const actor = world.someone();
    const post = await world.service.create(actor, anInput({ platforms: ['twitter'], mediaUrls: ['https://example.com/clip'], isVideo: true, options: { twitteroptions: { a: 1 } } }));
    await world.service.edit(actor, post.id, { scheduledAt: new Date('2026-07-09T00:00:00Z') });
    const stored = (await world.store.find(post.id))!;
    assert.deepEqual([stored.text, stored.media, stored.options], [post.text, post.media, post.options]);
    assert.equal(stored.history.at(-1)?.what, 'rescheduled');
  });

  test('is not touched by a form that comes back as it was shown', async () => {
    const actor = world.someone();
    const at = new Date('2026-07-02T12:00:45.678Z');
    const post = await world.service.create(actor, anInput({ scheduledAt: at }));
    const { text, notes } = post;
    const shown = { text, notes, platforms: ['bluesky'], mediaUrls: [], isVideo: false, scheduledAt: new Date('2026-07-02T12:00:45Z'), timeZone: 'Europe/Berlin' };
    assert.equal((await world.service.edit(actor, post.id, shown)).version, post.version);
    const { scheduledAt } = await world.service.edit(actor, post.id, { ...shown, text: 'New' });
    assert.deepEqual(scheduledAt, at);
    assert.deepEqual((await eventsOf(post)).map(({ type }) => type), ['post.scheduled', 'post.updated']);
  });

  test('goes out at once when it is moved to the past or to now', async () => {
    const actor = world.someone();
    const post = await world.service.create(actor, anInput());
    assert.equal((await world.service.edit(actor, post.id, { scheduledAt: new Date('2020-01-01T00:00:00Z') })).scheduledAt.getTime(), NOW.getTime());
    assert.equal((await world.service.edit(actor, post.id, { scheduledAt: null })).scheduledAt.getTime(), NOW.getTime());
  });

  test('is left as it was by an edit that breaks a rule', async () => {
    const actor = world.someone();
    const post = await world.service.create(actor, anInput());
    for (const changes of [{ text: '' }, { text: 'x'.repeat(301) }, { platforms: ['nope'] }, { platforms: ['tiktok'] }, { scheduledAt: new Date('2040-01-01T00:00:00Z') }]) {
      assert.equal((await refusal(world.service.edit(actor, post.id, changes))).kind, 'invalid', JSON.stringify(changes));
    }
    const { version: _version, ...stored } = (await world.store.find(post.id))!;
    const { version: _was, ...first } = post;
    assert.deepEqual(stored, first);
  });

  test('is not overwritten by a form that was opened before somebody else saved', async () => {
    const actor = world.someone();
    const post = await world.service.create(actor, anInput());
    await world.service.edit(actor, post.id, { text: 'first' }, post.version);
    const error = await refusal(world.service.edit(actor, post.id, { text: 'second' }, post.version));
    assert.equal(error.kind, 'conflict');
    assert.equal((await world.store.find(post.id))?.text, 'first');
  });

  test('can be cancelled, repeatedly, with one event', async () => {
    const actor = world.someone();
    const post = await world.service.create(actor, anInput());
    await world.service.cancel(actor, post.id);
    await world.service.cancel(actor, post.id);
    const stored = (await world.store.find(post.id))!;
    assert.deepEqual([stored.status, stored.publications[0]?.state, stored.dueAt, stored.deletedAt], ['deleted', 'cancelled', null, NOW]);
    assert.deepEqual((await eventsOf(post)).map(({ type }) => type), ['post.scheduled', 'post.cancelled']);
    assert.equal((await refusal(world.service.edit(actor, post.id, { text: 'x' }))).kind, 'conflict');
  });

  test('is taken from the worker that has only leased it', async () => {
    const actor = world.someone();
    const post = await world.service.create(actor, anInput({ scheduledAt: null }));
    const [leased] = (await world.store.claimDue(NOW, { token: 't1', owner: 'o', until: TOMORROW }, 500)).filter(({ id }) => id === post.id);
    assert.ok(leased);
    await world.service.cancel(actor, post.id);
    assert.equal(await world.store.save({ before: leased, after: { ...leased, status: 'publishing' }, events: [] }), false, 'the worker must not get its intent stored');
  });

  test('survives ten changes at once without losing one', async () => {
    const actor = world.someone();
    const post = await world.service.create(actor, anInput());
    const results = await Promise.allSettled(Array.from({ length: 6 }, (_, i) => world.service.edit(actor, post.id, { text: `text ${i}` })));
    const done = results.filter(({ status }) => status === 'fulfilled').length;
    assert.ok(done >= 1);
    assert.equal((await world.store.find(post.id))?.history.length, 1 + done);
  });
});

describe('a post that is being sent', () => {
  test('can be neither edited nor cancelled nor deleted', async () => {
    const actor = world.someone();
    const post = await world.service.create(actor, anInput());
    await startSending(post);
    for (const run of [() => world.service.edit(actor, post.id, { text: 'x' }), () => world.service.cancel(actor, post.id), () => world.service.remove(actor, post.id)]) {
      const error = await refusal(run());
      assert.equal(error.kind, 'conflict');
      assert.match(error.message, /being sent right now/);
    }
    assert.equal((await world.store.find(post.id))?.status, 'publishing');
  });
});

describe('a post of somebody else', () => {
  test('is not found, whatever is asked', async () => {
    const post = await world.service.create(world.someone(), anInput());
    const stranger = world.someone();
    for (const run of [() => world.service.get(stranger, post.id), () => world.service.edit(stranger, post.id, { text: 'x' }), () => world.service.cancel(stranger, post.id), () => world.service.remove(stranger, post.id)]) {
      const error = await refusal(run());
      const unknown = await refusal(world.service.get(stranger, 'no-such-id'));
      assert.deepEqual([error.kind, error.message], [unknown.kind, unknown.message]);
    }
    assert.equal(await world.service.find(stranger, post.id), null);
    assert.deepEqual(await world.service.list(stranger, { limit: 10 }), []);
  });
});

describe('a list of posts', () => {
  test('pages through every post once, in each order', async () => {
    const actor = world.someone();
    for (let i = 0; i < 7; i++) await world.service.create(actor, anInput({ text: `post ${i}`, scheduledAt: new Date(TOMORROW.getTime() + (i % 3) * 60_000) }));
    for (const order of ['newest', 'soonest', 'latest'] as const) {
      const seen: string[] = [];
      let after: { at: Date; id: string } | undefined;
      for (;;) {
        const page = await world.service.list(actor, { order, limit: 3, ...(after === undefined ? {} : { after }) });
        seen.push(...page.map(({ id }) => id));
        const last = page.at(-1);
        if (last === undefined) break;
        after = { at: order === 'newest' ? last.createdAt : last.scheduledAt, id: last.id };
      }
      assert.equal(seen.length, 7, order);
      assert.equal(new Set(seen).size, 7, order);
    }
  });

  test('filters by status, platform, type and time, and leaves cancelled ones out', async () => {
    const actor = world.someone();
    const scheduled = await world.service.create(actor, anInput({ platforms: ['twitter'] }));
    const cancelled = await world.service.create(actor, anInput());
    await world.service.cancel(actor, cancelled.id);
    const now = await world.service.create(actor, anInput({ scheduledAt: null }));
    const ids = async (filter: object) => (await world.service.list(actor, { limit: 10, ...filter })).map(({ id }) => id).sort();
    assert.deepEqual(await ids({}), [scheduled.id, now.id].sort());
    assert.deepEqual(await ids({ statuses: ['deleted'] }), [cancelled.id]);
    assert.deepEqual(await ids({ platforms: ['twitter'] }), [scheduled.id]);
    assert.deepEqual(await ids({ type: 'now' }), [now.id]);
    assert.deepEqual(await ids({ scheduledFrom: TOMORROW }), [scheduled.id]);
    assert.deepEqual(await ids({ scheduledTo: NOW }), [now.id]);
    assert.deepEqual(await world.service.count(actor), { scheduled: 2, deleted: 1 });
  });
});

describe('deleting', () => {
  test('takes down what is published where that is possible, and only the rest the next time', async () => {
    const actor = world.someone();
    const post = await world.service.create(actor, anInput({ platforms: ['bluesky', 'twitter'] }));
    await startSending(post);
    const sending = (await world.store.find(post.id))!;
    const published: Post = { ...sending, status: 'success', publications: sending.publications.map((p) => ({ ...p, state: 'published', remoteId: '1' })) };
    await world.store.save({ before: sending, after: published, events: [] });
    const kept = await world.service.remove(actor, post.id);
    assert.deepEqual(kept.removals.map(({ platform, removed }) => [platform, removed]), [['bluesky', false], ['twitter', true]]);
    const left = (await world.store.find(post.id))!;
    assert.deepEqual([left.status, left.publications.map(({ state }) => state)], ['success', ['published', 'cancelled']]);
    await world.service.remove(actor, post.id, { removedByHand: true });
    assert.equal((await world.store.find(post.id))?.status, 'deleted');
    assert.equal((await world.service.remove(actor, post.id)).post.status, 'deleted', 'deleting again changes nothing');
  });

  test('of all scheduled posts leaves what was sent', async () => {
    const actor = world.someone();
    const [a, b, sent] = [await world.service.create(actor, anInput()), await world.service.create(actor, anInput()), await world.service.create(actor, anInput())];
    await startSending(sent);
    assert.equal(await world.service.cancelAllScheduled(actor), 2);
    assert.deepEqual(await Promise.all([a, b, sent].map(async ({ id }) => (await world.store.find(id))?.status)), ['deleted', 'deleted', 'publishing']);
  });
});
