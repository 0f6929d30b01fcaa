/**
 * Reads BSON so that every number keeps its type: int32 and fractional doubles become JS numbers, int64 becomes bigint,
 * and a double that an encoder would take for an int32 stays wrapped in `Double`. Everything in the input is checked.
 */
import { Binary, BSONRegExp, BSONSymbol, Code, DBRef, Decimal128, Double, MaxKey, MinKey, ObjectId, Timestamp } from 'bson';
import { endOfValue } from './bson-fields.js';
import { nameAt, nameEnd } from './bson-names.js';
import { CommandError } from './command-error.js';

export type Doc = Record<string, unknown>;

const MAX_DEPTH = 200;
/** Dates have 64 bits, which are read and written as two numbers. */
export const TWO_TO_32 = 4_294_967_296;
let src: Buffer = Buffer.alloc(0);
let pos = 0;
let rawName: string | null = null;

function invalid(what: string): CommandError {
  return new CommandError(22, `invalid BSON: ${what}`);
}

/** Decodes one document at `start`; the bytes may be overwritten afterwards, nothing refers to them. */
export function decode(buf: Buffer, start = 0, limit = buf.length): Doc {
  src = buf;
  pos = start;
  rawName = null;
  return readDocument(limit, 0);
}

/** Like `decode`, but the elements of the top-level array `name` come as raw slices of `buf`. */
export function decodeWithRawArray(buf: Buffer, start: number, limit: number, name: string): Doc {
  src = buf;
  pos = start;
  rawName = name;
  try {
    return readDocument(limit, 0);
  } finally {
    rawName = null;
  }
}

/**
 * Decodes only the named top-level fields of a stored (trusted) document; others are skipped over. The elements of arrays among them that are in
 * `opaque` stay raw, as slices of `buf`.
 */
export function decodeFields(buf: Buffer, names: ReadonlySet<string>, opaque?: ReadonlySet<string>): Doc {
  src = buf;
  pos = 4;
  const end = buf.readInt32LE(0) - 1;
  const doc: Doc = {};
  let left = names.size;
  while (pos < end && left > 0) {
    const type = src[pos++]!;
    const name = readName(end);
    if (names.has(name)) {
      setField(doc, name, type === 4 && opaque?.has(name) === true ? readArray(end, 1, readRaw) : readValue(type, end, 0));
      left--;
    } else pos = endOfValue(buf, type, pos);
  }
  return doc;
}

/** A value that nobody looked into but to see that it is well-formed: its bytes go on as they are. */
export class RawValue {
  readonly type: number;
  readonly bytes: Buffer;
  constructor(type: number, bytes: Buffer) {
    this.type = type;
    this.bytes = bytes;
  }
}

/** The value as `decode` would have given it. */
export function decodeRaw({ type, bytes }: RawValue): unknown {
  src = bytes;
  pos = 0;
  rawName = null;
  return readValue(type, bytes.length, 0);
}

/**
 * Decodes a statement of `update`; what its `$set` puts in place of whole top-level fields, and what its `$push` adds to such, stays raw where it is
 * a document or an array: mostly it is stored as it came. The slices refer to `buf`.
 */
export function decodeUpdateStatement(buf: Buffer): Doc {
  src = buf;
  pos = 0;
  rawName = null;
  return readFields(buf.length, 0, (type, name, end) => (name === 'u' && type === 3 ? readFields(end, 1, readOperator) : readValue(type, end, 0)));
}

function readOperator(type: number, name: string, end: number): unknown {
  if (type === 3 && name === '$set') return readFields(end, 2, readSetOperand);
  return type === 3 && name === '$push' ? readFields(end, 2, readPushOperand) : readValue(type, end, 1);
}

function readSetOperand(type: number, name: string, end: number): unknown {
  return isWholeField(name) ? readRaw(type, end, 2) : readValue(type, end, 2);
}

function readPushOperand(type: number, name: string, end: number): unknown {
  return type === 3 && isWholeField(name) ? readFields(end, 3, readPushModifier) : readValue(type, end, 2);
}

