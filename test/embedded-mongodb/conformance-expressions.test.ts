import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { EJSON } from 'bson';
import { Decimal128, Double, Int32, Long, Timestamp, type Collection, type Document } from 'mongodb';
import { openDatabase } from './with-server.js';

let one: Collection;

before(async () => {
  one = (await openDatabase()).collection('one');
  await one.insertOne({ _id: 1 as never });
});

const MISSING = Symbol('the field is not there');
const I = (n: number): Int32 => new Int32(n);
const L = (n: number | string): Long => Long.fromString(String(n));
const D = (n: number): Double => new Double(n);
const Q = (digits: string): Decimal128 => Decimal128.fromString(digits);
const d = (text: string | number): Date => new Date(text);

/** An expression, and its value (with its type), or the code of the error. */
type Case = readonly [expression: unknown, expected: unknown, doc?: Document];

const shown = (value: unknown): string => (value === MISSING ? 'missing' : EJSON.stringify(value, { relaxed: false }));

async function check(cases: readonly Case[]): Promise<void> {
  for (const [expression, expected, doc = {}] of cases) {
    const run = one.aggregate([{ $replaceWith: { $literal: doc } }, { $project: { r: expression } }], { promoteValues: false }).toArray();
    const what = EJSON.stringify(expression, { relaxed: false });
    if (isCode(expected)) await assert.rejects(run, (error: { code?: unknown }) => Number(error.code) === expected.code, what);
    else {
      const [found] = await run;
      assert.equal(shown('r' in found! ? found['r'] : MISSING), shown(expected), what);
    }
  }
}

function isCode(value: unknown): value is { code: number } {
  return typeof value === 'object' && value !== null && 'code' in value;
}

test('sums and products keep the types of numbers', () =>
  check([
    [{ $add: [I(1), L(2)] }, L(3)],
    [{ $add: [I(1), D(2)] }, D(3)],
    [{ $add: [I(2147483647), I(1)] }, L(2147483648)],
    [{ $add: [Q('1.10'), I(1)] }, Q('2.10')],
    [{ $add: [L('9223372036854775807'), I(1)] }, D(9223372036854775808)],
    [{ $multiply: [L('9223372036854775807'), I(2)] }, D(18446744073709552000)],
  ]));

test('differences keep types, of dates too', () =>
  check([
    [{ $subtract: [I(5), L(3)] }, L(2)],
    [{ $subtract: [d('2020-01-02'), d('2020-01-01')] }, L(86400000)],
    [{ $subtract: [d('2020-01-02'), I(1000)] }, d('2020-01-01T23:59:59Z')],
  ]));

test('quotients and remainders', () =>
  check([
    [{ $divide: [I(6), I(3)] }, D(2)],
    [{ $divide: [Q('1'), I(3)] }, Q('0.3333333333333333333333333333333333')],
    [{ $divide: [Q('10'), I(4)] }, Q('2.5')],
    [{ $mod: [I(-7), I(3)] }, I(-1)],
    [{ $mod: [D(7.5), I(2)] }, D(1.5)],
    [{ $mod: [L(7), I(4)] }, L(3)],
  ]));

test('rounding goes to even and keeps types', () =>
  check([
    [{ $round: [D(2.5)] }, D(2)],
    [{ $round: [D(3.5)] }, D(4)],
    [{ $round: [D(19.25), 1] }, D(19.2)],
    [{ $round: [D(28.73), 1] }, D(28.7)],
    [{ $round: [I(1234), -2] }, I(1200)],
    [{ $round: [D(-2.5)] }, D(-2)],
    [{ $round: [Q('1.25'), 1] }, Q('1.2')],
    [{ $round: [L(15), -1] }, L(20)],
  ]));

test('cutting off and rounding up and down', () =>
  check([
    [{ $trunc: [D(2.9)] }, D(2)],
    [{ $trunc: [D(-2.9)] }, D(-2)],
    [{ $trunc: [D(8.123), 2] }, D(8.12)],
    [{ $ceil: D(2.1) }, D(3)],
    [{ $floor: D(-2.1) }, D(-3)],
    [{ $ceil: I(2) }, I(2)],
    [{ $floor: Q('2.7') }, Q('2')],
  ]));

