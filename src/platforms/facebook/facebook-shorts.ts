/** Reels and stories of a Facebook Page: a video in three steps, then processed; a photo story in two. */
import { z } from 'zod';
import { rejected } from '../failures.js';
import { graphFailure } from '../meta-graph/graph-failures.js';
import { ask, type NetworkCall } from '../network-call.js';
import type { PlatformContent, PlatformIo, PublishResult } from '../platform.js';
import { facebookOptions } from './facebook-options.js';

export interface PageAccess {
  accessToken: string;
  pageId: string;
  /** The Graph API with its version. */
  root: string;
}

const started = z.object({ video_id: z.string(), upload_url: z.string() });
const finished = z.object({ success: z.boolean().optional(), post_id: z.union([z.string(), z.number()]).optional() });
const videoStatus = z.object({ status: z.object({ video_status: z.string(), publishing_phase: z.object({ status: z.string() }).optional(), processing_phase: z.object({ error: z.object({ message: z.string() }).optional() }).optional() }) });

/** What `reels` and `stories` want of the media. */
export function shortProblems({ media, options }: Pick<PlatformContent, 'media' | 'options'>): { field: string; message: string }[] {
  const field = options['stories'] === true ? 'stories' : options['reels'] === true ? 'reels' : null;
  if (field === null) return [];
  if (media.length !== 1) return [{ field, message: `A Facebook ${field === 'reels' ? 'reel needs exactly one video' : 'story needs exactly one image or video'}.` }];
  return field === 'reels' && media[0]!.kind !== 'video' ? [{ field, message: 'A Facebook reel needs a video. Use a video, or post it without faceBookOptions.reels.' }] : [];
}

/** https://developers.facebook.com/docs/video-api/guides/reels-publishing and https://developers.facebook.com/docs/page-stories-api */
export async function publishShort(content: PlatformContent, kind: 'reel' | 'story', page: PageAccess, io: PlatformIo): Promise<PublishResult> {
  const [problem] = shortProblems(content);
  if (problem !== undefined) throw rejected(problem.message);
  const item = content.media[0]!;
  if (item.kind === 'video') return publishVideo(content, kind, page, io);
  const photo = await ask(io, { ...base(page), effect: 'read', method: 'POST', url: `${page.root}/${page.pageId}/photos`, body: { url: item.url, published: false } }, z.object({ id: z.string() }), graphFailure('Facebook', 'read'));
  const { post_id: id } = await ask(io, { ...base(page), effect: 'create', method: 'POST', url: `${page.root}/${page.pageId}/photo_stories`, body: { photo_id: photo.id } }, finished, graphFailure('Facebook', 'create'));
  return published(String(id ?? photo.id), io);
}

async function publishVideo(content: PlatformContent, kind: 'reel' | 'story', page: PageAccess, io: PlatformIo): Promise<PublishResult> {
  const url = `${page.root}/${page.pageId}/${kind === 'reel' ? 'video_reels' : 'video_stories'}`;
  const { title } = facebookOptions.parse(content.options);
  const begun = await ask(io, { ...base(page), effect: 'read', method: 'POST', url, body: { upload_phase: 'start' } }, started, graphFailure('Facebook', 'read'));
  await ask(io, {
    ...base(page), effect: 'read', method: 'POST', url: begun.upload_url, headers: { authorization: `OAuth ${page.accessToken}`, file_url: content.media[0]!.url },
  }, z.unknown(), graphFailure('Facebook', 'read'));
  await ask(io, {
    ...base(page), effect: 'create', method: 'POST', url,
    body: { upload_phase: 'finish', video_id: begun.video_id, ...(kind === 'reel' ? { video_state: 'PUBLISHED', description: content.text, ...(title === undefined ? {} : { title }) } : {}) },
  }, finished, graphFailure('Facebook', 'create'));
  return processing(begun.video_id);
}

/** Public when the publishing phase is complete. */
export async function pollShort(handle: string, page: PageAccess, io: PlatformIo): Promise<PublishResult> {
  const { status } = await ask(io, { ...base(page), effect: 'read', method: 'GET', url: `${page.root}/${handle}`, query: { fields: 'status' } }, videoStatus, graphFailure('Facebook', 'read'));
  if (status.video_status === 'error' || status.publishing_phase?.status === 'error') {
    throw rejected("Facebook couldn't process the video. Use MP4 with H.264, 9:16, 3 to 90 seconds.", { details: status.processing_phase?.error?.message ?? status.video_status });
  }
  return status.publishing_phase?.status === 'complete' ? published(handle, io) : processing(handle);
}

function processing(handle: string): PublishResult {
  return { state: 'processing', handle, pollAfterMs: 5000 };
}

function published(id: string, io: PlatformIo): PublishResult {
  return { state: 'published', remoteId: id, url: `${io.baseUrls.web}/${id}` };
}

function base({ accessToken }: PageAccess): Pick<NetworkCall, 'network' | 'timeoutMs' | 'token'> {
  return { network: 'Facebook', timeoutMs: 60_000, token: accessToken };
}