function readPushModifier(type: number, name: string, end: number): unknown {
  return type === 4 && name === '$each' ? readArray(end, 4, readRaw) : readValue(type, end, 3);
}

function isWholeField(name: string): boolean {
  return name !== '_id' && !name.startsWith('$') && !name.includes('.');
}

function readRaw(type: number, end: number, depth: number): unknown {
  if (type !== 3 && type !== 4) return readValue(type, end, depth);
  const start = pos;
  checkContainer(end, depth + 1);
  return new RawValue(type, src.subarray(start, pos));
}

function skipName(end: number): void {
  while (pos < end && src[pos] !== 0) pos++;
  if (pos >= end) throw invalid('a field name has no end');
  pos++;
}

function readFields(limit: number, depth: number, read: (type: number, name: string, end: number) => unknown): Doc {
  const end = openDocument(limit, depth);
  const doc: Doc = {};
  while (pos < end) {
    const type = src[pos++]!;
    const name = readName(end);
    setField(doc, name, read(type, name, end));
  }
  pos = end + 1;
  return doc;
}

/** Walks a document or an array without building it. */
function checkContainer(limit: number, depth: number): void {
  const end = openDocument(limit, depth);
  while (pos < end) {
    const type = src[pos++]!;
    skipName(end);
    checkValue(type, end, depth);
  }
  pos = end + 1;
}

function checkValue(type: number, end: number, depth: number): void {
  switch (type) {
    case 0x01: case 0x09: case 0x12:
      need(8, end);
      pos += 8;
      return;
    case 0x02: {
      need(5, end);
      const size = readInt32();
      if (size < 1) throw invalid('a string has no length');
      need(size, end);
      pos += size;
      if (src[pos - 1] !== 0) throw invalid('a string does not end in a zero byte');
      return;
    }
    case 0x03: case 0x04:
      return checkContainer(end, depth + 1);
    case 0x06: case 0x0a:
      return;
    case 0x10:
      need(4, end);
      pos += 4;
      return;
    default:
      readValue(type, end, depth);
  }
}

function setField(doc: Doc, name: string, value: unknown): void {
  if (name === '__proto__') Object.defineProperty(doc, name, { value, enumerable: true, configurable: true, writable: true });
  else doc[name] = value;
}

function readInt32(): number {
  const value = src[pos]! | (src[pos + 1]! << 8) | (src[pos + 2]! << 16) | (src[pos + 3]! << 24);
  pos += 4;
  return value;
}

function readName(end: number): string {
  const name = nameAt(src, pos, end);
  if (name === null) throw invalid('a field name has no end');
  pos = nameEnd;
  return name;
}

function readDocument(limit: number, depth: number): Doc {
  const end = openDocument(limit, depth);
  const doc: Doc = {};
  while (pos < end) {
    const type = src[pos++]!;
    const name = readName(end);
    if (depth === 0 && rawName === name && type === 4) setField(doc, name, readRawArray(end));
    else setField(doc, name, readValue(type, end, depth));
  }
  pos = end + 1;
  return doc;
}

function openDocument(limit: number, depth: number): number {
  if (depth > MAX_DEPTH) throw new CommandError(15, `BSONObj exceeds maximum nested object depth: ${MAX_DEPTH}`);
  if (pos + 5 > limit) throw invalid('a document is cut short');
  const start = pos;
  const size = readInt32();
  if (size < 5 || start + size > limit) throw invalid(`a document claims ${size} bytes`);
  const end = start + size - 1;
  if (src[end] !== 0) throw invalid('a document does not end in a zero byte');
  return end;
}

function readArray(limit: number, depth: number, read = readValue): unknown[] {
  const end = openDocument(limit, depth);
  const list: unknown[] = [];
  while (pos < end) {
    const type = src[pos++]!;
    skipName(end);
    list.push(read(type, end, depth));
  }
  pos = end + 1;
  return list;
}

function readRawArray(limit: number): Buffer[] {
  const end = openDocument(limit, 0);
  const list: Buffer[] = [];
  while (pos < end) {
    const type = src[pos++]!;
    if (type !== 3) throw new CommandError(14, 'an element of the array is not an object');
    skipName(end);
    if (pos + 5 > end) throw invalid('a document is cut short');
    const start = pos;
    const size = readInt32();
    if (size < 5 || start + size > end) throw invalid(`a document claims ${size} bytes`);
    pos = start + size;
    list.push(src.subarray(start, pos));
  }
  pos = end + 1;
  return list;
}

