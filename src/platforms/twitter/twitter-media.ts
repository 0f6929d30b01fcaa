/** Uploads images and videos to X in chunks; nothing of it is public before the post names it. */
import { z } from 'zod';
import { callNetwork, readAnswer, type NetworkAnswer, type NetworkCall } from '../network-call.js';
import { rejected, unreachable } from '../failures.js';
import type { MediaItem, PlatformIo } from '../platform.js';
import { twitterFailure } from './twitter-failures.js';

const CHUNK_BYTES = 4 * 1024 * 1024;

const processing = z.object({ state: z.enum(['pending', 'in_progress', 'failed', 'succeeded']), check_after_secs: z.number().optional(), error: z.object({ message: z.string().optional() }).optional() });
const uploaded = z.object({ data: z.object({ id: z.string(), processing_info: processing.optional() }) });
type Processing = z.infer<typeof processing>;

/** @throws PlatformFailure; a file that X can't process is `rejected` */
export async function uploadMedia(media: MediaItem[], accessToken: string, io: PlatformIo): Promise<string[]> {
  const ids: string[] = [];
  for (const item of media) ids.push(await uploadOne(item, accessToken, io));
  return ids;
}

/** https://docs.x.com/x-api/media/quickstart/media-upload-chunked */
async function uploadOne(item: MediaItem, accessToken: string, io: PlatformIo): Promise<string> {
  const { data, contentType } = await io.readMedia(item);
  const category = contentType === 'image/gif' ? 'tweet_gif' : item.kind === 'video' ? 'tweet_video' : 'tweet_image';
  const base = { network: 'X', effect: 'read', method: 'POST', timeoutMs: 30_000, token: accessToken } as const;
  const root = `${io.baseUrls.api}/2/media/upload`;
  const begin: NetworkCall = { ...base, url: `${root}/initialize`, body: { media_type: contentType, total_bytes: data.byteLength, media_category: category } };
  const { id } = readAnswer(begin, uploaded, await accepted(io, begin)).data;
  for (let segment = 0; segment * CHUNK_BYTES < data.byteLength; segment++) {
    const form = new FormData();
    form.set('segment_index', String(segment));
    form.set('media', new Blob([Buffer.from(data.subarray(segment * CHUNK_BYTES, (segment + 1) * CHUNK_BYTES))], { type: contentType }), 'chunk');
    await accepted(io, { ...base, url: `${root}/${id}/append`, body: form });
  }
  const finish: NetworkCall = { ...base, url: `${root}/${id}/finalize` };
  let state = readAnswer(finish, uploaded, await accepted(io, finish)).data.processing_info;
  const giveUpAt = Date.now() + 60_000;
  while (isUnderWay(state)) {
    if (Date.now() > giveUpAt) throw unreachable('X', { details: 'The upload is still being processed.' });
    await new Promise((resolve) => setTimeout(resolve, Math.min(state?.check_after_secs ?? 1, 10) * 1000));
    const status: NetworkCall = { ...base, method: 'GET', url: root, query: { command: 'STATUS', media_id: id } };
    state = readAnswer(status, uploaded, await accepted(io, status)).data.processing_info;
  }
  if (state?.state === 'failed') throw rejected(`X couldn't process a media file: ${state.error?.message ?? 'no reason given'}. Use another file.`, { details: item.url });
  if (item.altText !== undefined) await accepted(io, { ...base, url: `${io.baseUrls.api}/2/media/metadata`, body: { id, metadata: { alt_text: { text: item.altText } } } });
  return id;
}

function isUnderWay(state: Processing | undefined): boolean {
  return state?.state === 'pending' || state?.state === 'in_progress';
}

async function accepted(io: PlatformIo, call: NetworkCall): Promise<NetworkAnswer> {
  const answer = await callNetwork(io, call);
  if (answer.status >= 400) throw twitterFailure(answer, io);
  return answer;
}
