/** Splits a long text into the items of a thread: at blank lines, and paragraphs that are too long between sentences, else words. */
import { graphemesOf } from '../platforms/text-length.js';

interface Count {
  length: number;
  max: number;
  bytes?: { length: number; max: number };
}

interface Size {
  length: number;
  bytes: number;
}

interface Measure {
  sizeOf(piece: string): Size;
  fits(size: Size): boolean;
}

/** More than a thread of most networks can hold; a longer text is left whole, and found too long. */
const LONGEST = 30_000;

/**
 * @param count how long the network counts a piece to be, with whatever is added to each
 * @returns pieces that fit, in order; one that can't be split is left too long
 */
export function splitText(text: string, count: (piece: string) => Count): string[] {
  if (text.length > LONGEST) return [text];
  const empty = count('');
  const most = { length: empty.max - empty.length, bytes: (empty.bytes?.max ?? Infinity) - (empty.bytes?.length ?? 0) };
  const measure: Measure = {
    sizeOf(piece) {
      const { length, bytes } = count(piece);
      return { length: length - empty.length, bytes: (bytes?.length ?? 0) - (empty.bytes?.length ?? 0) };
    },
    fits: ({ length, bytes }) => length <= most.length && bytes <= most.bytes,
  };
  return text.split(/\n[^\S\n]*\n\s*/).map((paragraph) => paragraph.trim()).filter((paragraph) => paragraph !== '').flatMap((paragraph) => splitParagraph(paragraph, measure));
}

interface Sized extends Size {
  text: string;
}

function splitParagraph(paragraph: string, measure: Measure): string[] {
  const sized = (text: string): Sized => ({ text, ...measure.sizeOf(text) });
  const whole = sized(paragraph);
  if (measure.fits(whole)) return [paragraph];
  const finer = (parts: string[], split: (part: Sized) => Sized[]): Sized[] => parts.map(sized).flatMap((part) => (measure.fits(part) ? [part] : split(part)));
  // A word that is too long, e.g. in a language without spaces, is cut between two characters as people see them.
  const wordsOf = ({ text }: Sized): Sized[] => packed(finer(text.split(/\s+/), (word) => packed([...graphemesOf(word.text)].map(sized), '', measure)), ' ', measure);
  const sentences = paragraph.split(/(?<=[.!?\u2026\u3002\uff01\uff1f]["'\u201d\u2019)\]]{0,3})\s+/);
  return packed(finer(sentences, wordsOf), ' ', measure).map(({ text }) => text);
}

/** As many as fit go together. Sizes are added up, since counting each try anew would take the square of the time. */
function packed(parts: readonly Sized[], glue: '' | ' ', { fits }: Measure): Sized[] {
  const pieces: { parts: string[]; size: Size }[] = [];
  for (const part of parts) {
    const last = pieces.at(-1);
    const size = last === undefined ? part : { length: last.size.length + glue.length + part.length, bytes: last.size.bytes + glue.length + part.bytes };
    if (last !== undefined && fits(size)) {
      last.parts.push(part.text);
      last.size = { length: size.length, bytes: size.bytes };
    } else pieces.push({ parts: [part.text], size: { length: part.length, bytes: part.bytes } });
  }
  return pieces.map(({ parts: texts, size }) => ({ text: texts.join(glue), ...size }));
}