function need(bytes: number, end: number): void {
  if (bytes < 0 || pos + bytes > end) throw invalid('a value is cut short');
}

function readString(end: number): string {
  need(5, end);
  const size = readInt32();
  if (size < 1) throw invalid('a string has no length');
  need(size, end);
  const start = pos;
  const stop = pos + size - 1;
  if (src[stop] !== 0) throw invalid('a string does not end in a zero byte');
  pos += size;
  if (size < 20) {
    let ascii = true;
    for (let i = start; i < stop; i++) if (src[i]! > 127) { ascii = false; break; }
    if (ascii) return src.latin1Slice(start, stop);
  }
  return src.utf8Slice(start, stop);
}

function readBytes(count: number, end: number): Buffer {
  need(count, end);
  const bytes = Buffer.allocUnsafe(count);
  src.copy(bytes, 0, pos, pos + count);
  pos += count;
  return bytes;
}

function readDouble(end: number): unknown {
  need(8, end);
  const value = src.readDoubleLE(pos);
  pos += 8;
  return doubleValue(value);
}

/** A double in this module's form: wrapped when it would otherwise be written back as an int32. */
export function doubleValue(value: number): number | Double {
  return Number.isInteger(value) && value >= -2147483648 && value <= 2147483647 && !Object.is(value, -0) ? new Double(value) : value;
}

const MIN_KEY = new MinKey();
const MAX_KEY = new MaxKey();

function readValue(type: number, end: number, depth: number): unknown {
  switch (type) {
    case 0x01:
      return readDouble(end);
    case 0x02:
      return readString(end);
    case 0x03:
      return readDocument(end, depth + 1);
    case 0x04:
      return readArray(end, depth + 1);
    case 0x05:
      return readBinary(end);
    case 0x06:
    case 0x0a:
      return null;
    case 0x07:
      return new ObjectId(readBytes(12, end));
    case 0x08:
      need(1, end);
      return src[pos++] !== 0;
    case 0x09: {
      need(8, end);
      // Without a bigint in between; it is rounded once, as that would be.
      const low = readInt32() >>> 0;
      return new Date(readInt32() * TWO_TO_32 + low);
    }
    case 0x10:
      need(4, end);
      return readInt32();
    case 0x12: {
      need(8, end);
      const value = src.readBigInt64LE(pos);
      pos += 8;
      return value;
    }
    default:
      return readRareValue(type, end, depth);
  }
}

function readBinary(end: number): Binary {
  need(5, end);
  let size = readInt32();
  const subtype = src[pos++]!;
  need(size, end);
  if (subtype === 2 && size >= 4) {
    const inner = readInt32();
    if (inner !== size - 4) throw invalid('an old binary has two lengths');
    size = inner;
  }
  return new Binary(readBytes(size, end), subtype);
}

function readRareValue(type: number, end: number, depth: number): unknown {
  switch (type) {
    case 0x0b: {
      const pattern = readName(end);
      return new BSONRegExp(pattern, readName(end));
    }
    case 0x0c: {
      const namespace = readString(end);
      return new DBRef(namespace, new ObjectId(readBytes(12, end)));
    }
    case 0x0d:
      return new Code(readString(end));
    case 0x0e:
      return new BSONSymbol(readString(end));
    case 0x0f: {
      need(4, end);
      pos += 4;
      const code = readString(end);
      return new Code(code, readDocument(end, depth + 1));
    }
    case 0x11: {
      need(8, end);
      const low = readInt32() >>> 0;
      return new Timestamp({ t: readInt32() >>> 0, i: low });
    }
    case 0x13:
      return new Decimal128(readBytes(16, end));
    case 0xff:
      return MIN_KEY;
    case 0x7f:
      return MAX_KEY;
    default:
      throw invalid(`unknown type 0x${type.toString(16)}`);
  }
}
