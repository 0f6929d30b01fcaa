/** Writes documents in the form `bson-decode` reads them, so that a number goes back to disk with the type it came with. */
import { Binary, BSONRegExp, BSONSymbol, Code, DBRef, Decimal128, Double, Int32, Long, MaxKey, MinKey, ObjectId, Timestamp } from 'bson';
import { RawValue, TWO_TO_32, type Doc } from './bson-decode.js';
import { findFields } from './bson-fields.js';
import { CommandError } from './command-error.js';

/** A document, or an array, that is already BSON: copied as it is. */
export class RawBson {
  readonly bytes: Buffer;
  readonly type: 3 | 4;
  constructor(bytes: Buffer, type: 3 | 4 = 3) {
    this.bytes = bytes;
    this.type = type;
  }
}

const MAX_BUFFER = 64 * 1024 * 1024;
let out = Buffer.allocUnsafeSlow(128 * 1024);
let at = 0;

/** Encodes a document into a buffer of its own. */
export function encode(doc: Doc): Buffer {
  return encoded(() => writeDocument(doc, 0));
}

/**
 * Encodes a stored document after a change of the `touched` top-level fields, which are in `doc`; all others are copied from its bytes
 * as they were `before`. Fields that are new come last, in the order of `doc`.
 */
export function encodeChanged(before: Buffer, doc: Doc, touched: ReadonlySet<string>): Buffer {
  const places = findFields(before, touched);
  return encoded(() => {
    at = 4;
    let copied = 4;
    for (const { name, start, end } of places) {
      copyRange(before, copied, start);
      if (Object.hasOwn(doc, name) && doc[name] !== undefined) writeElement(name, doc[name], 0);
      copied = end;
    }
    copyRange(before, copied, before.readInt32LE(0) - 1);
    for (const name in doc) {
      if (doc[name] !== undefined && touched.has(name) && !isAmong(places, name)) writeElement(name, doc[name], 0);
    }
    close(0);
  });
}

function isAmong(places: readonly { name: string }[], name: string): boolean {
  for (const place of places) if (place.name === name) return true;
  return false;
}

function copyRange(from: Buffer, start: number, end: number): void {
  room(end - start);
  from.copy(out, at, start, end);
  at += end - start;
}

function encoded(writeAll: () => void): Buffer {
  at = 0;
  try {
    writeAll();
    const copy = Buffer.allocUnsafe(at);
    out.copy(copy, 0, 0, at);
    return copy;
  } finally {
    if (out.length > 4 * 1024 * 1024) out = Buffer.allocUnsafeSlow(128 * 1024);
  }
}

function room(bytes: number): void {
  if (at + bytes <= out.length) return;
  if (at + bytes > MAX_BUFFER) throw new CommandError(10334, 'BSONObj size is over the limit of 16777216 bytes');
  const bigger = Buffer.allocUnsafeSlow(Math.min(MAX_BUFFER, Math.max(out.length * 2, at + bytes)));
  out.copy(bigger, 0, 0, at);
  out = bigger;
}

function writeInt32(value: number): void {
  out[at] = value;
  out[at + 1] = value >> 8;
  out[at + 2] = value >> 16;
  out[at + 3] = value >> 24;
  at += 4;
}

function writeUtf8(text: string): void {
  const length = text.length;
  room(length * 3 + 8);
  if (length < 40) {
    let p = at;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > 127) {
        at += out.utf8Write(text, at);
        return;
      }
      out[p++] = code;
    }
    at = p;
    return;
  }
  at += out.utf8Write(text, at);
}

function writeString(text: string): void {
  room(8);
  const start = at;
  at += 4;
  writeUtf8(text);
  out[at++] = 0;
  const end = at;
  at = start;
  writeInt32(end - start - 4);
  at = end;
}

function writeName(type: number, name: string): void {
  room(2);
  out[at++] = type;
  if (name.includes('\0')) throw new CommandError(2, 'a field name cannot contain a null byte');
  writeUtf8(name);
  room(20);
  out[at++] = 0;
}

function writeDocument(doc: Doc, depth: number): void {
  if (depth > 200) throw new CommandError(15, 'BSONObj exceeds maximum nested object depth: 200');
  room(8);
  const start = at;
  at += 4;
  for (const name in doc) {
    const value = doc[name];
    if (value !== undefined) writeElement(name, value, depth);
  }
  close(start);
}

function writeArray(list: readonly unknown[], depth: number): void {
  if (depth > 200) throw new CommandError(15, 'BSONObj exceeds maximum nested object depth: 200');
  room(8);
  const start = at;
  at += 4;
  for (let i = 0; i < list.length; i++) writeElement(String(i), list[i] ?? null, depth);
  close(start);
}

