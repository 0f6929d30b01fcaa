/** The IANA time zones that this Node knows. */

const SHAPE = /^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+){0,2}$/;

/** For choosing from: `UTC` first, then by name. */
export const timeZones: readonly string[] = ['UTC', ...Intl.supportedValuesOf('timeZone').filter((zone) => zone !== 'UTC')];

const byLowerCase = new Map(timeZones.map((zone) => [zone.toLowerCase(), zone]));

/** @returns the zone as it is written, or null when there is none of this name; older and newer names of a zone are both fine */
export function findTimeZone(name: string): string | null {
  const listed = byLowerCase.get(name.toLowerCase());
  if (listed !== undefined) return listed;
  if (name.length > 64 || !SHAPE.test(name)) return null;
  try {
    Intl.DateTimeFormat('en', { timeZone: name });
    return name;
  } catch {
    return null;
  }
}
