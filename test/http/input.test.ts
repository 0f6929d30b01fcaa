import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { parseInput } from '../../src/http/input.js';
import { AppError, type FieldProblem } from '../../src/lib/app-error.js';

function problemsOf(schema: z.ZodType, value: unknown): FieldProblem[] {
  try {
    parseInput(schema, value);
  } catch (error) {
    assert.ok(error instanceof AppError);
    assert.equal(error.kind, 'invalid');
    assert.ok(error.fields.length > 0);
    assert.equal(error.code, error.fields[0]?.code ?? 400);
    return error.fields;
  }
  throw new Error('the input was accepted');
}

test('fields are named the way people write them', () => {
  const schema = z.object({ list: z.array(z.object({ url: z.string() })), byPlatform: z.record(z.string(), z.string()) });
  const problems = problemsOf(schema, { list: [{ url: 'x' }, { url: 1 }], byPlatform: { x: null } });
  assert.deepEqual(problems.map(({ field }) => field), ['list[1].url', 'byPlatform.x']);
  assert.deepEqual(problemsOf(z.object({}), 'text').map(({ field }) => field), ['body']);
  assert.deepEqual(problemsOf(z.strictObject({}), { extra: 1 }).map(({ field }) => field), ['extra']);
});

test('a code is taken from the rule, else from the nearest field above it', () => {
  const schema = z.object({
    post: z.string().min(3).meta({ code: 900 }).optional(),
    platforms: z.array(z.enum(['a', 'b'])).meta({ code: 901 }),
    either: z.union([z.string().meta({ code: 7 }), z.object({ deep: z.string().meta({ code: 8 }) })]),
    plain: z.number(),
  }).superRefine((value, ctx) => {
    if (value.plain > 5) ctx.addIssue({ code: 'custom', path: ['plain'], message: 'Too much.', params: { code: 904, platform: 'someone' } });
  });
  const codes = (value: object) => problemsOf(schema, { platforms: ['a'], either: 'x', plain: 1, ...value }).map(({ field, code }) => [field, code]);
  assert.deepEqual(codes({ post: 'x' }), [['post', 900]]);
  assert.deepEqual(codes({ platforms: ['a', 'c'] }), [['platforms[1]', 901]]);
  assert.deepEqual(codes({ plain: 'x' }), [['plain', undefined]]);
  assert.deepEqual(problemsOf(schema, { platforms: [], either: 'x', plain: 9 }), [{ field: 'plain', message: 'Too much.', code: 904, platform: 'someone' }]);
});

test('rules are said in plain words, unless the schema has better ones', () => {
  const message = (schema: z.ZodType, value: unknown): string => problemsOf(z.object({ a: schema }), { a: value })[0]!.message;
  assert.equal(message(z.string(), undefined), 'This is required.');
  assert.equal(message(z.string(), { $gt: '' }), 'This must be text, not an object.');
  assert.equal(message(z.string(), ['x']), 'This must be text, not a list.');
  assert.equal(message(z.number(), '1'), 'This must be a number, not text.');
  assert.equal(message(z.array(z.string()), null), 'This must be a list, not null.');
  assert.equal(message(z.string().max(3), 'long'), 'This is too long: at most 3 characters.');
  assert.equal(message(z.array(z.string()).max(1), ['a', 'b']), 'These are too many: at most 1.');
  assert.equal(message(z.enum(['x', 'y']), 'z'), 'This must be one of: x, y.');
  assert.equal(message(z.string().min(1, 'Say something.'), ''), 'Say something.');
});

test('whatever comes in is either what the schema promises or an AppError', () => {
  const schema = z.object({ email: z.string().max(10), tags: z.array(z.string()).optional() });
  fc.assert(fc.property(fc.anything({ withNullPrototype: true, withMap: true, withBigInt: true }), (value) => {
    try {
      const parsed = parseInput(schema, value);
      assert.equal(typeof parsed.email, 'string');
      assert.ok(parsed.tags === undefined || parsed.tags.every((tag) => typeof tag === 'string'));
    } catch (error) {
      assert.ok(error instanceof AppError);
    }
  }));
});
