/** Each network's published limits as a table, and that the one check keeps every one of them: exactly the limit is taken, one more is refused. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkContent } from '../../src/platforms/check-content.js';
import type { MediaFacts, MediaItem, Platform } from '../../src/platforms/platform.js';
import type { MediaKind } from '../../src/platforms/media-kind.js';
import type { ImageRule, VideoRule } from '../../src/platforms/platform-limits.js';
import { findPlatform, platforms } from '../../src/platforms/registry.js';

const MB = 1_000_000;
const DAY = 24 * 3600;
/** Text (with its unit), files of a post, image in MB, video in MB and seconds, posts per seconds, what else it has. */
const PUBLISHED: Record<string, { text: [number, string]; files: [number, number]; image?: number; video?: [number, number?]; posts?: [number, number]; has?: string }> = {
  bluesky: { text: [300, 'graphemes'], files: [0, 4], image: 1, video: [100, 180], posts: [11_666, DAY], has: 'threads comments' },
  discord: { text: [2000, 'characters'], files: [0, 10], image: 10, video: [10], posts: [5, 2] },
  facebook: { text: [63_206, 'characters'], files: [0, 10], image: 10, video: [2000, 1200], has: 'comments' },
  gmb: { text: [1500, 'characters'], files: [0, 1], image: 5 },
  instagram: { text: [2200, 'characters'], files: [1, 10], image: 8, video: [300, 900], posts: [50, DAY], has: 'comments' },
  linkedin: { text: [3000, 'utf16'], files: [0, 9], image: 5, video: [500, 1800], posts: [150, DAY], has: 'comments' },
  mastodon: { text: [500, 'mastodon'], files: [0, 4], image: 16, video: [99], posts: [300, 3 * 3600], has: 'threads comments' },
  pinterest: { text: [500, 'characters'], files: [1, 5], image: 20, video: [2000, 900] },
  reddit: { text: [40_000, 'characters'], files: [0, 1], image: 20, posts: [100, 60], has: 'comments' },
  slack: { text: [4000, 'characters'], files: [0, 10], posts: [1, 1], has: 'threads' },
  snapchat: { text: [160, 'characters'], files: [1, 1], image: 20, video: [500, 60] },
  telegram: { text: [4096, 'utf16'], files: [0, 10], image: 5, video: [20], posts: [20, 60] },
  threads: { text: [500, 'threads'], files: [0, 20], image: 8, video: [1000, 300], posts: [250, DAY], has: 'threads comments' },
  tiktok: { text: [2200, 'utf16'], files: [1, 35], image: 20, video: [4000, 600], posts: [15, DAY] },
  twitter: { text: [280, 'weighted'], files: [0, 4], image: 5.24288, video: [536.870912, 140], posts: [100, 900], has: 'threads comments' },
  youtube: { text: [5000, 'characters'], files: [1, 1], video: [256_000, 12 * 3600], posts: [100, DAY], has: 'comments' },
};

/** What some of them need; Pinterest alone takes a cover of one's own with each kind of file. */
const optionsFor = (id: string): Record<string, unknown> => ({ title: 'T', subreddit: 'test', ...(id === 'pinterest' ? { thumbNail: 'https://example.com/cover.jpg' } : {}) });

