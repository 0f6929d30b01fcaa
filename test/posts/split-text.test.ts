/** A text that is split into a thread: nothing is lost, everything fits, and no text takes long. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { countText } from '../../src/platforms/check-content.js';
import { findPlatform } from '../../src/platforms/registry.js';
import { partsOf } from '../../src/posts/post-parts.js';
import { splitText } from '../../src/posts/split-text.js';

const networks = ['bluesky', 'mastodon', 'threads', 'twitter'].map((id) => findPlatform(id)!);

describe('a text that is split into a thread', () => {
  test('is split at blank lines, and nowhere else where paragraphs fit', () => {
    const count = (piece: string) => ({ length: piece.length, max: 40 });
    assert.deepEqual(splitText('One.\nStill one.\n\nTwo.\n   \n\nThree.', count), ['One.\nStill one.', 'Two.', 'Three.']);
    assert.deepEqual(splitText('A first sentence. A second one! "A third?" And a fourth that is longer than all.', count), ['A first sentence. A second one!', '"A third?"', 'And a fourth that is longer than all.']);
    assert.deepEqual(splitText('word '.repeat(20).trim(), count).map((piece) => piece.length), [39, 39, 19]);
    assert.deepEqual(splitText('漢'.repeat(100), count).map((piece) => piece.length), [40, 40, 20]);
  });

  test('keeps every word, in order, and every piece within the network\'s limit', () => {
    const word = fc.oneof(fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme' }), fc.constantFrom('https://example.com/a/long/path?x=1', '👩‍👩‍👧‍👦', 'naïve', 'end.', '漢字漢字'));
    const text = fc.array(fc.tuple(word, fc.constantFrom(' ', ' ', ' ', '\n', '\n\n')), { minLength: 1, maxLength: 150 }).map((parts) => parts.map(([one, gap]) => `${one}${gap}`).join(''));
    fc.assert(fc.property(text, fc.constantFrom(...networks), (written, platform) => {
      const pieces = splitText(written, (piece) => countText(platform, piece));
      assert.deepEqual(pieces.join(' ').split(/\s+/).filter(Boolean), written.split(/\s+/).filter(Boolean));
      for (const piece of pieces) assert.ok(countText(platform, piece).length <= platform.limits.text.max, piece);
    }), { numRuns: 150 });
  });

  test('leaves room for the numbers that are added', () => {
    const platform = findPlatform('twitter')!;
    const { root, split } = partsOf({ text: 'word '.repeat(300), media: [], options: { twitter: { thread: true, threadNumber: true } } }, platform);
    const texts = [root!, ...split].map(({ text }) => text);
    assert.match(texts.at(-1)!, new RegExp(` ${texts.length}/${texts.length}$`));
    for (const text of texts) assert.ok(countText(platform, text).length <= 280);
  });

  test('takes no time to speak of, whatever is in it', () => {
    const platform = findPlatform('twitter')!;
    for (const length of [30_000, 100_000]) for (const unit of ['a. ', 'a ', 'x', '. ', '👩‍👩‍👧‍👦', '\n\n', 'http://a.b ', '"""']) {
      const from = process.cpuUsage();
      partsOf({ text: unit.repeat(Math.floor(length / unit.length)), media: [], options: { twitter: { thread: true, longPost: true } } }, platform);
      const { user } = process.cpuUsage(from);
      assert.ok(user < 3_000_000, `${JSON.stringify(unit)} took ${user / 1000} ms of the processor`);
    }
  });
});
