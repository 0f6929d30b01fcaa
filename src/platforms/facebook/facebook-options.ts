/** `faceBookOptions` as clients send them. */
import { z } from 'zod';

const targeting = z.object({
  ageMin: z.union([z.literal(13), z.literal(15), z.literal(18), z.literal(21), z.literal(25)], 'This must be 13, 15, 18, 21 or 25.').optional(),
  countries: z.array(z.string().length(2, 'Use two-letter country codes.')).max(25, 'At most 25 countries.').optional(),
});

/** Not every kind of post is spoken yet: those that are not are refused instead of being sent as something else. */
const notYet = z.literal(false, 'Signpost publishes posts, photos and videos to Facebook; reels and stories are not supported yet. Leave this out.').optional();

export const facebookOptions = z.object({
  altText: z.array(z.string()).optional(),
  mediaCaptions: z.array(z.string()).optional(),
  reels: notYet,
  stories: notYet,
  carousel: z.undefined({ error: 'Signpost does not publish Facebook carousels yet. Leave this out.' }).optional(),
  title: z.string().max(255, 'The title must have at most 255 characters.').optional(),
  thumbNail: z.url('This must be the address of an image.').optional(),
  locationId: z.union([z.string(), z.number()]).optional(),
  link: z.url('This must be an http(s) address.').optional(),
  draft: z.boolean().optional(),
  scheduledPublishDate: z.iso.datetime({ offset: true, error: 'This must be a time such as 2026-07-08T12:30:00Z.' }).optional(),
  targeting: targeting.optional(),
}).loose();

export function targetingOf({ ageMin, countries }: z.infer<typeof targeting>): Record<string, unknown> {
  return { ...(ageMin === undefined ? {} : { age_min: ageMin }), ...(countries === undefined ? {} : { geo_locations: { countries } }) };
}
