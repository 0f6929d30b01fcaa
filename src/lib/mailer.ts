/** Sends mail through the operator's SMTP server; plain text only. */
import { createTransport } from 'nodemailer';

export interface Mail {
  to: string;
  subject: string;
  text: string;
  /** Ends up in Message-ID, so that a mail that is sent twice can be told from two. */
  id: string;
}

export interface Mailer {
  /** @throws Error when the server can't be reached or doesn't take it */
  send(mail: Mail): Promise<void>;
  stop(): void;
}

const PATIENCE_MS = 10_000;

/**
 * @param smtpUrl e.g. `smtps://user:password@mail.example.com`
 * @param from e.g. `Signpost <signpost@example.com>`
 */
export function createMailer(smtpUrl: string, from: string): Mailer {
  const domain = /@([^\s@<>]+)>?$/.exec(from)?.[1] ?? 'localhost';
  const transport = createTransport(
    { url: smtpUrl, connectionTimeout: PATIENCE_MS, greetingTimeout: PATIENCE_MS, socketTimeout: PATIENCE_MS, disableFileAccess: true, disableUrlAccess: true },
    { from },
  );
  return {
    async send({ to, subject, text, id }) {
      // As an object the address is taken as it is, and never as a list.
      await transport.sendMail({ to: { name: '', address: to }, subject, text, messageId: `<${id}@${domain}>`, headers: { 'Auto-Submitted': 'auto-generated' } });
    },
    stop: () => transport.close(),
  };
}
