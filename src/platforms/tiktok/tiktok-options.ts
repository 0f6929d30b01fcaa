/** `tikTokOptions` as clients send them, and the requests that follow from them. */
import { z } from 'zod';
import type { PlatformContent } from '../platform.js';
import { unspoken } from '../unspoken.js';

export const tiktokOptions = z.object({
  title: z.string().max(90, 'The title must have at most 90 characters.').optional(),
  visibility: z.enum(['public', 'private', 'followers', 'friends']).optional(),
  draft: z.literal(false, 'Signpost publishes to TikTok at once; drafts are not supported yet. Leave this out.').optional(),
  autoAddMusic: z.boolean().optional(),
  disableComments: z.boolean().optional(),
  disableDuet: z.boolean().optional(),
  disableStitch: z.boolean().optional(),
  isAIGenerated: z.boolean().optional(),
  isBrandedContent: z.boolean().optional(),
  isBrandOrganic: z.boolean().optional(),
  thumbNail: unspoken("TikTok takes no image as a cover from other programs. Leave this out, or choose a moment of the video with thumbNailOffset."),
  imageCoverIndex: z.number().int().min(0).optional(),
  /** Milliseconds into the video. */
  thumbNailOffset: z.number().min(0).optional(),
}).loose();

const PRIVACY = { public: 'PUBLIC_TO_EVERYONE', private: 'SELF_ONLY', followers: 'FOLLOWER_OF_CREATOR', friends: 'MUTUAL_FOLLOW_FRIENDS' } as const;

/** False when only some may see it. */
export function isForAll(options: Record<string, unknown>): boolean {
  return (tiktokOptions.parse(options).visibility ?? 'public') === 'public';
}

/** What TikTok refuses of options and media together. */
export function togetherProblems({ media, options }: Pick<PlatformContent, 'media' | 'options'>): { field: string; message: string }[] {
  const { visibility, isBrandedContent, imageCoverIndex } = tiktokOptions.parse(options);
  return [
    ...(isBrandedContent === true && visibility === 'private' ? [{ field: 'visibility', message: "TikTok doesn't take branded content that is private. Choose another visibility." }] : []),
    ...(imageCoverIndex !== undefined && imageCoverIndex >= Math.max(media.length, 1) ? [{ field: 'imageCoverIndex', message: `This must be the number of one of the images, from 0 to ${Math.max(media.length, 1) - 1}.` }] : []),
  ];
}

interface Request {
  path: string;
  body: Record<string, unknown>;
}

/** https://developers.tiktok.com/doc/content-posting-api-reference-direct-post */
export function videoRequest({ text, media, options }: PlatformContent): Request {
  const { disableDuet, disableStitch, isAIGenerated, thumbNailOffset } = tiktokOptions.parse(options);
  return {
    path: '/v2/post/publish/video/init/',
    body: {
      post_info: {
        title: text, ...commonInfo(options), disable_duet: disableDuet ?? false, disable_stitch: disableStitch ?? false,
        ...(thumbNailOffset === undefined ? {} : { video_cover_timestamp_ms: thumbNailOffset }), ...(isAIGenerated === undefined ? {} : { is_aigc: isAIGenerated }),
      },
      source_info: { source: 'PULL_FROM_URL', video_url: media[0]?.url ?? '' },
    },
  };
}

/** https://developers.tiktok.com/doc/content-posting-api-reference-photo-post */
export function photoRequest({ text, media, options }: PlatformContent): Request {
  const { title, autoAddMusic, imageCoverIndex } = tiktokOptions.parse(options);
  return {
    path: '/v2/post/publish/content/init/',
    body: {
      media_type: 'PHOTO', post_mode: 'DIRECT_POST',
      post_info: { ...(title === undefined ? {} : { title }), description: text, ...commonInfo(options), ...(autoAddMusic === undefined ? {} : { auto_add_music: autoAddMusic }) },
      source_info: { source: 'PULL_FROM_URL', photo_cover_index: imageCoverIndex ?? 0, photo_images: media.map((item) => item.url) },
    },
  };
}

function commonInfo(options: Record<string, unknown>): Record<string, unknown> {
  const { visibility, disableComments, isBrandedContent, isBrandOrganic } = tiktokOptions.parse(options);
  return {
    privacy_level: PRIVACY[visibility ?? 'public'], disable_comment: disableComments ?? false,
    ...(isBrandedContent === undefined ? {} : { brand_content_toggle: isBrandedContent }), ...(isBrandOrganic === undefined ? {} : { brand_organic_toggle: isBrandOrganic }),
  };
}
