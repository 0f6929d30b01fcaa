/** The pages of posts: write, list, look at one, change it, cancel it. */
import { Router, type Request, type Response } from 'express';
import type { Actor } from '../accounts/actor.js';
import type { Channel } from '../channels/channel.js';
import { actorOf } from '../http/actor.js';
import { form, goTo, typedFields, type FormProblems } from '../http/forms.js';
import { invalidInput, readBody, readQuery } from '../http/input.js';
import { flash, render } from '../http/render.js';
import { AppError, ErrorCode } from '../lib/app-error.js';
import type { Clock } from '../lib/clock.js';
import { newToken } from '../lib/ids.js';
import { sizeText } from '../lib/size-text.js';
import type { Notifier } from '../lib/notifier.js';
import { ACCEPT, keepFormFiles } from '../media/media-pages.js';
import type { MediaService } from '../media/media-service.js';
import { fileIdsOf, type FilesDoor } from './post-files.js';
import { livePost, livePosts } from './post-live.js';
import { confirmFormSchema, deleteFormSchema, draftSchema, postFormSchema, retryFormSchema, type Draft } from './post-forms.js';
import { listQuerySchema, toListFilter } from './post-list-query.js';
import { mergeOptionFields } from './post-option-fields.js';
import { preview, type Preview } from './post-preview.js';
import type { PostService, PublishingDoor } from './post-service.js';
import { blankForm, composeView, formOf, listView, platformName, postView, type ComposeView } from './post-views.js';

export interface PostPagesDeps {
  posts: PostService;
  channels: { list(actor: Actor): Promise<Channel[]> };
  clock: Clock;
  notifier: Notifier;
  publishing: PublishingDoor;
  /** Keeps the files that came with a form. */
  media: MediaService;
  files: Pick<FilesDoor, 'find'>;
}

/** Mounted at `/`, behind sign-in. */
export function postPages(deps: PostPagesDeps): Router {
  const router = Router();
  router.get('/posts', (req, res) => list(deps, req, res));
  router.get('/posts/live', (req, res) => livePosts(deps, req, res));
  router.get('/posts/new', (req, res) => compose(deps, req, res));
  router.post('/posts/preview', (req, res) => showPreview(deps, req, res));
  router.post('/posts', form((req, res) => create(deps, req, res), (req, res, problems) => composeAgain(deps, req, res, problems)));
  router.get('/posts/:id', (req, res) => show(deps, req, res));
  router.get('/posts/:id/live', (req, res) => livePost(deps, idOf(req), req, res));
  router.get('/posts/:id/edit', (req, res) => edit(deps, req, res));
  router.post('/posts/:id/edit', form((req, res) => save(deps, req, res), (req, res, problems) => editAgain(deps, req, res, problems)));
  router.post('/posts/:id/cancel', (req, res) => cancel(deps, req, res));
  router.post('/posts/:id/delete', (req, res) => remove(deps, req, res));
  router.post('/posts/:id/retry', (req, res) => retry(deps, req, res));
  router.post('/posts/:id/confirm', form((req, res) => confirm(deps, req, res), (req, res, problems) => showAgain(deps, req, res, problems)));
  return router;
}

async function list({ posts }: PostPagesDeps, req: Request, res: Response): Promise<void> {
  const actor = actorOf(req);
  const query = readQuery(req, listQuerySchema);
  const [found, counts] = await Promise.all([posts.list(actor, toListFilter(query)), posts.count(actor)]);
  render(res, 'posts/list', listView(query, found, counts));
}

async function compose(deps: PostPagesDeps, req: Request, res: Response): Promise<void> {
  const actor = actorOf(req);
  const channels = await deps.channels.list(actor);
  const sourceId = typeof req.query['copy'] === 'string' ? req.query['copy'] : null;
  const source = sourceId === null ? null : await deps.posts.find(actor, sourceId);
  const blank = blankForm(actor.timeZone, channels, deps.clock.now());
  const { scheduleDate = '', occurrence = '' } = blank;
  const fields = source === null ? blank : { ...formOf(source, actor.timeZone), scheduleDate, occurrence, version: '' };
  await renderCompose(deps, res, newPostView({ ...fields, formKey: newToken(12) }, channels, actor));
}

