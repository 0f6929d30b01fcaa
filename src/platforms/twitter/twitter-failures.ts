/** Turns X's errors (problem JSON of v2, `errors[].code` of v1.1) into typed failures. */
import { z } from 'zod';
import { inWords, rateLimited, rejected, signedOut } from '../failures.js';
import type { NetworkAnswer } from '../network-call.js';
import type { PlatformFailure, PlatformIo } from '../platform.js';

const problem = z.object({
  title: z.string().optional(),
  detail: z.string().optional(),
  type: z.string().optional(),
  errors: z.array(z.object({ code: z.number().optional(), message: z.string().optional() }).loose()).optional(),
});

/** Ayrshare's code for "Status is a duplicate." */
const DUPLICATE = 110;
/** Ayrshare's code for a long post without X Premium. */
const TOO_LONG = 111;

export function twitterFailure(answer: NetworkAnswer, io: PlatformIo): PlatformFailure {
  const { title, detail, type, errors } = problem.safeParse(answer.body).data ?? {};
  const codes = new Set(errors?.map((error) => error.code));
  const words = detail ?? errors?.find((error) => error.message !== undefined)?.message ?? title ?? `HTTP ${answer.status}`;
  const options = { status: answer.status, details: words };
  if (answer.status === 429 || codes.has(88)) {
    const isCapped = type?.endsWith('usage-capped') === true;
    return rateLimited('X', io, answer, isCapped ? { ...options, what: "The app's posting quota at X is used up." } : options);
  }
  if (/suspended|locked/i.test(words)) return rejected('X has suspended or locked this account. Sign in at X to see why.', options);
  if (answer.status === 401 || codes.has(89)) return signedOut('X', options);
  if (/duplicate/i.test(words)) return rejected('X already has a post with this text from this account. Change the text and send it again.', { ...options, code: DUPLICATE });
  if (/oauth2-client-not-allowed|unsupported-authentication|not permitted to perform this action/i.test(`${type ?? ''} ${words}`)) {
    return rejected('X doesn\'t let this account do that. Check its permissions at X, then connect the channel again.', options);
  }
  if (/too long|exceeds|over.*limit/i.test(words)) return rejected('The text is too long for this account at X: 280 weighted characters, 25,000 with X Premium. Shorten it and send it again.', { ...options, code: TOO_LONG });
  return rejected(`X refused the post: ${inWords(words)} Change it and send it again.`, options);
}
