/** One client's socket: cuts its bytes into messages, runs them one at a time, and never buffers more than it should. */
import type { Socket } from 'node:net';
import type { Doc } from './bson-decode.js';
import { CommandError } from './command-error.js';
import { messageSize, parseMessage, replyTo, type Message } from './wire.js';

export interface Traffic {
  /** Bytes of half-received messages and of answers not yet taken, over all connections. */
  buffered: number;
}

export interface ConnectionOptions {
  id: number;
  handle: (message: Message, connectionId: number) => Promise<Doc>;
  traffic: Traffic;
  onClose: () => void;
}

const MAX_BUFFERED_BYTES = 256 * 1024 * 1024;
const STALLED_MS = 30_000;

/** An answer that is too large to encode becomes an error. */
function replyBytes(message: Message, doc: Doc): Buffer {
  try {
    return replyTo(message, doc);
  } catch (error) {
    const { message: errmsg, code, codeName } = error instanceof CommandError ? error : new CommandError(1, String(error));
    return replyTo(message, { ok: 0, errmsg, code, codeName });
  }
}

/** Serves a socket until either side closes it; a malformed message closes it at once. */
export function serveConnection(socket: Socket, options: ConnectionOptions): void {
  const { traffic } = options;
  let chunks: Buffer[] = [];
  let received = 0;
  let wanted = 0;
  let busy = false;
  let closed = false;
  socket.setNoDelay(true);
  socket.setTimeout(0);

  const account = (bytes: number): void => {
    received += bytes;
    traffic.buffered += bytes;
  };

  const close = (): void => {
    if (closed) return;
    closed = true;
    traffic.buffered -= received;
    received = 0;
    chunks = [];
    socket.destroy();
    options.onClose();
  };

  /** The next whole message, or null when more bytes are needed. */
  const takeMessage = (): Buffer | null => {
    if (wanted === 0) {
      if (received < 16) return null;
      if (chunks[0]!.length < 4) chunks = [Buffer.concat(chunks)];
      wanted = messageSize(chunks[0]!);
    }
    if (received < wanted) return null;
    const whole = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
    const message = whole.subarray(0, wanted);
    const rest = whole.subarray(wanted);
    chunks = rest.length > 0 ? [rest] : [];
    account(-wanted);
    wanted = 0;
    return message;
  };

  const pump = (): void => {
    if (busy || closed) return;
    let message: Message;
    try {
      const bytes = takeMessage();
      if (!bytes) {
        socket.resume();
        return;
      }
      message = parseMessage(bytes);
    } catch (error) {
      refuse(error);
      return;
    }
    busy = true;
    if (received > 1024 * 1024) socket.pause();
    void options.handle(message, options.id).then((doc) => answer(message, doc));
  };

  const refuse = (error: unknown): void => {
    if (!(error instanceof CommandError)) return close();
    socket.end(replyTo({ requestId: 0, opcode: 'msg' }, { ok: 0, errmsg: error.message, code: error.code, codeName: error.codeName }), close);
  };

  const answer = (message: Message, doc: Doc): void => {
    if (closed) return;
    if (message.silent) return next();
    const bytes = replyBytes(message, doc);
    if (socket.write(bytes)) return next();
    waitForReader(bytes.length);
  };

  const next = (): void => {
    busy = false;
    pump();
  };

  /** The client reads slowly: nothing more is read from it until it has taken its answer. */
  const waitForReader = (bytes: number): void => {
    traffic.buffered += bytes;
    socket.pause();
    const drained = (): void => {
      clearTimeout(timer);
      socket.off('drain', drained);
      socket.off('close', drained);
      traffic.buffered -= bytes;
      next();
    };
    const timer = setTimeout(() => {
      if (traffic.buffered > MAX_BUFFERED_BYTES / 4) close();
    }, STALLED_MS);
    timer.unref();
    socket.once('drain', drained);
    socket.once('close', drained);
  };

  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    account(chunk.length);
    if (traffic.buffered > MAX_BUFFERED_BYTES && received > 1024 * 1024) return close();
    if (busy && received > 1024 * 1024) socket.pause();
    pump();
  });
  socket.on('error', close);
  socket.on('close', close);
}
