/** Dates to text and back, by the format specifiers of `$dateToString` and `$dateFromString`. */
import { dayOfYear, fromIsoWeek, isoDay, isoWeek, sundayWeek, DAY_MS } from './calendar.js';
import { CommandError } from './command-error.js';
import { fromWall, toWall, utcTime, zoneOf, type Zone } from './time-zone.js';

const MONTH_NAMES = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];
const two = (value: number): string => String(value).padStart(2, '0');
const three = (value: number): string => String(value).padStart(3, '0');
const four = (value: number): string => String(value).padStart(4, '0');

function offsetText(minutes: number): string {
  const size = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}${two(size % 60)}`;
}

/** Each specifier from the wall-clock time and the offset in minutes. */
const WRITERS: Record<string, (wall: number, date: Date, offset: number) => string> = {
  b: (_, date) => MONTH_NAMES[date.getUTCMonth()]!.slice(0, 3), B: (_, date) => MONTH_NAMES[date.getUTCMonth()]!, d: (_, date) => two(date.getUTCDate()), G: (wall) => four(isoWeek(wall).year),
  H: (_, date) => two(date.getUTCHours()), j: (wall) => three(dayOfYear(wall)), L: (_, date) => three(date.getUTCMilliseconds()), m: (_, date) => two(date.getUTCMonth() + 1),
  M: (_, date) => two(date.getUTCMinutes()), S: (_, date) => two(date.getUTCSeconds()), u: (wall) => String(isoDay(wall)), U: (wall) => two(sundayWeek(wall)), V: (wall) => two(isoWeek(wall).week),
  w: (_, date) => String(date.getUTCDay() + 1), Y: (_, date) => four(date.getUTCFullYear()), z: (_wall, _date, offset) => offsetText(offset), Z: (_wall, _date, offset) => String(offset), '%': () => '%',
};

/** @throws CommandError 18535 or 18536 when the format is not valid */
export function formatDate(time: number, format: string, zone: Zone): string {
  const wall = toWall(time, zone);
  const date = new Date(wall);
  if (/(^|[^%])(%%)*%$/.test(format)) throw new CommandError(18535, 'Unmatched \'%\' at end of format string');
  return format.replaceAll(/%([^])/g, (whole, specifier: string) => {
    const write = WRITERS[specifier];
    if (!write) throw new CommandError(18536, `Invalid format character '${whole}' in format string`);
    return write(wall, date, Math.round(zone(time) / 60_000));
  });
}

const READERS: Record<string, string> = {
  b: 'Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec', B: MONTH_NAMES.join('|'), d: '\\d{1,2}', G: '\\d{4}', H: '\\d{1,2}', j: '\\d{1,3}', L: '\\d{1,3}', m: '\\d{1,2}', M: '\\d{1,2}', S: '\\d{1,2}', u: '[1-7]',
  V: '\\d{1,2}', Y: '\\d{4}', z: 'Z|[+-]\\d{2}:?\\d{2}', Z: '[+-]?\\d{1,4}',
};

/** Reads text by a format. @throws CommandError 18536 for the format, 241 for text that does not fit it */
export function parseByFormat(text: string, format: string, zone: Zone): number {
  const names: string[] = [];
  const source = format.replaceAll(/%([^])|[^]/g, (part, specifier: string | undefined) => {
    if (specifier === undefined) return part.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
    if (specifier === '%') return '%';
    const reader = READERS[specifier];
    if (!reader) throw new CommandError(18536, `Invalid format character '%${specifier}' in format string`);
    names.push(specifier);
    return `(${reader})`;
  });
  const found = new RegExp(`^${source}$`, 'i').exec(text);
  if (!found) throw failure(text);
  const parts = new Map(names.map((name, i) => [name, found[i + 1]!]));
  return assemble(text, parts, zone);
}

function failure(text: string): CommandError {
  return new CommandError(241, `Error parsing date string '${text}'`);
}

function assemble(text: string, parts: ReadonlyMap<string, string>, zone: Zone): number {
  const number = (name: string, otherwise: number): number => (parts.has(name) ? Number(parts.get(name)) : otherwise);
  const named = parts.get('b') ?? parts.get('B');
  const month = named ? MONTH_NAMES.findIndex((one) => one.slice(0, 3).toLowerCase() === named.slice(0, 3).toLowerCase()) : number('m', 1) - 1;
  const [hour, minute, second] = [number('H', 0), number('M', 0), number('S', 0)];
  if (hour > 23 || minute > 59 || second > 59 || month > 11) throw failure(text);
  let day: number;
  if (parts.has('G')) day = fromIsoWeek(number('G', 1970), number('V', 1), number('u', 1));
  else if (!parts.has('Y')) throw failure(text);
  else if (parts.has('j')) day = utcTime(number('Y', 1970), 0) + (number('j', 1) - 1) * DAY_MS;
  else day = utcTime(number('Y', 1970), month, number('d', 1));
  if (!parts.has('j') && !parts.has('G') && new Date(day).getUTCMonth() !== month) throw failure(text);
  const wall = day + hour * 3_600_000 + minute * 60_000 + second * 1000 + number('L', 0);
  if (parts.has('Z')) return wall - Number(parts.get('Z')) * 60_000;
  return fromWall(wall, parts.has('z') ? zoneOf(parts.get('z')) : zone);
}

/** ISO 8601 and its near relatives: date, optional time, optional fraction and zone. @throws CommandError 241 */
export function parseDate(text: string, zone: Zone): number {
  const found = /^\s*(\d{4})-(\d{1,2})(?:-(\d{1,2}))?(?:[T ](\d{1,2})(?::?(\d{2})(?::?(\d{2})(?:[.,](\d+))?)?)?)?\s*(Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?\s*$/i.exec(text);
  if (!found) return parseFreely(text, zone);
  const [, year, month, day = '1', hour = '0', minute = '0', second = '0', fraction = '', offset] = found;
  const parts = new Map([['Y', year!], ['m', month!], ['d', day], ['H', hour], ['M', minute], ['S', second], ['L', fraction.padEnd(3, '0').slice(0, 3)]]);
  return assemble(text, parts, offset ? zoneOf(offset.toUpperCase()) : zone);
}

/** Other notations that JavaScript reads: `Feb 8 2017`, `8 Feb 2017 12:10 GMT`. */
function parseFreely(text: string, zone: Zone): number {
  if (!/\d{4}/.test(text) || !/[a-z]{3}|\d\/\d/i.test(text)) throw failure(text);
  const ownZone = /(?:Z|UTC|GMT|[+-]\d{4})\s*$/i.test(text);
  const time = Date.parse(ownZone ? text : `${text} UTC`);
  if (Number.isNaN(time)) throw failure(text);
  return ownZone ? time : fromWall(time, zone);
}
