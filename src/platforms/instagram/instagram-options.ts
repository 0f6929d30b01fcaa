/** `instagramOptions` as clients send them. */
import { z } from 'zod';
import { unspoken } from '../unspoken.js';
import type { PlatformContent } from '../platform.js';

export const instagramOptions = z.object({
  reels: z.boolean().optional(),
  stories: z.boolean().optional(),
  shareReelsFeed: z.boolean().optional(),
  audioName: z.string().max(100).optional(),
  thumbNail: z.url('This must be the address of an image.').optional(),
  /** Milliseconds into the video. */
  thumbNailOffset: z.number().min(0).optional(),
  altText: z.union([z.string().max(1000), z.array(z.string().max(1000))]).optional(),
  locationId: z.union([z.string(), z.number()]).optional(),
  userTags: z.array(z.object({ username: z.string(), x: z.number().min(0).max(1).optional(), y: z.number().min(0).max(1).optional() })).max(20).optional(),
  collaborators: z.array(z.string()).max(3, 'At most 3 collaborators.').optional(),
  isAIGenerated: z.boolean().optional(),
  trialParams: z.object({ graduationStrategy: z.enum(['MANUAL', 'SS_PERFORMANCE']) }).optional(),
  autoResize: unspoken("Signpost doesn't change images. Use one that Instagram takes, and leave this out."),
  audioConfiguration: unspoken("Signpost can't choose music at Instagram. Leave this out."),
  disableComments: unspoken("Signpost can't switch comments off at Instagram. Leave this out, and do it there."),
}).loose();

/** What `reels`, `stories` and `trialParams` want of the media. */
export function shapeProblems({ media, options }: Pick<PlatformContent, 'media' | 'options'>): { field: string; message: string }[] {
  const { reels, stories, trialParams } = instagramOptions.parse(options);
  if (stories === true && media.length !== 1) return [{ field: 'stories', message: 'An Instagram story needs exactly one image or video.' }];
  const asReel = reels === true ? 'reels' : trialParams === undefined ? null : 'trialParams';
  if (asReel === null) return [];
  if (stories === true) return [{ field: asReel, message: 'This is asked for as a story and as a reel. Choose one of them.' }];
  const isReel = media.length === 1 && media[0]!.kind !== 'image';
  return isReel ? [] : [{ field: asReel, message: `An Instagram reel needs exactly one video. Use one, or post it without instagramOptions.${asReel}.` }];
}
