/** Calendar months in an account's zone: which one a moment belongs to, and when the next begins. */
import { Temporal } from 'temporal-polyfill';

/** @returns e.g. `2026-11` */
export function monthOf(at: Date, timeZone: string): string {
  return zoned(at, timeZone).toPlainDate().toPlainYearMonth().toString();
}

/** The first moment of the month after the one in which `at` lies. */
export function nextMonth(at: Date, timeZone: string): Date {
  const first = zoned(at, timeZone).with({ day: 1 }).toPlainDate().add({ months: 1 });
  // The day's first moment: where clocks skip midnight, that is later.
  return new Date(first.toZonedDateTime({ timeZone: zoneOr(timeZone) }).startOfDay().epochMilliseconds);
}

function zoned(at: Date, timeZone: string): Temporal.ZonedDateTime {
  return Temporal.Instant.fromEpochMilliseconds(at.getTime()).toZonedDateTimeISO(zoneOr(timeZone));
}

/** A zone that this machine no longer knows must not keep anybody from posting. */
export function zoneOr(timeZone: string): string {
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(timeZone);
    return timeZone;
  } catch {
    return 'UTC';
  }
}
