/** Waits for a condition, not for a time. */
import { setTimeout as wait } from 'node:timers/promises';

export interface WaitOptions {
  timeoutMs?: number;
  everyMs?: number;
}

/**
 * Asks again and again until the answer is neither undefined, null nor false.
 * @param what completes the sentence "waited 10 s for ...", for the error
 * @returns the answer
 * @throws Error with `what` when `timeoutMs` (20 s) have passed; what `probe` throws ends it at once
 */
export async function waitUntil<T>(what: string, probe: () => T | Promise<T>, { timeoutMs = 20_000, everyMs = 20 }: WaitOptions = {}): Promise<Exclude<T, undefined | null | false>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await probe();
    if (answer !== undefined && answer !== null && answer !== false) return answer as Exclude<T, undefined | null | false>;
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs / 1000} s for ${what}`);
    await wait(everyMs);
  }
}