describe('the published limits', () => {
  for (const platform of platforms) {
    it(`of ${platform.name} are as published`, () => {
      const { text, media, publish } = platform.limits;
      const { image, video } = media;
      const longest = publish?.at(-1);
      assert.deepEqual({
        text: [text.max, text.counting], files: [media.min, media.max],
        ...(image?.maxBytes === undefined ? {} : { image: image.maxBytes / MB }),
        ...(video?.maxBytes === undefined ? {} : { video: video.maxSeconds === undefined ? [video.maxBytes / MB] : [video.maxBytes / MB, video.maxSeconds] }),
        ...(longest === undefined ? {} : { posts: [longest.max, longest.windowMs / 1000] }),
        ...(platform.thread === undefined && platform.comment === undefined ? {} : { has: [platform.thread && 'threads', platform.comment && 'comments'].filter(Boolean).join(' ') }),
      }, PUBLISHED[platform.id]);
    });

    it(`of ${platform.name}: as many files as it takes, and no more, of the kinds it takes`, () => {
      const { max, kinds, maxVideos } = platform.limits.media;
      const kind = kinds.find((candidate) => candidate === 'image') ?? kinds[0]!;
      assert.deepEqual(problems(platform, Array.from({ length: max }, (_, i) => file(kind, {}, i))), []);
      assert.match(problems(platform, Array.from({ length: max + 1 }, (_, i) => file(kind, {}, i)))[0] ?? '', /takes at most .* Remove 1\./);
      for (const other of ['image', 'video', 'document'] as const) {
        if (!kinds.includes(other)) assert.match(problems(platform, [file(other)])[0] ?? '', /doesn't take|needs a/, other);
      }
      if (maxVideos > 0 && maxVideos < max) assert.match(problems(platform, Array.from({ length: maxVideos + 1 }, (_, i) => file('video', {}, i)))[0] ?? '', /takes at most one video/);
    });

    for (const kind of ['image', 'video'] as const) {
      const rule: (ImageRule & VideoRule) | undefined = platform.limits.media[kind];
      if (rule === undefined) continue;
      for (const [name, atLimit, beyond] of boundaries(rule)) {
        it(`of ${platform.name}: ${name} of ${kind === 'image' ? 'images' : 'videos'}`, () => {
          assert.deepEqual(problems(platform, [file(kind, atLimit)]), []);
          const [problem = ''] = problems(platform, [file(kind, beyond)]);
          assert.match(problem, /^(The (file|image|video) (is too|has (too many|the wrong))|\w.* doesn't take )/);
          assert.ok(problem.includes(platform.name), problem);
        });
      }
    }
  }

  it('allow X longer videos, and long posts, where the options ask for them', () => {
    const long = [file('video', { durationMs: 600_000 })];
    assert.deepEqual(problems(findPlatform('twitter')!, long, { longVideo: true }), []);
    assert.match(problems(findPlatform('twitter')!, long)[0] ?? '', /600 s, at most 140 s/);
  });

  it('count hashtags and mentions where the network does', () => {
    const instagram = findPlatform('instagram')!;
    const text = (tag: string, n: number): string[] => checkContent(instagram, { text: Array.from({ length: n }, (_, i) => `${tag}t${i}`).join(' '), media: [file('image')], options: {} }).map(({ message }) => message);
    assert.deepEqual([text('#', 30), text('@', 20)], [[], []]);
    assert.match(text('#', 31)[0] ?? '', /at most 30 hashtags, this text has 31\. Remove 1\./);
    assert.match(text('@', 21)[0] ?? '', /at most 20 mentions/);
  });

  const together: [id: string, media: MediaItem[], options: Record<string, unknown>, problem: RegExp][] = [
    ['facebook', [], { reels: true }, /^faceBookOptions\.reels: A Facebook reel needs exactly one video/],
    ['facebook', [file('image')], { reels: true }, /^faceBookOptions\.reels: A Facebook reel needs a video/],
    ['facebook', [file('image', {}, 1), file('image', {}, 2)], { stories: true }, /^faceBookOptions\.stories: A Facebook story needs exactly one image or video/],
    ['facebook', [file('video')], { reels: true, stories: true }, /^faceBookOptions\.stories: This is asked for as a story and as a reel/],
    ['facebook', [file('video')], { reels: true, draft: true }, /^faceBookOptions\.draft: Signpost publishes Facebook reels at once/],
    ['facebook', [file('image')], { stories: true, scheduledPublishDate: '2027-01-01T00:00:00Z' }, /^faceBookOptions\.scheduledPublishDate: .* Schedule the post for then instead/],
    ['gmb', [], { callToAction: { actionType: 'book' } }, /^gmbOptions\.callToAction\.url: This button needs an address/],
    ['gmb', [], { event: { title: 'E', startDate: '2027-01-02T00:00:00Z', endDate: '2027-01-01T00:00:00Z' } }, /^gmbOptions\.event\.endDate: The end must come after the start/],
    ['instagram', [file('image')], { reels: true }, /^instagramOptions\.reels: An Instagram reel needs exactly one video/],
    ['instagram', [file('image', {}, 1), file('image', {}, 2)], { stories: true }, /^instagramOptions\.stories: An Instagram story needs exactly one/],
    ['instagram', [file('image')], { trialParams: { graduationStrategy: 'MANUAL' } }, /^instagramOptions\.trialParams: An Instagram reel needs/],
    ['snapchat', [file('video')], { spotlight: true, savedStory: true }, /^snapChatOptions\.spotlight: .*Choose one of them/],
    ['linkedin', [file('document', {}, 1), file('document', {}, 2)], {}, /^mediaUrls: LinkedIn takes at most one document/],
    ['pinterest', [file('video')], { thumbNail: undefined }, /^pinterestOptions\.thumbNail: Pinterest needs a cover image/],
    ['snapchat', [file('image')], { spotlight: true }, /^snapChatOptions\.spotlight: Snapchat takes videos only for a spotlight/],
    ['telegram', [file('image'), file('document')], {}, /^mediaUrls: Telegram doesn't show documents in one album/],
    ['twitter', [file('image')], { poll: { duration: 60, options: ['A', 'B'] } }, /^twitterOptions\.poll: X takes a poll or media, not both/],
  ];
  for (const [id, media, options, problem] of together) {
    it(`of ${id} hold for options and media together: ${Object.keys(options).join()} with ${media.length} ${media[0]?.kind ?? 'files'}`, () => {
      const found = checkContent(findPlatform(id)!, { text: 'Hi', media, options: { ...optionsFor(id), ...options } }).map(({ field, message }) => `${field}: ${message}`);
      assert.equal(found.length, 1, found.join('\n'));
      assert.match(found[0]!, problem);
    });
  }
});

describe('options of Ayrshare that are not spoken', () => {
  const unspoken: Record<string, Record<string, unknown>> = {
    twitter: { allowCountries: ['US'], blockCountries: ['US'], subTitleUrl: 'https://example.com/s.srt' },
    instagram: { autoResize: true, audioConfiguration: { audioId: '1' }, disableComments: true },
    linkedin: { thumbNail: 'https://example.com/a.jpg', targeting: { countries: ['us'] } },
    tiktok: { draft: true, thumbNail: 'https://example.com/a.jpg' },
    youtube: { playListId: 'PL1', thumbNail: 'https://example.com/a.jpg', subTitleUrl: 'https://example.com/s.srt', targeting: { block: ['US'] } },
    gmb: { isPhotoVideo: true },
  };
  for (const [id, options] of Object.entries(unspoken)) {
    const platform = findPlatform(id)!;
    const media = platform.limits.media.min === 0 ? [] : [file(platform.limits.media.kinds.includes('video') ? 'video' : 'image')];
    for (const [key, value] of Object.entries(options)) {
      it(`are refused by name at ${platform.name}, unless they ask for nothing: ${key}`, () => {
        const found = (given: unknown) => checkContent(platform, { text: 'Hi', media, options: { ...optionsFor(id), [key]: given } });
        assert.deepEqual(found(value).map(({ field }) => field), [`${platform.optionsKey}.${key}`]);
        assert.match(found(value)[0]!.message, /Leave this out|leave this out/);
        for (const nothing of [false, ...(value === true ? [] : [null, '', [], {}])]) {
          if (key !== 'draft' && key !== 'isPhotoVideo') assert.deepEqual(found(nothing), [], JSON.stringify(nothing));
        }
      });
    }
  }
});

/** Facts at each limit of a rule, and just beyond it. */
function boundaries(rule: ImageRule & VideoRule): [name: string, atLimit: MediaFacts, beyond: MediaFacts][] {
  const { minBytes, maxBytes, types, minWidth, maxWidth, minAspect, maxAspect, maxPixels, minSeconds, maxSeconds } = rule;
  const shape = (aspect: number, width = 2000): MediaFacts => ({ width: Math.round(width * aspect), height: width });
  return [
    ...(minBytes === undefined ? [] : [['the smallest file', { bytes: minBytes }, { bytes: minBytes - 1 }]] as [string, MediaFacts, MediaFacts][]),
    ...(maxBytes === undefined ? [] : [['the largest file', { bytes: maxBytes }, { bytes: maxBytes + 1 }]] as [string, MediaFacts, MediaFacts][]),
    ...(types === undefined ? [] : [['the types', { contentType: types.at(-1)! }, { contentType: 'image/x-unheard-of' }]] as [string, MediaFacts, MediaFacts][]),
    ...(minWidth === undefined ? [] : [['the least width', { width: minWidth, height: minWidth }, { width: minWidth - 1, height: minWidth }]] as [string, MediaFacts, MediaFacts][]),
    ...(maxWidth === undefined ? [] : [['the greatest width', { width: maxWidth, height: maxWidth }, { width: maxWidth + 1, height: maxWidth }]] as [string, MediaFacts, MediaFacts][]),
    ...(maxPixels === undefined ? [] : [['the most pixels', { width: 1, height: maxPixels }, { width: 1, height: maxPixels + 1 }]] as [string, MediaFacts, MediaFacts][]),
    ...(minAspect === undefined ? [] : [['the narrowest shape', shape(minAspect * 1.001, 9000), shape(minAspect * 0.98, 9000)]] as [string, MediaFacts, MediaFacts][]),
    ...(maxAspect === undefined ? [] : [['the widest shape', shape(maxAspect * 0.999), shape(maxAspect * 1.02)]] as [string, MediaFacts, MediaFacts][]),
    ...(minSeconds === undefined ? [] : [['the shortest', { durationMs: minSeconds * 1000 }, { durationMs: minSeconds * 1000 - 100 }]] as [string, MediaFacts, MediaFacts][]),
    ...(maxSeconds === undefined ? [] : [['the longest', { durationMs: maxSeconds * 1000 }, { durationMs: maxSeconds * 1000 + 100 }]] as [string, MediaFacts, MediaFacts][]),
  ];
}

function file(kind: MediaKind, facts: MediaFacts = {}, i = 1): MediaItem {
  return { url: `https://example.com/${i}.${kind === 'video' ? 'mp4' : kind === 'image' ? 'jpg' : 'pdf'}`, kind, facts };
}

function problems(platform: Platform, media: MediaItem[], options: Record<string, unknown> = {}): string[] {
  return checkContent(platform, { text: 'Hi', media, options: { ...optionsFor(platform.id), ...options } }).map(({ message }) => message);
}
