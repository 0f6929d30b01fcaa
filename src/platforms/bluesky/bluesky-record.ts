/** Builds the record of a Bluesky post: text, links and hashtags as facets, images as uploaded blobs. */
import { z } from 'zod';
import { callNetwork, readAnswer, type NetworkCall } from '../network-call.js';
import type { MediaItem, PlatformContent, PlatformIo } from '../platform.js';
import { blueskyFailure } from './bluesky-failures.js';

const blobAnswer = z.object({ blob: z.record(z.string(), z.unknown()) });

/** @throws PlatformFailure when an image can't be read or uploaded; nothing is public then */
export async function buildPost(content: PlatformContent, accessToken: string, io: PlatformIo): Promise<Record<string, unknown>> {
  const facets = facetsOf(content.text);
  const images = await uploadImages(content.media, accessToken, io);
  return {
    $type: 'app.bsky.feed.post',
    text: content.text,
    createdAt: io.now().toISOString(),
    ...(facets.length > 0 ? { facets } : {}),
    ...(images.length > 0 ? { embed: { $type: 'app.bsky.embed.images', images } } : {}),
  };
}

async function uploadImages(media: MediaItem[], accessToken: string, io: PlatformIo): Promise<unknown[]> {
  const images: unknown[] = [];
  for (const item of media) {
    const { data, contentType } = await io.readMedia(item);
    const call: NetworkCall = {
      network: 'Bluesky', effect: 'read', method: 'POST', url: `${io.baseUrls.api}/xrpc/com.atproto.repo.uploadBlob`, timeoutMs: 30_000,
      token: accessToken, headers: { 'content-type': contentType }, body: data,
    };
    const answer = await callNetwork(io, call);
    if (answer.status >= 400) throw blueskyFailure(answer, io);
    images.push({ alt: item.altText ?? '', image: readAnswer(call, blobAnswer, answer).blob });
  }
  return images;
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