test('powers, roots and logarithms', () =>
  check([
    [{ $pow: [I(2), I(3)] }, I(8)],
    [{ $pow: [I(2), I(40)] }, L(1099511627776)],
    [{ $pow: [I(2), I(-1)] }, D(0.5)],
    [{ $pow: [I(0), I(-1)] }, { code: 28764 }],
    [{ $sqrt: I(9) }, D(3)],
    [{ $log: [I(100), I(10)] }, D(2)],
    [{ $log: [I(8), I(2)] }, D(3)],
    [{ $ln: I(1) }, D(0)],
    [{ $log10: I(1000) }, D(3)],
    [{ $abs: I(-5) }, I(5)],
    [{ $abs: L(-5) }, L(5)],
    [{ $exp: I(0) }, D(1)],
    [{ $abs: I(-2147483648) }, L(2147483648)],
  ]));

test('bits', () =>
  check([
    [{ $bitAnd: [I(6), I(3)] }, I(2)],
    [{ $bitOr: [I(6), L(3)] }, L(7)],
    [{ $bitNot: I(0) }, I(-1)],
    [{ $bitXor: [] }, I(0)],
  ]));

test('strings are joined, cut, searched and replaced', () =>
  check([
    [{ $concat: ['a', 'b'] }, 'ab'],
    [{ $concat: ['a', null] }, null],
    [{ $split: ['a,b', ','] }, ['a', 'b']],
    [{ $substrBytes: ['héllo', 0, 3] }, 'hé'],
    [{ $substrCP: ['héllo', 1, 3] }, 'éll'],
    [{ $strLenBytes: 'é' }, I(2)],
    [{ $strLenCP: 'é' }, I(1)],
    [{ $toUpper: 'é a' }, 'é A'],
    [{ $indexOfBytes: ['foo.bar', '.'] }, I(3)],
    [{ $indexOfCP: ['cafétéria', 'é', 4] }, I(5)],
    [{ $trim: { input: ' a ' } }, 'a'],
    [{ $ltrim: { input: 'xxa', chars: 'x' } }, 'a'],
    [{ $trim: { input: '$missing' } }, null],
    [{ $replaceOne: { input: 'aa', find: 'a', replacement: 'b' } }, 'ba'],
  ]));

test('regular expressions find matches, places and captures', () =>
  check([
    [{ $regexMatch: { input: 'line1\nline2', regex: '^line2', options: 'm' } }, true],
    [{ $regexFind: { input: 'cafétéria', regex: /té(r)/ } }, { match: 'tér', idx: I(4), captures: ['r'] }],
    [{ $regexFindAll: { input: 'a1b22', regex: '\\d+' } }, [{ match: '1', idx: I(1), captures: [] }, { match: '22', idx: I(3), captures: [] }]],
    [{ $regexFind: { input: null, regex: 'a' } }, null],
    [{ $strcasecmp: ['Ab', 'aB'] }, I(0)],
    [{ $toLower: null }, ''],
  ]));

test('parts of dates, in any time zone', () =>
  check([
    [{ $year: d('2024-02-29T23:30:00Z') }, I(2024)],
    [{ $dayOfMonth: { date: d('2024-02-29T23:30:00Z'), timezone: '+01:00' } }, I(1)],
    [{ $hour: { date: d('2024-07-01T12:00:00Z'), timezone: 'America/New_York' } }, I(8)],
    [{ $dayOfWeek: d('2024-02-29') }, I(5)],
    [{ $dayOfYear: d('2024-03-01') }, I(61)],
    [{ $week: d('2024-01-07') }, I(1)],
    [{ $week: d('2024-01-06') }, I(0)],
    [{ $isoWeek: d('2021-01-03') }, I(53)],
    [{ $isoWeekYear: d('2021-01-03') }, L(2020)],
    [{ $isoDayOfWeek: d('2021-01-03') }, I(7)],
    [{ $millisecond: d('2021-01-03T00:00:00.123Z') }, I(123)],
    [{ $year: 'x' }, { code: 16006 }],
    [{ $year: null }, null],
    [{ $hour: { date: d('2024-07-01T12:00:00Z'), timezone: 'Nowhere/No' } }, { code: 40485 }],
  ]));

