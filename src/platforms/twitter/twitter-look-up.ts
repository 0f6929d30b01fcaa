/** Finds a post among the account's recent ones at X, for when an attempt got no answer. */
import { z } from 'zod';
import { callNetwork, readAnswer, type NetworkCall } from '../network-call.js';
import type { PlatformIo } from '../platform.js';
import { twitterFailure } from './twitter-failures.js';

const url = z.object({ url: z.string(), expanded_url: z.string().optional(), media_key: z.string().optional() });
const timeline = z.object({
  data: z.array(z.object({ id: z.string(), text: z.string(), entities: z.object({ urls: z.array(url).optional() }).optional() })).optional(),
});

interface Wanted {
  text: string;
  since: Date;
  userId: string;
  accessToken: string;
}

/** Clocks differ a little: what was made just before our attempt began counts too. */
const CLOCK_SLACK_MS = 5000;

/** @returns the id of the newest post with this text since then, or null */
export async function findTweet({ text, since, userId, accessToken }: Wanted, io: PlatformIo): Promise<string | null> {
  const call: NetworkCall = {
    network: 'X', effect: 'read', method: 'GET', url: `${io.baseUrls.api}/2/users/${encodeURIComponent(userId)}/tweets`, timeoutMs: 30_000, token: accessToken,
    query: {
      max_results: '100', 'tweet.fields': 'created_at,entities',
      start_time: new Date(since.getTime() - CLOCK_SLACK_MS).toISOString().replace(/\.\d+Z$/, 'Z'),
    },
  };
  const answer = await callNetwork(io, call);
  if (answer.status >= 400) throw twitterFailure(answer, io);
  const tweets = readAnswer(call, timeline, answer).data ?? [];
  const wanted = normalized(text);
  return tweets.find((tweet) => normalized(asWritten(tweet.text, tweet.entities?.urls ?? [])) === wanted)?.id ?? null;
}

/** X answers with t.co links, a link appended for attached media, and `&`, `<`, `>` escaped. */
function asWritten(text: string, urls: z.infer<typeof url>[]): string {
  let written = text;
  for (const link of urls) written = written.replace(link.url, link.media_key === undefined ? (link.expanded_url ?? link.url) : '');
  return written.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
}

/** X trims and composes (NFC) what is written; a link's own spelling (trailing slash) may change. */
function normalized(text: string): string {
  return text.normalize('NFC').replace(/\s+/g, ' ').replace(/(https?:\/\/\S+?)\/(?=\s|$)/g, '$1').trim();
}
