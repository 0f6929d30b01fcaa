/** Finds top-level fields of stored documents, which are trusted, without decoding anything. */
import { nameAt, nameEnd } from './bson-names.js';

/** Where the named fields are, from the byte of the type to the end of the value. */
export function findFields(buf: Buffer, names: ReadonlySet<string>): { name: string; start: number; end: number }[] {
  const end = buf.readInt32LE(0) - 1;
  const found: { name: string; start: number; end: number }[] = [];
  for (let pos = 4; pos < end; ) {
    const start = pos;
    const name = nameAt(buf, start + 1, end) ?? '';
    pos = endOfValue(buf, buf[start]!, nameEnd);
    if (names.has(name)) found.push({ name, start, end: pos });
  }
  return found;
}

/** Where the field `name` is: the byte of its type, its value, and its end; or null. */
export function findField(buf: Buffer, name: string): { type: number; start: number; valueStart: number; end: number } | null {
  const end = buf.readInt32LE(0) - 1;
  for (let pos = 4; pos < end; ) {
    const start = pos;
    const type = buf[start]!;
    const field = nameAt(buf, start + 1, end);
    const valueStart = nameEnd;
    pos = endOfValue(buf, type, valueStart);
    if (field === name) return { type, start, valueStart, end: pos };
  }
  return null;
}

/** Where the value that begins at `pos` ends. */
export function endOfValue(src: Buffer, type: number, pos: number): number {
  switch (type) {
    case 0x01: case 0x09: case 0x11: case 0x12: return pos + 8;
    case 0x02: case 0x0d: case 0x0e: return pos + src.readInt32LE(pos) + 4;
    case 0x03: case 0x04: case 0x0f: return pos + src.readInt32LE(pos);
    case 0x05: return pos + src.readInt32LE(pos) + 5;
    case 0x07: return pos + 12;
    case 0x08: return pos + 1;
    case 0x0c: return pos + src.readInt32LE(pos) + 16;
    case 0x10: return pos + 4;
    case 0x13: return pos + 16;
    case 0x0b: {
      let end = pos;
      for (let i = 0; i < 2; i++) {
        while (src[end] !== 0) end++;
        end++;
      }
      return end;
    }
    default: return pos;
  }
}