test('dates become text by a format', () =>
  check([
    [{ $dateToString: { date: d('2024-02-29T23:30:00.005Z') } }, '2024-02-29T23:30:00.005Z'],
    [{ $dateToString: { date: d('2024-02-29T23:30:00Z'), format: '%Y/%m/%d %H:%M:%S %L %j %u %V %G %U %w %% %z %Z', timezone: '+05:30' } }, '2024/03/01 05:00:00 000 061 5 09 2024 08 6 % +0530 330'],
    [{ $dateToString: { date: d('2024-02-29T23:30:00Z'), format: '%Q' } }, { code: 18536 }],
    [{ $dateToString: { date: null, onNull: 'n' } }, 'n'],
  ]));

test('text becomes dates', () =>
  check([
    [{ $dateFromString: { dateString: '2017-02-08T12:10:40.787' } }, d('2017-02-08T12:10:40.787Z')],
    [{ $dateFromString: { dateString: '2017-02-08T12:10:40.787', timezone: 'America/New_York' } }, d('2017-02-08T17:10:40.787Z')],
    [{ $dateFromString: { dateString: '2017-02-08' } }, d('2017-02-08')],
    [{ $dateFromString: { dateString: '06-15-2018', format: '%m-%d-%Y' } }, d('2018-06-15')],
    [{ $dateFromString: { dateString: 'nope' } }, { code: 241 }],
    [{ $dateFromString: { dateString: 'nope', onError: 'x' } }, 'x'],
    [{ $dateFromString: { dateString: '2017-02-08T12:10:40+0100' } }, d('2017-02-08T11:10:40Z')],
    [{ $dateFromString: { dateString: '15-08-2018 10:00:00 +02:00', format: '%d-%m-%Y %H:%M:%S %z' } }, d('2018-08-15T08:00:00Z')],
  ]));

test('dates are made of parts, also by ISO weeks', () =>
  check([
    [{ $dateFromParts: { year: 2017, month: 2, day: 8, hour: 12 } }, d('2017-02-08T12:00:00Z')],
    [{ $dateFromParts: { year: 2017, month: 14, day: 1 } }, d('2018-02-01')],
    [{ $dateFromParts: { isoWeekYear: 2017, isoWeek: 6, isoDayOfWeek: 3, hour: 12 } }, d('2017-02-08T12:00:00Z')],
    [{ $dateFromParts: { year: 2016, month: 12, day: 31, hour: 23, minute: 46, second: 12, timezone: 'America/New_York' } }, d('2017-01-01T04:46:12Z')],
    [{ $dateFromParts: { year: 2017, day: 0 } }, d('2016-12-31')],
  ]));

test('dates are taken apart', () =>
  check([
    [{ $dateToParts: { date: d('2017-01-01T01:29:09.123Z'), timezone: 'America/New_York' } }, { year: I(2016), month: I(12), day: I(31), hour: I(20), minute: I(29), second: I(9), millisecond: I(123) }],
    [{ $dateToParts: { date: d('2017-01-01T01:29:09.123Z'), iso8601: true } }, { isoWeekYear: I(2016), isoWeek: I(52), isoDayOfWeek: I(7), hour: I(1), minute: I(29), second: I(9), millisecond: I(123) }],
  ]));

test('dates are moved by the calendar of a zone', () =>
  check([
    [{ $dateAdd: { startDate: d('2020-12-31T12:10:05Z'), unit: 'month', amount: 2 } }, d('2021-02-28T12:10:05Z')],
    [{ $dateAdd: { startDate: d('2021-03-13T17:00:00Z'), unit: 'day', amount: 1, timezone: 'America/New_York' } }, d('2021-03-14T16:00:00Z')],
    [{ $dateSubtract: { startDate: d('2021-03-01'), unit: 'hour', amount: 1 } }, d('2021-02-28T23:00:00Z')],
  ]));

