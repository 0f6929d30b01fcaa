/** Turns values into bytes whose plain byte order is MongoDB's comparison order: the keys of every index. */
import { createHash } from 'node:crypto';
import { Binary, BSONSymbol, Code, DBRef, Decimal128, ObjectId, Timestamp } from 'bson';
import { TWO_TO_32, type Doc } from './bson-decode.js';
import { plainNumber, RANK, regexParts, typeRank } from './bson-order.js';
import { addExact, compareExact, exact, multiplyExact, type Exact } from './decimal.js';

/** Longer keys are cut here and end in a hash, because LMDB keys have a limit of 1,978 bytes. */
export const MAX_KEY_BYTES = 1900;
const KEPT_BYTES = 1800;

let out = Buffer.allocUnsafeSlow(4096);
let at = 0;

function room(bytes: number): void {
  if (at + bytes <= out.length) return;
  const bigger = Buffer.allocUnsafeSlow(Math.max(out.length * 2, at + bytes));
  out.copy(bigger, 0, 0, at);
  out = bigger;
}

/** One field's value as ordered bytes; `descending` inverts them. */
export function encodeKeyPart(value: unknown, descending: boolean): Buffer {
  at = 0;
  writeValue(value);
  const bytes = Buffer.allocUnsafe(at);
  out.copy(bytes, 0, 0, at);
  if (out.length > 1 << 20) out = Buffer.allocUnsafeSlow(4096);
  if (descending) invert(bytes);
  return bytes;
}

/** Several fields' values behind one another, as one key. */
export function encodeKey(values: readonly unknown[], descending: readonly boolean[]): Buffer {
  at = 0;
  for (let i = 0; i < values.length; i++) {
    const start = at;
    writeValue(values[i]);
    if (descending[i]) for (let p = start; p < at; p++) out[p] = ~out[p]!;
  }
  const bytes = Buffer.allocUnsafe(at);
  out.copy(bytes, 0, 0, at);
  if (out.length > 1 << 20) out = Buffer.allocUnsafeSlow(4096);
  return bytes;
}

export function invert(bytes: Buffer): void {
  for (let i = 0; i < bytes.length; i++) bytes[i] = ~bytes[i]!;
}

/** Cuts a key that LMDB could not hold; equal values still give equal keys. */
export function limitKey(key: Buffer): Buffer {
  if (key.length <= MAX_KEY_BYTES) return key;
  return Buffer.concat([key.subarray(0, KEPT_BYTES), createHash('sha256').update(key).digest()]);
}

/** A bound that takes in every cut key it may belong to. */
export function limitBound(bound: Buffer): Buffer {
  return bound.length <= KEPT_BYTES ? bound : bound.subarray(0, KEPT_BYTES);
}

function writeValue(value: unknown): void {
  room(32);
  const rank = typeRank(value);
  out[at++] = rank;
  switch (rank) {
    case RANK.number:
      return writeNumber(value);
    case RANK.string:
      return writeText(value instanceof BSONSymbol ? value.value : (value as string));
    case RANK.objectId:
      out.set((value as ObjectId).id, at);
      at += 12;
      return;
    case RANK.boolean:
      out[at++] = value ? 1 : 0;
      return;
    case RANK.date:
      return writeDate((value as Date).getTime() || 0);
    case RANK.object:
      return writeObject(value as Doc);
    case RANK.array:
      for (const item of value as unknown[]) {
        room(2);
        out[at++] = 1;
        writeValue(item);
      }
      room(2);
      out[at++] = 0;
      return;
    default:
      return writeRare(rank, value);
  }
}

function writeRare(rank: number, value: unknown): void {
  if (rank === RANK.timestamp) {
    out.writeUInt32BE((value as Timestamp).t, at);
    out.writeUInt32BE((value as Timestamp).i, at + 4);
    at += 8;
  } else if (rank === RANK.binary) {
    const { buffer, position, sub_type: subtype } = value as Binary;
    room(position + 8);
    out.writeUInt32BE(position, at);
    out[at + 4] = subtype;
    out.set(buffer.subarray(0, position), at + 5);
    at += position + 5;
  } else if (rank === RANK.regex) {
    const [pattern, flags] = regexParts(value);
    writeText(pattern);
    writeText(flags);
  } else if (rank === RANK.code || rank === RANK.codeWithScope) {
    writeText((value as Code).code);
    if (rank === RANK.codeWithScope) writeObject((value as Code).scope as Doc);
  } else if (rank === RANK.dbRef) {
    writeText((value as DBRef).collection);
    writeText(String((value as DBRef).oid));
  }
}

