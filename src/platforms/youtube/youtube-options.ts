/** `youTubeOptions` as clients send them. */
import { z } from 'zod';

const plain = /^[^<>]*$/;

export const youtubeOptions = z.object({
  title: z.string('YouTube needs a title.').min(1, 'YouTube needs a title.').max(100, 'The title must have at most 100 characters.').regex(plain, "YouTube doesn't take < and > in a title."),
  visibility: z.enum(['public', 'unlisted', 'private']).optional(),
  tags: z.array(z.string()).refine((tags) => tags.join(',').length <= 500, 'The tags must have at most 500 characters together.').optional(),
  categoryId: z.coerce.number().int().positive().optional(),
  playListId: z.string().optional(),
  shorts: z.boolean().optional(),
  madeForKids: z.boolean().optional(),
  notifySubscribers: z.boolean().optional(),
  containsSyntheticMedia: z.boolean().optional(),
  publishAt: z.iso.datetime({ offset: true, error: 'This must be a time such as 2026-07-08T12:30:00Z.' }).optional(),
  thumbNail: z.url('This must be the address of an image.').optional(),
}).loose();
