/** What the API reads about uploaded files, in Ayrshare's spellings. */
import { z } from 'zod';

const fileName = z.string('The fileName must be text.').max(1_000, 'The fileName may have at most 1000 characters.').optional();
const description = z.string('The description must be text.').max(2_000, 'The description may have at most 2000 characters.').optional();

/** Beside the file of a form. */
export const aboutSchema = z.looseObject({ fileName, description });

/** Body of `POST /media/upload` as JSON. */
export const jsonUploadSchema = z.looseObject({
  file: z.string('The file must be a data URI in base64, such as data:image/png;base64,iVBORw0KGgo..., or be sent as a form (multipart/form-data).'),
  fileName,
  description,
}, 'The body must be a JSON object with the file, or a form (multipart/form-data).');

/** Query of `GET /media/uploadUrl`. */
export const uploadUrlSchema = z.object({
  contentType: z.string('The contentType must be text, such as image/png.').max(100, 'The contentType is too long.').default(''),
  fileName: z.string('The fileName must be text.').max(1_000, 'The fileName may have at most 1000 characters.').default(''),
});

const ID_WRONG = 'The id must be the id of a file, as POST /media/upload answered it.';
const mediaId = z.string(ID_WRONG).regex(/^[0-9a-f]{40}$/, ID_WRONG);

/** Body of `DELETE /media`, and the path of `DELETE /media/:id`. */
export const mediaIdSchema = z.looseObject({ id: mediaId }, 'The body must be a JSON object with the id of a file.');

/** Query of `GET /media`. */
export const listSchema = z.object({
  limit: z.coerce.number('The limit must be a number.').int('The limit must be a whole number.').min(1, 'The limit must be 1 to 1000.').max(1_000, 'The limit must be 1 to 1000.').default(1_000),
});

/** Query of an upload address. */
export const tokenSchema = z.object({ token: z.string().max(100).catch('') });

/** Query of the page: what comes after this file. */
export const pageQuerySchema = z.object({
  after: z.string().regex(/^\d{1,14}-[0-9a-f]{40}$/).transform((cursor) => ({ at: new Date(Number(cursor.split('-')[0])), id: cursor.split('-')[1]! })).optional().catch(undefined),
});
