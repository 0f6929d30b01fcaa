/** `youTubeOptions` as clients send them. `shorts` asks for nothing: YouTube makes a Short of what is upright and at most three minutes long. */
import { z } from 'zod';
import { unspoken } from '../unspoken.js';

const plain = /^[^<>]*$/;

export const youtubeOptions = z.object({
  title: z.string('YouTube needs a title.').min(1, 'YouTube needs a title.').max(100, 'The title must have at most 100 characters.').regex(plain, "YouTube doesn't take < and > in a title."),
  visibility: z.enum(['public', 'unlisted', 'private']).optional(),
  tags: z.array(z.string()).refine((tags) => tags.join(',').length <= 500, 'The tags must have at most 500 characters together.').optional(),
  categoryId: z.coerce.number().int().positive().optional(),
  playListId: unspoken("Signpost can't put videos into playlists yet. Leave this out, and do it at YouTube."),
  madeForKids: z.boolean().optional(),
  notifySubscribers: z.boolean().optional(),
  containsSyntheticMedia: z.boolean().optional(),
  publishAt: z.iso.datetime({ offset: true, error: 'This must be a time such as 2026-07-08T12:30:00Z.' }).optional(),
  thumbNail: unspoken("Signpost can't set a video's image at YouTube yet. Leave this out, and set it there."),
  subTitleUrl: unspoken("Signpost can't add subtitles at YouTube. Leave this out, and add them there."),
  targeting: unspoken("Signpost can't choose the countries that see a video at YouTube. Leave this out."),
}).loose();
