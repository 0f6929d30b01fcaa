import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { localPath, signUpSchema } from '../../src/accounts/account-schemas.js';
import { isSignUpOpen, normalizeEmail, normalizePassword } from '../../src/accounts/account.js';
import { newApiKeyText } from '../../src/accounts/api-key.js';
import { findTimeZone } from '../../src/accounts/time-zones.js';

test('a path to return to stays on this site, whatever it is made of', () => {
  const pieces = fc.array(fc.constantFrom('/', '\\', '//', '..', '.', '\t', '\n', '%2f', '%5c', ':', '@', 'evil.example', 'http:', 'javascript:', '?', '#', 'a', ' '), { maxLength: 8 }).map((parts) => parts.join(''));
  const base = 'https://signpost.example';
  fc.assert(fc.property(fc.oneof(pieces, pieces.map((text) => `/${text}`), fc.string()), (text) => {
    const path = localPath(text);
    if (path === null) return;
    assert.equal(new URL(path, base).origin, base);
    assert.match(path, /^\/(?!\/)/);
  }), { numRuns: 2_000 });
  assert.equal(localPath('/posts?status=error'), '/posts?status=error');
});

test('time zones are taken by any name and spelling that stands for one', () => {
  assert.equal(findTimeZone('europe/berlin'), 'Europe/Berlin');
  assert.equal(findTimeZone('UTC'), 'UTC');
  assert.equal(findTimeZone('America/Argentina/Buenos_Aires'), 'America/Argentina/Buenos_Aires');
  for (const old of ['Asia/Calcutta', 'Asia/Kolkata', 'Europe/Kiev', 'Europe/Kyiv', 'US/Eastern']) assert.notEqual(findTimeZone(old), null, old);
  for (const bad of ['', '+01:00', 'Mars/Olympus', 'Europe/Berlin\n', '__proto__', 'constructor', 'x'.repeat(1000)]) assert.equal(findTimeZone(bad), null, bad);
});

test('emails that people have are taken, others are not', () => {
  const isTaken = (email: string) => signUpSchema.safeParse({ email, password: 'long enough 1' }).success;
  for (const email of ['a@b.co', 'first.last+tag@sub.example.com', "o'neil@example.ie", 'jörg@müller.example', ' padded@example.com ']) assert.ok(isTaken(email), email);
  for (const email of ['a', 'a@b', '@b.co', 'a@', 'a@b.', 'a b@c.de', 'a@b.c,d@e.fg', '<a@b.co>', 'a@b.co\nbcc:x@y.zz', 'a@@b.co']) assert.ok(!isTaken(email), email);
});

test('one email or password written in two ways is one', () => {
  assert.equal(normalizeEmail(' JÖRG@Example.COM'), normalizeEmail('jo\u0308rg@example.com'));
  assert.equal(normalizePassword('cafe\u0301 au lait'), normalizePassword('café au lait'));
  assert.notEqual(normalizePassword('Secret word'), normalizePassword('secret word'));
});

test('who may sign up after the first account', () => {
  assert.deepEqual((['open', 'closed', 'auto'] as const).map((mode) => [isSignUpOpen(mode, true), isSignUpOpen(mode, false)]), [[true, true], [false, false], [true, false]]);
});

test('API keys have the shape that clients expect, and no two are alike', () => {
  const keys = Array.from({ length: 500 }, newApiKeyText);
  assert.equal(new Set(keys).size, 500);
  for (const key of keys) assert.match(key, /^[0-9A-HJKMNP-TV-Z]{7}(-[0-9A-HJKMNP-TV-Z]{7}){3}$/);
});
