/** Slows down whoever guesses passwords; counted in MongoDB, so that every process sees the same counts. */
import { isIPv6 } from 'node:net';
import type { MongoClient } from 'mongodb';
import { RateLimiterMongo, RateLimiterRes } from 'rate-limiter-flexible';
import type { CollectionIndexes } from '../db/database.js';
import { AppError, ErrorCode } from '../lib/app-error.js';
import { normalizeEmail } from './account.js';

const COLLECTION = 'loginLimits';
const WINDOW_S = 15 * 60;
const PER_EMAIL_AND_IP = 10;
const PER_IP = 100;
const SIGN_UPS_PER_IP = 20;

export const loginLimitIndexes: CollectionIndexes[] = [
  { collection: COLLECTION, indexes: [{ key: { expire: -1 }, name: 'loginLimits_expire', expireAfterSeconds: 0 }, { key: { key: 1 }, name: 'loginLimits_key', unique: true }] },
];

export interface LoginLimit {
  /** Counts one try before the password is looked at, so that tries at the same moment count too. @throws AppError `too-many` */
  count(email: string, ip: string): Promise<void>;
  /** A right password: this email's count starts anew. */
  forgive(email: string, ip: string): Promise<void>;
  /** Counts one sign-up: each costs a password hash and a few documents. @throws AppError `too-many` */
  countSignUp(ip: string): Promise<void>;
}

export function createLoginLimit(client: MongoClient, dbName: string): LoginLimit {
  const shared = { storeClient: client, dbName, tableName: COLLECTION, disableIndexesCreation: true, duration: WINDOW_S };
  const perEmail = new RateLimiterMongo({ ...shared, keyPrefix: 'email', points: PER_EMAIL_AND_IP });
  const perIp = new RateLimiterMongo({ ...shared, keyPrefix: 'ip', points: PER_IP });
  const signUps = new RateLimiterMongo({ ...shared, keyPrefix: 'sign-up', points: SIGN_UPS_PER_IP });
  const emailKey = (email: string, ip: string): string => `${networkOf(ip)} ${normalizeEmail(email)}`;
  return {
    async count(email, ip) {
      await consume(perIp, networkOf(ip), 'sign-in attempts');
      await consume(perEmail, emailKey(email, ip), 'sign-in attempts');
    },
    async forgive(email, ip) {
      await Promise.all([perEmail.delete(emailKey(email, ip)), perIp.reward(networkOf(ip), 1)]);
    },
    countSignUp: (ip) => consume(signUps, networkOf(ip), 'sign-ups from your network'),
  };
}

async function consume(limiter: RateLimiterMongo, key: string, what: string): Promise<void> {
  try {
    await limiter.consume(key);
  } catch (error) {
    if (!(error instanceof RateLimiterRes)) throw error;
    const retryAfterS = Math.max(1, Math.ceil(error.msBeforeNext / 1000));
    const minutes = Math.ceil(retryAfterS / 60);
    const message = `Too many ${what}. Try again in ${minutes === 1 ? 'a minute' : `${minutes} minutes`}.`;
    throw new AppError('too-many', ErrorCode.tooMany, message, { retryAfterS });
  }
}

/** A home or a server has a whole IPv6 /64 to itself: it counts as one. */
function networkOf(ip: string): string {
  const bare = ip.replace(/^::ffff:(?=\d+\.)/i, '');
  if (!isIPv6(bare)) return bare;
  const [head = '', tail] = bare.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros: string[] = tail === undefined ? [] : Array.from({ length: 8 - left.length - right.length }, () => '0');
  return [...left, ...zeros, ...right].slice(0, 4).map((part) => part.toLowerCase()).join(':');
}
