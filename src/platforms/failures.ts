/** The failures that every adapter words the same way. */
import { ErrorCode } from '../lib/app-error.js';
import { type NetworkAnswer, retryAtOf } from './network-call.js';
import { PlatformFailure, type FailureOptions, type PlatformIo } from './platform.js';

export function signedOut(network: string, options: FailureOptions = {}): PlatformFailure {
  return new PlatformFailure('signed-out', `${network} no longer accepts this channel's sign-in. Connect the channel again; posts that wait are sent then.`, {
    code: ErrorCode.platformSignedOut, ...options,
  });
}

/** A limit that opens no earlier is a day's, whatever the network calls it. */
const LONG_MS = 4 * 3600_000;

/** @param what why it takes no more; default: too many requests, or too many of a day when the network opens only hours later */
export function rateLimited(network: string, io: PlatformIo, answer: NetworkAnswer, options: FailureOptions & { what?: string } = {}): PlatformFailure {
  const { what: known, ...rest } = options;
  const retryAt = rest.retryAt ?? retryAtOf(answer.headers, io.now());
  const isLong = retryAt !== undefined && retryAt.getTime() - io.now().getTime() > LONG_MS;
  const what = known ?? (isLong ? `${network} takes no more from this channel today.` : `${network} takes no more from this channel for now.`);
  return new PlatformFailure('rate-limited', `${what} Signpost tries again by itself.`, {
    code: ErrorCode.platformRateLimited, status: answer.status, ...rest, ...(retryAt === undefined ? {} : { retryAt }),
  });
}

/** @param message what happened and what to do */
export function rejected(message: string, options: FailureOptions = {}): PlatformFailure {
  return new PlatformFailure('rejected', message, { code: ErrorCode.platformRejected, ...options });
}

/** The network is there but can't serve; nothing was published. */
export function unreachable(network: string, options: FailureOptions = {}): PlatformFailure {
  return new PlatformFailure('unreachable', `${network} has trouble right now. Nothing was published; Signpost tries again by itself.`, {
    code: ErrorCode.platformUnreachable, ...options,
  });
}

const MOST_WORDS = 300;

/** The network's own words, which may be in any language, marked as such and as the end of a sentence of ours. */
export function inWords(words: string): string {
  const trimmed = words.trim().replace(/\s+/g, ' ').replace(/\.$/, '');
  return `“${trimmed.length > MOST_WORDS ? `${trimmed.slice(0, MOST_WORDS)}…` : trimmed}”.`;
}
