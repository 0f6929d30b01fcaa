/** Numbered places, so that a unique index keeps a limit exactly however many come at once. */

/**
 * The place for one more: a number below `limit`, to be stored under a unique index with its owner. Whoever loses the race looks again.
 * @param taken the places of all that exist; null for those that were made while there was no limit
 * @returns null when the limit is reached
 */
export function freeSlot(taken: readonly (number | null)[], limit: number): number | null {
  // What has no place, or one beyond, came under a larger limit: it takes room from those below.
  let below = limit;
  for (;;) {
    const beyond = taken.filter((slot) => slot === null || slot >= below).length;
    if (limit - beyond >= below) break;
    below = limit - beyond;
  }
  const used = new Set(taken);
  for (let slot = 0; slot < below; slot++) if (!used.has(slot)) return slot;
  return null;
}
