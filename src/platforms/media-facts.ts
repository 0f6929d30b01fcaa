/** What a media file says of itself in its first bytes: width and height of images, duration of MP4 and MOV. Damaged files say nothing. */
import type { MediaFacts } from './platform.js';

/** @returns what could be read; a file that can't be understood is left to the network's own judgement */
export function mediaFactsOf(data: Uint8Array, contentType: string): MediaFacts {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const known: MediaFacts = { contentType, bytes: bytes.length };
  try {
    return { ...known, ...sizeOf(bytes), ...(contentType.startsWith('video/') ? videoFactsOf(bytes) : {}) };
  } catch (error) {
    if (error instanceof RangeError) return known;
    throw error;
  }
}

type Size = { width: number; height: number };

function sizeOf(bytes: Buffer): Size | null {
  if (bytes.readUInt32BE(0) === 0x89504e47) return { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) };
  if (bytes.toString('latin1', 0, 3) === 'GIF') return { width: bytes.readUInt16LE(6), height: bytes.readUInt16LE(8) };
  if (bytes.readUInt16BE(0) === 0xffd8) return jpegSize(bytes);
  if (bytes.toString('latin1', 0, 4) === 'RIFF' && bytes.toString('latin1', 8, 12) === 'WEBP') return webpSize(bytes);
  return null;
}

/** Segments until the frame's header; Exif may say that it is shown turned by a quarter, which phones do. */
function jpegSize(bytes: Buffer): Size | null {
  let isTurned = false;
  for (let at = 2; bytes[at] === 0xff; ) {
    const marker = bytes[at + 1]!;
    if (marker === 0xff) {
      at++;
      continue;
    }
    const length = bytes.readUInt16BE(at + 2);
    if (marker === 0xe1 && bytes.toString('latin1', at + 4, at + 8) === 'Exif') isTurned = exifOrientation(bytes.subarray(at + 10, at + 2 + length)) >= 5;
    const isFrame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
    if (isFrame) {
      const [height, width] = [bytes.readUInt16BE(at + 5), bytes.readUInt16BE(at + 7)];
      return isTurned ? { width: height, height: width } : { width, height };
    }
    if (marker === 0xda || length < 2) return null;
    at += 2 + length;
  }
  return null;
}

/** @returns 1 to 8; 5 and above are turned by a quarter */
function exifOrientation(tiff: Buffer): number {
  if (tiff.length < 8) return 1;
  const isLittle = tiff.toString('latin1', 0, 2) === 'II';
  const short = (at: number): number => (at + 2 > tiff.length ? 0 : isLittle ? tiff.readUInt16LE(at) : tiff.readUInt16BE(at));
  const directory = isLittle ? tiff.readUInt32LE(4) : tiff.readUInt32BE(4);
  const count = short(directory);
  for (let i = 0; i < count; i++) {
    const entry = directory + 2 + i * 12;
    if (entry + 12 > tiff.length) return 1;
    if (short(entry) === 0x0112) return short(entry + 8);
  }
  return 1;
}

function webpSize(bytes: Buffer): Size | null {
  const kind = bytes.toString('latin1', 12, 16);
  if (kind === 'VP8X') return { width: 1 + bytes.readUIntLE(24, 3), height: 1 + bytes.readUIntLE(27, 3) };
  if (kind === 'VP8 ') return { width: bytes.readUInt16LE(26) & 0x3fff, height: bytes.readUInt16LE(28) & 0x3fff };
  if (kind !== 'VP8L') return null;
  const bits = bytes.readUInt32LE(21);
  return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
}

/** The movie header of ISO base media files: `moov` holds `mvhd` with a time scale and a duration in it. */
function videoFactsOf(bytes: Buffer): MediaFacts {
  const moov = boxIn(bytes, 'moov');
  if (moov === null) return {};
  return { ...durationOf(moov), ...pictureOf(moov) };
}

/** The first track that has a picture; its matrix says whether it is shown turned by a quarter. */
function pictureOf(moov: Buffer): Partial<Size> {
  for (const track of boxesIn(moov, 'trak')) {
    const header = boxIn(track, 'tkhd');
    if (header === null) continue;
    const matrix = header.readUInt8(0) === 1 ? 52 : 40;
    const [width, height] = [header.readUInt32BE(matrix + 36) >>> 16, header.readUInt32BE(matrix + 40) >>> 16];
    if (width === 0 || height === 0) continue;
    return header.readInt32BE(matrix) === 0 ? { width: height, height: width } : { width, height };
  }
  return {};
}

function durationOf(moov: Buffer): Pick<MediaFacts, 'durationMs'> {
  const header = boxIn(moov, 'mvhd');
  if (header === null) return {};
  const isLong = header.readUInt8(0) === 1;
  const scale = header.readUInt32BE(isLong ? 20 : 12);
  const duration = isLong ? Number(header.readBigUInt64BE(24)) : header.readUInt32BE(16);
  return scale === 0 || duration === 0 ? {} : { durationMs: Math.round((duration / scale) * 1000) };
}

/** @returns what is inside the first box of this type */
function boxIn(bytes: Buffer, type: string): Buffer | null {
  return boxesIn(bytes, type).next().value ?? null;
}

function* boxesIn(bytes: Buffer, type: string): Generator<Buffer, undefined> {
  for (let at = 0; at + 8 <= bytes.length; ) {
    const short = bytes.readUInt32BE(at);
    const isLong = short === 1;
    const size = isLong ? Number(bytes.readBigUInt64BE(at + 8)) : short === 0 ? bytes.length - at : short;
    const head = isLong ? 16 : 8;
    if (size < head) return;
    if (bytes.toString('latin1', at + 4, at + 8) === type) yield bytes.subarray(at + head, at + size);
    at += size;
  }
}
