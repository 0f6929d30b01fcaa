/** Reads requests that bring files: forms of pages, and calls of the API as form or as JSON. Files wait beside their place until a use case keeps them. */
import type { Request, RequestHandler } from 'express';
import multer, { MulterError, type StorageEngine } from 'multer';
import { readFile } from 'node:fs/promises';
import { Readable, type Writable } from 'node:stream';
import { actorOf } from '../http/actor.js';
import { AppError, ErrorCode } from '../lib/app-error.js';
import type { IncomingFile, MediaService } from './media-service.js';

/** A file of a form: received, or refused with the reason. */
export interface FormFile {
  fileName: string;
  received: IncomingFile | null;
  problem: AppError | null;
}

declare module 'multer' {
  interface Options {
    /** New in multer 2.5, not in its types yet: feeds the reader of forms. */
    streamHandler?: (req: Readable, reader: Writable) => void;
  }
}

declare global {
  namespace Express {
    interface Request {
      /** What came with the form, in the order in which it was sent. */
      formFiles?: FormFile[];
    }
    namespace Multer {
      interface File extends Partial<Omit<FormFile, 'fileName'>> {}
    }
  }
}

type Receiver = Pick<MediaService, 'receive' | 'discard' | 'maxBytes'>;

/** In one form; more are refused. */
export const MOST_FILES = 20;
/** Of all fields together, as of a form without files: they are held in memory, also those of strangers. */
const FIELDS_BYTES = 1_048_576;
const FORM_LIMITS = { fieldSize: FIELDS_BYTES, fields: 2_000, parts: 2_100, fieldNameSize: 200, fieldNestingDepth: 0 };
/** As base64 in JSON a file is held in memory, so larger ones are sent as a form. */
export const MOST_JSON_FILE_BYTES = 30_000_000;
const JSON_LIMIT = Math.ceil(MOST_JSON_FILE_BYTES * 1.34) + 100_000;

/**
 * For forms of pages with files in the field `files`. Reads the fields of everybody, so that nothing typed is lost when a session ended, but files only
 * of people who are signed in.
 */
export function formFiles(media: Receiver, takesFiles: (req: Request) => boolean): RequestHandler {
  const read = multer({
    storage: storageFor(media), limits: { ...FORM_LIMITS, files: MOST_FILES }, defParamCharset: 'utf8', streamHandler: feed,
    fileFilter: (req, file, decide) => decide(null, req.user !== undefined && file.fieldname === 'files'),
  }).any();
  return (req, res, next) => (takesFiles(req) ? reading(media, read, req, res, next) : next());
}

/** For calls of the API: one file in the field `file` of a form, or JSON that `apiJson` reads. */
export function apiForm(media: Receiver): RequestHandler {
  const read = multer({
    storage: storageFor(media), limits: { ...FORM_LIMITS, fields: 50, parts: 60, files: 1 }, defParamCharset: 'utf8', streamHandler: feed,
    fileFilter: (_req, file, decide) => {
      if (file.fieldname === 'file') decide(null, true);
      else decide(wrong('invalid', 400, file.fieldname.slice(0, 60), 'Send the file in the field "file".'));
    },
  }).any();
  return (req, res, next) => reading(media, read, req, res, next);
}

/**
 * Reads a body of JSON, which has the whole file in it: to disk first, however slowly it comes, and then one after the other into memory, where it is
 * several times as large.
 * @throws AppError `unsupported`, `too-large`, `invalid`
 */
export function createJsonReader(media: Pick<MediaService, 'spool'>): <T>(req: Request, use: (body: unknown) => Promise<T>) => Promise<T> {
  let turn: Promise<unknown> = Promise.resolve();
  return async (req, use) => {
    const isPlain = (req.get('content-encoding') ?? 'identity') === 'identity';
    if (!isPlain || req.is(['json', '+json']) === false) {
      throw wrong('unsupported', 415, 'Content-Type', 'Send the file as a form (multipart/form-data), or as JSON that is not compressed.');
    }
    const spooled = await media.spool(req, JSON_LIMIT).catch((error: unknown) => {
      throw req.complete ? error : brokeOff();
    });
    if (spooled === null) throw wrong('too-large', ErrorCode.tooLarge, 'file', `As JSON a file may have at most ${MOST_JSON_FILE_BYTES / 1_000_000} MB. Send larger ones as a form (multipart/form-data).`);
    const mine = turn.then(async () => use(parseJson(await readFile(spooled.path, 'utf8'))));
    turn = mine.catch(() => undefined);
    try {
      return await mine;
    } finally {
      await spooled.discard();
    }
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text === '' ? '{}' : text) as unknown;
  } catch {
    throw wrong('invalid', ErrorCode.badRequest, 'body', 'The body is not valid JSON. Send a JSON object such as {"file":"data:image/png;base64,iVBORw0KGgo..."}, or a form (multipart/form-data).');
  }
}

