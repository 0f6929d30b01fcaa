/** MongoDB's wire protocol: reads OP_MSG (and OP_QUERY for a first handshake) and writes the answers. */
import { decode, decodeWithRawArray, doubleValue, type Doc } from './bson-decode.js';
import { encode } from './bson-encode.js';
import { crc32c } from './checksum.js';
import { CommandError } from './command-error.js';

export const MAX_MESSAGE_BYTES = 48_000_000;
const OP_REPLY = 1;
const OP_QUERY = 2004;
const OP_MSG = 2013;
const CHECKSUM_PRESENT = 1;
const MORE_TO_COME = 2;
const HEADER_BYTES = 16;

export interface Message {
  requestId: number;
  opcode: 'msg' | 'query';
  body: Doc;
  /** Document sequences (and the array `documents` of an insert) as raw BSON. */
  sequences: Map<string, Buffer[]>;
  /** The sender wants no answer. */
  silent: boolean;
  db: string;
}

/** The size of the next message, 0 when its header isn't complete. @throws CommandError when it is no size. */
export function messageSize(buffer: Buffer): number {
  if (buffer.length < 4) return 0;
  const size = buffer.readInt32LE(0);
  if (size < HEADER_BYTES || size > MAX_MESSAGE_BYTES) throw new CommandError(17, `a message claims ${size} bytes`);
  return size;
}

/** Parses one whole message. @throws CommandError when it is malformed; the connection is then closed. */
export function parseMessage(message: Buffer): Message {
  const requestId = message.readInt32LE(4);
  const opcode = message.readInt32LE(12);
  if (opcode === OP_MSG) return parseMsg(message, requestId);
  if (opcode === OP_QUERY) return parseQuery(message, requestId);
  throw new CommandError(17, `opcode ${opcode} is not supported`);
}

function parseMsg(message: Buffer, requestId: number): Message {
  if (message.length < HEADER_BYTES + 4 + 1 + 5) throw new CommandError(17, 'a message is too short');
  const flags = message.readUInt32LE(HEADER_BYTES);
  if ((flags & 0xffff & ~(CHECKSUM_PRESENT | MORE_TO_COME)) !== 0) throw new CommandError(17, `unknown required flag bits ${flags}`);
  const end = message.length - (flags & CHECKSUM_PRESENT ? 4 : 0);
  if (end !== message.length && crc32c(message.subarray(0, end)) !== message.readUInt32LE(end)) throw new CommandError(17, 'OP_MSG checksum does not match contents');
  const sequences = new Map<string, Buffer[]>();
  let body: Doc | null = null;
  let pos = HEADER_BYTES + 4;
  while (pos < end) {
    const kind = message[pos++];
    if (pos + 5 > end) throw new CommandError(17, 'a section is cut short');
    const size = message.readInt32LE(pos);
    if (size < 5 || pos + size > end) throw new CommandError(17, `a section claims ${size} bytes`);
    if (kind === 0) {
      if (body) throw new CommandError(17, 'a message has two bodies');
      body = decodeWithRawArray(message, pos, pos + size, 'documents');
    } else if (kind === 1) readSequence(message, pos, pos + size, sequences);
    else throw new CommandError(17, `section kind ${kind} is not known`);
    pos += size;
  }
  if (!body) throw new CommandError(17, 'a message has no body');
  const listed = body['documents'];
  if (Array.isArray(listed) && listed.every(Buffer.isBuffer)) {
    if (sequences.has('documents')) throw new CommandError(17, 'documents are given twice');
    sequences.set('documents', listed);
  }
  const db = body['$db'];
  if (typeof db !== 'string') throw new CommandError(40571, 'OP_MSG requests require a $db argument');
  return { requestId, opcode: 'msg', body, sequences, silent: (flags & MORE_TO_COME) !== 0, db };
}

function readSequence(message: Buffer, start: number, end: number, into: Map<string, Buffer[]>): void {
  let pos = start + 4;
  const nameStart = pos;
  while (pos < end && message[pos] !== 0) pos++;
  if (pos >= end) throw new CommandError(17, 'a document sequence has no name');
  const name = message.toString('utf8', nameStart, pos++);
  const docs: Buffer[] = [];
  while (pos < end) {
    if (pos + 5 > end) throw new CommandError(17, 'a document is cut short');
    const size = message.readInt32LE(pos);
    if (size < 5 || pos + size > end) throw new CommandError(17, `a document claims ${size} bytes`);
    docs.push(message.subarray(pos, pos + size));
    pos += size;
  }
  if (into.has(name)) throw new CommandError(17, `the document sequence ${name} comes twice`);
  into.set(name, docs);
}

function parseQuery(message: Buffer, requestId: number): Message {
  if (message.length < HEADER_BYTES + 4 + 2 + 8 + 5) throw new CommandError(17, 'a query is too short');
  let pos = HEADER_BYTES + 4;
  const start = pos;
  while (pos < message.length && message[pos] !== 0) pos++;
  const namespace = message.toString('utf8', start, pos);
  pos += 1 + 8;
  if (!namespace.endsWith('.$cmd')) throw new CommandError(352, 'Unsupported OP_QUERY command. The client driver may require an upgrade.');
  if (pos + 5 > message.length) throw new CommandError(17, 'a query is too short');
  const query = decode(message, pos);
  const body = (query['$query'] as Doc | undefined) ?? query;
  return { requestId, opcode: 'query', body, sequences: new Map(), silent: false, db: namespace.slice(0, -5) };
}

let nextRequestId = 1;

/** The bytes that answer a message with a document. */
export function replyTo(message: Pick<Message, 'requestId' | 'opcode'>, doc: Doc): Buffer {
  // A double, as MongoDB has it: some clients look at the type.
  if (typeof doc['ok'] === 'number') doc['ok'] = doubleValue(doc['ok']);
  const body = encode(doc);
  const lead = message.opcode === 'msg' ? 5 : 20;
  const reply = Buffer.allocUnsafe(HEADER_BYTES + lead + body.length);
  nextRequestId = (nextRequestId + 1) & 0x7fffffff;
  reply.writeInt32LE(reply.length, 0);
  reply.writeInt32LE(nextRequestId, 4);
  reply.writeInt32LE(message.requestId, 8);
  reply.writeInt32LE(message.opcode === 'msg' ? OP_MSG : OP_REPLY, 12);
  reply.fill(0, HEADER_BYTES, HEADER_BYTES + lead);
  if (message.opcode === 'query') {
    reply.writeInt32LE(8, HEADER_BYTES);
    reply.writeInt32LE(1, HEADER_BYTES + 16);
  }
  body.copy(reply, HEADER_BYTES + lead);
  return reply;
}
