/** What the API accepts and refuses for a post, before anything is looked up. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseInput } from '../../src/http/input.js';
import { AppError } from '../../src/lib/app-error.js';
import { historySchema } from '../../src/posts/post-history-query.js';
import { createPostSchema, deletePostSchema, updatePostSchema } from '../../src/posts/post-schemas.js';

const valid = { post: 'Hello', platforms: ['bluesky'] };
const read = (body: unknown) => parseInput(createPostSchema, body);

/** The problems of a refused input: field, code and message. */
function refusal(run: () => unknown): { field: string; code?: number; message: string }[] {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof AppError, String(error));
    assert.equal(error.kind, 'invalid');
    assert.ok(error.fields.length > 0);
    return error.fields;
  }
  assert.fail('it was accepted');
}

describe('a post is read', () => {
  test('with the keys that clients add ignored', () => {
    assert.deepEqual(read({ ...valid, source: 'npm', whatever: { a: 1 } }), {
      text: 'Hello', texts: {}, platforms: ['bluesky'], mediaUrls: [], isVideo: false, options: {}, commonOptions: {}, scheduledAt: null, timeZone: null, notes: null, idempotencyKey: null, checkRules: true,
    });
  });

  test('with each platform once and line breaks as one character', () => {
    const input = read({ post: 'a\r\nb\rc', platforms: ['twitter', 'bluesky', 'twitter'] });
    assert.deepEqual(input.platforms, ['twitter', 'bluesky']);
    assert.equal(input.text, 'a\nb\nc');
  });

  test('with the time as the demo application sends it', () => {
    assert.deepEqual(read({ ...valid, scheduleDate: '2026-07-08T12:30:00.000Z' }).scheduledAt, new Date('2026-07-08T12:30:00Z'));
    assert.deepEqual(read({ ...valid, scheduleDate: '2026-07-08T14:30:00+02:00' }).scheduledAt, new Date('2026-07-08T12:30:00Z'));
  });

  test('with media under each of its old names', () => {
    for (const name of ['mediaUrls', 'mediaUrl', 'media_urls']) {
      assert.deepEqual(read({ ...valid, [name]: ['https://example.com/a.jpg', 'https://example.com/a.jpg'] }).mediaUrls, ['https://example.com/a.jpg'], name);
    }
    assert.deepEqual(read({ ...valid, mediaUrl: 'https://example.com/a.jpg' }).mediaUrls, ['https://example.com/a.jpg']);
  });

  test('with one text for all as an object', () => {
    assert.equal(read({ post: { default: 'Hi' }, platforms: ['bluesky', 'twitter'] }).text, 'Hi');
    const { text, texts } = read({ post: { bluesky: 'Hi', twitter: 'Ho', default: 'Hey' }, platforms: ['bluesky', 'tiktok'] });
    assert.deepEqual([text, texts], ['Hey', { bluesky: 'Hi', twitter: 'Ho' }]);
  });

  test('with option objects in any spelling of their key', () => {
    assert.deepEqual(read({ ...valid, blueSkyOptions: { altText: ['a'] }, TwitterOptions: { thread: true } }).options, { blueskyoptions: { altText: ['a'] }, twitteroptions: { thread: true } });
  });

  test('with features switched off by name', () => {
    assert.equal(read({ ...valid, shortenLinks: false, requiresApproval: false, disableComments: false, firstComment: null, profileKeys: [] }).text, 'Hello');
  });
});