function close(start: number): void {
  room(1);
  out[at++] = 0;
  const end = at;
  at = start;
  writeInt32(end - start);
  at = end;
}

function writeElement(name: string, value: unknown, depth: number): void {
  switch (typeof value) {
    case 'string':
      writeName(0x02, name);
      return writeString(value);
    case 'number':
      return writeNumber(name, value);
    case 'boolean':
      writeName(0x08, name);
      out[at++] = value ? 1 : 0;
      return;
    case 'bigint':
      writeName(0x12, name);
      out.writeBigInt64LE(BigInt.asIntN(64, value), at);
      at += 8;
      return;
    case 'object':
      return value === null ? writeName(0x0a, name) : writeObject(name, value, depth);
    default:
      return writeName(0x0a, name);
  }
}

function writeNumber(name: string, value: number): void {
  if (Number.isInteger(value) && value >= -2147483648 && value <= 2147483647 && !Object.is(value, -0)) {
    writeName(0x10, name);
    return writeInt32(value);
  }
  writeName(0x01, name);
  out.writeDoubleLE(value, at);
  at += 8;
}

function writeBytes(bytes: Uint8Array): void {
  room(bytes.length);
  out.set(bytes, at);
  at += bytes.length;
}

function writeObject(name: string, value: object, depth: number): void {
  if (Array.isArray(value)) {
    writeName(0x04, name);
    return writeArray(value, depth + 1);
  }
  const proto = Object.getPrototypeOf(value);
  if (proto === Object.prototype || proto === null) {
    writeName(0x03, name);
    return writeDocument(value as Doc, depth + 1);
  }
  if (value instanceof RawValue) {
    writeName(value.type, name);
    return writeBytes(value.bytes);
  }
  if (value instanceof ObjectId) {
    writeName(0x07, name);
    return writeBytes(value.id);
  }
  if (value instanceof Date) {
    writeName(0x09, name);
    const ms = value.getTime() || 0;
    const high = Math.floor(ms / TWO_TO_32);
    writeInt32(ms - high * TWO_TO_32);
    return writeInt32(high);
  }
  if (value instanceof RawBson) {
    writeName(value.type, name);
    return writeBytes(value.bytes);
  }
  return writeRareObject(name, value, depth);
}

function writeRareObject(name: string, value: object, depth: number): void {
  if (value instanceof Double) {
    writeName(0x01, name);
    out.writeDoubleLE(value.value, at);
    at += 8;
  } else if (value instanceof Binary) {
    writeName(0x05, name);
    const bytes = value.buffer.subarray(0, value.position);
    room(bytes.length + 16);
    writeInt32(value.sub_type === 2 ? bytes.length + 4 : bytes.length);
    out[at++] = value.sub_type;
    if (value.sub_type === 2) writeInt32(bytes.length);
    writeBytes(bytes);
  } else if (value instanceof Timestamp) {
    writeName(0x11, name);
    writeInt32(value.i | 0);
    writeInt32(value.t | 0);
  } else if (value instanceof Long) {
    writeName(0x12, name);
    out.writeBigInt64LE(value.toBigInt(), at);
    at += 8;
  } else if (value instanceof Int32) {
    writeName(0x10, name);
    writeInt32(value.value);
  } else if (value instanceof Decimal128) {
    writeName(0x13, name);
    writeBytes(value.bytes);
  } else if (value instanceof BSONRegExp || value instanceof RegExp) {
    writeName(0x0b, name);
    const [pattern, flags] = value instanceof RegExp ? [value.source, value.flags.replace(/[^imsux]/g, '')] : [value.pattern, value.options];
    writeUtf8(pattern);
    room(2);
    out[at++] = 0;
    writeUtf8(flags);
    room(2);
    out[at++] = 0;
  } else if (value instanceof MinKey) writeName(0xff, name);
  else if (value instanceof MaxKey) writeName(0x7f, name);
  else writeTextual(name, value, depth);
}

function writeTextual(name: string, value: object, depth: number): void {
  if (value instanceof BSONSymbol) {
    writeName(0x0e, name);
    writeString(value.value);
  } else if (value instanceof Code) {
    if (!value.scope) {
      writeName(0x0d, name);
      return writeString(value.code);
    }
    writeName(0x0f, name);
    const start = at;
    at += 4;
    writeString(value.code);
    writeDocument(value.scope, depth + 1);
    const end = at;
    at = start;
    writeInt32(end - start);
    at = end;
  } else if (value instanceof DBRef) {
    writeName(0x0c, name);
    writeString(value.collection);
    writeBytes((value.oid).id);
  } else {
    writeName(0x03, name);
    writeDocument(value as Doc, depth + 1);
  }
}
