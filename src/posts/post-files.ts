/** Uploaded files in posts: found by their address, checked by what is known of them, and noted as used before a post is stored. */
import type { Actor } from '../accounts/actor.js';
import { mediaIdIn, mediaIdsIn } from '../media/media.js';
import { AppError, ErrorCode, type FieldProblem } from '../lib/app-error.js';
import type { Logger } from '../lib/logger.js';
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

/** What the use cases of posts do about uploads; without a door there are none. */
export function createFileUse(door: FilesDoor | undefined, log: Logger) {
  function usedOf(post: Post, files: OwnFiles): string[] {
    return files.size === 0 ? [] : fileIdsOf(post).filter((id) => files.has(id));
  }

  return {
    /** @param kept ids that the post names already. @throws AppError `invalid` with code 136 when an upload that is asked for isn't there */
    async find(actor: Actor, asked: Asked, kept: string[] = []): Promise<OwnFiles> {
      const ids = [...new Set([...fileIdsOf(asked), ...kept])];
      if (door === undefined || ids.length === 0) return NO_FILES;
      const files = await door.find(actor, ids);
      requireFiles(asked, files, door);
      return files;
    },

    /** Before the post is stored, so that none of its files can be deleted unseen. @throws AppError `invalid` with code 136 when one is gone */
    async use(actor: Actor, post: Post, files: OwnFiles): Promise<void> {
      const ids = usedOf(post, files);
      if (ids.length > 0 && (await door?.use(actor, ids, post.id)) === false) throw filesGone();
    },

    /** The post was not stored after all. */
    async endUse(post: Post, files: OwnFiles): Promise<void> {
      const ids = usedOf(post, files);
      if (ids.length > 0) await door?.endUse(ids, post.id).catch((error: unknown) => log.warn({ err: error, postId: post.id }, 'files are held for some minutes by a post that was not stored'));
    },
  };
}

/** @throws AppError `invalid` with code 136 when an address means an upload that isn't there, or isn't the account's while only uploads may be asked for so */
function requireFiles(asked: Asked, files: OwnFiles, door: Pick<FilesDoor, 'isHere'>): void {
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
function filesGone(): AppError {
  return new AppError('invalid', ErrorCode.mediaUrlInvalid, `mediaUrls: ${GONE}`, { fields: [{ field: 'mediaUrls', code: ErrorCode.mediaUrlInvalid, message: GONE }] });
}
