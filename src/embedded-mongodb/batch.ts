/** A cursor's batch, written as BSON while its documents are found: to encode it all at its end would hold up everybody. */
import { RawBson } from './bson-encode.js';

export interface Batch {
  readonly count: number;
  /** Of the documents themselves. */
  readonly bytes: number;
  add(doc: Buffer): void;
  /** The array of all that was added. */
  close(): RawBson;
}

const FIRST_ROOM = 4096;

export function createBatch(): Batch {
  let out = Buffer.allocUnsafe(FIRST_ROOM);
  let at = 4;
  let count = 0;
  let bytes = 0;
  const room = (wanted: number): void => {
    if (at + wanted <= out.length) return;
    const bigger = Buffer.allocUnsafe(Math.max(2 * out.length, at + wanted));
    out.copy(bigger, 0, 0, at);
    out = bigger;
  };
  return {
    get count() {
      return count;
    },
    get bytes() {
      return bytes;
    },
    add: (doc) => {
      const name = String(count);
      room(name.length + doc.length + 3);
      out[at++] = 3;
      for (let i = 0; i < name.length; i++) out[at++] = name.charCodeAt(i);
      out[at++] = 0;
      out.set(doc, at);
      at += doc.length;
      count++;
      bytes += doc.length;
    },
    close: () => {
      out[at++] = 0;
      out.writeInt32LE(at, 0);
      return new RawBson(out.subarray(0, at), 4);
    },
  };
}
