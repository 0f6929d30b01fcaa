/** The API's routes for posts and their history, compatible with Ayrshare's. */
import { Router, type Request, type Response } from 'express';
import type { Actor } from '../accounts/actor.js';
import { actorOf, chosenTitle } from '../http/actor.js';
import { invalidInput, readBody, readQuery } from '../http/input.js';
import { AppError, ErrorCode } from '../lib/app-error.js';
import type { Clock } from '../lib/clock.js';
import type { Post } from './post.js';
import { historySchema } from './post-history-query.js';
import { createPostSchema, deletePostSchema, retryPostSchema, updatePostSchema, type DeleteRequest } from './post-schemas.js';
import { createdAnswer, emptyHistory, historyRow, statusWord } from './post-presenter.js';
import type { Deletion, PostService, PublishingDoor } from './post-service.js';
import { formatInstant } from './post-time.js';

export interface PostApiDeps {
  posts: PostService;
  profiles: { get(profileId: string): Promise<{ refId: string; title: string }> };
  /** Waits until nothing of a post that goes out at once is about to be sent, at most `timeoutMs`. */
  settled(postId: string, timeoutMs: number): Promise<Post | null>;
  clock: Clock;
  publishing: PublishingDoor;
}

/** How long `POST /post` waits for the networks; clients' own time-outs are usually a minute. */
const WAIT_MS = 25_000;

/** Mounted at `/api`, behind the API key. */
export function postApi(deps: PostApiDeps): Router {
  const router = Router();
  router.post('/post', (req, res) => create(deps, req, res));
  router.route('/post').put((req, res) => update(deps, req, res)).patch((req, res) => update(deps, req, res));
  router.put('/post/retry', (req, res) => retry(deps, req, res));
  router.post('/validate/post', (req, res) => validate(deps, req, res));
  router.delete(['/post', '/delete'], (req, res) => remove(deps, req, res));
  router.get('/history', (req, res) => history(deps, req, res));
  router.get(['/post/:id', '/history/:id'], (req, res) => read(deps, req, res));
  return router;
}

async function create(deps: PostApiDeps, req: Request, res: Response): Promise<void> {
  const input = readBody(req, createPostSchema);
  const stored = await deps.posts.create(actorOf(req), input);
  const goesNow = stored.status === 'scheduled' && stored.scheduledAt <= deps.clock.now();
  const post = goesNow || stored.status === 'publishing' ? ((await deps.settled(stored.id, WAIT_MS)) ?? stored) : stored;
  const { httpStatus, body } = createdAnswer(post, goesNow);
  const profileTitle = chosenTitle(req);
  // As at Ayrshare: with a Profile-Key the answer is one row of a list.
  res.status(httpStatus).json(profileTitle === null ? body : { status: body['status'], posts: [{ ...body, profileTitle }] });
}

async function update(deps: PostApiDeps, req: Request, res: Response): Promise<void> {
  const { id, changes } = readBody(req, updatePostSchema);
  const post = await deps.posts.edit(actorOf(req), id, changes);
  res.json({
    status: 'success',
    id: post.id,
    refId: post.refId,
    post: post.text,
    postStatus: statusWord(post),
    scheduleDate: formatInstant(post.scheduledAt),
    ...(post.notes === null ? {} : { notes: post.notes }),
  });
}

/** Sends again what failed. Repeating the request changes nothing while that is under way or done, since clients repeat it by themselves. */
async function retry({ posts, publishing }: PostApiDeps, req: Request, res: Response): Promise<void> {
  const actor = actorOf(req);
  const { id } = readBody(req, retryPostSchema);
  const post = await posts.get(actor, id);
  const needsNothing = post.status === 'scheduled' || post.status === 'publishing' || post.status === 'success';
  const after = needsNothing ? post : await publishing.retry(actor, id, null);
  res.json({ status: 'success', id: after.id, refId: after.refId, postStatus: statusWord(after) });
}

const ALL_WELL = 'No validation issues were found with this post. This is only a Signpost validation test and the post may still return an error by the social networks.';

/** Checks a post without storing it; platforms that are not linked are warnings, since that may change before it is sent. */
async function validate({ posts }: PostApiDeps, req: Request, res: Response): Promise<void> {
  const { problems, notLinked } = await posts.check(actorOf(req), readBody(req, createPostSchema));
  if (problems.length > 0) throw invalidInput(problems);
  const warnings = notLinked.map((field) => ({ action: 'post', status: 'error', ...field }));
  res.json({ status: 'success', message: ALL_WELL, ...(warnings.length > 0 ? { warnings } : {}) });
}

