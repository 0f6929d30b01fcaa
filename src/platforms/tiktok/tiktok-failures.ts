/** Turns TikTok's error codes and reasons for failed processing into typed failures. */
import { z } from 'zod';
import { inWords, rateLimited, rejected, signedOut } from '../failures.js';
import type { NetworkAnswer } from '../network-call.js';
import type { PlatformFailure, PlatformIo } from '../platform.js';

const envelope = z.object({ error: z.object({ code: z.string(), message: z.string().optional() }) });

/** Ayrshare's code for "Too many TikTok posts in the last 24-hours." */
const TOO_MANY_POSTS = 373;

const REFUSALS: Record<string, string> = {
  url_ownership_unverified: "TikTok doesn't fetch videos from this address: its owner isn't verified there. Use a URL of a verified domain.",
  privacy_level_option_mismatch: "TikTok doesn't allow this visibility for this account. Choose another one.",
  unaudited_client_can_only_post_to_private_accounts: 'TikTok lets this app post to private accounts only until it is audited. Make the account private, or use another app.',
  spam_risk_user_banned_from_posting: 'TikTok has banned this account from posting. Sign in at TikTok to see why.',
  reached_active_user_cap: "The app's daily number of users at TikTok is reached. Try again tomorrow.",
};

export function tiktokFailure(answer: NetworkAnswer, io: PlatformIo): PlatformFailure {
  const { code, message } = envelope.safeParse(answer.body).data?.error ?? { code: `HTTP ${answer.status}`, message: undefined };
  const options = { status: answer.status, details: message === undefined || message === '' ? code : `${code}: ${message}` };
  if (code === 'spam_risk_too_many_posts') {
    const retryAt = new Date(io.now().getTime() + 6 * 3600_000);
    return rateLimited(NAME, io, answer, { ...options, code: TOO_MANY_POSTS, retryAt, what: 'TikTok takes no more posts of this account today.' });
  }
  if (answer.status === 429 || code === 'rate_limit_exceeded') return rateLimited(NAME, io, answer, options);
  if (answer.status === 401 || code === 'access_token_invalid' || code === 'scope_not_authorized') return signedOut(NAME, options);
  return rejected(REFUSALS[code] ?? `TikTok refused the post: ${inWords(message === undefined || message === '' ? code : message)} Change it and send it again.`, options);
}

const NAME = 'TikTok';

const FAIL_REASONS: Record<string, string> = {
  file_format_check_failed: "TikTok can't read the video's format. Use MP4 or WebM with H.264.",
  duration_check_failed: "The video is too long or too short for TikTok. Use one of 3 seconds to 10 minutes.",
  frame_rate_check_failed: "TikTok doesn't take this frame rate. Use 23 to 60 frames a second.",
  picture_size_check_failed: "TikTok doesn't take this picture size. Use at least 360 pixels on each side.",
  video_pull_failed: "TikTok couldn't fetch the video from its address. Check that it is public and fast enough.",
  photo_pull_failed: "TikTok couldn't fetch the photo from its address. Check that it is public.",
  publish_cancelled: 'The post was cancelled at TikTok.',
  auth_removed: 'The owner removed the app at TikTok. Connect the channel again and send the post again.',
  spam_risk_too_many_posts: 'TikTok takes no more posts of this account today. Send it again tomorrow.',
  spam_risk_user_banned_from_posting: 'TikTok has banned this account from posting.',
  spam_risk_text: "TikTok's moderation refused the text. Change it and send it again.",
  spam_risk: "TikTok's moderation refused the post.",
};

/** @param reason `fail_reason` of a post whose processing ended as FAILED: it will never become public */
export function processingFailure(reason: string): PlatformFailure {
  return rejected(FAIL_REASONS[reason] ?? `TikTok couldn't process the post (${reason}). Send it again, or use another video.`, { details: reason });
}
