/** Reads what came in through a schema; what breaks a rule becomes an AppError that names field and rule. */
import type { Request } from 'express';
import { z } from 'zod';
import { AppError, ErrorCode, type FieldProblem } from '../lib/app-error.js';

/** @throws AppError `invalid` with every broken rule */
export function readBody<S extends z.ZodType>(req: Request, schema: S): z.output<S> {
  return parseInput(schema, req.body ?? {});
}

/** @throws AppError `invalid` with every broken rule */
export function readQuery<S extends z.ZodType>(req: Request, schema: S): z.output<S> {
  return parseInput(schema, req.query);
}

/** @throws AppError `invalid` with every broken rule */
export function readParams<S extends z.ZodType>(req: Request, schema: S): z.output<S> {
  return parseInput(schema, req.params);
}

/**
 * Parses a value from outside. A schema gives a rule its API code with `.meta({ code: 136 })`, a custom issue with
 * `params: { code: 136, platform: 'bluesky' }`.
 * @throws AppError `invalid`; its message names the first field, its `fields` list all of them
 */
export function parseInput<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value, { error: plainWords });
  if (parsed.success) return parsed.data;
  throw invalidInput(parsed.error.issues.map((issue) => toProblem(schema, issue)));
}

/** @param fields at least one broken rule; the first gives the error its code and message */
export function invalidInput(fields: FieldProblem[]): AppError {
  const first = fields[0]!;
  const message = first.field === '' ? first.message : `${first.field}: ${first.message}`;
  return new AppError('invalid', first.code ?? ErrorCode.badRequest, message, { fields });
}

function toProblem(schema: z.ZodType, issue: z.core.$ZodIssue): FieldProblem {
  const params = issue.code === 'custom' ? (issue.params ?? {}) : {};
  const code = typeof params['code'] === 'number' ? params['code'] : codeAt(schema, issue.path);
  const problem: FieldProblem = { field: fieldName(issue), message: issue.message };
  if (code !== undefined) problem.code = code;
  if (typeof params['platform'] === 'string') problem.platform = params['platform'];
  return problem;
}

/** `['platforms', 1, 'id']` is written `platforms[1].id`, the way people write it. */
function fieldName(issue: z.core.$ZodIssue): string {
  const path = issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0] ?? ''] : issue.path;
  let name = '';
  for (const part of path) {
    if (typeof part === 'number') name += `[${part}]`;
    else name += name === '' ? String(part) : `.${String(part)}`;
  }
  return name === '' ? 'body' : name;
}

/** Zod's own messages are for programmers; a message that a schema gives itself wins over these. */
function plainWords(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type': {
      if (issue.input === undefined) return 'This is required.';
      return `This must be ${EXPECTED[issue.expected] ?? issue.expected}, not ${kindOf(issue.input)}.`;
    }
    case 'too_big':
      if (issue.origin === 'string') return `This is too long: at most ${issue.maximum} characters.`;
      if (issue.origin === 'array') return `These are too many: at most ${issue.maximum}.`;
      return `This must be at most ${issue.maximum}.`;
    case 'too_small':
      if (issue.origin === 'string') return issue.minimum === 1 ? 'This is required.' : `This is too short: at least ${issue.minimum} characters.`;
      if (issue.origin === 'array') return `Give at least ${issue.minimum}.`;
      return `This must be at least ${issue.minimum}.`;
    case 'invalid_value':
      return `This must be one of: ${issue.values.map(String).join(', ')}.`;
    case 'unrecognized_keys':
      return 'This field is not known.';
    default:
      return undefined;
  }
}

const EXPECTED: Record<string, string> = {
  string: 'text', number: 'a number', int: 'a whole number', boolean: 'true or false', array: 'a list', object: 'an object', record: 'an object', date: 'a date',
};

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'string') return 'text';
  return `a ${typeof value}`;
}

/** The code that the schema at this path, or the nearest one above it, was given with `.meta({ code })`. */
function codeAt(schema: z.core.$ZodType, path: PropertyKey[]): number | undefined {
  let code = codeOf(schema);
  let here: z.core.$ZodType | undefined = schema;
  for (const part of path) {
    here = here === undefined ? undefined : memberOf(unwrap(here), part);
    if (here === undefined) break;
    code = codeOf(here) ?? codeOf(unwrap(here)) ?? code;
  }
  return code;
}

function codeOf(schema: z.core.$ZodType): number | undefined {
  const code = (z.globalRegistry.get(schema) as { code?: unknown } | undefined)?.code;
  return typeof code === 'number' ? code : undefined;
}

interface LooseDef {
  type: string;
  innerType?: z.core.$ZodType;
  in?: z.core.$ZodType;
  element?: z.core.$ZodType;
  shape?: Record<string, z.core.$ZodType>;
  options?: z.core.$ZodType[];
}

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  const def = schema._zod.def as LooseDef;
  const inner = def.innerType ?? def.in;
  return inner === undefined ? schema : unwrap(inner);
}

function memberOf(schema: z.core.$ZodType, part: PropertyKey): z.core.$ZodType | undefined {
  const def = schema._zod.def as LooseDef;
  if (typeof part === 'number') return def.element ?? def.options?.map(unwrap).map((option) => memberOf(option, part)).find(Boolean);
  return def.shape?.[String(part)] ?? def.options?.map(unwrap).map((option) => memberOf(option, part)).find(Boolean);
}