/** As a whole number of 64 bits, moved so that none is negative. */
function writeDate(ms: number): void {
  const high = Math.floor(ms / TWO_TO_32);
  out.writeUInt32BE(high + TWO_TO_32 / 2, at);
  out.writeUInt32BE(ms - high * TWO_TO_32, at + 4);
  at += 8;
}

function writeObject(doc: Doc): void {
  for (const name in doc) {
    if (doc[name] === undefined) continue;
    room(4);
    out[at++] = 1;
    out[at++] = typeRank(doc[name]);
    writeText(name);
    writeValue(doc[name]);
  }
  room(2);
  out[at++] = 0;
}

/** UTF-8 with zero bytes escaped as 00 FF and the end marked 00 00, so that a prefix sorts first. */
function writeText(text: string): void {
  room(text.length * 6 + 4);
  const start = at;
  let end = at;
  if (text.length < 32) {
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code > 127 || code === 0) {
        end = -1;
        break;
      }
      out[end++] = code;
    }
  } else end = -1;
  if (end < 0) end = start + out.utf8Write(text, start);
  if (text.includes('\0')) end = escapeZeros(start, end);
  out[end] = 0;
  out[end + 1] = 0;
  at = end + 2;
}

function escapeZeros(start: number, end: number): number {
  const bytes = Buffer.from(out.subarray(start, end));
  let p = start;
  for (const byte of bytes) {
    out[p++] = byte;
    if (byte === 0) out[p++] = 0xff;
  }
  return p;
}

/** The greatest double not above the value, then what is left of the value as a fraction of the step to the next double. */
function writeNumber(value: unknown): void {
  const number = plainNumber(value);
  if (typeof number === 'number') {
    writeDouble(number);
    out[at++] = 0;
    return;
  }
  if (typeof number === 'bigint' && number >= -9007199254740992n && number <= 9007199254740992n) {
    writeDouble(Number(number));
    out[at++] = 0;
    return;
  }
  writeExact(exact(number));
}

function writeExact(value: Exact): void {
  if (typeof value === 'string') {
    writeDouble(Number(value));
    out[at++] = 0;
    return;
  }
  let floor = Number(`${value.digits}e${value.exponent}`);
  if (floor === Infinity) floor = Number.MAX_VALUE;
  if (floor === -Infinity || compareExact(exact(floor), value) > 0) floor = floor === -Infinity ? floor : nextDown(floor);
  writeDouble(floor);
  if (floor === -Infinity || compareExact(exact(floor), value) === 0) {
    out[at++] = floor === -Infinity ? 1 : 0;
    return;
  }
  const step = exact(nextUp(floor) === Infinity ? floor - nextDown(floor) : nextUp(floor) - floor);
  const rest = addExact(value, multiplyExact(exact(floor), { digits: -1n, exponent: 0 }));
  out[at++] = 1;
  out.writeBigUInt64BE(fraction(rest, step), at);
  at += 8;
}

function fraction(rest: Exact, step: Exact): bigint {
  if (typeof rest === 'string' || typeof step === 'string') return 0n;
  const low = Math.min(rest.exponent, step.exponent);
  const top = rest.digits * 10n ** BigInt(rest.exponent - low);
  const bottom = step.digits * 10n ** BigInt(step.exponent - low);
  const value = (top << 63n) / bottom;
  return value > 0xffffffffffffffffn ? 0xffffffffffffffffn : value;
}

const bits = new DataView(new ArrayBuffer(8));

function neighbour(value: number, away: boolean): number {
  bits.setFloat64(0, value);
  bits.setBigInt64(0, bits.getBigInt64(0) + (away ? 1n : -1n));
  return bits.getFloat64(0);
}

function nextUp(value: number): number {
  if (value === 0) return Number.MIN_VALUE;
  return neighbour(value, value > 0);
}

function nextDown(value: number): number {
  if (value === 0) return -Number.MIN_VALUE;
  return neighbour(value, value < 0);
}

function writeDouble(value: number): void {
  if (Number.isNaN(value)) {
    out.fill(0, at, at + 8);
    at += 8;
    return;
  }
  out.writeDoubleBE(value === 0 ? 0 : value, at);
  if (out[at]! & 0x80) for (let i = 0; i < 8; i++) out[at + i] = ~out[at + i]!;
  else out[at]! |= 0x80;
  at += 8;
}

export function isDecimal(value: unknown): boolean {
  return value instanceof Decimal128;
}