async function read(deps: PostApiDeps, req: Request, res: Response): Promise<void> {
  const actor = actorOf(req);
  const id = req.params['id'];
  const post = typeof id === 'string' ? await deps.posts.find(actor, id) : null;
  // Ayrshare's status for an unknown id is 400, not 404.
  if (post === null) throw new AppError('invalid', ErrorCode.historyNotFound, 'History not found. No post has this id.', { details: { action: 'get' } });
  const { title } = await deps.profiles.get(actor.profileId);
  res.json(historyRow(post, title));
}

async function history(deps: PostApiDeps, req: Request, res: Response): Promise<void> {
  const actor = actorOf(req);
  const { lastDays, ...filter } = readQuery(req, historySchema);
  const now = deps.clock.now();
  const since = filter.scheduledFrom ?? (lastDays === 0 || filter.scheduledTo !== undefined ? undefined : new Date(now.getTime() - lastDays * 86_400_000));
  const [posts, profile] = await Promise.all([
    deps.posts.list(actor, { ...filter, ...(since === undefined ? {} : { scheduledFrom: since }) }),
    deps.profiles.get(actor.profileId),
  ]);
  if (posts.length === 0) {
    res.status(400).json(emptyHistory);
    return;
  }
  const at = now.toISOString();
  res.json({ history: posts.map((post) => historyRow(post, profile.title)), refId: profile.refId, count: posts.length, lastUpdated: at, nextUpdate: at });
}

async function remove(deps: PostApiDeps, req: Request, res: Response): Promise<void> {
  const actor = actorOf(req);
  const request = readBody(req, deletePostSchema);
  if (request.deleteAllScheduled === true) {
    res.json({ status: 'success', code: 200, count: await deps.posts.cancelAllScheduled(actor) });
    return;
  }
  if (request.id !== undefined) {
    const row = await removeOne(deps.posts, actor, request.id, request);
    if (row === null) throw new AppError('not-found', ErrorCode.deleteNotFound, 'Delete id not found. No post has this id.', { details: { action: 'delete' } });
    res.status(row.code === 200 ? 200 : 400).json(row);
    return;
  }
  const rows: DeletionRow[] = [];
  for (const id of new Set(request.bulk)) rows.push((await removeOne(deps.posts, actor, id, request).catch((error: unknown) => conflictRow(id, error))) ?? unknownRow(id));
  const allDone = rows.every((row) => row.status === 'success');
  res.status(allDone ? 200 : 400).json({ status: allDone ? 'success' : 'error', code: allDone ? 200 : 400, posts: rows });
}

interface DeletionRow extends Record<string, unknown> {
  status: 'success' | 'error';
  id: string;
  code: number;
}

function unknownRow(id: string): DeletionRow {
  return { action: 'delete', status: 'error', id, code: ErrorCode.deleteNotFound, message: 'Delete id not found. No post has this id.' };
}

/** One post that is being sent doesn't keep the others of a bulk from being deleted. */
function conflictRow(id: string, error: unknown): DeletionRow {
  if (error instanceof AppError && error.kind === 'conflict') return { action: 'delete', status: 'error', id, code: error.code, message: error.message };
  throw error;
}

/** @returns null when there is no such post */
async function removeOne(posts: PostService, actor: Actor, id: string, request: DeleteRequest): Promise<DeletionRow | null> {
  if ((await posts.find(actor, id)) === null) return null;
  return deletionRow(await posts.remove(actor, id, { removedByHand: request.markManualDeleted === true }));
}

/** Both of Ayrshare's documented forms at once: a key per platform, and `status`, `id` and `code`. */
function deletionRow({ post, removals }: Deletion): DeletionRow {
  const perPlatform = Object.fromEntries(removals.map(({ platform, removed, message }) => [platform, {
    action: 'delete', status: removed ? 'success' : 'error', id: post.id, ...(removed ? {} : { code: ErrorCode.badRequest, message: message ?? 'It could not be taken down.' }),
  }]));
  const failed = removals.find((row) => !row.removed);
  if (failed === undefined) return { ...perPlatform, status: 'success', id: post.id, code: 200 };
  return { ...perPlatform, action: 'delete', status: 'error', id: post.id, code: ErrorCode.badRequest, message: failed.message ?? 'It could not be taken down.' };
}
