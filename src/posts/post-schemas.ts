/** The bodies and queries that the API reads, in Ayrshare's spellings. */
import { z } from 'zod';
import { ErrorCode } from '../lib/app-error.js';
import { platforms } from '../platforms/registry.js';
import { addProblem, checkParts, LIMITS, readMediaUrls, readScheduleDate, readText, withCodes, type PartInput, type PostChanges, type PostInput } from './post-input.js';

const CODES: Record<string, number> = {
  post: ErrorCode.postParameter,
  platforms: ErrorCode.platformsParameter,
  scheduleDate: ErrorCode.scheduleDate,
  mediaUrls: ErrorCode.mediaUrlInvalid,
  mediaUrl: ErrorCode.mediaUrlInvalid,
  media_urls: ErrorCode.mediaUrlInvalid,
};

const POST_MISSING = 'Missing or incorrect post parameter. Please verify a non-empty post field is sent.';
const EXAMPLE = JSON.stringify(platforms.slice(0, 2).map((platform) => platform.id));
const PLATFORMS_WRONG = `The platforms must be a list of platform names, such as ${EXAMPLE}.`;
const MEDIA_WRONG = 'Media URLs invalid. The media must be a list of https addresses.';

/** One text for all, or one per platform with `default` for the rest. */
const perPlatform = z.record(z.string().max(60), z.string(POST_MISSING));
const mediaList = z.union([z.array(z.string()), z.string(), z.record(z.string().max(60), z.array(z.string()))], MEDIA_WRONG);
const threadItem = z.union([z.string(), z.object({ post: z.string(), mediaUrls: z.array(z.string(), MEDIA_WRONG).optional() })], 'A thread item must be a text, or an object with post and mediaUrls.');
const COMMENT_WRONG = 'firstComment must be an object with the text as comment, such as {"comment":"More at the link."}.';
const flag = (name: string) => z.boolean(`${name} must be true or false.`);

const createBody = z.looseObject(
  {
    post: z.union([z.string(), perPlatform], POST_MISSING),
    platforms: z.array(z.string(PLATFORMS_WRONG).max(60, PLATFORMS_WRONG), PLATFORMS_WRONG)
      .min(1, `No platform was chosen. Send at least one, such as ${EXAMPLE}.`)
      .max(LIMITS.platforms, `At most ${LIMITS.platforms} platforms may be sent.`),
    mediaUrls: mediaList.optional(),
    mediaUrl: mediaList.optional(),
    media_urls: mediaList.optional(),
    isVideo: flag('isVideo').optional(),
    scheduleDate: z.string('The scheduleDate must be text, such as 2026-07-08T12:30:00Z. Leave it out to publish now.').max(100, 'The scheduleDate is too long.').optional(),
    notes: z.string('The notes must be text.').max(LIMITS.notes, `The notes may have at most ${LIMITS.notes} characters.`).optional(),
    idempotencyKey: z.string('The idempotencyKey must be text.').min(1, 'The idempotencyKey is empty. Leave it out or send a value of its own for each post.')
      .max(LIMITS.idempotencyKey, `The idempotencyKey may have at most ${LIMITS.idempotencyKey} characters.`).optional(),
    validateScheduled: flag('validateScheduled').optional(),
    thread: z.array(threadItem, 'thread must be a list of texts, or of objects with post and mediaUrls.')
      .max(LIMITS.threadItems - 1, `A thread may have at most ${LIMITS.threadItems} items, the post itself included.`).nullish(),
    firstComment: z.object({ comment: z.string(COMMENT_WRONG), mediaUrls: z.array(z.string(), MEDIA_WRONG).optional() }, COMMENT_WRONG).nullish(),
    whenLate: z.enum(['send', 'skip', 'ask'], 'whenLate must be send, skip or ask.').optional(),
  },
  'The body must be a JSON object with at least post and platforms.',
);

/**
 * What would change what is posted, when, or for whom, and is not built yet: refused by name, since leaving it out silently would post
 * something other than was asked for.
 */
const NOT_SUPPORTED: Record<string, string> = {
  autoRepost: 'repeating posts',
  autoSchedule: 'automatic schedules',
  autoHashtag: 'automatic hashtags',
  unsplash: 'Unsplash images',
  disableComments: 'switching comments off',
  shortenLinks: 'link shortening',
  requiresApproval: 'approval',
  randomPost: 'random texts',
  randomMediaUrl: 'random media',
  profileKey: 'choosing a profile in the body',
  profileKeys: 'choosing profiles in the body',
};

function refuseUnsupported(body: Record<string, unknown>, ctx: z.RefinementCtx): void {
  for (const [field, what] of Object.entries(NOT_SUPPORTED)) {
    const value = body[field];
    const isOff = value === undefined || value === null || value === false || value === '' || (Array.isArray(value) && value.length === 0);
    if (!isOff) addProblem(ctx, [field], ErrorCode.badRequest, `${field} is not supported: Signpost has no ${what} yet. Leave it out; nothing was posted.`);
  }
}

