/** Turns the errors of Meta's Graph API into typed failures: https://developers.facebook.com/docs/graph-api/guides/error-handling */
import { z } from 'zod';
import { ErrorCode } from '../../lib/app-error.js';
import { inWords, rateLimited, rejected, signedOut, unreachable } from '../failures.js';
import type { NetworkAnswer } from '../network-call.js';
import { PlatformFailure, type PlatformIo } from '../platform.js';

const graphError = z.object({
  error: z.object({
    message: z.string().optional(), code: z.number().optional(), error_subcode: z.number().optional(), is_transient: z.boolean().optional(),
    error_user_title: z.string().optional(), error_user_msg: z.string().optional(), fbtrace_id: z.string().optional(),
  }),
});

const HOUR_MS = 3600_000;

/** Too many calls: of the app (4), of the user (17), of a page (32), of a custom limit (613), of a business (80001 to 80014). */
const RATE_CODES = new Set([4, 17, 32, 613, 80001, 80002, 80005, 80006]);

/** Why the token died, by subcode. */
const SIGNED_OUT_WORDS: Record<number, string> = {
  458: 'The app was removed from the account.',
  459: 'The account has to pass a check by the network first.',
  460: "The account's password was changed.",
  464: "The account isn't confirmed yet.",
  492: "The account lost its role on the page, or two-factor sign-in is required.",
};

/** Refusals of media, by subcode; from Meta's documentation of content publishing and what users report. */
const MEDIA_WORDS: Record<number, string> = {
  2207052: "could not fetch a media file from its address. Check that it is public and that it's a JPEG, or an MP4 or MOV video.",
  2207003: 'took too long to fetch a media file. Use a faster address or a smaller file.',
  2207004: 'says that an image is too large. Use one of at most 8 MB.',
  2207005: "doesn't take this image format. Use JPEG.",
  2207009: "doesn't take this shape of image. Use one between 4:5 and 1.91:1.",
  2207010: 'says that the text is too long. Shorten it.',
  2207026: "doesn't take this video format. Use MP4 or MOV with H.264.",
  2207040: 'says that there are too many tags. Use fewer hashtags and mentions.',
};

/** The account's daily number of posts is reached. */
const DAILY_LIMIT = 2207042;
const BLOCKED_FOR_NOW = new Set([368, 1390008]);
const DUPLICATE_CODES = new Set([506, 1366051]);
/** Ayrshare's code for an identical status. */
const DUPLICATE = 107;

/**
 * @param network its name for messages
 * @param effect `create` when the refused call publishes: a passing fault may then mean that it was accepted
 */
export function graphFailure(network: string, effect: 'create' | 'read') {
  return (answer: NetworkAnswer, io: PlatformIo): PlatformFailure => {
    const error = graphError.safeParse(answer.body).data?.error ?? {};
    const { code = 0, error_subcode: subcode = 0 } = error;
    const words = error.error_user_msg ?? error.message ?? `HTTP ${answer.status}`;
    const options = { status: answer.status, details: `${words} (code ${code}${subcode === 0 ? '' : `, ${subcode}`}${error.fbtrace_id === undefined ? '' : `, trace ${error.fbtrace_id}`})` };
    const later = (ms: number, what: string): PlatformFailure => rateLimited(network, io, answer, { ...options, what, retryAt: new Date(io.now().getTime() + ms) });
    if (code === 190 || code === 102) {
      const why = SIGNED_OUT_WORDS[subcode];
      const failure = signedOut(network, options);
      return why === undefined ? failure : new PlatformFailure('signed-out', `${why} ${failure.message}`, failure.options);
    }
    if (subcode === DAILY_LIMIT) return later(6 * HOUR_MS, `${network} takes no more posts of this account today.`);
    if (answer.status === 429 || RATE_CODES.has(code)) return rateLimited(network, io, answer, { ...options, retryAt: new Date(io.now().getTime() + (waitMsOf(answer.headers) ?? HOUR_MS / 4)) });
    if (/suspended|disabled/i.test(error.message ?? '')) return rejected(`${network} has suspended or disabled this account. Sign in at ${network} to see why.`, options);
    if (BLOCKED_FOR_NOW.has(code) || BLOCKED_FOR_NOW.has(subcode) || subcode === 2207051) return later(HOUR_MS, `${network} has blocked posting from this account for a while, because it looked too fast or like spam.`);
    if (DUPLICATE_CODES.has(code) || DUPLICATE_CODES.has(subcode)) return rejected(`${network} already has this post from this account. Change it and send it again.`, { ...options, code: DUPLICATE });
    const media = MEDIA_WORDS[subcode];
    if (media !== undefined) return rejected(`${network} ${media}`, options);
    if (code === 1 || code === 2 || error.is_transient === true) return effect === 'create' ? unclear(network, options) : unreachable(network, options);
    if (code === 10 || (code >= 200 && code < 300)) return rejected(`${network} doesn't let this account do that: ${inWords(words)} Check its permissions, then connect the channel again.`, options);
    return rejected(`${network} refused the post: ${inWords(words)} Change it and send it again.`, options);
  };
}

const usage = z.record(z.string(), z.array(z.object({ estimated_time_to_regain_access: z.number().optional() })));

/** Minutes until calls are taken again: https://developers.facebook.com/docs/graph-api/overview/rate-limiting#headers-2 */
function waitMsOf(headers: Record<string, string>): number | undefined {
  try {
    const found = usage.parse(JSON.parse(headers['x-business-use-case-usage'] ?? ''));
    const minutes = Math.max(...Object.values(found).flat().map((entry) => entry.estimated_time_to_regain_access ?? 0));
    return minutes > 0 ? minutes * 60_000 : undefined;
  } catch {
    return undefined;
  }
}

function unclear(network: string, options: { status: number; details: string }): PlatformFailure {
  return new PlatformFailure('unknown', `${network} had a passing fault, so the post may or may not be public. Look at the profile before you send it again.`, {
    code: ErrorCode.outcomeUnknown, ...options,
  });
}
