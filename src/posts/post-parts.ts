/** What of a post goes where: its first part, the further items of its thread, its first comment; and the rules that each must keep. */
import { ErrorCode, type FieldProblem } from '../lib/app-error.js';
import { checkComment, checkContent, checkReply, countText, refusalOf } from '../platforms/check-content.js';
import { mediaKindOf } from '../platforms/media-kind.js';
import type { Platform } from '../platforms/platform.js';
import { LIMITS, mediaUrlProblem } from './post-input.js';
import { textFor, type FollowUp, type Part, type Post } from './post.js';
import { splitText } from './split-text.js';

export type Content = Pick<Post, 'text' | 'texts' | 'media' | 'options' | 'thread' | 'firstComment'>;

export interface Parts {
  /** What the publication itself sends; null: the post's own text and media. */
  root: Part | null;
  /** Items that follow because the text was split; then those that were written as items. */
  split: Part[];
  written: Part[];
  comment: Part | null;
}

/** Ayrshare's option `thread`: the text is split at blank lines, and where a paragraph is too long. */
export function partsOf(content: Content, platform: Platform): Parts {
  const options = content.options[platform.id] ?? {};
  const written = content.thread ?? [];
  const comment = content.firstComment ?? null;
  if (options['thread'] !== true) return { root: null, split: [], written, comment };
  const text = textFor(content, platform.id);
  const isNumbered = options['threadNumber'] === true;
  const pieces = splitText(text, (piece) => countText(platform, isNumbered ? `${piece}${LONGEST_NUMBER}` : piece, { hasMedia: content.media.length > 0, options }));
  const texts = pieces.length === 0 ? [text] : pieces;
  const total = texts.length + written.length;
  const numbered = (piece: string, i: number): string => (isNumbered && total > 1 ? `${piece} ${i + 1}/${total}` : piece);
  const [root, ...split] = texts.map((piece, i): Part => ({ text: numbered(piece, i), media: mediaAt(content, options, i) }));
  return { root: root ?? null, split, written: written.map((part, i) => ({ ...part, text: numbered(part.text, texts.length + i) })), comment };
}

const LONGEST_NUMBER = ` ${LIMITS.threadItems}/${LIMITS.threadItems}`;

/** `mediaUrls` of the option object names one for each item, null for none; without it all media go with the first. */
function mediaAt({ media }: Content, options: Record<string, unknown>, index: number): Part['media'] {
  const urls = options['mediaUrls'];
  if (!Array.isArray(urls)) return index === 0 ? media : [];
  const url: unknown = urls[index];
  return typeof url === 'string' ? [{ url, kind: mediaKindOf(url) }] : [];
}

/** The follow-ups of a new publication, in the order in which they go out. */
export function followUpsOf(publicationId: string, { split, written, comment }: Parts): FollowUp[] {
  const parts = [...split, ...written].map((part) => ({ ...part, kind: 'reply' as const }));
  const all = comment === null ? parts : [...parts, { ...comment, kind: 'comment' as const }];
  return all.map((part, i): FollowUp => ({
    id: `${publicationId}.${i + 1}`, ...part, state: 'pending', dueAt: null, tries: 0, attempts: [], handle: null, processingSince: null,
    remoteId: null, url: null, publishedAt: null, failure: null,
  }));
}

/** Every rule of the platform that a part breaks. Fields: `post`, `mediaUrls`, `thread[0].post`, `firstComment.comment`, options by their key. */
export function partProblems(platform: Platform, content: Content): FieldProblem[] {
  const { root, split, written, comment } = partsOf(content, platform);
  const problem = (field: string, message: string): FieldProblem => ({ field, code: ErrorCode.badRequest, message, platform: platform.id });
  const own = { ...(root ?? { text: textFor(content, platform.id), media: content.media }), options: content.options[platform.id] ?? {} };
  const refused = (kind: 'reply' | 'comment'): string[] => [refusalOf(platform, kind)].filter((message) => message !== null);
  const hasThread = split.length + written.length > 0;
  return [
    ...checkContent(platform, own),
    ...(root === null ? [] : splitProblems(platform, content, split.length + 1)),
    ...(hasThread ? refused('reply').map((message) => problem('thread', message)) : []),
    ...(split.length + written.length >= LIMITS.threadItems ? [problem('thread', `A thread may have at most ${LIMITS.threadItems} items. Make fewer of them.`)] : []),
    ...split.flatMap((part) => checkReply(platform, part)),
    ...written.flatMap((part, i) => checkReply(platform, part).map((found) => ({ ...found, field: `thread[${i}].${found.field}` }))),
    ...(comment === null ? [] : [...refused('comment').map((message) => problem('firstComment', message)), ...commentProblems(platform, comment)]),
  ];
}

function commentProblems(platform: Platform, comment: Part): FieldProblem[] {
  if (platform.comment === undefined) return [];
  return checkComment(platform, comment).map((found) => ({ ...found, field: found.field === 'post' ? 'firstComment.comment' : `firstComment.${found.field}` }));
}

/** The media that a split thread's items name. */
function splitProblems(platform: Platform, { options }: Content, items: number): FieldProblem[] {
  const urls = options[platform.id]?.['mediaUrls'];
  if (!Array.isArray(urls)) return [];
  const field = `${platform.optionsKey ?? 'options'}.mediaUrls`;
  const problem = (message: string): FieldProblem => ({ field, code: ErrorCode.mediaUrlInvalid, message, platform: platform.id });
  const wrong = urls.flatMap((url: unknown) => (typeof url === 'string' ? [mediaUrlProblem(url)] : [])).find((found) => found !== null);
  if (wrong !== undefined && wrong !== null) return [problem(wrong)];
  return urls.length > items ? [problem(`mediaUrls has ${urls.length} entries, and the thread ${items === 1 ? 'one item' : `${items} items`}. Remove some.`)] : [];
}
