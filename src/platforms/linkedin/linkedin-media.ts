/** Uploads to LinkedIn: registered first, then sent to the address that it names, then waited for. */
import { z } from 'zod';
import { rejected, unreachable } from '../failures.js';
import { ask, callNetwork, type NetworkCall } from '../network-call.js';
import type { MediaItem, PlatformContent, PlatformIo } from '../platform.js';
import type { MediaKind } from '../media-kind.js';
import { linkedinFailure } from './linkedin-failures.js';

/** A dated version of the API is named with each call; LinkedIn keeps each for about a year. */
export const uploadHeaders = { 'linkedin-version': '202609', 'x-restli-protocol-version': '2.0.0' };

interface Upload {
  author: string;
  accessToken: string;
  altText: string[] | undefined;
  titles: string[] | undefined;
}

const imageAnswer = z.object({ value: z.object({ uploadUrl: z.string(), image: z.string() }) });
const documentAnswer = z.object({ value: z.object({ uploadUrl: z.string(), document: z.string() }) });
const videoAnswer = z.object({
  value: z.object({ video: z.string(), uploadToken: z.string().default(''), uploadInstructions: z.array(z.object({ uploadUrl: z.string(), firstByte: z.number(), lastByte: z.number() })) }),
});
const stateAnswer = z.object({ status: z.string(), processingFailureReason: z.string().optional() });

/** @returns the `content` of the post, null when it has no media; nothing is public yet */
export async function uploadAll(content: PlatformContent, upload: Upload, io: PlatformIo): Promise<Record<string, unknown> | null> {
  const media: { id: string; altText?: string; title?: string }[] = [];
  for (const [i, item] of content.media.entries()) {
    const id = await uploadOne(item, upload, io);
    const altText = item.altText ?? upload.altText?.[i];
    const title = upload.titles?.[i];
    media.push({ id, ...(altText === undefined ? {} : { altText }), ...(title === undefined ? {} : { title }) });
  }
  const [first] = media;
  if (first === undefined) return null;
  if (media.length > 1) return { multiImage: { images: media } };
  // A document's title is what readers see above it.
  return { media: content.media[0]!.kind === 'document' ? { title: 'Document', ...first } : first };
}

const RESOURCE: Record<MediaKind, string> = { image: 'images', video: 'videos', document: 'documents', unknown: 'images' };

async function uploadOne(item: MediaItem, upload: Upload, io: PlatformIo): Promise<string> {
  const { data, contentType } = await io.readMedia(item);
  const resource = RESOURCE[item.kind];
  const begin = (fields: Record<string, unknown>): NetworkCall => ({
    ...base(upload), method: 'POST', url: `${io.baseUrls.api}/rest/${resource}?action=initializeUpload`, body: { initializeUploadRequest: { owner: upload.author, ...fields } },
  });
  if (item.kind === 'video') return uploadVideo(data, begin({ fileSizeBytes: data.byteLength, uploadCaptions: false, uploadThumbnail: false }), upload, io);
  let urn: string;
  let uploadUrl: string;
  if (item.kind === 'document') {
    const { value } = await ask(io, begin({}), documentAnswer, linkedinFailure);
    [urn, uploadUrl] = [value.document, value.uploadUrl];
  } else {
    const { value } = await ask(io, begin({}), imageAnswer, linkedinFailure);
    [urn, uploadUrl] = [value.image, value.uploadUrl];
  }
  await put(uploadUrl, data, contentType, upload, io);
  await untilAvailable(`${io.baseUrls.api}/rest/${resource}/${encodeURIComponent(urn)}`, upload, io);
  return urn;
}

async function uploadVideo(data: Uint8Array, begin: NetworkCall, upload: Upload, io: PlatformIo): Promise<string> {
  const { value } = await ask(io, begin, videoAnswer, linkedinFailure);
  const uploadedPartIds: string[] = [];
  for (const part of value.uploadInstructions) {
    uploadedPartIds.push(await put(part.uploadUrl, data.subarray(part.firstByte, part.lastByte + 1), 'application/octet-stream', upload, io));
  }
  await ask(io, {
    ...base(upload), method: 'POST', url: `${io.baseUrls.api}/rest/videos?action=finalizeUpload`,
    body: { finalizeUploadRequest: { video: value.video, uploadToken: value.uploadToken, uploadedPartIds } },
  }, z.unknown(), linkedinFailure);
  await untilAvailable(`${io.baseUrls.api}/rest/videos/${encodeURIComponent(value.video)}`, upload, io);
  return value.video;
}

/** @returns the part's ETag, which finishing a video needs */
async function put(url: string, data: Uint8Array, contentType: string, upload: Upload, io: PlatformIo): Promise<string> {
  const answer = await callNetwork(io, { ...base(upload), method: 'PUT', url, headers: { 'content-type': contentType }, body: data, timeoutMs: 60_000 });
  if (answer.status >= 400) throw linkedinFailure(answer, io);
  return (answer.headers['etag'] ?? '').replaceAll('"', '');
}

async function untilAvailable(url: string, upload: Upload, io: PlatformIo): Promise<void> {
  for (let tries = 0; tries < 60; tries++) {
    const { status, processingFailureReason } = await ask(io, { ...base(upload), method: 'GET', url }, stateAnswer, linkedinFailure);
    if (status === 'AVAILABLE') return;
    if (status === 'PROCESSING_FAILED') throw rejected("LinkedIn couldn't process a media file. Use another one.", { details: processingFailureReason ?? status });
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  throw unreachable('LinkedIn', { details: 'The upload is still being processed.' });
}

function base({ accessToken }: Upload): Pick<NetworkCall, 'network' | 'effect' | 'timeoutMs' | 'token' | 'headers'> {
  return { network: 'LinkedIn', effect: 'read', timeoutMs: 30_000, token: accessToken, headers: uploadHeaders };
}