describe('a post is refused', () => {
  const cases: [name: string, body: unknown, field: string, code: number, message: RegExp][] = [
    ['without a text', { platforms: ['bluesky'] }, 'post', 900, /Missing or incorrect post parameter/],
    ['with a number as text', { ...valid, post: 7 }, 'post', 900, /Missing or incorrect post parameter/],
    ['with an operator as text', { ...valid, post: { $gt: 1 } }, 'post', 900, /Missing or incorrect post parameter/],
    ['with a text per platform that leaves one out', { post: { bluesky: 'a' }, platforms: ['bluesky', 'twitter'] }, 'post', 900, /no text for one/],
    ['with an object in place of one platform\'s text', { post: { bluesky: { $gt: '' }, default: 'x' }, platforms: ['bluesky'] }, 'post', 900, /Missing or incorrect/],
    ['with media that differ by platform', { ...valid, platforms: ['bluesky', 'twitter'], mediaUrls: { bluesky: ['https://example.com/a.jpg'], twitter: [] } }, 'mediaUrls', 136, /one post per platform/],
    ['with a text that no platform takes', { ...valid, post: 'x'.repeat(100_001) }, 'post', 903, /100000/],
    ['with a NUL in the text', { ...valid, post: 'a\u0000b' }, 'post', 900, /control character/],
    ['with half a character', { ...valid, post: 'a\ud83d' }, 'post', 900, /half of a character/],
    ['without platforms', { post: 'x' }, 'platforms', 901, /list of platform names/],
    ['with no platform', { ...valid, platforms: [] }, 'platforms', 901, /at least one/],
    ['with one platform as text', { ...valid, platforms: 'bluesky' }, 'platforms', 901, /list of platform names/],
    ['with an operator as platform', { ...valid, platforms: [{ $gt: '' }] }, 'platforms[0]', 901, /list of platform names/],
    ['with an operator as platforms', { ...valid, platforms: { $gt: '' } }, 'platforms', 901, /list of platform names/],
    ['with an empty date', { ...valid, scheduleDate: '' }, 'scheduleDate', 902, /Leave it out to publish now/],
    ['with null as date', { ...valid, scheduleDate: null }, 'scheduleDate', 902, /Leave it out to publish now/],
    ['with a number as date', { ...valid, scheduleDate: 1783513800 }, 'scheduleDate', 902, /2026-07-08T12:30:00Z/],
    ['with a date that is none', { ...valid, scheduleDate: '2026-02-30T10:00:00Z' }, 'scheduleDate', 902, /not a date and time/],
    ['with a date with no zone', { ...valid, scheduleDate: '2026-07-08T12:30:00' }, 'scheduleDate', 902, /no time zone.*\+02:00/],
    ['with http media', { ...valid, mediaUrls: ['https://example.com/a.jpg', 'http://example.com/b.jpg'] }, 'mediaUrls[1]', 136, /Media URLs invalid.*https/],
    ['with a file as media', { ...valid, mediaUrls: ['file:///etc/passwd'] }, 'mediaUrls[0]', 136, /https/],
    ['with a password in a media address', { ...valid, mediaUrls: ['https://me:secret@example.com/a.jpg'] }, 'mediaUrls[0]', 136, /password/],
    ['with media that are no list', { ...valid, mediaUrls: 7 }, 'mediaUrls', 136, /Media URLs invalid/],
    ['with too many media', { ...valid, mediaUrls: Array.from({ length: 51 }, (_, i) => `https://example.com/${i}.jpg`) }, 'mediaUrls', 136, /at most 50/],
    ['with text as isVideo', { ...valid, isVideo: 'yes' }, 'isVideo', 400, /true or false/],
    ['with an empty idempotency key', { ...valid, idempotencyKey: '' }, 'idempotencyKey', 400, /empty/],
    ['with an operator as idempotency key', { ...valid, idempotencyKey: { $ne: null } }, 'idempotencyKey', 400, /text/],
    ['with an operator in an option object', { ...valid, twitterOptions: { $where: '1' } }, 'twitterOptions', 400, /plain JSON object/],
    ['with text as an option object', { ...valid, twitterOptions: 'thread' }, 'twitterOptions', 400, /plain JSON object/],
    ['with a repeat', { ...valid, autoRepost: { repeat: 2, days: 3 } }, 'autoRepost', 400, /not supported.*nothing was posted/],
    ['with an automatic schedule', { ...valid, autoSchedule: { schedule: true } }, 'autoSchedule', 400, /not supported/],
    ['with a first comment that is a text', { ...valid, firstComment: 'first' }, 'firstComment', 400, /an object with the text as comment/],
    ['with a thread that is a text', { ...valid, thread: 'second' }, 'thread', 400, /a list of texts/],
    ['with more thread than can be kept', { ...valid, thread: Array.from({ length: 4 }, () => 'x'.repeat(60_000)) }, 'thread', 413, /more than 150000 characters together/],
    ['with too many thread items', { ...valid, thread: Array.from({ length: 50 }, () => 'x') }, 'thread', 400, /at most 50 items/],
    ['with a control character in a thread\'s item', { ...valid, thread: ['a\u0000'] }, 'thread[0].post', 900, /control character/],
    ['when it needs approval', { ...valid, requiresApproval: true }, 'requiresApproval', 400, /not supported/],
    ['for another profile', { ...valid, profileKeys: ['A-B'] }, 'profileKeys', 400, /not supported/],
    ['as a list', [valid], 'body', 400, /JSON object/],
    ['as text', 'hello', 'body', 400, /JSON object/],
    ['as null', null, 'body', 400, /JSON object/],
  ];
  for (const [name, body, field, code, message] of cases) {
    test(name, () => {
      const [first] = refusal(() => read(body));
      assert.equal(first?.field, field);
      assert.equal(first?.code, code);
      assert.match(first?.message ?? '', message);
    });
  }

  test('with every problem named at once', () => {
    const fields = refusal(() => read({ post: 3, platforms: [], scheduleDate: 5 })).map((problem) => problem.field);
    assert.deepEqual(fields, ['post', 'platforms', 'scheduleDate']);
  });
});

