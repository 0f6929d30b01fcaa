/** Units of time on wall-clock times (milliseconds, as if in UTC): adding, counting boundaries, truncating, ISO weeks. */
import { CommandError } from './command-error.js';
import { utcTime } from './time-zone.js';

export const DAY_MS = 86_400_000;

export type Unit = 'year' | 'quarter' | 'month' | 'week' | 'day' | 'hour' | 'minute' | 'second' | 'millisecond';

const FIXED_MS: Partial<Record<Unit, number>> = { week: 7 * DAY_MS, day: DAY_MS, hour: 3_600_000, minute: 60_000, second: 1000, millisecond: 1 };
const MONTHS: Partial<Record<Unit, number>> = { year: 12, quarter: 3, month: 1 };
const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];

/** @throws CommandError when there is no such unit */
export function unitOf(value: unknown, name: string): Unit {
  if (typeof value !== 'string') throw new CommandError(5439013, `${name} requires 'unit' to be a string`);
  if (!(value in FIXED_MS) && !(value in MONTHS)) throw new CommandError(9, `${name} parameter 'unit' value cannot be recognized as a time unit: ${value}`);
  return value as Unit;
}

/** The day on which weeks begin, 0 for Sunday. @throws CommandError */
export function weekStart(value: unknown, name: string): number {
  if (value === undefined || value === null) return 0;
  const at = typeof value === 'string' ? WEEKDAYS.findIndex((day) => day === value.toLowerCase() || day.slice(0, 3) === value.toLowerCase()) : -1;
  if (at < 0) throw new CommandError(9, `${name} parameter 'startOfWeek' value cannot be recognized as a day of a week: ${String(value)}`);
  return at;
}

/** Whether amounts of a unit are the same length everywhere, so that zones don't matter. */
export function isExact(unit: Unit): boolean {
  return unit === 'hour' || unit === 'minute' || unit === 'second' || unit === 'millisecond';
}

/** The same day some months on, or the month's last day if it has no such day. */
export function addMonths(time: number, months: number): number {
  const date = new Date(time);
  const day = date.getUTCDate();
  date.setUTCDate(1);
  date.setUTCMonth(date.getUTCMonth() + months);
  const days = new Date(utcTime(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
  date.setUTCDate(Math.min(day, days));
  return date.getTime();
}

export function addUnits(time: number, unit: Unit, amount: number): number {
  const ms = FIXED_MS[unit];
  return ms === undefined ? addMonths(time, amount * MONTHS[unit]!) : time + amount * ms;
}

const monthsOf = (time: number): number => new Date(time).getUTCFullYear() * 12 + new Date(time).getUTCMonth();

/** How many boundaries of a unit lie between two times. */
export function unitsBetween(start: number, end: number, unit: Unit, firstDay: number): number {
  const months = MONTHS[unit];
  if (months !== undefined) return Math.floor(monthsOf(end) / months) - Math.floor(monthsOf(start) / months);
  const ms = FIXED_MS[unit]!;
  // The first day of the epoch was a Thursday.
  const shift = unit === 'week' ? ((4 - firstDay + 7) % 7) * DAY_MS : 0;
  return Math.floor((end + shift) / ms) - Math.floor((start + shift) / ms);
}

const REFERENCE = utcTime(2000, 0);

/** The beginning of the bin of `size` units in which a time lies; bins are counted from the year 2000. */
export function truncateTo(time: number, unit: Unit, size: number, firstDay: number): number {
  const months = MONTHS[unit];
  if (months !== undefined) {
    const bin = months * size;
    const whole = Math.floor((monthsOf(time) - 24_000) / bin) * bin + 24_000;
    return utcTime(Math.floor(whole / 12), ((whole % 12) + 12) % 12);
  }
  const bin = FIXED_MS[unit]! * size;
  // 1 January 2000 was a Saturday: weeks count from the first such day on or after it.
  const from = unit === 'week' ? REFERENCE + ((firstDay - 6 + 7) % 7) * DAY_MS : REFERENCE;
  return Math.floor((time - from) / bin) * bin + from;
}

/** 1 for Monday to 7 for Sunday. */
export function isoDay(time: number): number {
  return new Date(time).getUTCDay() || 7;
}

/** The ISO week and the year to which it belongs: that of its Thursday. */
export function isoWeek(time: number): { year: number; week: number } {
  const thursday = Math.floor(time / DAY_MS) * DAY_MS + (4 - isoDay(time)) * DAY_MS;
  const year = new Date(thursday).getUTCFullYear();
  return { year, week: Math.floor((thursday - utcTime(year, 0)) / DAY_MS / 7) + 1 };
}

/** Midnight of a day of an ISO week; weeks and days beyond their range carry over. */
export function fromIsoWeek(year: number, week: number, day: number): number {
  const fourth = utcTime(year, 0, 4);
  return fourth - (isoDay(fourth) - 1) * DAY_MS + ((week - 1) * 7 + day - 1) * DAY_MS;
}

export function dayOfYear(time: number): number {
  return Math.floor((time - utcTime(new Date(time).getUTCFullYear(), 0)) / DAY_MS) + 1;
}

/** 0 to 53: weeks begin on Sunday, days before the year's first Sunday are in week 0. */
export function sundayWeek(time: number): number {
  return Math.floor((dayOfYear(time) + 6 - new Date(time).getUTCDay()) / 7);
}
