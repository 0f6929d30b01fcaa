/** The one error that use cases throw on purpose: its kind decides the HTTP status, its code and message reach the user. */

/** What went wrong, seen from the caller. `http/errors.ts` holds the one table from kind to HTTP status. */
export type ErrorKind =
  | 'invalid' // the input breaks a rule (400)
  | 'unauthenticated' // nobody is signed in, or the key is unknown (401 for pages, 403 with code 102 in the API)
  | 'forbidden' // signed in, but not allowed (403)
  | 'not-found' // no such thing, or it is somebody else's (404)
  | 'conflict' // it changed or moved on meanwhile (409)
  | 'too-large' // body over the limit (413)
  | 'unsupported' // media type or method we don't speak (415)
  | 'too-many' // rate limit or quota (429)
  | 'unavailable'; // we can't right now; trying again helps (503)

/** One broken rule, shown beside its field in the page and listed in the API's `errors`. */
export interface FieldProblem {
  /** Name of the input field as the user sent it, e.g. `scheduleDate` or `platforms[1]`. */
  field: string;
  /** What is wrong and what to do, one or two plain sentences. */
  message: string;
  /** Ayrshare's numeric code where it has one. */
  code?: number;
  /** Set when the rule is one platform's, e.g. `bluesky`. */
  platform?: string;
}

export interface AppErrorOptions {
  /** Every broken rule, when the error is about input. */
  fields?: FieldProblem[];
  /** Seconds until it makes sense to try again (`too-many`, `unavailable`). */
  retryAfterS?: number;
  /** Further keys for the API's answer; must be safe to show. */
  details?: Record<string, unknown>;
  cause?: unknown;
}

export class AppError extends Error {
  readonly kind: ErrorKind;
  /** Ayrshare's numeric error code, see `ErrorCode`. */
  readonly code: number;
  readonly fields: FieldProblem[];
  readonly retryAfterS: number | undefined;
  readonly details: Record<string, unknown>;

  constructor(kind: ErrorKind, code: number, message: string, options: AppErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.name = 'AppError';
    this.kind = kind;
    this.code = code;
    this.fields = options.fields ?? [];
    this.retryAfterS = options.retryAfterS;
    this.details = options.details ?? {};
  }
}

/**
 * Numeric codes of the API. Those up to 600 are Ayrshare's own where their meaning is known;
 * from 900 on they are Signpost's, chosen outside Ayrshare's range.
 */
export const ErrorCode = {
  badRequest: 400,
  forbidden: 403,
  notFound: 404,
  methodNotAllowed: 405,
  conflict: 409,
  tooLarge: 413,
  tooMany: 429,
  internal: 500,
  unavailable: 503,
  unauthorized: 102,
  deleteNotFound: 114,
  mediaUrlInvalid: 136,
  notLinked: 156,
  historyNotFound: 221,
  alreadyDeleted: 383,
  /** The post parameter is missing, empty or of the wrong type. */
  postParameter: 900,
  platformsParameter: 901,
  scheduleDate: 902,
  textTooLong: 903,
  mediaRule: 904,
  webhookUrl: 905,
  webhookAction: 906,
  idempotencyKeyReused: 907,
  platformRejected: 910,
  platformSignedOut: 911,
  platformRateLimited: 912,
  platformUnreachable: 913,
  outcomeUnknown: 914,
  missed: 915,
  /** A limit of the account's plan is reached. */
  planLimit: 920,
  profileTitle: 146,
} as const;