describe('a change is read', () => {
  test('with only what is sent', () => {
    assert.deepEqual(parseInput(updatePostSchema, { id: 'RhrbDtYh7hdSMc67zC8H', scheduleDate: '2026-07-08T12:30:00Z', source: 'npm' }), {
      id: 'RhrbDtYh7hdSMc67zC8H', changes: { scheduledAt: new Date('2026-07-08T12:30:00Z') },
    });
    assert.deepEqual(parseInput(updatePostSchema, { id: 'a', post: 'New', notes: '' }), { id: 'a', changes: { text: 'New', texts: {}, notes: '' } });
  });

  test('and refused when it changes nothing, or something that can not be changed', () => {
    assert.match(refusal(() => parseInput(updatePostSchema, { id: 'a' }))[0]?.message ?? '', /Nothing to change/);
    assert.equal(refusal(() => parseInput(updatePostSchema, { notes: 'x' }))[0]?.field, 'id');
    assert.equal(refusal(() => parseInput(updatePostSchema, { id: { $gt: '' }, notes: 'x' }))[0]?.field, 'id');
    assert.equal(refusal(() => parseInput(updatePostSchema, { id: 'a', approved: true }))[0]?.field, 'approved');
    assert.equal(refusal(() => parseInput(updatePostSchema, { id: 'a', scheduleDate: '' }))[0]?.field, 'scheduleDate');
  });
});

describe('a deletion is read', () => {
  test('by id, in bulk, or of all that is scheduled', () => {
    assert.equal(parseInput(deletePostSchema, { id: 'abc', source: 'npm' }).id, 'abc');
    assert.deepEqual(parseInput(deletePostSchema, { bulk: ['a', 'b'] }).bulk, ['a', 'b']);
    assert.equal(parseInput(deletePostSchema, { deleteAllScheduled: true }).deleteAllScheduled, true);
  });

  test('and refused when it names nothing', () => {
    for (const body of [{}, { id: '' }, { id: 7 }, { id: { $gt: '' } }, { bulk: [] }, { bulk: [{ $gt: '' }] }, { deleteAllScheduled: false }, { id: '../x' }, []]) {
      assert.ok(refusal(() => parseInput(deletePostSchema, body)).length > 0, JSON.stringify(body));
    }
  });
});

describe('a history query is read', () => {
  test('with lists in each spelling that clients use', () => {
    for (const platforms of ['twitter,facebook', ['twitter', 'facebook'], { 0: 'twitter', 1: 'facebook' }]) {
      assert.deepEqual(parseInput(historySchema, { platforms }).platforms, ['twitter', 'facebook']);
    }
  });

  test('with a day as a whole day and a time with its zone', () => {
    const { scheduledFrom, scheduledTo } = parseInput(historySchema, { startDate: '2026-07-01', endDate: '2026-07-08' });
    assert.deepEqual([scheduledFrom, scheduledTo], [new Date('2026-07-01T00:00:00Z'), new Date('2026-07-08T23:59:59.999Z')]);
    assert.deepEqual(parseInput(historySchema, { startDate: '2026-07-01T02:00:00 02:00' }).scheduledFrom, new Date('2026-07-01T00:00:00Z'));
  });

  test('with its words for our states', () => {
    assert.deepEqual(parseInput(historySchema, { status: 'error' }).statuses, ['error', 'partial']);
    assert.equal(parseInput(historySchema, { type: 'immediate' }).type, 'now');
    assert.deepEqual(parseInput(historySchema, {}), { limit: 25, lastDays: 30 });
  });

  test('and refused by name', () => {
    for (const [query, field] of [[{ limit: '0' }, 'limit'], [{ limit: '1001' }, 'limit'], [{ limit: 'x' }, 'limit'], [{ limit: { $gt: '' } }, 'limit'], [{ status: 'constructor' }, 'status'], [{ startDate: 'soon' }, 'startDate'], [{ endDate: '2026-07-01T10:00' }, 'endDate'], [{ type: 'x' }, 'type'], [{ lastDays: '-1' }, 'lastDays'], [{ platforms: { a: { $gt: '' } } }, 'platforms']] as const) {
      assert.equal(refusal(() => parseInput(historySchema, query))[0]?.field.replace(/\..*/, ''), field, JSON.stringify(query));
    }
  });
});
