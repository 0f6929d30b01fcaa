/** The operators on dates: parts, arithmetic by the calendar, truncation, text, all of them in any time zone. */
import { ObjectId, Timestamp } from 'bson';
import { isNumber, toNumber } from './arithmetic.js';
import type { Doc } from './bson-decode.js';
import { isObject } from './bson-order.js';
import { addUnits, dayOfYear, fromIsoWeek, isExact, isoDay, isoWeek, sundayWeek, truncateTo, unitOf, unitsBetween, weekStart, type Unit } from './calendar.js';
import { CommandError } from './command-error.js';
import { formatDate, parseByFormat, parseDate } from './date-format.js';
import { bsonTypeName, wholeNumber } from './match-leaf.js';
import { fromWall, toWall, utcTime, zoneOf, type Zone } from './time-zone.js';
import { named, nil, type Run, type ValueOperator } from './value-operator.js';

function timeOf(value: unknown, code = 16006, what = "can't convert from BSON type"): number {
  if (value instanceof Date) return value.getTime();
  if (value instanceof Timestamp) return value.t * 1000;
  if (value instanceof ObjectId) return value.getTimestamp().getTime();
  throw new CommandError(code, `${what} ${bsonTypeName(value)} to Date`);
}

/** The arguments of an operator by name. @throws CommandError for those it doesn't have or lacks */
function argumentsOf(name: string, spec: unknown, required: readonly string[], optional: readonly string[]): Doc {
  if (!isObject(spec)) throw new CommandError(40524, `${name} only supports an object as its argument`);
  for (const key in spec) if (!required.includes(key) && !optional.includes(key)) throw new CommandError(40518, `Unrecognized argument to ${name}: ${key}`);
  for (const key of required) if (!(key in spec)) throw new CommandError(40519, `Missing '${key}' parameter to ${name}`);
  return spec;
}

/** `{$year: date}`, `{$year: [date]}` or `{$year: {date, timezone}}`. */
function part(read: (wall: number, date: Date) => unknown): ValueOperator {
  return named(([spec], name) => {
    const { date, timezone } = isObject(spec) ? argumentsOf(name, spec, ['date'], ['timezone']) : { date: spec };
    if (nil(date) || timezone === null) return null;
    const wall = toWall(timeOf(date), zoneOf(timezone));
    return read(wall, new Date(wall));
  });
}

const dateToParts: Run = ([spec], name) => {
  const { date, timezone, iso8601 } = argumentsOf(name, spec, ['date'], ['timezone', 'iso8601']);
  if (nil(date) || timezone === null || iso8601 === null) return null;
  const wall = toWall(timeOf(date), zoneOf(timezone));
  const at = new Date(wall);
  const time = { hour: at.getUTCHours(), minute: at.getUTCMinutes(), second: at.getUTCSeconds(), millisecond: at.getUTCMilliseconds() };
  if (iso8601 === true) return { isoWeekYear: isoWeek(wall).year, isoWeek: isoWeek(wall).week, isoDayOfWeek: isoDay(wall), ...time };
  return { year: at.getUTCFullYear(), month: at.getUTCMonth() + 1, day: at.getUTCDate(), ...time };
};

const CLOCK = ['hour', 'minute', 'second', 'millisecond'] as const;

const dateFromParts: Run = ([spec], name) => {
  const iso = isObject(spec) && 'isoWeekYear' in spec;
  const found = argumentsOf(name, spec, iso ? ['isoWeekYear'] : ['year'], [...(iso ? ['isoWeek', 'isoDayOfWeek'] : ['month', 'day']), ...CLOCK, 'timezone']);
  if (Object.values(found).includes(null)) return null;
  const number = (key: string, otherwise: number): number => {
    if (found[key] === undefined) return otherwise;
    const whole = wholeNumber(found[key]);
    if (whole === null) throw new CommandError(40515, `'${key}' must evaluate to an integer, found ${bsonTypeName(found[key])}`);
    if (Math.abs(whole) > 32767 && !(CLOCK as readonly string[]).includes(key)) throw new CommandError(31034, `'${key}' must evaluate to a value in the range [-32768, 32767]; value ${whole} is not in range`);
    return whole;
  };
  const year = number(iso ? 'isoWeekYear' : 'year', 1970);
  if (year < 1 || year > 9999) throw new CommandError(40523, `'${iso ? 'isoWeekYear' : 'year'}' must evaluate to an integer in the range 1 to 9999, found ${year}`);
  const day = iso ? fromIsoWeek(year, number('isoWeek', 1), number('isoDayOfWeek', 1)) : utcTime(year, number('month', 1) - 1, number('day', 1));
  const [hour, minute, second, ms] = CLOCK.map((key) => number(key, 0)) as [number, number, number, number];
  return new Date(fromWall(day + hour * 3_600_000 + minute * 60_000 + second * 1000 + ms, zoneOf(found['timezone'])));
};

const dateToString: Run = ([spec], name) => {
  const { date, format, timezone, onNull = null } = argumentsOf(name, spec, ['date'], ['format', 'timezone', 'onNull']);
  if (nil(date)) return onNull;
  if (format === null || timezone === null) return null;
  if (format !== undefined && typeof format !== 'string') throw new CommandError(18533, `${name} requires that 'format' be a string, found: ${bsonTypeName(format)}`);
  const zone = zoneOf(timezone);
  return formatDate(timeOf(date), format ?? (timezone === undefined || timezone === 'UTC' || timezone === 'GMT' ? '%Y-%m-%dT%H:%M:%S.%LZ' : '%Y-%m-%dT%H:%M:%S.%L'), zone);
};

