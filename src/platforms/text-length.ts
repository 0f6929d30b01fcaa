/** How long a text is by each network's way of counting; the one place that counts. */
import twitterText from 'twitter-text';
import type { CountingRule } from './platform-limits.js';

const segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** The segmenter goes through all of its text for each character: in pieces of this length that costs nothing to speak of, in one of 100,000 half a minute. */
const PIECE = 400;

/** A text's characters as people see them. Where one begins follows from the characters before it in the same one, so a text may be read in pieces. */
export function* graphemesOf(text: string): Generator<string> {
  let size = PIECE;
  for (let from = 0; from < text.length;) {
    const end = wholeEnd(text, from + size);
    let last: string | null = null;
    let used = 0;
    for (const { segment } of segmenter.segment(text.slice(from, end))) {
      if (last !== null) {
        yield last;
        used += last.length;
      }
      last = segment;
    }
    if (end === text.length) {
      if (last !== null) yield last;
      return;
    }
    // The last one of a piece may go on in the next; one that fills its piece is read in a longer one.
    from += used;
    size = used === 0 ? size * 2 : PIECE;
  }
}

/** Not between the halves of a surrogate pair. */
function wholeEnd(text: string, end: number): number {
  if (end >= text.length) return text.length;
  return /[\uD800-\uDBFF]/.test(text[end - 1]!) ? end + 1 : end;
}

/** Beyond this no network takes a text, and exact counting would only cost time. */
const COUNT_EXACTLY_UP_TO = 200_000;

const count: Record<CountingRule, (text: string) => number> = {
  graphemes: (text) => {
    // Printable ASCII needs no segmenter; a carriage return does, because CR LF counts as one.
    if (/^[ -~\n\t]*$/.test(text)) return text.length;
    let n = 0;
    for (const _ of graphemesOf(text)) n++;
    return n;
  },
  // X's own rule: https://docs.x.com/fundamentals/counting-characters (URLs are 23, CJK and emoji are 2).
  weighted: (text) => twitterText.parseTweet(text).weightedLength,
  characters: (text) => {
    let n = 0;
    for (const _ of text) n++;
    return n;
  },
  utf16: (text) => text.length,
  bytes: (text) => Buffer.byteLength(text),
  // A link counts as 23, of @user@domain only @user: https://docs.joinmastodon.org/user/posting/
  mastodon: (text) => {
    const shortened = text.replace(/https?:\/\/\S+/g, 'x'.repeat(23)).replace(/@([\w.-]+)@[\w.-]+\w/g, '@$1');
    return count.graphemes(shortened);
  },
  // Emoji count as their UTF-8 bytes: https://developers.facebook.com/docs/threads/posts
  threads: (text) => {
    let n = 0;
    for (const segment of graphemesOf(text)) n += /\p{Extended_Pictographic}|\p{Regional_Indicator}/u.test(segment) ? Buffer.byteLength(segment) : Array.from(segment).length;
    return n;
  },
};

/** @returns the length in the rule's own unit. */
export function textLength(rule: CountingRule, text: string): number {
  return text.length > COUNT_EXACTLY_UP_TO ? text.length : count[rule](text);
}

/** The unit in words, for messages: `310 characters, at most 300`. */
export const unitName: Record<CountingRule, string> = {
  graphemes: 'characters',
  weighted: 'characters (links count as 23, emoji as 2)',
  characters: 'characters',
  utf16: 'characters',
  bytes: 'bytes',
  mastodon: 'characters (links count as 23)',
  threads: 'characters (emoji count as up to 4 and more)',
};