function newPostView(fields: ComposeView['fields'], channels: Channel[], actor: Actor, again?: FormProblems): ComposeView {
  return composeView({ title: 'Write a post', action: '/posts', cancelUrl: '/posts', fields, channels, accountZone: actor.timeZone, again });
}

async function renderCompose(deps: PostPagesDeps, res: Response, view: ComposeView): Promise<void> {
  const shown = await previewOf(deps, res.req, draftSchema.parse(view.fields));
  render(res, 'posts/compose', { ...view, preview: shown, accept: ACCEPT, maxFileText: sizeText(deps.media.maxBytes) });
}

/** With what is known of the uploads that the draft names. */
async function previewOf({ clock, files }: PostPagesDeps, req: Request, draft: Draft): Promise<Preview> {
  const ids = fileIdsOf(draft);
  const found = ids.length === 0 ? undefined : await files.find(actorOf(req), ids);
  return preview({ ...draft, ...(found === undefined ? {} : { files: found }) }, clock.now());
}

/**
 * Files that came with the form, as they do without scripts, become addresses in its field.
 * @throws AppError `invalid` when some could not be kept; the form comes back with the others
 */
async function addFormFiles({ media }: PostPagesDeps, req: Request): Promise<void> {
  if ((req.formFiles ?? []).length === 0) return;
  const { kept, problems } = await keepFormFiles(media, actorOf(req), req);
  const body = req.body as Record<string, unknown>;
  const typed = typeof body['mediaUrls'] === 'string' ? [body['mediaUrls'].trimEnd()] : [];
  body['mediaUrls'] = [...typed, ...kept.map((file) => media.urlOf(file))].filter((line) => line !== '').join('\n');
  if (problems.length > 0) throw invalidInput(problems);
}

/** Without scripts the button for one more item of the thread sends the form, which comes back with it. */
function addsItem(req: Request): boolean {
  return typedFields(req)['addItem'] !== undefined;
}

function asTyped(req: Request): FormProblems {
  return { input: typedFields(req), problems: {}, fields: [], message: '' };
}

async function create(deps: PostPagesDeps, req: Request, res: Response): Promise<void> {
  const { posts } = deps;
  const actor = actorOf(req);
  await addFormFiles(deps, req);
  if (addsItem(req)) return composeAgain(deps, req, res, asTyped(req));
  const { input } = readBody(req, postFormSchema(actor.timeZone));
  const post = await posts.create(actor, input);
  flash(req, 'success', post.type === 'now' ? 'Your post is on its way.' : 'Your post is scheduled.');
  goTo(req, res, `/posts/${post.id}`);
}

async function composeAgain(deps: PostPagesDeps, req: Request, res: Response, problems: FormProblems): Promise<void> {
  const actor = actorOf(req);
  const channels = await deps.channels.list(actor);
  // A key that made a post already can't make another: the next sending is a new post, knowingly.
  const isUsedUp = problems.fields.some((problem) => problem.code === ErrorCode.idempotencyKeyReused);
  const again = isUsedUp ? { ...problems, message: 'This form was already sent, and its post is in your list. If you want another post with this content, send it again.' } : problems;
  const formKey = isUsedUp || typeof again.input['formKey'] !== 'string' ? newToken(12) : again.input['formKey'];
  await renderCompose(deps, res, newPostView({ ...again.input, formKey }, channels, actor, again));
}

async function showPreview(deps: PostPagesDeps, req: Request, res: Response): Promise<void> {
  const draft = readBody(req, draftSchema);
  res.set('Cache-Control', 'no-store').json(await previewOf(deps, req, draft));
}

async function show({ posts }: PostPagesDeps, req: Request, res: Response): Promise<void> {
  render(res, 'posts/post', postView(await posts.get(actorOf(req), idOf(req))));
}

async function edit(deps: PostPagesDeps, req: Request, res: Response): Promise<void> {
  const actor = actorOf(req);
  const [post, channels] = await Promise.all([deps.posts.get(actor, idOf(req)), deps.channels.list(actor)]);
  const { canChange } = postView(post);
  if (!canChange) {
    flash(req, 'warning', 'This post can no longer be changed: it is being sent, was sent, or was cancelled.');
    goTo(req, res, `/posts/${post.id}`);
    return;
  }
  await renderCompose(deps, res, editView(post.id, formOf(post, actor.timeZone), channels, actor));
}