const dateFromString: Run = ([spec], name) => {
  const found = argumentsOf(name, spec, ['dateString'], ['format', 'timezone', 'onNull', 'onError']);
  const { dateString, format, timezone, onNull = null } = found;
  if (nil(dateString)) return onNull;
  if (format === null || timezone === null) return null;
  try {
    if (typeof dateString !== 'string') throw new CommandError(241, `${name} requires that 'dateString' be a string, found: ${bsonTypeName(dateString)} with value ${String(dateString)}`);
    const zone = zoneOf(timezone);
    return new Date(typeof format === 'string' ? parseByFormat(dateString, format, zone) : parseDate(dateString, zone));
  } catch (error) {
    if ('onError' in found && error instanceof CommandError && error.code === 241) return found['onError'];
    throw error;
  }
};

/** Adds in the zone's calendar: a day is as long as the clocks there say. */
function shifted(time: number, unit: Unit, amount: number, zone: Zone): number {
  return isExact(unit) ? addUnits(time, unit, amount) : fromWall(addUnits(toWall(time, zone), unit, amount), zone);
}

function dateShift(sign: 1 | -1): ValueOperator {
  return named(([spec], name) => {
    const { startDate, unit, amount, timezone } = argumentsOf(name, spec, ['startDate', 'unit', 'amount'], ['timezone']);
    if (nil(startDate) || unit === null || nil(amount) || timezone === null) return null;
    const known = unitOf(unit, name);
    const time = timeOf(startDate, 5166403, `${name} requires startDate to be convertible to a date; can't convert`);
    const whole = wholeNumber(amount);
    if (whole === null) throw new CommandError(5166405, `${name} expects integer amount of time units`);
    const result = shifted(time, known, sign * whole, zoneOf(timezone));
    if (!Number.isFinite(result) || Math.abs(result) > 8.64e15) throw new CommandError(5166406, `${name} overflowed`);
    return new Date(result);
  });
}

const dateDiff: Run = ([spec], name) => {
  const { startDate, endDate, unit, timezone, startOfWeek } = argumentsOf(name, spec, ['startDate', 'endDate', 'unit'], ['timezone', 'startOfWeek']);
  if (nil(startDate) || nil(endDate) || unit === null || timezone === null || startOfWeek === null) return null;
  const known = unitOf(unit, name);
  const [start, end] = [timeOf(startDate, 5166307, `${name} requires 'startDate' to be a date, but got`), timeOf(endDate, 5166307, `${name} requires 'endDate' to be a date, but got`)];
  const zone = zoneOf(timezone);
  const exact = isExact(known) && known !== 'hour';
  const on = (time: number): number => (exact ? time : toWall(time, zone));
  const drift = known === 'hour' ? zone(end) - zone(start) : 0;
  return BigInt(unitsBetween(on(start), on(end) - drift, known, weekStart(startOfWeek, name)));
};

const dateTrunc: Run = ([spec], name) => {
  const { date, unit, binSize = 1, timezone, startOfWeek } = argumentsOf(name, spec, ['date', 'unit'], ['binSize', 'timezone', 'startOfWeek']);
  if (nil(date) || unit === null || binSize === null || timezone === null || startOfWeek === null) return null;
  const known = unitOf(unit, name);
  const size = isNumber(binSize) ? toNumber(binSize) : NaN;
  if (!Number.isInteger(size)) throw new CommandError(5439017, `${name} requires 'binSize' to be a 64-bit integer, but got value '${String(binSize)}' of type ${bsonTypeName(binSize)}`);
  if (size <= 0) throw new CommandError(5439018, `${name} requires 'binSize' to be greater than 0, but got value ${size}`);
  const time = timeOf(date, 5439012, `${name} requires 'date' to be a date, but got`);
  const zone = zoneOf(timezone);
  return new Date(fromWall(truncateTo(toWall(time, zone), known, size, weekStart(startOfWeek, name)), zone));
};

export const DATE_OPERATORS: Record<string, ValueOperator> = {
  $year: part((_, date) => date.getUTCFullYear()), $month: part((_, date) => date.getUTCMonth() + 1), $dayOfMonth: part((_, date) => date.getUTCDate()), $dayOfWeek: part((_, date) => date.getUTCDay() + 1),
  $dayOfYear: part(dayOfYear), $hour: part((_, date) => date.getUTCHours()), $minute: part((_, date) => date.getUTCMinutes()), $second: part((_, date) => date.getUTCSeconds()),
  $millisecond: part((_, date) => date.getUTCMilliseconds()), $week: part(sundayWeek), $isoWeek: part((wall) => isoWeek(wall).week), $isoWeekYear: part((wall) => BigInt(isoWeek(wall).year)), $isoDayOfWeek: part(isoDay),
  $dateToParts: named(dateToParts), $dateFromParts: named(dateFromParts), $dateToString: named(dateToString), $dateFromString: named(dateFromString), $dateAdd: dateShift(1), $dateSubtract: dateShift(-1),
  $dateDiff: named(dateDiff), $dateTrunc: named(dateTrunc),
};
