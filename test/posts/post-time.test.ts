/** Local times, zones and ISO times as people and programs write them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatInstant, formatLocal, isTimeZone, readInstant, readLocalTime } from '../../src/posts/post-time.js';

test('a local time is read in its zone, summer and winter', () => {
  assert.deepEqual(readLocalTime('2026-07-08T14:30', 'Europe/Berlin'), { kind: 'exact', at: new Date('2026-07-08T12:30:00Z') });
  assert.deepEqual(readLocalTime('2026-12-08T14:30', 'Europe/Berlin'), { kind: 'exact', at: new Date('2026-12-08T13:30:00Z') });
  assert.deepEqual(readLocalTime('2026-12-08T14:30', 'Asia/Kathmandu'), { kind: 'exact', at: new Date('2026-12-08T08:45:00Z') });
});

test('a time that the clocks skip is said so, with the nearest times that exist', () => {
  assert.deepEqual(readLocalTime('2026-03-08T02:30', 'America/New_York'), { kind: 'gap', before: '2026-03-08T01:59', after: '2026-03-08T03:00' });
  assert.deepEqual(readLocalTime('2026-03-29T02:00', 'Europe/Berlin'), { kind: 'gap', before: '2026-03-29T01:59', after: '2026-03-29T03:00' });
  assert.deepEqual(readLocalTime('2026-10-04T02:15', 'Australia/Lord_Howe'), { kind: 'gap', before: '2026-10-04T01:59', after: '2026-10-04T02:30' });
});

test('a whole day that a zone skipped is a gap too', () => {
  assert.deepEqual(readLocalTime('2011-12-30T12:00', 'Pacific/Apia'), { kind: 'gap', before: '2011-12-29T23:59', after: '2011-12-31T00:00' });
});

test('the edges of a gap exist', () => {
  assert.equal(readLocalTime('2026-03-08T01:59', 'America/New_York').kind, 'exact');
  assert.equal(readLocalTime('2026-03-08T03:00', 'America/New_York').kind, 'exact');
});

test('a time that happens twice offers both moments', () => {
  assert.deepEqual(readLocalTime('2026-11-01T01:30', 'America/New_York'), {
    kind: 'overlap',
    first: { at: new Date('2026-11-01T05:30:00Z'), offset: '-04:00' },
    second: { at: new Date('2026-11-01T06:30:00Z'), offset: '-05:00' },
  });
});

test('what is no date is not guessed at', () => {
  for (const text of ['', 'tomorrow', '2026-02-30T10:00', '2026-13-01T10:00', '2026-01-01T25:00', '2026-01-01', '2026-01-01T10:00Z', '+012026-01-01T10:00']) {
    assert.equal(readLocalTime(text, 'UTC').kind, 'unreadable', text);
  }
});

test('zones are IANA names, not offsets or inventions', () => {
  for (const name of ['UTC', 'Europe/Berlin', 'America/Argentina/Buenos_Aires', 'Asia/Kolkata']) assert.equal(isTimeZone(name), true, name);
  for (const name of ['', '+02:00', 'UTC+2', 'Mars/Olympus', 'Europe/Berlin\u0000', '../etc', 'x'.repeat(500)]) assert.equal(isTimeZone(name), false, name);
});

test('an ISO time with its zone is read in each usual spelling', () => {
  const at = new Date('2026-07-08T12:30:00Z');
  for (const text of ['2026-07-08T12:30:00Z', '2026-07-08T12:30:00.000Z', '2026-07-08T14:30:00+02:00', '2026-07-08T14:30+0200', '2026-07-08 12:30:00Z', '2026-07-08T12:30Z', '2026-07-08T14:30:00+02']) {
    assert.deepEqual(readInstant(text), { kind: 'exact', at }, text);
  }
});

test('an ISO time without a zone is told apart from nonsense', () => {
  for (const text of ['2026-07-08T12:30:00', '2026-07-08 12:30', '2026-07-08']) assert.equal(readInstant(text).kind, 'no-zone', text);
  for (const text of ['', 'soon', '2026-02-30T12:30:00Z', '1783513800', '2026-07-08T25:30:00Z', '08/07/2026 12:30Z', '2026-07-08T12:30:00Z; DROP']) {
    assert.equal(readInstant(text).kind, 'unreadable', text);
  }
});

test('times are written back as they were typed and as the API writes them', () => {
  assert.equal(formatLocal(new Date('2026-07-08T12:30:00.500Z'), 'Europe/Berlin'), '2026-07-08T14:30');
  assert.equal(formatLocal(new Date('2026-07-08T12:30:45Z'), 'Europe/Berlin'), '2026-07-08T14:30:45');
  assert.equal(formatInstant(new Date('2026-07-08T12:30:45.678Z')), '2026-07-08T12:30:45Z');
});