/** The one value that all these platforms get; `undefined` with the problem said when they would get different ones. */
function same<T>(value: Record<string, T>, platforms: string[], field: string, ctx: z.RefinementCtx): T | undefined {
  const chosen = platforms.map((platform) => value[platform] ?? value['default']);
  const [first] = chosen;
  if (first === undefined || chosen.includes(undefined)) {
    addProblem(ctx, [field], CODES[field]!, `${field} has no value for one of the platforms and no "default".`);
    return undefined;
  }
  if (chosen.some((other) => JSON.stringify(other) !== JSON.stringify(first))) {
    addProblem(ctx, [field], CODES[field]!, `${field} differs between platforms, which is not supported yet. Send one post per platform.`);
    return undefined;
  }
  return first;
}

type Body = z.infer<typeof createBody>;

/** The common text and those of single platforms. Each chosen platform needs one. */
function readBodyText({ post }: Pick<Body, 'post'>, platforms: string[], ctx: z.RefinementCtx): { text: string; texts: Record<string, string> } {
  if (typeof post === 'string') return { text: readText(post, 'post', ctx) ?? '', texts: {} };
  const { default: common, ...own } = post;
  if (common === undefined && (platforms.includes('all') || platforms.some((platform) => own[platform] === undefined))) {
    addProblem(ctx, ['post'], ErrorCode.postParameter, 'post has no text for one of the platforms and no "default".');
  }
  const texts = Object.fromEntries(Object.entries(own).map(([platform, text]) => [platform, readText(text, `post.${platform}`, ctx) ?? '']));
  const first = platforms.map((platform) => texts[platform]).find((text) => text !== undefined);
  return { text: common === undefined ? (first ?? '') : (readText(common, 'post.default', ctx) ?? ''), texts };
}

function readBodyMedia(body: Pick<Body, 'mediaUrls' | 'mediaUrl' | 'media_urls'>, platforms: string[], ctx: z.RefinementCtx): string[] | undefined {
  const field = (['mediaUrls', 'mediaUrl', 'media_urls'] as const).find((name) => body[name] !== undefined);
  if (field === undefined) return undefined;
  const sent = body[field];
  if (typeof sent === 'string') return readMediaUrls([sent], field, ctx);
  const list = Array.isArray(sent) ? sent : sent === undefined ? [] : same(sent, platforms, field, ctx);
  return readMediaUrls(list ?? [], field, ctx);
}

function readThread(items: NonNullable<Body['thread']>, ctx: z.RefinementCtx): PartInput[] {
  return items.map((item, i) => {
    const { post, mediaUrls = [] } = typeof item === 'string' ? { post: item } : item;
    return { text: readText(post, `thread[${i}].post`, ctx) ?? '', mediaUrls: readMediaUrls(mediaUrls, `thread[${i}].mediaUrls`, ctx) };
  });
}

function readComment(sent: Body['firstComment'], ctx: z.RefinementCtx): PartInput | null {
  if (sent === undefined || sent === null) return null;
  const { comment, mediaUrls = [] } = sent;
  return { text: readText(comment, 'firstComment.comment', ctx) ?? '', mediaUrls: readMediaUrls(mediaUrls, 'firstComment.mediaUrls', ctx) };
}

/** Keys that a JSON object must not bring into the database or an object of ours. */
const UNSAFE_KEY = /^\$|\.|\p{Cc}|^(?:__proto__|constructor|prototype)$/u;

function hasUnsafeKey(value: unknown, depth = 0): boolean {
  if (depth > 8) return true;
  if (Array.isArray(value)) return value.some((item) => hasUnsafeKey(item, depth + 1));
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([key, item]) => UNSAFE_KEY.test(key) || hasUnsafeKey(item, depth + 1));
}

function readOptions(body: Record<string, unknown>, ctx: z.RefinementCtx): PostInput['options'] {
  const options: PostInput['options'] = {};
  for (const [key, value] of Object.entries(body)) {
    if (!/^[a-z]{1,30}Options$/i.test(key) || value === undefined || value === null) continue;
    const parsed = z.record(z.string(), z.unknown()).safeParse(value);
    if (!parsed.success || hasUnsafeKey(parsed.data)) {
      addProblem(ctx, [key], ErrorCode.badRequest, `${key} must be a plain JSON object with simple keys.`);
      continue;
    }
    options[key.toLowerCase()] = parsed.data;
  }
  if (JSON.stringify(options).length > LIMITS.options) {
    addProblem(ctx, [], ErrorCode.tooLarge, `The option objects have more than ${LIMITS.options} characters together.`);
  }
  return options;
}

/** Ayrshare's fall-backs beside the option objects. */
function commonOptionsOf(body: Record<string, unknown>): Record<string, string> {
  const given = ['title', 'subreddit'].flatMap((key) => (typeof body[key] === 'string' && body[key] !== '' ? [[key, body[key].slice(0, 1000)] as const] : []));
  return Object.fromEntries(given);
}

