/** Mails about endpoints that fail: written down once, then sent; what can't be sent is tried again for a day. */
import type { Collection, Db } from 'mongodb';
import { isDuplicateKey, type CollectionIndexes } from '../db/database.js';
import type { Clock } from '../lib/clock.js';
import { newToken } from '../lib/ids.js';
import type { Logger } from '../lib/logger.js';
import type { Mailer } from '../lib/mailer.js';
import type { Endpoint } from './endpoint.js';
import type { EventInput } from './event.js';

/** A mail on its way. `dueAt` exists until it is sent or given up. */
interface NoticeDoc {
  /** Follows from what it tells, so that it is told once. */
  _id: string;
  accountId: string;
  endpointId: string;
  subject: string;
  text: string;
  createdAt: Date;
  dueAt?: Date;
  tries: number;
  sentAt?: Date;
}

export const noticeIndexes: CollectionIndexes[] = [
  { collection: 'webhook_notices', indexes: [{ key: { dueAt: 1 }, name: 'due', sparse: true }, { key: { createdAt: 1 }, name: 'retention', expireAfterSeconds: 30 * 24 * 3_600 }] },
];

export interface NoticeDeps {
  db: Db;
  /** Null: there is no mail, and nothing is written down. */
  mailer: Mailer | null;
  mailOf(accountId: string): Promise<string | null>;
  publicUrl(): string;
  clock: Clock;
  log: Logger;
}

export interface Notices {
  /** An endpoint has failed for this many days; told once for each. */
  warn(endpoint: Endpoint, days: number): Promise<void>;
  /** Endpoints were turned off; told once for each event. */
  disabled(events: readonly EventInput[]): Promise<void>;
  /** Sends what is due. */
  sweep(): Promise<void>;
}

const LEASE_MS = 60_000;
const WAITS_MS = [60_000, 10 * 60_000, 3_600_000, 6 * 3_600_000, 17 * 3_600_000];

export function createNotices({ db, mailer, mailOf, publicUrl, clock, log }: NoticeDeps): Notices {
  const notices: Collection<NoticeDoc> = db.collection<NoticeDoc>('webhook_notices');

  async function write(notice: Pick<NoticeDoc, '_id' | 'accountId' | 'endpointId' | 'subject' | 'text'>): Promise<void> {
    if (mailer === null) return;
    const now = clock.now();
    await notices.insertOne({ ...notice, createdAt: now, dueAt: now, tries: 0 }).catch((error: unknown) => {
      if (!isDuplicateKey(error)) throw error;
    });
  }

  const pageOf = (endpointId: string): string => `${publicUrl()}/webhooks/${endpointId}`;

  /** Leases it by moving its time, so that a process that dies while it sends costs a delay, and two don't send it both. */
  async function claim(): Promise<NoticeDoc | null> {
    const now = clock.now();
    return notices.findOneAndUpdate({ dueAt: { $lte: now } }, { $set: { dueAt: new Date(now.getTime() + LEASE_MS) }, $inc: { tries: 1 } }, { sort: { dueAt: 1 }, returnDocument: 'after' });
  }

  async function send({ _id, accountId, endpointId, subject, text, tries }: NoticeDoc, by: Mailer): Promise<void> {
    try {
      const to = await mailOf(accountId);
      if (to !== null) await by.send({ to, subject, text, id: `${_id.replace(/[^A-Za-z0-9]/g, '')}.${newToken(6)}` });
      await notices.updateOne({ _id }, { $set: { sentAt: clock.now() }, $unset: { dueAt: '' } });
    } catch (error) {
      const waitMs = WAITS_MS[tries - 1];
      log.warn({ err: error, endpointId, again: waitMs !== undefined }, 'a mail about an endpoint could not be sent');
      await notices.updateOne({ _id }, waitMs === undefined ? { $unset: { dueAt: '' } } : { $set: { dueAt: new Date(clock.now().getTime() + waitMs) } });
    }
  }

  return {
    async warn(endpoint, days) {
      const since = endpoint.failingSince ?? clock.now();
      await write({ _id: `${endpoint.id}-${since.getTime()}-${days}`, accountId: endpoint.accountId, endpointId: endpoint.id, ...warning(endpoint, since, days, pageOf(endpoint.id)) });
    },
    async disabled(events) {
      for (const event of events) {
        if (event.type !== 'endpoint.disabled') continue;
        const { endpointId, url, reason } = event.data;
        await write({ _id: event.id, accountId: event.accountId, endpointId, ...turnedOff(url, reason, pageOf(endpointId)) });
      }
    },
    async sweep() {
      if (mailer === null) return;
      for (let notice = await claim(); notice !== null; notice = await claim()) await send(notice, mailer);
    },
  };
}

function warning({ name, url, lastAttempt }: Endpoint, since: Date, days: number, page: string): Pick<NoticeDoc, 'subject' | 'text'> {
  return {
    subject: `Webhooks to ${hostOf(url)} have failed for ${days === 1 ? 'a day' : `${days} days`}`,
    text: [
      `Every webhook to this endpoint has failed since ${since.toISOString()}:`, '', ...(name === '' ? [] : [name]), url, '', `Last answer: ${lastAttempt?.error ?? 'none'}`, '',
      'What failed is tried again for about 76 hours after it happened. After 5 days of nothing but failure Signpost turns the endpoint off;',
      'what happens from then on is kept in the log and can be sent when it works again.', '', `See what happened, or change the endpoint: ${page}`,
    ].join('\n'),
  };
}

function turnedOff(url: string, reason: string, page: string): Pick<NoticeDoc, 'subject' | 'text'> {
  return {
    subject: `Webhooks to ${hostOf(url)} were turned off`,
    text: [
      'Signpost turned this endpoint off:', '', url, '', reason, '',
      'What happens meanwhile is kept in the log. When your receiver works again, turn the endpoint on and send what it missed:', page,
    ].join('\n'),
  };
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : 'your endpoint';
}
