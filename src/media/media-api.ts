/** The API's routes for uploaded files, compatible with Ayrshare's. */
import { Router, type Request, type Response } from 'express';
import type { Actor } from '../accounts/actor.js';
import { actorOf } from '../http/actor.js';
import { parseInput, readBody, readParams, readQuery } from '../http/input.js';
import { AppError } from '../lib/app-error.js';
import type { MediaFile } from './media.js';
import { aboutSchema, jsonUploadSchema, listSchema, mediaIdSchema, uploadUrlSchema } from './media-schemas.js';
import type { MediaService } from './media-service.js';
import { apiForm, bytesOfDataUri, createJsonReader } from './media-upload.js';

/** Mounted at `/api`, behind the API key, before bodies are read: these read their own. */
export function mediaUploadApi(media: MediaService): Router {
  const router = Router();
  const readJson = createJsonReader(media);
  router.post(['/media/upload', '/upload'], apiForm(media), async (req, res) => {
    const isForm = typeof req.is('multipart') === 'string';
    const file = isForm ? await keepForm(media, req) : await readJson(req, (body) => keepJson(media, actorOf(req), body));
    res.json(answerOf(media, file));
  });
  return router;
}

/** Mounted at `/api`, behind the API key. */
export function mediaApi(media: MediaService): Router {
  const router = Router();
  router.get('/media/uploadUrl', (req, res) => announce(media, req, res));
  router.get('/media', (req, res) => list(media, req, res));
  router.delete('/media', async (req, res) => remove(media, req, res, readBody(req, mediaIdSchema).id));
  router.delete('/media/:id', async (req, res) => remove(media, req, res, readParams(req, mediaIdSchema).id));
  return router;
}

async function keepForm(media: MediaService, req: Request): Promise<MediaFile> {
  const [sent] = req.formFiles ?? [];
  if (sent === undefined) {
    const message = 'There is no file in the form. Send it in the field "file".';
    throw new AppError('invalid', 400, `file: ${message}`, { fields: [{ field: 'file', message, code: 400 }] });
  }
  const { received } = sent;
  if (received === null) throw sent.problem!;
  const { fileName, description = '' } = readBody(req, aboutSchema);
  return media.keep(actorOf(req), received, { fileName: fileName ?? sent.fileName, description });
}

async function keepJson(media: MediaService, actor: Actor, body: unknown): Promise<MediaFile> {
  const { file, fileName = '', description = '' } = parseInput(jsonUploadSchema, body);
  const received = await media.receive(actor, bytesOfDataUri(file));
  try {
    return await media.keep(actor, received, { fileName, description });
  } finally {
    await media.discard(received);
  }
}

function answerOf(media: MediaService, file: MediaFile): object {
  return { id: file.id, url: media.urlOf(file), fileName: file.fileName, description: file.description };
}

async function announce(media: MediaService, req: Request, res: Response): Promise<void> {
  const { contentType, fileName } = readQuery(req, uploadUrlSchema);
  const { file, uploadUrl } = await media.announce(actorOf(req), contentType, fileName);
  res.json({ accessUrl: media.urlOf(file), contentType: file.type.contentType, uploadUrl });
}

async function list(media: MediaService, req: Request, res: Response): Promise<void> {
  const files = await media.list(actorOf(req), readQuery(req, listSchema).limit);
  res.json(files.map((file) => ({
    ...answerOf(media, file),
    timeCreated: file.createdAt.toISOString(),
    // Text, as Ayrshare's clients know it.
    size: String(file.bytes),
    contentType: file.type.contentType,
    expiresAt: file.expiresAt.toISOString(),
  })));
}

async function remove(media: MediaService, req: Request, res: Response, id: string): Promise<void> {
  await media.remove(actorOf(req), id);
  res.json({ status: 'success', id });
}
