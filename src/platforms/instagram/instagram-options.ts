/** `instagramOptions` as clients send them. */
import { z } from 'zod';

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
  autoResize: z.boolean().optional(),
  disableComments: z.boolean().optional(),
}).loose();
