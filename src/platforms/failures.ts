/** The failures that every adapter words the same way. */
import { ErrorCode } from '../lib/app-error.js';
import { type NetworkAnswer, retryAtOf } from './network-call.js';
import { PlatformFailure, type FailureOptions, type PlatformIo } from './platform.js';

export function signedOut(network: string, options: FailureOptions = {}): PlatformFailure {
  return new PlatformFailure('signed-out', `${network} no longer accepts this channel's sign-in. Connect the channel again; posts that wait are sent then.`, {
    code: ErrorCode.platformSignedOut, ...options,
  });
}

/** @param what why it takes no more; default: too many requests */
export function rateLimited(network: string, io: PlatformIo, answer: NetworkAnswer, options: FailureOptions & { what?: string } = {}): PlatformFailure {
  const { what = `${network} takes no more requests from this channel for now.`, ...rest } = options;
  const retryAt = rest.retryAt ?? retryAtOf(answer.headers, io.now());
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

/** The network's own words as a sentence of ours: with one full stop at its end. */
export function inWords(words: string): string {
  const trimmed = words.trim();
  return /[.!?…]$/.test(trimmed) ? trimmed : `${trimmed}.`;
}
