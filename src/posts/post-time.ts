/** Local times and zones (Temporal): what a person typed in their zone, as UTC, with the hours that don't exist or happen twice said so. */
import { Temporal } from 'temporal-polyfill';

/** One moment that a local time may mean. */
export interface Occurrence {
  at: Date;
  /** Offset from UTC at that moment, e.g. `-04:00`. */
  offset: string;
}

/**
 * exact: it means one moment. gap: clocks skip it; the nearest valid local times before and after are given.
 * overlap: clocks pass it twice; the user has to say which one. unreadable: not a date and time.
 */
export type LocalTime =
  | { kind: 'exact'; at: Date }
  | { kind: 'gap'; before: string; after: string }
  | { kind: 'overlap'; first: Occurrence; second: Occurrence }
  | { kind: 'unreadable' };

const LOCAL = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2})?$/;
const OFFSET_NAME = /^(?:UTC|GMT)?[+-]/i;

/** True for a zone name that this machine knows, e.g. `Europe/Berlin`; bare offsets are not zones. */
export function isTimeZone(name: string): boolean {
  if (name.length > 64 || OFFSET_NAME.test(name)) return false;
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(name);
    return true;
  } catch {
    return false;
  }
}

/**
 * @param local as `<input type="datetime-local">` writes it: `YYYY-MM-DDTHH:mm`, seconds optional
 * @param timeZone an IANA zone for which `isTimeZone` holds
 */
export function readLocalTime(local: string, timeZone: string): LocalTime {
  if (!LOCAL.test(local)) return { kind: 'unreadable' };
  let plain: Temporal.PlainDateTime;
  try {
    plain = Temporal.PlainDateTime.from(local, { overflow: 'reject' });
  } catch {
    return { kind: 'unreadable' };
  }
  const earlier = plain.toZonedDateTime(timeZone, { disambiguation: 'earlier' });
  const later = plain.toZonedDateTime(timeZone, { disambiguation: 'later' });
  if (earlier.epochMilliseconds === later.epochMilliseconds) return { kind: 'exact', at: toDate(earlier) };
  // In a gap, "earlier" and "later" shift the time by the gap's length, so neither is what was typed.
  if (!earlier.toPlainDateTime().equals(plain)) return { kind: 'gap', ...aroundGap(earlier) };
  return { kind: 'overlap', first: occurrence(earlier), second: occurrence(later) };
}

function aroundGap(beforeGap: Temporal.ZonedDateTime): { before: string; after: string } {
  const jump = beforeGap.getTimeZoneTransition('next');
  const firstAfter = jump ?? beforeGap;
  return { before: toLocal(firstAfter.subtract({ minutes: 1 })), after: toLocal(firstAfter) };
}

function occurrence(at: Temporal.ZonedDateTime): Occurrence {
  return { at: toDate(at), offset: at.offset };
}

function toDate(at: Temporal.ZonedDateTime): Date {
  return new Date(at.epochMilliseconds);
}

function toLocal(at: Temporal.ZonedDateTime): string {
  return at.toPlainDateTime().toString({ smallestUnit: 'minute' });
}

/** The moment as `<input type="datetime-local">` wants it, in this zone: `YYYY-MM-DDTHH:mm`, and `:ss` where there are seconds. */
export function formatLocal(at: Date, timeZone: string): string {
  const local = Temporal.Instant.fromEpochMilliseconds(at.getTime()).toZonedDateTimeISO(timeZone).toPlainDateTime();
  return local.toString({ smallestUnit: local.second === 0 ? 'minute' : 'second' });
}

/** Offset from UTC at this moment in this zone, e.g. `+02:00`. */
export function offsetAt(at: Date, timeZone: string): string {
  return Temporal.Instant.fromEpochMilliseconds(at.getTime()).toZonedDateTimeISO(timeZone).offset;
}

const INSTANT = /^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)(?:[Zz]|[+-]\d{2}(?::?\d{2})?)$/;
const WITHOUT_ZONE = /^\d{4}-\d{2}-\d{2}(?:[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)?$/;

export type ReadInstant = { kind: 'exact'; at: Date } | { kind: 'no-zone' } | { kind: 'unreadable' };

/**
 * Reads an ISO 8601 time with its zone, e.g. `2026-07-08T12:30:00Z` or `2026-07-08T14:30:00.000+02:00`.
 * A time without a zone is not guessed at.
 */
export function readInstant(text: string): ReadInstant {
  if (WITHOUT_ZONE.test(text)) return { kind: 'no-zone' };
  if (!INSTANT.test(text)) return { kind: 'unreadable' };
  try {
    return { kind: 'exact', at: new Date(Temporal.Instant.from(text).epochMilliseconds) };
  } catch {
    return { kind: 'unreadable' };
  }
}

/** As the API writes times: UTC without milliseconds, `YYYY-MM-DDThh:mm:ssZ`. */
export function formatInstant(at: Date): string {
  return `${at.toISOString().slice(0, 19)}Z`;
}
