/** `faceBookOptions` as clients send them. */
import { z } from 'zod';

const targeting = z.object({
  ageMin: z.union([z.literal(13), z.literal(15), z.literal(18), z.literal(21), z.literal(25)], 'This must be 13, 15, 18, 21 or 25.').optional(),
  countries: z.array(z.string().length(2, 'Use two-letter country codes.')).max(25, 'At most 25 countries.').optional(),
});

const carousel = z.object({
  link: z.url('This must be an http(s) address.'),
  items: z.array(z.object({ name: z.string().optional(), link: z.url('This must be an http(s) address.'), picture: z.url('This must be the address of an image.') })).min(2, 'A carousel needs 2 to 10 items.').max(10, 'A carousel needs 2 to 10 items.'),
});

export const facebookOptions = z.object({
  altText: z.array(z.string()).optional(),
  mediaCaptions: z.array(z.string()).optional(),
  reels: z.boolean().optional(),
  stories: z.boolean().optional(),
  carousel: carousel.optional(),
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
