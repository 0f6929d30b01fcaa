/** `twitterOptions` (or `xOptions`) as clients send them, and what they add to a post. */
import { z } from 'zod';
import { unspoken } from '../unspoken.js';

const postId = z.union([z.string().regex(/^\d{1,19}$/, 'This must be the number of a post.'), z.number().int().positive().transform(String)]);

export const twitterOptions = z.object({
  altText: z.array(z.string().max(1000, 'An alternative text must have at most 1,000 characters.')).optional(),
  thread: z.boolean().optional().meta({ title: 'Split the text into a thread at blank lines' }),
  threadNumber: z.boolean().optional().meta({ title: 'Number the items of a split text' }),
  mediaUrls: z.array(z.string().nullable()).optional().meta({ title: 'Media of the items of a split text' }),
  poll: z.object({
    duration: z.number().int().min(5, 'A poll lasts at least 5 minutes.').max(10_080, 'A poll lasts at most 10,080 minutes, which is a week.'),
    options: z.array(z.string().min(1).max(25, 'A choice must have at most 25 characters.')).min(2, 'A poll needs 2 to 4 choices.').max(4, 'A poll needs 2 to 4 choices.'),
  }).optional(),
  quoteTweetId: postId.optional(),
  replyToId: postId.optional(),
  replySettings: z.enum(['following', 'mentioned', 'mentionedUsers', 'subscribers', 'verified']).optional(),
  longPost: z.boolean().optional(),
  longVideo: z.boolean().optional(),
  subscribersOnly: z.boolean().optional(),
  allowCountries: unspoken("Signpost can't choose the countries that see a post at X. Leave this out."),
  blockCountries: unspoken("Signpost can't choose the countries that see a post at X. Leave this out."),
  subTitleUrl: unspoken("Signpost can't add subtitles at X. Leave this out, and add them there."),
}).loose();

/** Fields of POST /2/tweets that follow from the options. */
export function fieldsOf(options: Record<string, unknown>): Record<string, unknown> {
  const { poll, quoteTweetId, replyToId, replySettings, subscribersOnly } = twitterOptions.parse(options);
  return {
    ...(poll === undefined ? {} : { poll: { duration_minutes: poll.duration, options: poll.options } }),
    ...(quoteTweetId === undefined ? {} : { quote_tweet_id: quoteTweetId }),
    ...(replyToId === undefined ? {} : { reply: { in_reply_to_tweet_id: replyToId } }),
    ...(replySettings === undefined ? {} : { reply_settings: replySettings === 'mentioned' ? 'mentionedUsers' : replySettings }),
    ...(subscribersOnly === true ? { for_super_followers_only: true } : {}),
  };
}
