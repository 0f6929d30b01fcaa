/** Time zones: Olson names and offsets from UTC, and moments as wall-clock times in them. */
import { CommandError } from './command-error.js';

/** Milliseconds that the clocks of a zone are ahead of UTC at a moment. */
export type Zone = (time: number) => number;

const MINUTE_MS = 60_000;
const zones = new Map<string, Zone>();
const UTC: Zone = () => 0;

/** @throws CommandError 40485 when there is no such zone */
export function zoneOf(name: unknown): Zone {
  if (name === undefined || name === null || name === 'UTC' || name === 'GMT' || name === 'Z') return UTC;
  if (typeof name !== 'string') throw new CommandError(40517, 'timezone must evaluate to a string');
  const known = zones.get(name);
  if (known) return known;
  const zone = fixedZone(name) ?? namedZone(name);
  if (zones.size > 600) zones.clear();
  zones.set(name, zone);
  return zone;
}

function fixedZone(name: string): Zone | null {
  const parts = /^([+-])(\d\d)(?::?(\d\d))?$/.exec(name);
  if (!parts) return null;
  const offset = (parts[1] === '-' ? -1 : 1) * (Number(parts[2]) * 60 + Number(parts[3] ?? 0)) * MINUTE_MS;
  return () => offset;
}

function namedZone(name: string): Zone {
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', { timeZone: name, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric', era: 'short' });
  } catch {
    throw new CommandError(40485, `unrecognized time zone identifier: "${name}"`);
  }
  return (time) => {
    const parts = Object.fromEntries(format.formatToParts(time).map(({ type, value }) => [type, value]));
    const year = parts['era'] === 'BC' ? 1 - Number(parts['year']) : Number(parts['year']);
    const wall = utcTime(year, Number(parts['month']) - 1, Number(parts['day']), Number(parts['hour']), Number(parts['minute']), Number(parts['second']));
    return wall - Math.floor(time / 1000) * 1000;
  };
}

/** Like `Date.UTC`, but the years 0 to 99 are what they say. */
export function utcTime(year: number, month: number, day = 1, hour = 0, minute = 0, second = 0, ms = 0): number {
  const exact = new Date(0);
  exact.setUTCFullYear(year, month, day);
  exact.setUTCHours(hour, minute, second, ms);
  return exact.getTime();
}

/** The wall-clock time in a zone, as if it were UTC. */
export function toWall(time: number, zone: Zone): number {
  return time + zone(time);
}

/** The moment when a zone's clocks show a time; of two the earlier, in a gap the later reading. */
export function fromWall(wall: number, zone: Zone): number {
  const first = wall - zone(wall);
  return wall - zone(first);
}
