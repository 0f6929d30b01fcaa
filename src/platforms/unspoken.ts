/** Options that clients of Ayrshare know and an adapter doesn't speak: refused in words, since leaving them out would post something other than was asked for. */
import { z } from 'zod';

/** @param message what Signpost can't do, and what to do instead. Values that ask for nothing (false, empty) are taken: clients send all their fields. */
export function unspoken(message: string) {
  return z.custom<unknown>(isNothing, message).optional();
}

function isNothing(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === '') return true;
  return typeof value === 'object' && Object.values(value).every(isNothing);
}
