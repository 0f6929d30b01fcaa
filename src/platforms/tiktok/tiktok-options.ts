/** `tikTokOptions` as clients send them, and the `post_info` that follows from them. */
import { z } from 'zod';
import type { PlatformContent } from '../platform.js';

export const tiktokOptions = z.object({
  title: z.string().max(90, 'The title must have at most 90 characters.').optional(),
  visibility: z.enum(['public', 'private', 'followers', 'friends']).optional(),
  draft: z.literal(false, 'Signpost publishes to TikTok at once; drafts are not supported yet. Leave this out.').optional(),
  disableComments: z.boolean().optional(),
  disableDuet: z.boolean().optional(),
  disableStitch: z.boolean().optional(),
  isAIGenerated: z.boolean().optional(),
  isBrandedContent: z.boolean().optional(),
  isBrandOrganic: z.boolean().optional(),
  /** Milliseconds into the video. */
  thumbNailOffset: z.number().min(0).optional(),
}).loose();

const PRIVACY = { public: 'PUBLIC_TO_EVERYONE', private: 'SELF_ONLY', followers: 'FOLLOWER_OF_CREATOR', friends: 'MUTUAL_FOLLOW_FRIENDS' } as const;

/** https://developers.tiktok.com/doc/content-posting-api-reference-direct-post */
export function postInfoOf({ text, options }: PlatformContent): Record<string, unknown> {
  const { visibility, disableComments, disableDuet, disableStitch, isAIGenerated, isBrandedContent, isBrandOrganic, thumbNailOffset } = tiktokOptions.parse(options);
  return {
    title: text, privacy_level: PRIVACY[visibility ?? 'public'], disable_duet: disableDuet ?? false, disable_comment: disableComments ?? false, disable_stitch: disableStitch ?? false,
    ...(thumbNailOffset === undefined ? {} : { video_cover_timestamp_ms: thumbNailOffset }), ...(isAIGenerated === undefined ? {} : { is_aigc: isAIGenerated }),
    ...(isBrandedContent === undefined ? {} : { brand_content_toggle: isBrandedContent }), ...(isBrandOrganic === undefined ? {} : { brand_organic_toggle: isBrandOrganic }),
  };
}
