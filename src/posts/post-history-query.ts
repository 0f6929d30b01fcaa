/** The query of the API's history, in Ayrshare's words. */
import { z } from 'zod';
import { ErrorCode } from '../lib/app-error.js';
import type { PostStatus } from './post.js';
import { addProblem } from './post-input.js';
import { readInstant } from './post-time.js';

/** Ayrshare's words in the history's `status` filter, as our states. */
const STATUS_WORDS: Record<string, PostStatus[]> = {
  success: ['success'],
  error: ['error', 'partial'],
  processing: ['publishing'],
  pending: ['scheduled'],
  scheduled: ['scheduled'],
  paused: ['paused'],
  deleted: ['deleted'],
  'awaiting approval': ['awaiting approval'],
};

/** A list in a query: repeated keys, `key[0]=`, or comma-joined; all of them are in use. */
const listInQuery = z.union([z.string(), z.array(z.string()), z.record(z.string().regex(/^\d{1,4}$/), z.string())], 'This must be a list of words.')
  .transform((value) => (typeof value === 'string' ? value.split(',') : Object.values(value)).map((item) => item.trim()).filter((item) => item !== ''));

const wholeNumber = (message: string, min: number, max: number) => z.string(message).regex(/^\d{1,6}$/, message).transform(Number).refine((n) => n >= min && n <= max, message);

const historyQuery = z.looseObject({
  limit: wholeNumber('The limit must be a whole number from 1 to 1000.', 1, 1000).optional(),
  lastRecords: wholeNumber('lastRecords must be a whole number from 1 to 1000.', 1, 1000).optional(),
  lastDays: wholeNumber('lastDays must be a whole number of days, 0 for all.', 0, 3660).optional(),
  platforms: listInQuery.optional(),
  startDate: z.string('The startDate must be text.').optional(),
  endDate: z.string('The endDate must be text.').optional(),
  status: listInQuery.optional(),
  type: z.enum(['immediate', 'now', 'scheduled'], 'The type must be immediate or scheduled.').optional(),
});

export interface HistoryRequest {
  limit: number;
  lastDays: number;
  platforms?: string[];
  statuses?: PostStatus[];
  incomplete?: 'include' | 'exclude';
  type?: 'scheduled' | 'now';
  scheduledFrom?: Date;
  scheduledTo?: Date;
}

/** Query of `GET /history`. Dates are those for which posts are or were scheduled. */
export const historySchema: z.ZodType<HistoryRequest> = historyQuery.transform((query, ctx): HistoryRequest => {
  const request: HistoryRequest = { limit: query.limit ?? query.lastRecords ?? 25, lastDays: query.lastDays ?? 30 };
  if (query.platforms !== undefined && query.platforms.length > 0) request.platforms = query.platforms;
  if (query.type !== undefined) request.type = query.type === 'scheduled' ? 'scheduled' : 'now';
  if (query.startDate !== undefined) request.scheduledFrom = readHistoryDate(query.startDate, 'startDate', '00:00:00', ctx);
  if (query.endDate !== undefined) request.scheduledTo = readHistoryDate(query.endDate, 'endDate', '23:59:59.999', ctx);
  if (query.status !== undefined && query.status.length > 0) {
    request.statuses = query.status.flatMap((word) => STATUS_WORDS[word] ?? []);
    // One that is public everywhere, without all that should follow it, is a success here: so its own status word says.
    if (query.status.includes('success') !== query.status.includes('error')) request.incomplete = query.status.includes('success') ? 'include' : 'exclude';
    const unknown = query.status.find((word) => !Object.hasOwn(STATUS_WORDS, word));
    if (unknown !== undefined) addProblem(ctx, ['status'], ErrorCode.badRequest, `The status must be one of: ${Object.keys(STATUS_WORDS).join(', ')}.`);
  }
  return request;
});

/** A bare day means all of it, in UTC. */
function readHistoryDate(raw: string, field: string, timeOfDay: string, ctx: z.RefinementCtx): Date {
  const text = /^\d{4}-\d{2}-\d{2}$/.test(raw) ? `${raw}T${timeOfDay}Z` : raw;
  // A plus sign that was not encoded arrives as a space.
  const read = readInstant(text.replace(/ (?=\d\d:?\d\d$)/, '+'));
  if (read.kind === 'exact') return read.at;
  addProblem(ctx, [field], ErrorCode.badRequest, `The ${field} must be a day or a time with its zone, such as 2026-07-08 or 2026-07-08T12:30:00Z.`);
  return z.NEVER;
}
