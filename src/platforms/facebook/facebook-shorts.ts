/** Reels and stories of a Facebook Page: a video in three steps, then processed; a photo story in two. */
import { z } from 'zod';
import { rejected } from '../failures.js';
import { graphFailure } from '../meta-graph/graph-failures.js';
import { ask, type NetworkCall } from '../network-call.js';
import { PlatformFailure, type PlatformContent, type PlatformIo, type PublishResult } from '../platform.js';
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

/** What `reels` and `stories` want of the media and of the other options. */
export function shortProblems({ media, options }: Pick<PlatformContent, 'media' | 'options'>): { field: string; message: string }[] {
  const { stories, reels, draft, scheduledPublishDate } = facebookOptions.parse(options);
  const field = stories === true ? 'stories' : reels === true ? 'reels' : null;
  if (field === null) return [];
  if (stories === true && reels === true) return [{ field, message: 'This is asked for as a story and as a reel. Choose one of them.' }];
  const what = field === 'reels' ? 'reels' : 'stories';
  if (draft === true) return [{ field: 'draft', message: `Signpost publishes Facebook ${what} at once; drafts of them are not supported. Leave this out.` }];
  if (scheduledPublishDate !== undefined) return [{ field: 'scheduledPublishDate', message: `Signpost publishes Facebook ${what} at their own time. Schedule the post for then instead, and leave this out.` }];
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
  const last: LastStep = { kind, text: content.text, ...(title === undefined ? {} : { title }) };
  try {
    await finish(begun.video_id, last, page, io);
    return processing(begun.video_id);
  } catch (error) {
    // A video is published once, however often that is asked: whether it was can be told by looking at the video.
    if (error instanceof PlatformFailure && error.kind === 'unknown') return processing(unfinished(begun.video_id, last));
    throw error;
  }
}

/** What the last step says; kept in the handle while nobody knows whether it arrived. */
interface LastStep {
  kind: 'reel' | 'story';
  text: string;
  title?: string | undefined;
}

const lastStep = z.object({ kind: z.enum(['reel', 'story']), text: z.string(), title: z.string().optional() });

async function finish(id: string, { kind, text, title }: LastStep, page: PageAccess, io: PlatformIo): Promise<void> {
  await ask(io, {
    ...base(page), effect: 'create', method: 'POST', url: `${page.root}/${page.pageId}/${kind === 'reel' ? 'video_reels' : 'video_stories'}`,
    body: { upload_phase: 'finish', video_id: id, ...(kind === 'reel' ? { video_state: 'PUBLISHED', description: text, ...(title === undefined ? {} : { title }) } : {}) },
  }, finished, graphFailure('Facebook', 'create'));
}

function unfinished(id: string, last: LastStep): string {
  return `${id}:${Buffer.from(JSON.stringify(last)).toString('base64url')}`;
}

/** Public when the publishing phase is complete. */
export async function pollShort(handle: string, page: PageAccess, io: PlatformIo): Promise<PublishResult> {
  const [id = '', rest] = handle.split(':');
  const { status } = await ask(io, { ...base(page), effect: 'read', method: 'GET', url: `${page.root}/${id}`, query: { fields: 'status' } }, videoStatus, graphFailure('Facebook', 'read'));
  if (status.video_status === 'error' || status.publishing_phase?.status === 'error') {
    throw rejected("Facebook couldn't process the video. Use MP4 with H.264, 9:16, 3 to 90 seconds.", { details: status.processing_phase?.error?.message ?? status.video_status });
  }
  if (status.publishing_phase?.status === 'complete') return published(id, io);
  if (rest === undefined || status.publishing_phase?.status !== 'not_started') return processing(id);
  try {
    await finish(id, lastStep.parse(JSON.parse(Buffer.from(rest, 'base64url').toString('utf8'))), page, io);
  } catch (error) {
    // Refused, because it did arrive perhaps: what becomes of the video tells.
    if (!(error instanceof PlatformFailure) || error.kind !== 'rejected') throw error;
  }
  return processing(id);
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
