/** Turns Google's API errors into typed failures: https://cloud.google.com/apis/design/errors and YouTube's older `errors[].reason`. */
import { z } from 'zod';
import { inWords, rateLimited, rejected, signedOut } from '../failures.js';
import type { NetworkAnswer } from '../network-call.js';
import type { PlatformFailure, PlatformIo } from '../platform.js';

const googleError = z.object({
  error: z.object({
    code: z.number().optional(), message: z.string().optional(), status: z.string().optional(),
    errors: z.array(z.object({ reason: z.string().optional(), domain: z.string().optional() })).optional(),
  }),
});

const DAILY = new Set(['quotaExceeded', 'dailyLimitExceeded', 'uploadLimitExceeded']);
const MOMENTARY = new Set(['rateLimitExceeded', 'userRateLimitExceeded']);

const REFUSALS: Record<string, string> = {
  youtubeSignupRequired: 'This Google account has no YouTube channel. Make one at YouTube first.',
  invalidTitle: 'YouTube refused the title. Use 1 to 100 characters without < and >.',
  invalidDescription: 'YouTube refused the description. Use at most 5,000 bytes without < and >.',
  invalidTags: 'YouTube refused the tags. Use at most 500 characters together.',
  invalidCategoryId: "YouTube doesn't know this category. Leave youTubeOptions.categoryId out, or use another one.",
  accountSuspended: 'YouTube has suspended this channel. Sign in at YouTube to see why.',
};

/** @param network `YouTube` or `Google Business Profile` */
export function googleFailure(network: string) {
  return (answer: NetworkAnswer, io: PlatformIo): PlatformFailure => {
    const { message, status, errors } = googleError.safeParse(answer.body).data?.error ?? {};
    const reason = errors?.[0]?.reason ?? '';
    const words = message ?? `HTTP ${answer.status}`;
    const options = { status: answer.status, details: [reason, words].filter((part) => part !== '').join(': ') };
    if (DAILY.has(reason)) return rateLimited(network, io, answer, { ...options, retryAt: nextMidnightPacific(io.now()), what: `${network} takes no more today: the daily quota is used up.` });
    if (answer.status === 429 || MOMENTARY.has(reason) || status === 'RESOURCE_EXHAUSTED') return rateLimited(network, io, answer, options);
    if (/suspended|disabled/i.test(words)) return rejected(`${network} has suspended or disabled this account. Sign in there to see why.`, options);
    if (answer.status === 401 || reason === 'authError' || status === 'UNAUTHENTICATED') return signedOut(network, options);
    const known = REFUSALS[reason];
    if (known !== undefined) return rejected(known, options);
    return rejected(`${network} refused the post: ${inWords(words)} Change it and send it again.`, options);
  };
}

/** Google's daily quotas begin anew at midnight in California. */
function nextMidnightPacific(now: Date): Date {
  const parts = new Intl.DateTimeFormat('en-US', { timeZone: 'America/Los_Angeles', hour: 'numeric', minute: 'numeric', second: 'numeric', hourCycle: 'h23' }).formatToParts(now);
  const part = (type: string): number => Number(parts.find((candidate) => candidate.type === type)?.value ?? 0);
  return new Date(now.getTime() + 86_400_000 - (part('hour') * 3600 + part('minute') * 60 + part('second')) * 1000);
}
