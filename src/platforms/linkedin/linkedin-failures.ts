/** Turns LinkedIn's errors (`{"status","code","message"}`) into typed failures. */
import { z } from 'zod';
import { inWords, rateLimited, rejected, signedOut } from '../failures.js';
import type { NetworkAnswer } from '../network-call.js';
import type { PlatformFailure, PlatformIo } from '../platform.js';

const linkedinError = z.object({ code: z.string().optional(), message: z.string().optional(), serviceErrorCode: z.number().optional() });

/** Ayrshare's code for "Status is a duplicate." */
const DUPLICATE = 110;

export function linkedinFailure(answer: NetworkAnswer, io: PlatformIo): PlatformFailure {
  const { code, message } = linkedinError.safeParse(answer.body).data ?? {};
  const words = message ?? `HTTP ${answer.status}`;
  const options = { status: answer.status, details: code === undefined ? words : `${code}: ${words}` };
  // Its quotas are counted per day from midnight UTC: https://learn.microsoft.com/linkedin/shared/api-guide/concepts/rate-limits
  if (answer.status === 429 && /\bDAY\b|daily/i.test(words)) return rateLimited('LinkedIn', io, answer, { ...options, retryAt: nextMidnightUtc(io.now()), what: 'LinkedIn takes no more posts of this account today.' });
  if (answer.status === 429) return rateLimited('LinkedIn', io, answer, options);
  if (answer.status === 426) return rejected('LinkedIn no longer takes the version of its API that this Signpost speaks. Ask its operator for a newer Signpost.', options);
  if (/restricted/i.test(words)) return rejected('LinkedIn has restricted this member. Sign in at LinkedIn to see why.', options);
  if (answer.status === 401 || code === 'REVOKED_ACCESS_TOKEN' || code === 'EXPIRED_ACCESS_TOKEN') return signedOut('LinkedIn', options);
  if (/duplicate/i.test(words)) {
    const urn = /urn:li:\w+:\d+/.exec(words)?.[0];
    return rejected(`LinkedIn already has this post from this account${urn === undefined ? '' : ` (${urn})`}. Change the text and send it again.`, { ...options, code: DUPLICATE });
  }
  if (answer.status === 403) return rejected(`LinkedIn doesn't let this account do that: ${inWords(words)} Connect the channel again and allow posting.`, options);
  return rejected(`LinkedIn refused the post: ${inWords(words)} Change it and send it again.`, options);
}

function nextMidnightUtc(now: Date): Date {
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate() + 1));
}
