/** A client that sends bytes as it likes: for messages that no driver would send. */
import { connect, type Socket } from 'node:net';
import { deserialize, serialize, type Document } from 'bson';

export interface RawClient {
  socket: Socket;
  send(bytes: Uint8Array): void;
  /** The next answer's document, or null when the connection was closed first. */
  receive(): Promise<Document | null>;
  closed: Promise<void>;
}

/** The bytes of an OP_MSG with one body. */
export function opMsg(body: Document | Uint8Array, flags = 0, requestId = 1): Buffer {
  const doc = body instanceof Uint8Array ? body : serialize(body);
  const out = Buffer.alloc(21 + doc.length);
  out.writeInt32LE(out.length, 0);
  out.writeInt32LE(requestId, 4);
  out.writeInt32LE(2013, 12);
  out.writeUInt32LE(flags >>> 0, 16);
  out.set(doc, 21);
  return out;
}

export function connectRaw(port: number): Promise<RawClient> {
  const socket = connect(port, '127.0.0.1');
  let pending = Buffer.alloc(0);
  let waiting: (() => void) | null = null;
  let ended = false;
  const wake = (): void => {
    waiting?.();
    waiting = null;
  };
  socket.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => socket.on('close', () => {
    ended = true;
    wake();
    resolve();
  }));
  socket.on('data', (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    wake();
  });
  const take = (): Document | null => {
    if (pending.length < 4 || pending.length < pending.readInt32LE(0)) return null;
    const size = pending.readInt32LE(0);
    const message = pending.subarray(0, size);
    pending = pending.subarray(size);
    return deserialize(message.subarray(message.readInt32LE(12) === 1 ? 36 : 21));
  };
  const receive = async (): Promise<Document | null> => {
    for (;;) {
      const found = take();
      if (found || ended) return found;
      await new Promise<void>((resolve) => (waiting = resolve));
    }
  };
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('connect', () => resolve({ socket, send: (bytes) => void socket.write(bytes), receive, closed }));
  });
}