function editView(id: string, fields: ComposeView['fields'], channels: Channel[], actor: Actor, again?: FormProblems): ComposeView {
  return composeView({ title: 'Edit post', action: `/posts/${id}/edit`, cancelUrl: `/posts/${id}`, fields, channels, accountZone: actor.timeZone, again });
}

async function save(deps: PostPagesDeps, req: Request, res: Response): Promise<void> {
  const { posts } = deps;
  const actor = actorOf(req);
  await addFormFiles(deps, req);
  if (addsItem(req)) return editAgain(deps, req, res, asTyped(req));
  const { input, version } = readBody(req, postFormSchema(actor.timeZone));
  const { commonOptions: _common, idempotencyKey: _key, checkRules: _check, platforms, ...rest } = input;
  const options = mergeOptionFields((await posts.get(actor, idOf(req))).options, input.options, platforms);
  const post = await posts.edit(actor, idOf(req), { ...rest, platforms, options }, version);
  flash(req, 'success', 'Your changes are saved.');
  goTo(req, res, `/posts/${post.id}`);
}

async function editAgain(deps: PostPagesDeps, req: Request, res: Response, problems: FormProblems): Promise<void> {
  const actor = actorOf(req);
  const id = idOf(req);
  const [post, channels] = await Promise.all([deps.posts.get(actor, id), deps.channels.list(actor)]);
  if (!postView(post).canChange) {
    flash(req, 'warning', problems.message);
    goTo(req, res, `/posts/${id}`);
    return;
  }
  await renderCompose(deps, res, editView(id, { ...problems.input, version: String(post.version) }, channels, actor, problems));
}

async function cancel({ posts }: PostPagesDeps, req: Request, res: Response): Promise<void> {
  const id = idOf(req);
  await posts.cancel(actorOf(req), id);
  flash(req, 'success', 'The post is cancelled. Nothing of it will be published.');
  goTo(req, res, `/posts/${id}`);
}

async function remove({ posts }: PostPagesDeps, req: Request, res: Response): Promise<void> {
  const id = idOf(req);
  const { byHand } = readBody(req, deleteFormSchema);
  const { removals } = await posts.remove(actorOf(req), id, { removedByHand: byHand === 'yes' });
  const stays = removals.filter((row) => !row.removed);
  if (stays.length === 0) flash(req, 'success', 'The post is deleted.');
  for (const { platform, message } of stays) flash(req, 'warning', `${platformName(platform).name}: ${message ?? 'It could not be taken down.'}`);
  goTo(req, res, `/posts/${id}`);
}

async function retry({ publishing }: PostPagesDeps, req: Request, res: Response): Promise<void> {
  const id = idOf(req);
  const { publicationId } = readBody(req, retryFormSchema);
  await publishing.retry(actorOf(req), id, publicationId === undefined ? null : [publicationId]);
  flash(req, 'success', 'It is being sent again.');
  goTo(req, res, `/posts/${id}`);
}

async function confirm({ publishing }: PostPagesDeps, req: Request, res: Response): Promise<void> {
  const id = idOf(req);
  const { publicationId, verdict } = readBody(req, confirmFormSchema);
  await publishing.confirm(actorOf(req), id, publicationId, verdict);
  flash(req, 'success', verdict.published ? 'Marked as published.' : 'Marked as not published.');
  goTo(req, res, `/posts/${id}`);
}

async function showAgain({ posts }: PostPagesDeps, req: Request, res: Response, problems: FormProblems): Promise<void> {
  const message = problems.fields.map((field) => field.message).join(' ') || problems.message;
  render(res, 'posts/post', { ...postView(await posts.get(actorOf(req), idOf(req))), message });
}

function idOf(req: Request): string {
  const id = req.params['id'];
  if (typeof id !== 'string') throw new AppError('not-found', ErrorCode.notFound, 'There is no such post.');
  return id;
}