/** Body of `POST /post`; unknown keys are ignored, clients add their own. */
export const createPostSchema: z.ZodType<PostInput> = withCodes(
  createBody.transform((body, ctx): PostInput => {
    refuseUnsupported(body, ctx);
    const platforms = [...new Set(body.platforms)];
    const thread = readThread(body.thread ?? [], ctx);
    const firstComment = readComment(body.firstComment, ctx);
    checkParts(thread, firstComment, ctx);
    return {
      ...readBodyText(body, platforms, ctx),
      platforms,
      mediaUrls: readBodyMedia(body, platforms, ctx) ?? [],
      isVideo: body.isVideo ?? false,
      ...(thread.length === 0 ? {} : { thread }),
      ...(firstComment === null ? {} : { firstComment }),
      options: readOptions(body, ctx),
      commonOptions: commonOptionsOf(body),
      scheduledAt: body.scheduleDate === undefined ? null : readScheduleDate(body.scheduleDate, 'scheduleDate', ctx),
      timeZone: null,
      notes: body.notes ?? null,
      idempotencyKey: body.idempotencyKey ?? null,
      checkRules: body.validateScheduled !== false,
      ...(body.whenLate === undefined ? {} : { whenLate: body.whenLate }),
    };
  }),
  CODES,
);

const ID_WRONG = 'The id must be the id of a post, as POST /post answered it.';
const postId = z.string(ID_WRONG).regex(/^[A-Za-z0-9_-]{1,64}$/, ID_WRONG);

const updateBody = createBody.partial().extend({
  id: postId,
  approved: flag('approved').optional(),
  scheduledPause: flag('scheduledPause').optional(),
}).omit({ idempotencyKey: true, validateScheduled: true });

/** Body of `PUT /post` and `PATCH /post`: the id and at least one change. */
export const updatePostSchema: z.ZodType<{ id: string; changes: PostChanges }> = withCodes(
  updateBody.transform((body, ctx) => {
    refuseUnsupported(body, ctx);
    for (const field of ['approved', 'scheduledPause'] as const) {
      if (body[field] !== undefined) addProblem(ctx, [field], ErrorCode.badRequest, `${field} can't be changed yet. Nothing was changed.`);
    }
    const changes: PostChanges = {};
    const platforms = body.platforms === undefined ? undefined : [...new Set(body.platforms)];
    if (platforms !== undefined) changes.platforms = platforms;
    if (body.post !== undefined) Object.assign(changes, readBodyText({ post: body.post }, platforms ?? ['all'], ctx));
    const mediaUrls = readBodyMedia(body, platforms ?? ['default'], ctx);
    if (mediaUrls !== undefined) changes.mediaUrls = mediaUrls;
    if (body.isVideo !== undefined) changes.isVideo = body.isVideo;
    if (body.thread !== undefined) changes.thread = readThread(body.thread ?? [], ctx);
    if (body.firstComment !== undefined) changes.firstComment = readComment(body.firstComment, ctx);
    checkParts(changes.thread ?? [], changes.firstComment ?? null, ctx);
    if (body.notes !== undefined) changes.notes = body.notes;
    if (body.whenLate !== undefined) changes.whenLate = body.whenLate;
    const options = readOptions(body, ctx);
    if (Object.keys(options).length > 0) changes.options = options;
    if (body.scheduleDate !== undefined) changes.scheduledAt = readScheduleDate(body.scheduleDate, 'scheduleDate', ctx);
    if (Object.keys(changes).length === 0 && ctx.issues.length === 0) {
      addProblem(ctx, [], ErrorCode.badRequest, 'Nothing to change: send scheduleDate, notes, post, mediaUrls, thread, firstComment or platforms with the id.');
    }
    return { id: body.id, changes };
  }),
  CODES,
);

/** Body of `PUT /post/retry`. */
export const retryPostSchema = z.looseObject({ id: postId }, 'The body must be a JSON object with the id of a post.');

/** Body of `DELETE /post`: what to delete. */
export const deletePostSchema = z.looseObject({
  id: postId.optional(),
  bulk: z.array(postId, 'bulk must be a list of post ids.').min(1, 'bulk is empty: send at least one post id.').max(1000, 'At most 1000 posts may be deleted at once.').optional(),
  deleteAllScheduled: flag('deleteAllScheduled').optional(),
  markManualDeleted: flag('markManualDeleted').optional(),
}, 'The body must be a JSON object with the id of a post.').refine((body) => body.id !== undefined || body.bulk !== undefined || body.deleteAllScheduled === true, {
  path: ['id'],
  message: 'Missing id: send the id of the post to delete, or bulk with a list of ids, or deleteAllScheduled.',
});

export type DeleteRequest = z.infer<typeof deletePostSchema>;
