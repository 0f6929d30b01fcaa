/** Bounds how long a page waits for the payment provider; what it says arrives as events too. */
import { AppError, ErrorCode } from '../lib/app-error.js';

const PATIENCE_MS = 3_000;

/** @throws AppError `unavailable` when it takes too long; the call itself goes on */
export async function inTime<T>(call: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new AppError('unavailable', ErrorCode.unavailable, 'The payment provider does not answer right now. Try again in a moment.', { retryAfterS: 30 })), PATIENCE_MS);
  });
  return Promise.race([call, late]).finally(() => clearTimeout(timer));
}
