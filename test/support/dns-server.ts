/** A DNS server on loopback that answers as a test wants. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

/** @returns the name's addresses (AAAA: as 32 hex digits), none when it has none of this type, null when there is no such name; `silence`: nothing is answered */
export type Answers = (name: string, type: 'A' | 'AAAA') => string[] | null | 'silence';

export async function startDnsServer(answer: Answers): Promise<{ address: string; stop(): void }> {
  const socket = createSocket('udp4');
  socket.on('message', (query, from) => {
    let at = 12;
    const labels: string[] = [];
    for (let length = query[at]!; length > 0; length = query[at]!) {
      labels.push(query.subarray(at + 1, at + 1 + length).toString());
      at += length + 1;
    }
    const type = query.readUInt16BE(at + 1) === 28 ? 'AAAA' : 'A';
    const found = answer(labels.join('.'), type);
    if (found === 'silence') return;
    const header = Buffer.from(query.subarray(0, 12));
    header.writeUInt16BE(found === null ? 0x8183 : 0x8180, 2);
    header.writeUInt16BE(found?.length ?? 0, 6);
    header.writeUInt32BE(0, 8);
    const records = (found ?? []).map((address) => {
      const data = type === 'A' ? Buffer.from(address.split('.').map(Number)) : Buffer.from(address, 'hex');
      const record = Buffer.alloc(12);
      record.writeUInt16BE(0xc00c, 0);
      record.writeUInt16BE(type === 'A' ? 1 : 28, 2);
      record.writeUInt16BE(1, 4);
      record.writeUInt16BE(data.length, 10);
      return Buffer.concat([record, data]);
    });
    socket.send(Buffer.concat([header, query.subarray(12, at + 5), ...records]), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { address: `127.0.0.1:${socket.address().port}`, stop: () => void socket.close() };
}
