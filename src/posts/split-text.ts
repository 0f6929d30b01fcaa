/** Splits a long text into the items of a thread: at blank lines, and paragraphs that are too long between sentences, else words. */

interface Count {
  length: number;
  max: number;
  bytes?: { length: number; max: number };
}

/** Longer texts would make more items than a thread may have; they are left whole, and found too long. */
const MOST_TIMES_MAX = 100;

/** @param count how long the network counts a piece to be. @returns pieces that fit, in order; one that can't be split is left too long */
export function splitText(text: string, count: (piece: string) => Count): string[] {
  if (text.length > MOST_TIMES_MAX * count('').max) return [text];
  const fits = (piece: string): boolean => {
    const { length, max, bytes } = count(piece);
    return length <= max && (bytes === undefined || bytes.length <= bytes.max);
  };
  return text.split(/\n[^\S\n]*\n\s*/).map((paragraph) => paragraph.trim()).filter((paragraph) => paragraph !== '').flatMap((paragraph) => splitParagraph(paragraph, fits));
}

function splitParagraph(paragraph: string, fits: (piece: string) => boolean): string[] {
  if (fits(paragraph)) return [paragraph];
  const sentences = paragraph.split(/(?<=[.!?\u2026\u3002\uff01\uff1f]["'\u201d\u2019)\]]*)\s+/);
  return packed(sentences.flatMap((sentence) => (fits(sentence) ? [sentence] : packed(sentence.split(/\s+/).flatMap((word) => (fits(word) ? [word] : cut(word, fits))), fits))), fits);
}

/** As many as fit go together. */
function packed(parts: readonly string[], fits: (piece: string) => boolean): string[] {
  const pieces: string[] = [];
  for (const part of parts) {
    const last = pieces.at(-1);
    const joined = last === undefined ? part : `${last} ${part}`;
    if (last !== undefined && fits(joined)) pieces[pieces.length - 1] = joined;
    else pieces.push(part);
  }
  return pieces;
}

/** A word that is longer than an item may be, e.g. in a language without spaces: between two characters as people see them. */
function cut(word: string, fits: (piece: string) => boolean): string[] {
  const pieces: string[] = [];
  for (const { segment } of new Intl.Segmenter('en').segment(word)) {
    const last = pieces.at(-1);
    if (last !== undefined && fits(last + segment)) pieces[pieces.length - 1] = last + segment;
    else pieces.push(segment);
  }
  return pieces;
}
