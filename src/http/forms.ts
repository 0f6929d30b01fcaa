/** Wraps the POST route of a form: when a rule is broken, the same form comes back with what was typed and what is wrong. */
import type { Request, RequestHandler, Response } from 'express';
import { AppError, ErrorCode, type FieldProblem } from '../lib/app-error.js';

export interface FormProblems {
  /** What the user sent, by field name; passwords and tokens left out. Repeated fields are lists. */
  input: Record<string, string | string[]>;
  /** What is wrong, by field name; several problems of one field are joined. */
  problems: Record<string, string>;
  /** The same, one by one, with platform and code where they have one. */
  fields: FieldProblem[];
  /** One sentence for the top of the form. */
  message: string;
  /** Where to go when the account's plan stands in the way. */
  planLink?: { href: string; text: string };
}

type Route = (req: Request, res: Response) => unknown;
type RenderAgain = (req: Request, res: Response, form: FormProblems) => unknown;

/**
 * @param handler does the work and answers; may throw AppError
 * @param renderAgain renders the form's page; the status is set already (422 when the input is at fault, 409 on a conflict)
 */
export function form(handler: Route, renderAgain: RenderAgain): RequestHandler {
  return async (req, res) => {
    try {
      await handler(req, res);
    } catch (error) {
      if (!(error instanceof AppError) || !(error.kind in FORM_STATUS)) throw error;
      res.status(FORM_STATUS[error.kind]!);
      if (error.retryAfterS !== undefined) res.set('Retry-After', String(error.retryAfterS));
      await renderAgain(req, res, describe(req, error));
    }
  };
}

const FORM_STATUS: Partial<Record<AppError['kind'], number>> = { invalid: 422, conflict: 409, 'too-many': 429 };

function describe(req: Request, error: AppError): FormProblems {
  const problems: Record<string, string> = {};
  for (const { field, message } of error.fields) problems[field] = problems[field] === undefined ? message : `${problems[field]} ${message}`;
  const few = error.fields.length > 0 && error.kind === 'invalid';
  const message = few ? 'Please look at the fields marked below; nothing was saved yet.' : error.message;
  const planLink = error.code === ErrorCode.planLimit ? { planLink: { href: '/billing', text: 'Plan and billing' } } : {};
  return { input: typedFields(req), problems, fields: error.fields, message, ...planLink };
}

const SECRET_FIELD = /password|secret|token/i;
const TOKEN_FIELD = '_csrf';

/** What a form sent, without its secrets; fit to be shown to the person who sent it. */
export function typedFields(req: Request): Record<string, string | string[]> {
  const typed: Record<string, string | string[]> = {};
  if (typeof req.body !== 'object' || req.body === null) return typed;
  for (const [name, value] of Object.entries(req.body as Record<string, unknown>)) {
    if (name === TOKEN_FIELD || SECRET_FIELD.test(name)) continue;
    if (typeof value === 'string') typed[name] = value;
    else if (Array.isArray(value)) typed[name] = value.filter((item) => typeof item === 'string');
  }
  return typed;
}

/** A form that could not be taken because nobody was signed in, kept in the page so that it can be sent again after sign-in. */
export interface HeldForm {
  /** Path with query that it was sent to. */
  path: string;
  fields: [name: string, value: string][];
}

/**
 * @returns null when there is nothing to keep: no fields, a password among them, or the form came from somewhere else
 * (browsers name the origin of every POST; what another site made up must not wait here for somebody to sign in)
 */
export function heldForm(req: Request): HeldForm | null {
  const origin = req.get('origin');
  if (req.method !== 'POST' || origin === undefined || !URL.canParse(origin) || new URL(origin).host !== req.get('host')) return null;
  if (Object.keys((req.body ?? {}) as object).some((name) => SECRET_FIELD.test(name))) return null;
  const fields = pairs(typedFields(req));
  return fields.length === 0 ? null : { path: req.originalUrl, fields };
}

function pairs(typed: Record<string, string | string[]>): [string, string][] {
  return Object.entries(typed).flatMap(([name, value]) => [value].flat().map((one): [string, string] => [name, one]));
}

const BOOKKEEPING = /key$|^version$|^held$|^next$/i;

/** For showing people what they had typed: without what is empty or was never theirs, `mediaUrls` as "Media urls". */
export function readableFields(fields: HeldForm['fields']): { label: string; value: string }[] {
  return fields.flatMap(([name, value]) => {
    if (value.trim() === '' || BOOKKEEPING.test(name)) return [];
    const words = name.replace(/([a-z])([A-Z])/g, (_, before: string, after: string) => `${before} ${after.toLowerCase()}`);
    return [{ label: words.charAt(0).toUpperCase() + words.slice(1), value }];
  });
}

/** What this request's form held, for showing. */
export function readableForm(req: Request): { label: string; value: string }[] {
  return req.method === 'POST' ? readableFields(pairs(typedFields(req))) : [];
}

/** True for requests that htmx made: they want a fragment or an `HX-Redirect`, not a page. */
export function isHtmx(req: Request): boolean {
  return req.get('hx-request') === 'true';
}

/** Sends the browser on after a form did its work, by `303` or, for htmx, `HX-Redirect`. */
export function goTo(req: Request, res: Response, path: string): void {
  if (isHtmx(req)) res.set('HX-Redirect', path).status(204).end();
  else res.redirect(303, path);
}
