/** Builds the record of a Bluesky post: text, links and hashtags as facets, images or a video as uploaded blobs. */
import { z } from 'zod';
import { callNetwork, readAnswer, type NetworkCall } from '../network-call.js';
import type { MediaItem, PlatformContent, PlatformIo } from '../platform.js';
import { blueskyFailure } from './bluesky-failures.js';

/** `blueSkyOptions` as clients send them. */
export const blueskyOptions = z.object({ altText: z.array(z.string().max(2000)).optional() }).loose();

const blobAnswer = z.object({ blob: z.record(z.string(), z.unknown()) });

/** @throws PlatformFailure when an image can't be read or uploaded; nothing is public then */
export async function buildPost(content: PlatformContent, accessToken: string, io: PlatformIo): Promise<Record<string, unknown>> {
  const facets = facetsOf(content.text);
  const { altText } = blueskyOptions.parse(content.options);
  const described = content.media.map((item, i) => ({ ...item, altText: item.altText ?? altText?.[i] ?? '' }));
  const embed = await embedOf(described, accessToken, io);
  return {
    $type: 'app.bsky.feed.post',
    text: content.text,
    createdAt: io.now().toISOString(),
    ...(facets.length > 0 ? { facets } : {}),
    ...(embed === null ? {} : { embed }),
  };
}

/** The lexicons app.bsky.embed.video and app.bsky.embed.images; a video is processed when it is first viewed. */
async function embedOf(media: MediaItem[], accessToken: string, io: PlatformIo): Promise<Record<string, unknown> | null> {
  const video = media.find((item) => item.kind === 'video');
  if (video !== undefined) return { $type: 'app.bsky.embed.video', video: await upload(video, accessToken, io), alt: video.altText ?? '' };
  const images: unknown[] = [];
  for (const item of media) images.push({ alt: item.altText ?? '', image: await upload(item, accessToken, io) });
  return images.length === 0 ? null : { $type: 'app.bsky.embed.images', images };
}

async function upload(item: MediaItem, accessToken: string, io: PlatformIo): Promise<Record<string, unknown>> {
  const { data, contentType } = await io.readMedia(item);
  const call: NetworkCall = {
    network: 'Bluesky', effect: 'read', method: 'POST', url: `${io.baseUrls.api}/xrpc/com.atproto.repo.uploadBlob`, timeoutMs: 90_000,
    token: accessToken, headers: { 'content-type': contentType }, body: data,
  };
  const answer = await callNetwork(io, call);
  if (answer.status >= 400) throw blueskyFailure(answer, io);
  return readAnswer(call, blobAnswer, answer).blob;
}

interface Facet {
  index: { byteStart: number; byteEnd: number };
  features: Record<string, string>[];
}

const LINK = /https?:\/\/[^\s<>"']+/g;
const TAG = /(?<=^|\s)#([\p{L}\p{N}_]{1,64})(?=$|[\s\p{P}])/gu;

/** Facets are measured in UTF-8 bytes: https://docs.bsky.app/docs/advanced-guides/post-richtext */
function facetsOf(text: string): Facet[] {
  const facet = (start: number, length: number, feature: Record<string, string>): Facet => {
    const byteStart = Buffer.byteLength(text.slice(0, start));
    return { index: { byteStart, byteEnd: byteStart + Buffer.byteLength(text.slice(start, start + length)) }, features: [feature] };
  };
  const links = [...text.matchAll(LINK)].map((match) => {
    const uri = match[0].replace(/[.,;:!?)\]]+$/, '');
    return facet(match.index, uri.length, { $type: 'app.bsky.richtext.facet#link', uri });
  });
  const tags = [...text.matchAll(TAG)].map((match) => facet(match.index, match[0].length, { $type: 'app.bsky.richtext.facet#tag', tag: match[1]! }));
  return [...links, ...tags];
}
