/** A server that speaks just enough of the wire protocol for the driver and stores nothing: the ceiling for the embedded one. */
import { createServer } from 'node:net';
import { deserialize, serialize, type Document } from 'bson';

function answer(command: Document): Document {
  const name = Object.keys(command)[0]!;
  if (name === 'hello' || name === 'ismaster' || name === 'isMaster') {
    return { isWritablePrimary: true, ismaster: true, helloOk: true, maxBsonObjectSize: 16777216, maxMessageSizeBytes: 48000000, maxWriteBatchSize: 100000, localTime: new Date(), logicalSessionTimeoutMinutes: 30, minWireVersion: 0, maxWireVersion: 21, ok: 1 };
  }
  if (name === 'findAndModify') return { lastErrorObject: { n: 1, updatedExisting: true }, value: { _id: 1, state: 'claimed', dueAt: new Date(), by: 'x' }, ok: 1 };
  return { n: 1, nModified: 1, ok: 1 };
}

function reply(message: Buffer): Buffer {
  const query = message.readInt32LE(12) === 2004;
  const start = query ? message.indexOf(0, 20) + 9 : 21;
  const body = serialize(answer(deserialize(message.subarray(start, start + message.readInt32LE(start)))));
  const lead = query ? 20 : 5;
  const out = Buffer.alloc(16 + lead + body.length);
  out.writeInt32LE(out.length, 0);
  out.writeInt32LE(message.readInt32LE(4), 8);
  out.writeInt32LE(query ? 1 : 2013, 12);
  if (query) out.writeInt32LE(1, 16 + 16);
  out.set(body, 16 + lead);
  return out;
}

const server = createServer((socket) => {
  let pending = Buffer.alloc(0);
  socket.setNoDelay(true);
  socket.on('error', () => undefined);
  socket.on('data', (chunk) => {
    pending = pending.length > 0 ? Buffer.concat([pending, chunk]) : chunk;
    while (pending.length >= 16 && pending.length >= pending.readInt32LE(0)) {
      const size = pending.readInt32LE(0);
      socket.write(reply(pending.subarray(0, size)));
      pending = pending.subarray(size);
    }
  });
});
server.listen(0, '127.0.0.1', () => process.send!({ port: (server.address() as { port: number }).port }));
process.on('disconnect', () => process.exit(0));
