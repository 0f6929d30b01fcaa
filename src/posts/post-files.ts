/** Uploaded files in posts: found by their address, checked by what is known of them, and noted as used before a post is stored. */
import type { Actor } from '../accounts/actor.js';
import { mediaIdIn, mediaIdsIn } from '../media/media.js';
import { AppError, ErrorCode, type FieldProblem } from '../lib/app-error.js';
import { mediaKindOf } from '../platforms/media-kind.js';
import type { MediaItem } from '../platforms/platform.js';
import type { Post } from './post.js';
import type { PostInput } from './post-input.js';

/** By the id that stands in their address. */
export type OwnFiles = ReadonlyMap<string, MediaItem>;

/** What posts ask of the uploads. */
export interface FilesDoor {
  /** Those of the account that are there. */
  find(actor: Actor, ids: string[]): Promise<OwnFiles>;
  /** True for an address of this Signpost, whether or not the file is there. */
  isHere(url: string): boolean;
  /** Notes that a post is being written with them. @returns false when one is gone */
  use(actor: Actor, ids: string[], postId: string): Promise<boolean>;
  /** The post is written without them now. */
  endUse(ids: string[], postId: string): Promise<void>;
}

type Asked = Partial<Pick<PostInput, 'mediaUrls' | 'thread' | 'firstComment' | 'options'>>;

export const NO_FILES: OwnFiles = new Map();

/** @param isVideo the caller says that an address without a telling ending is a video */
export function mediaItemOf(url: string, isVideo: boolean, files: OwnFiles = NO_FILES): MediaItem {
  const own = files.size === 0 ? undefined : files.get(mediaIdIn(url) ?? '');
  return own ?? { url, kind: mediaKindOf(url, isVideo) };
}

/** Ids of the uploads that a post, or what is asked to become one, names. */
export function fileIdsOf({ media, thread, firstComment, options, ...rest }: Partial<Pick<Post, 'media' | 'thread' | 'firstComment' | 'options'>> | (Asked & { media?: undefined })): string[] {
  return mediaIdsIn([media, thread, firstComment, options, 'mediaUrls' in rest ? rest.mediaUrls : undefined]);
}

/** @throws AppError `invalid` with code 136 when an address means an upload that isn't there, or isn't the account's while only uploads may be asked for so */
export function requireFiles(asked: Asked, files: OwnFiles, door: Pick<FilesDoor, 'isHere'>): void {
  const lists: [string, readonly string[]][] = [
    ['mediaUrls', asked.mediaUrls ?? []],
    ...(asked.thread ?? []).map(({ mediaUrls }, i): [string, readonly string[]] => [`thread[${i}].mediaUrls`, mediaUrls]),
    ['firstComment.mediaUrls', asked.firstComment?.mediaUrls ?? []],
    // A thread that is made of the text names its media among its options.
    ...Object.entries(asked.options ?? {}).map(([key, { mediaUrls }]): [string, readonly string[]] => [
      `${key}.mediaUrls`, (Array.isArray(mediaUrls) ? mediaUrls : []).map((url: unknown) => (typeof url === 'string' ? url : '')),
    ]),
  ];
  const fields = lists.flatMap(([field, urls]) => urls.flatMap((url, i): FieldProblem[] => {
    const id = mediaIdIn(url);
    if (id === null || files.has(id) || (url.startsWith('https:') && !door.isHere(url))) return [];
    return [{ field: `${field}[${i}]`, code: ErrorCode.mediaUrlInvalid, message: GONE }];
  }));
  if (fields.length > 0) throw new AppError('invalid', ErrorCode.mediaUrlInvalid, `${fields[0]!.field}: ${GONE}`, { fields });
}

const GONE = 'Media URLs invalid. There is no such uploaded file: it was deleted, or its time is over. Upload it again.';

/** The same, said when a file went between being found and being used. */
export function filesGone(): AppError {
  return new AppError('invalid', ErrorCode.mediaUrlInvalid, `mediaUrls: ${GONE}`, { fields: [{ field: 'mediaUrls', code: ErrorCode.mediaUrlInvalid, message: GONE }] });
}
