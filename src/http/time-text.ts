/** Times as people read them: in their own zone, and with the zone said. */

/** @returns e.g. `21 Nov 2026, 14:05` in the zone; show `zoneName` beside it */
export function formatTime(at: Date, timeZone: string): string {
  return new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short', timeZone }).format(at);
}

/** @returns e.g. `Europe/Berlin (GMT+1)`, with the offset that the zone has at that moment */
export function zoneName(timeZone: string, at: Date = new Date()): string {
  const parts = new Intl.DateTimeFormat('en-GB', { timeZone, timeZoneName: 'shortOffset' }).formatToParts(at);
  const offset = parts.find((part) => part.type === 'timeZoneName')?.value ?? '';
  return timeZone === 'UTC' || offset === '' ? timeZone : `${timeZone} (${offset})`;
}