test('differences of dates count boundaries', () =>
  check([
    [{ $dateDiff: { startDate: d('2021-01-01T23:59:00Z'), endDate: d('2021-01-02T00:01:00Z'), unit: 'day' } }, L(1)],
    [{ $dateDiff: { startDate: d('2021-01-31'), endDate: d('2021-02-01'), unit: 'month' } }, L(1)],
    [{ $dateDiff: { startDate: d('2021-01-02'), endDate: d('2021-01-03'), unit: 'week' } }, L(1)],
    [{ $dateDiff: { startDate: d('2021-01-03'), endDate: d('2021-01-04'), unit: 'week', startOfWeek: 'monday' } }, L(1)],
    [{ $dateDiff: { startDate: d('2021-01-04'), endDate: d('2021-01-03'), unit: 'week' } }, L(0)],
    [{ $dateDiff: { startDate: d('2020-12-31'), endDate: d('2021-01-01'), unit: 'quarter' } }, L(1)],
    [{ $dateDiff: { startDate: d('2020-11-01T12:00:00Z'), endDate: d('2020-11-01T14:30:00Z'), unit: 'hour' } }, L(2)],
  ]));

test('dates are cut down to units and bins', () =>
  check([
    [{ $dateTrunc: { date: d('2021-03-20T11:30:05Z'), unit: 'month' } }, d('2021-03-01')],
    [{ $dateTrunc: { date: d('2021-03-20T11:30:05Z'), unit: 'week', startOfWeek: 'monday' } }, d('2021-03-15')],
    [{ $dateTrunc: { date: d('2021-03-20T11:30:05Z'), unit: 'week' } }, d('2021-03-14')],
    [{ $dateTrunc: { date: d('2021-03-20T11:30:05Z'), unit: 'hour', binSize: 2 } }, d('2021-03-20T10:00:00Z')],
    [{ $dateTrunc: { date: d('2021-03-20T11:30:05Z'), unit: 'quarter' } }, d('2021-01-01')],
    [{ $dateTrunc: { date: d('2021-03-20T11:30:05Z'), unit: 'year', binSize: 5 } }, d('2020-01-01')],
    [{ $dateTrunc: { date: d('2021-03-20T11:30:05Z'), unit: 'week', binSize: 2, timezone: 'America/Los_Angeles', startOfWeek: 'Monday' } }, d('2021-03-15T07:00:00Z')],
  ]));

test('arrays are zipped', () =>
  check([
    [{ $zip: { inputs: [[I(1), L(2)], ['a', 'b', 'c']] } }, [[I(1), 'a'], [L(2), 'b']]],
    [{ $zip: { inputs: [[I(1)], ['a', 'b']], useLongestLength: true, defaults: [I(0), 'z'] } }, [[I(1), 'a'], [I(0), 'b']]],
  ]));

test('several greatest, first and middle values', () =>
  check([
    [{ $maxN: { n: 2, input: [L(1), D(3), null, I(2)] } }, [D(3), I(2)]],
    [{ $firstN: { n: 2, input: [L(1), null, 3] } }, [L(1), null]],
    [{ $sortArray: { input: [L(3), 1, 'a'], sortBy: 1 } }, [I(1), L(3), 'a']],
    [{ $median: { input: [1, 2, 3, 4], method: 'approximate' } }, D(2)],
    [{ $percentile: { input: [1, 2, 3, 4, 5], p: [0.5, 0.9], method: 'approximate' } }, [D(3), D(5)]],
  ]));

