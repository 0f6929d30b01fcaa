/** Counting text by each network's documented examples, and the one check of content against limits. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { checkContent, countText } from '../../src/platforms/check-content.js';
import { mediaKindOf, mediaTypeOf } from '../../src/platforms/media-kind.js';
import type { MediaItem, Platform } from '../../src/platforms/platform.js';
import type { CountingRule } from '../../src/platforms/platform-limits.js';
import { findPlatform, platforms } from '../../src/platforms/registry.js';
import { graphemesOf, textLength } from '../../src/platforms/text-length.js';

const family = '👨‍👩‍👧‍👦';

describe('a text\'s characters', () => {
  it('are the same whether it is read whole or in pieces', () => {
    const whole = new Intl.Segmenter('en', { granularity: 'grapheme' });
    const unit = fc.oneof(fc.constantFrom('a', ' ', 'é', 'e\u0301', family, '👍🏽', '🇩🇪', '🇩', '\r\n', '\u200d', '각', 'ᄀ', 'ᅡ', '\u0600', '\ud83d'), fc.string({ unit: 'binary', minLength: 1, maxLength: 3 }));
    fc.assert(fc.property(fc.array(unit, { minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 60 }), (units, times) => {
      const text = units.join('').repeat(times);
      assert.deepEqual([...graphemesOf(text)], [...whole.segment(text)].map(({ segment }) => segment));
    }), { numRuns: 100 });
    assert.equal([...graphemesOf(`a${'\u0301'.repeat(5_000)}b`)].length, 2);
  });

  it('are counted in no time to speak of, whatever they are', () => {
    const from = process.cpuUsage();
    for (const rule of ['graphemes', 'weighted', 'mastodon', 'threads'] as const) {
      for (const unit of ['é', family, 'e\u0301', '@é', 'https://é ']) textLength(rule, unit.repeat(Math.floor(100_000 / unit.length)));
    }
    const { user } = process.cpuUsage(from);
    assert.ok(user < 10_000_000, `${user / 1000} ms of the processor`);
  });
});

describe('text length', () => {
  const examples: [rule: CountingRule, text: string, length: number][] = [
    ['graphemes', `Hi ${family}`, 4], ['graphemes', 'é', 1], ['graphemes', '🇩🇪', 1],
    // https://docs.x.com/fundamentals/counting-characters
    ['weighted', 'hello', 5], ['weighted', family, 2], ['weighted', '日本', 4], ['weighted', 'see https://example.com/a-very-long-path-that-goes-on', 27], ['weighted', 'example.com', 23], ['weighted', 'café', 4],
    ['characters', family, 7], ['utf16', family, 11], ['bytes', family, 25], ['bytes', 'é', 2],
    // https://docs.joinmastodon.org/user/posting/#text
    ['mastodon', 'see https://example.com/a-very-long-path-that-goes-on', 27], ['mastodon', 'hi @ada@social.example.com', 7],
    // https://developers.facebook.com/docs/threads/posts: emoji by their bytes
    ['threads', 'hi 😀', 7], ['threads', 'hi', 2],
  ];
  for (const [rule, text, length] of examples) it(`counts ${JSON.stringify(text)} as ${length} by ${rule}`, () => assert.equal(textLength(rule, text), length));

  it('is never negative, nothing for nothing, and adds up for texts that can\'t join', () => {
    const rules: CountingRule[] = ['graphemes', 'weighted', 'characters', 'utf16', 'bytes', 'mastodon', 'threads'];
    fc.assert(fc.property(fc.constantFrom(...rules), fc.string({ unit: 'grapheme' }), (rule, text) => {
      assert.ok(textLength(rule, text) >= 0);
      assert.equal(textLength(rule, ''), 0);
      if (rule === 'utf16' || rule === 'bytes') assert.equal(textLength(rule, `${text}\n${text}`), 2 * textLength(rule, text) + 1);
    }));
  });

  it('stays quick for texts far beyond every limit', () => {
    const long = 'https://example.com/ 👩‍👩‍👧‍👦 @a@b.c '.repeat(20_000);
    for (const platform of platforms) {
      const begun = performance.now();
      countText(platform, long);
      assert.ok(performance.now() - begun < 2000, platform.id);
    }
  });
});

describe('checking content', () => {
  const problems = (id: string, text: string, media: MediaItem[] = [], options = {}): string[] => checkContent(findPlatform(id)!, { text, media, options }).map((problem) => `${problem.field}: ${problem.message}`);
  const image = (i = 1): MediaItem => ({ url: `https://example.com/${i}.jpg`, kind: 'image' });
  const video: MediaItem = { url: 'https://example.com/v.mp4', kind: 'video' };

  it('takes exactly the limit and refuses one more, by each platform\'s own rule', () => {
    for (const platform of platforms) {
      const media = needed(platform);
      const options = { title: 'T', subreddit: 'test' };
      const { max } = countText(platform, '', { hasMedia: media.length > 0 });
      assert.deepEqual(checkContent(platform, { text: 'x'.repeat(max), media, options }), [], platform.id);
      const [first] = checkContent(platform, { text: 'x'.repeat(max + 1), media, options });
      assert.equal(first?.field, 'post', platform.id);
      assert.match(first?.message ?? '', /too long.*Shorten it by 1\./, platform.id);
    }
  });

  it('limits Bluesky in bytes too', () => {
    assert.match(problems('bluesky', family.repeat(150))[0] ?? '', /too large for Bluesky: 3,750 bytes, at most 3,000/);
  });

  it('asks for a text or media', () => {
    assert.match(problems('twitter', '  ')[0] ?? '', /^post: X needs a text/);
    assert.deepEqual(problems('twitter', '', [image()]), []);
  });

  it('asks for the media that a platform needs, and refuses kinds, numbers and mixtures it does not take', () => {
    assert.match(problems('tiktok', 'Hi')[0] ?? '', /^mediaUrls: TikTok needs a video/);
    assert.match(problems('tiktok', 'Hi', [{ url: 'https://example.com/x', kind: 'unknown' }])[0] ?? '', /TikTok needs a video/);
    assert.match(problems('youtube', 'Hi', [image()], { title: 'T' })[0] ?? '', /YouTube needs a video/);
    assert.deepEqual(problems('tiktok', 'Hi', [1, 2, 3].map(image)), []);
    assert.deepEqual(problems('tiktok', 'Hi', [video]), []);
    assert.match(problems('tiktok', 'Hi', [video, image()])[0] ?? '', /TikTok doesn't mix videos and images/);
    assert.match(problems('twitter', 'Hi', [image(1), video])[0] ?? '', /X doesn't mix/);
    assert.match(problems('instagram', 'Hi')[0] ?? '', /Instagram needs at least one media file/);
    assert.match(problems('slack', 'Hi', [video])[0] ?? '', /Slack doesn't take videos\. It takes images\./);
    assert.match(problems('bluesky', 'Hi', [1, 2, 3, 4, 5].map(image))[0] ?? '', /at most 4 media files, this post has 5\. Remove 1\./);
    assert.match(problems('twitter', 'Hi', [image(), video])[0] ?? '', /doesn't mix images and videos/);
    assert.match(problems('twitter', 'Hi', [video, video])[0] ?? '', /at most one video/);
  });

  it('lets an option allow longer texts', () => {
    assert.deepEqual(problems('twitter', 'x'.repeat(25_000), [], { longPost: true }), []);
    assert.match(problems('twitter', 'x'.repeat(25_001), [], { longPost: true })[0] ?? '', /at most 25,000/);
    assert.match(problems('twitter', 'x'.repeat(281), [], { longPost: false })[0] ?? '', /at most 280/);
  });

  it('is stricter for captions and forbidden characters', () => {
    assert.deepEqual(problems('telegram', 'x'.repeat(2000)), []);
    assert.match(problems('telegram', 'x'.repeat(2000), [image()])[0] ?? '', /at most 1,024/);
    assert.match(problems('youtube', 'a < b', [video], { title: 'T' })[0] ?? '', /doesn't take < and >/);
  });

  it('names what an option object lacks or holds wrongly', () => {
    assert.deepEqual(problems('youtube', 'Hi', [video]), ['youTubeOptions.title: YouTube needs a title.']);
    assert.deepEqual(problems('youtube', 'Hi', [video], { title: 5 }), ['youTubeOptions.title: YouTube needs a title.']);
    assert.deepEqual(problems('reddit', 'Hi', [], { title: 'T', subreddit: '../x' }), ['redditOptions.subreddit: This must be the name of a subreddit, such as test.']);
    assert.deepEqual(problems('instagram', 'Hi', [image()], { collaborators: ['a', 'b', 'c', 'd'] }), ['instagramOptions.collaborators: At most 3 collaborators.']);
    assert.deepEqual(problems('mastodon', 'Hi', [], { visibility: 'secret' }), ['mastodonOptions.visibility: This must be one of: public, unlisted, private, direct.']);
    assert.deepEqual(problems('facebook', 'Hi', [], { unheardOf: true }), [], 'unknown keys are left alone');
  });

  it('looks at what is known of a file', () => {
    const withFacts = (facts: MediaItem['facts'], kind: 'image' | 'video' = 'image'): MediaItem[] => [{ url: 'https://example.com/x', kind, ...(facts === undefined ? {} : { facts }) }];
    assert.match(problems('instagram', 'Hi', withFacts({ contentType: 'image/png' }))[0] ?? '', /^mediaUrls\[0\]: Instagram doesn't take image\/png\. Use JPEG\./);
    assert.match(problems('instagram', 'Hi', withFacts({ width: 1000, height: 3000 }))[0] ?? '', /wrong shape/);
    assert.match(problems('gmb', 'Hi', withFacts({ width: 100, height: 100 }))[0] ?? '', /too narrow.*at least 250/);
    assert.match(problems('mastodon', 'Hi', withFacts({ bytes: 20_000_000 }))[0] ?? '', /too large for Mastodon: 20\.0 MB, at most 16\.0 MB/);
    assert.match(problems('threads', 'Hi', withFacts({ durationMs: 400_000 }, 'video'))[0] ?? '', /too long for Threads: 400 s, at most 300 s/);
  });

  it('never throws, whatever it is given', () => {
    fc.assert(fc.property(fc.constantFrom(...platforms), fc.string(), fc.array(fc.record({ url: fc.string(), kind: fc.constantFrom('image', 'video', 'document', 'unknown') })), fc.dictionary(fc.string(), fc.anything()), (platform, text, media, options) => {
      assert.ok(Array.isArray(checkContent(platform, { text, media: media as MediaItem[], options })));
    }));
  });

  function needed({ limits: { media } }: Platform): MediaItem[] {
    if (media.requires !== undefined) return [video];
    return media.min > 0 ? [image()] : [];
  }
});

describe('media kinds', () => {
  it('follow the extension, then what the caller says', () => {
    assert.deepEqual(['a.JPG?x=1', 'a.mp4#t', 'a.pdf', 'a', 'a.php'].map((name) => mediaKindOf(`https://example.com/${name}`)), ['image', 'video', 'document', 'unknown', 'unknown']);
    assert.equal(mediaKindOf('https://example.com/watch?id=1', true), 'video');
    assert.equal(mediaKindOf('https://example.com/a.jpg', true), 'image');
    assert.equal(mediaTypeOf('https://example.com/a.png', 'image'), 'image/png');
    assert.equal(mediaTypeOf('https://example.com/stream', 'video'), 'video/mp4');
  });
});
