/** Reads the names of fields, of which a collection's documents have the same ones over and over: making each anew would cost more than all the rest of reading. */

const names: string[] = Array.from({ length: 2048 }, () => '');
const LONGEST_KEPT = 48;

/** Where the name that was read last ends: behind its zero byte. */
export let nameEnd = 0;

/** The name at `start`; null when it doesn't end before `limit`. */
export function nameAt(src: Buffer, start: number, limit: number): string | null {
  let hash = 0;
  let all = 0;
  let end = start;
  for (;;) {
    if (end >= limit) return null;
    const byte = src[end]!;
    if (byte === 0) break;
    all |= byte;
    hash = (hash * 31 + byte) | 0;
    end++;
  }
  nameEnd = end + 1;
  return all < 128 ? knownName(src, start, end, hash) : src.utf8Slice(start, end);
}

function knownName(src: Buffer, start: number, end: number, hash: number): string {
  const slot = (hash ^ (hash >>> 11)) & 2047;
  const known = names[slot]!;
  if (known.length === end - start && isAt(src, known, start)) return known;
  const name = shortLatin(src, start, end);
  if (name.length > LONGEST_KEPT) return name;
  // As an object's key: the one copy that the engine keeps of it.
  return (names[slot] = Object.keys({ [name]: 0 })[0]!);
}

function isAt(src: Buffer, name: string, start: number): boolean {
  for (let i = 0; i < name.length; i++) if (name.charCodeAt(i) !== src[start + i]) return false;
  return true;
}

function shortLatin(src: Buffer, start: number, end: number): string {
  switch (end - start) {
    case 0:
      return '';
    case 1:
      return String.fromCharCode(src[start]!);
    case 2:
      return String.fromCharCode(src[start]!, src[start + 1]!);
    case 3:
      return String.fromCharCode(src[start]!, src[start + 1]!, src[start + 2]!);
    default:
      return src.latin1Slice(start, end);
  }
}

declare global {
  /** Node's own fast paths, present on every Buffer but missing from its type declarations. */
  interface Buffer {
    latin1Slice(start: number, end: number): string;
    utf8Slice(start: number, end: number): string;
    utf8Write(text: string, offset: number): number;
  }
}