test('accumulators, types and conversions', () =>
  check([
    [{ $sum: [[I(1), L(2)]] }, L(3)],
    [{ $avg: [I(1), I(2)] }, D(1.5)],
    [{ $max: [L(1), D(0.5)] }, L(1)],
    [{ $type: '$x' }, 'missing'],
    [{ $type: '$x' }, 'long', { x: L(1) }],
    [{ $convert: { input: '1.5', to: 'decimal' } }, Q('1.5')],
    [{ $toInt: D(2.9) }, I(2)],
    [{ $toLong: '99999999999' }, L(99999999999)],
    [{ $toString: D(2) }, '2'],
    [{ $toString: D(2.5) }, '2.5'],
    [{ $toString: Q('1.10') }, '1.10'],
    [{ $toDate: L(1000) }, d(1000)],
    [{ $toDate: '2018-03-20' }, d('2018-03-20')],
    [{ $toDate: I(5) }, { code: 241 }],
    [{ $toBool: 'false' }, true],
    [{ $toDecimal: D(0.1) }, Q('0.100000000000000')],
    [{ $toDouble: Q('1.5') }, D(1.5)],
    [{ $toInt: 'abc' }, { code: 241 }],
    [{ $toObjectId: 'x' }, { code: 241 }],
  ]));

test('arrays, sets, objects, conditions and variables', () =>
  check([
    [{ $arrayElemAt: [[1, 2], 5] }, MISSING],
    [{ $arrayElemAt: [[1, 2], -1] }, I(2)],
    [{ $slice: [[1, 2, 3], -2] }, [I(2), I(3)]],
    [{ $range: [0, 5, 2] }, [I(0), I(2), I(4)]],
    [{ $range: [5, 0] }, []],
    [{ $in: [2, [1, L(2)]] }, true],
    [{ $setUnion: [[3, 1], [1, 2]] }, [I(1), I(2), I(3)]],
    [{ $setDifference: [[3, 1, 3], [1]] }, [I(3)]],
    [{ $mergeObjects: [{ a: 1 }, null, { b: 2 }] }, { a: I(1), b: I(2) }],
    [{ $arrayToObject: [[['a', L(1)]]] }, { a: L(1) }],
    [{ $objectToArray: { a: L(1) } }, [{ k: 'a', v: L(1) }]],
    [{ $reduce: { input: [1, 2, 3], initialValue: L(0), in: { $add: ['$$value', '$$this'] } } }, L(6)],
    [{ $cond: [false, 1, L(2)] }, L(2)],
    [{ $ifNull: ['$x', null, 'd'] }, 'd'],
    [{ $switch: { branches: [{ case: false, then: 1 }] } }, { code: 40066 }],
    [{ $let: { vars: { a: 1 }, in: { $add: ['$$a', '$$a'] } } }, I(2)],
    [{ $getField: 'a.b' }, MISSING],
    [{ $getField: { field: '$x', input: { $literal: { $x: 1 } } } }, { code: 5654601 }],
    [{ $getField: { $literal: 5 } }, { code: 5654602 }],
    [{ $getField: { field: { $literal: '$x' }, input: { $literal: { $x: 1 } } } }, I(1)],
    [{ $cmp: [1, 'a'] }, I(-1)],
    [{ $eq: ['$x', null] }, false],
    [{ $lt: ['$x', null] }, true],
    [{ $not: ['$x'] }, true],
    [{ $and: [] }, true],
    [{ $allElementsTrue: [[]] }, true],
    [{ $isNumber: L(1) }, true],
    [{ $size: '$x' }, { code: 17124 }],
    [{ $tsSecond: new Timestamp({ t: 5, i: 2 }) }, L(5)],
    [{ $bsonSize: { a: 1 } }, I(12)],
    [{ $binarySize: 'é' }, I(2)],
    [{ $indexOfArray: [[1, 2, 2], 2, 2] }, I(2)],
    [{ $indexOfArray: [[1, 2], 5] }, I(-1)],
    [{ $literal: '$x' }, '$x'],
    [{ $sin: 0 }, D(0)],
    [{ $atan2: [D(1), D(1)] }, D(0.7853981633974483)],
    [{ $degreesToRadians: 180 }, D(3.141592653589793)],
    [{ $setField: { field: 'a.b', input: { c: 1 }, value: L(2) } }, { c: I(1), 'a.b': L(2) }],
  ]));
