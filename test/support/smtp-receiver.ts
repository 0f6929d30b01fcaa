/** A local SMTP server that keeps what it is sent, and can refuse. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

export interface ReceivedMail {
  from: string;
  to: string[];
  /** Headers and body as they came. */
  raw: string;
}

export interface SmtpReceiver {
  url: string;
  mails: readonly ReceivedMail[];
  /** From now on it answers every recipient with this code; null: it takes everything. */
  refuseWith(code: number | null): void;
  stop(): Promise<void>;
}

export async function startSmtpReceiver(): Promise<SmtpReceiver> {
  const mails: ReceivedMail[] = [];
  const sockets = new Set<Socket>();
  let refusal: number | null = null;

  const server = createServer((socket) => {
    sockets.add(socket.setEncoding('utf8').on('error', () => undefined));
    let pending = '';
    let mail: ReceivedMail = { from: '', to: [], raw: '' };
    let inData = false;
    const say = (line: string) => socket.write(`${line}\r\n`);
    const addressIn = (line: string) => /<([^>]*)>/.exec(line)?.[1] ?? '';

    function take(line: string): void {
      if (inData) {
        if (line !== '.') mail.raw += `${line.replace(/^\.\./, '.')}\n`;
        else {
          inData = false;
          mails.push(mail);
          mail = { from: '', to: [], raw: '' };
          say('250 kept');
        }
        return;
      }
      const verb = line.slice(0, 4).toUpperCase();
      if (verb === 'MAIL') mail.from = addressIn(line);
      if (verb === 'RCPT' && refusal !== null) return void say(`${refusal} not now`);
      if (verb === 'RCPT') mail.to.push(addressIn(line));
      if (verb === 'DATA') {
        inData = true;
        return void say('354 go on');
      }
      if (verb === 'QUIT') return void socket.end('221 bye\r\n');
      say('250 fine');
    }

    socket.on('data', (chunk: string) => {
      const lines = (pending + chunk).split('\r\n');
      pending = lines.pop() ?? '';
      for (const line of lines) take(line);
    });
    say('220 test');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`,
    mails,
    refuseWith: (code) => void (refusal = code),
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