/** Sends the request to the reader of forms, until its fields are too much. */
function feed(req: Readable, reader: Writable): void {
  let bytes = 0;
  reader.on('field', (_name: string, value: string) => {
    bytes += value.length;
    if (bytes > FIELDS_BYTES) reader.destroy(wrong('too-large', ErrorCode.tooLarge, 'body', 'The fields of the form have more than 1 MB together. Send less.'));
  });
  req.pipe(reader);
}

function storageFor(media: Receiver): StorageEngine {
  return {
    _handleFile(req, file, done) {
      const { stream } = file;
      // A client that leaves ends its stream nowhere else; requests that came whole are closed too, perhaps before the stream is read.
      const abort = (): void => void (req.complete || stream.destroy(new Error('The client left.')));
      req.once('close', abort);
      media.receive(actorOf(req), stream).then(
        (received) => done(null, { received, problem: null, path: received.path }),
        (error: unknown) => (error instanceof AppError ? done(null, { received: null, problem: error }) : done(error)),
      ).finally(() => req.off('close', abort));
    },
    _removeFile(_req, file, done) {
      if (file.received === undefined || file.received === null) return done(null);
      media.discard(file.received).then(() => done(null), done);
    },
  };
}

/** Reads the form, and throws away at the end of the request what nobody kept. */
function reading(media: Receiver, read: RequestHandler, req: Request, res: Parameters<RequestHandler>[1], next: Parameters<RequestHandler>[2]): void {
  void read(req, res, (error?: unknown) => {
    if (error !== undefined && error !== null) return next(asAppError(error));
    const files = (req.files ?? []) as Express.Multer.File[];
    req.formFiles = files.map(({ originalname, received = null, problem = null }) => ({ fileName: originalname, received, problem }));
    if (res.closed) discardLeft(media, req);
    else res.once('close', () => discardLeft(media, req));
    next();
  });
}

/** Placing a file moved it, so that nothing is found of it here. What can't be thrown away now is swept later. */
function discardLeft(media: Receiver, { formFiles: files = [] }: Request): void {
  void Promise.allSettled(files.map(async ({ received }) => (received === null ? undefined : media.discard(received))));
}

/** The bytes of a data URI. @throws AppError `invalid`, `too-large` */
export function bytesOfDataUri(text: string): Readable {
  const head = /^data:[\w.+-]*\/?[\w.+-]*(?:;[\w.+-]+=[\w.+"-]*)*;base64,/i.exec(text.slice(0, 300))?.[0];
  if (head === undefined) throw wrong('invalid', 400, 'file', 'The file must be a data URI in base64, such as data:image/png;base64,iVBORw0KGgo..., or be sent as a form (multipart/form-data).');
  const base64 = text.slice(head.length).replace(/\s+/g, '');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) throw wrong('invalid', 400, 'file', 'The part of the data URI after "base64," is not base64, or empty.');
  const data = Buffer.from(base64, 'base64');
  if (data.length > MOST_JSON_FILE_BYTES) throw wrong('too-large', 413, 'file', `As JSON a file may have at most ${MOST_JSON_FILE_BYTES / 1_000_000} MB. Send larger ones as a form (multipart/form-data).`);
  return Readable.from([data]);
}

function wrong(kind: 'invalid' | 'too-large' | 'unsupported', code: number, field: string, message: string): AppError {
  return new AppError(kind, code, `${field}: ${message}`, { fields: [{ field, message, code }] });
}

function brokeOff(): AppError {
  const message = 'The request broke off or is damaged. Send it again, a form as multipart/form-data.';
  return new AppError('invalid', ErrorCode.badRequest, message, { fields: [{ field: 'body', code: ErrorCode.badRequest, message }] });
}

/** What the reader of forms throws, in our words. */
function asAppError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof AppError) return error;
  if (error instanceof MulterError) {
    if (error.code === 'LIMIT_FILE_COUNT') return wrong('invalid', ErrorCode.badRequest, error.field ?? 'file', 'These are too many files at once. Send fewer.');
    return wrong(error.code === 'LIMIT_FIELD_VALUE' ? 'too-large' : 'invalid', error.code === 'LIMIT_FIELD_VALUE' ? ErrorCode.tooLarge : ErrorCode.badRequest, error.field?.slice(0, 60) ?? 'body', 'The form could not be read: a field is too large, there are too many of them, or one has no proper name.');
  }
  // Of busboy and of connections that break: they come without a class of their own.
  if (/Unexpected end of form|Malformed|Multipart|Boundary|Request (?:aborted|closed)|The client left/i.test(error.message)) {
    return brokeOff();
  }
  return error;
}
