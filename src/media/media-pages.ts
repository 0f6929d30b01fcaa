/** The page of uploaded files: what there is, one more, deletion; and the door that the composer's script sends files to. */
import { Router, type Request, type Response } from 'express';
import type { Actor } from '../accounts/actor.js';
import { actorOf } from '../http/actor.js';
import { form, goTo, type FormProblems } from '../http/forms.js';
import { invalidInput, readParams, readQuery } from '../http/input.js';
import { flash, render } from '../http/render.js';
import { AppError, ErrorCode, type FieldProblem } from '../lib/app-error.js';
import { sizeText } from '../lib/size-text.js';
import { fileTypes } from './file-type.js';
import { pathOf, type MediaFile } from './media.js';
import { mediaIdSchema, pageQuerySchema } from './media-schemas.js';
import type { MediaService } from './media-service.js';

export interface MediaPagesDeps {
  media: MediaService;
  /** Bytes that the account's plan allows; null: no limit. */
  limitOf(accountId: string): Promise<number | null>;
}

const NO_PROBLEMS: FormProblems = { input: {}, problems: {}, fields: [], message: '' };
const PAGE_SIZE = 24;
/** What file inputs offer to choose from. */
export const ACCEPT = fileTypes.map(({ contentType }) => contentType).join(',');

/** Mounted at `/`, behind sign-in; forms with files were read before. */
export function mediaPages(deps: MediaPagesDeps): Router {
  const { media } = deps;
  const router = Router();
  router.get('/media', (req, res) => show(deps, req, res, NO_PROBLEMS));
  router.post('/media', form((req, res) => upload(media, req, res), (req, res, problems) => showAgain(deps, req, res, problems)));
  router.post('/media/:id/delete', form(async (req, res) => {
    await media.remove(actorOf(req), readParams(req, mediaIdSchema).id);
    flash(req, 'success', 'The file is deleted.');
    goTo(req, res, '/media');
  }, (req, res, problems) => show(deps, req, res, problems)));
  return router;
}

/** Keeps what came with a form; what can't be kept doesn't keep the rest from it. */
export async function keepFormFiles(media: MediaService, actor: Actor, req: Request): Promise<{ kept: MediaFile[]; problems: FieldProblem[] }> {
  const kept: MediaFile[] = [];
  const problems: FieldProblem[] = [];
  for (const { fileName, received, problem } of req.formFiles ?? []) {
    try {
      if (received === null) throw problem!;
      kept.push(await media.keep(actor, received, { fileName, description: '' }));
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      problems.push({ field: 'files', code: error.code, message: `${fileName}: ${error.message}` });
    }
  }
  return { kept, problems };
}

/** Scripts are answered in JSON, with what was kept and what was not. */
async function upload(media: MediaService, req: Request, res: Response): Promise<void> {
  const { kept, problems } = await keepFormFiles(media, actorOf(req), req);
  if (kept.length + problems.length === 0) problems.push({ field: 'files', code: ErrorCode.badRequest, message: 'Choose a file first.' });
  if (req.accepts(['html', 'json']) === 'json') {
    const files = kept.map((file) => ({ url: media.urlOf(file), fileName: file.fileName, kind: file.type.kind }));
    res.status(problems.length > 0 ? 422 : 200).set('Cache-Control', 'no-store').json({ files, problems: problems.map(({ message }) => message) });
    return;
  }
  if (problems.length > 0) throw invalidInput(problems);
  flash(req, 'success', kept.length === 1 ? 'The file is uploaded.' : `${kept.length} files are uploaded.`);
  goTo(req, res, '/media');
}

function showAgain(deps: MediaPagesDeps, req: Request, res: Response, problems: FormProblems): Promise<void> {
  const isPlan = problems.fields.some(({ code }) => code === ErrorCode.planLimit);
  const message = 'Not everything could be uploaded; what could is in the list.';
  return show(deps, req, res, { ...problems, message, ...(isPlan ? { planLink: { href: '/billing', text: 'Plan and billing' } } : {}) });
}

async function show({ media, limitOf }: MediaPagesDeps, req: Request, res: Response, problems: FormProblems): Promise<void> {
  const actor = actorOf(req);
  const { after } = readQuery(req, pageQuerySchema);
  const [found, used, limit] = await Promise.all([media.list(actor, PAGE_SIZE + 1, after ?? null), media.usedBytes(actor.accountId), limitOf(actor.accountId)]);
  const files = found.slice(0, PAGE_SIZE);
  const last = files.at(-1);
  render(res, 'media/list', {
    ...problems, title: 'Media', accept: ACCEPT, maxText: sizeText(media.maxBytes),
    files: files.map((file) => ({ ...file, url: media.urlOf(file), path: pathOf(file), sizeText: sizeText(file.bytes), shapeText: shapeText(file) })),
    usedText: sizeText(used), limitText: limit === null ? null : sizeText(limit),
    firstUrl: after === undefined ? null : '/media',
    nextUrl: found.length > PAGE_SIZE && last !== undefined ? `/media?after=${last.createdAt.getTime()}-${last.id}` : null,
  });
}

function shapeText({ shape: { width, height, durationMs } }: MediaFile): string {
  return [...(width === undefined || height === undefined ? [] : [`${width} × ${height}`]), ...(durationMs === undefined ? [] : [`${Math.round(durationMs / 100) / 10} s`])].join(', ');
}
