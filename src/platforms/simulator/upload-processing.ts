/** Uploads that a network works on before a post may name them: when they are done, or fail, is settled when they begin. */
import type { SimulatedCall } from './network.js';
import type { SimulatedUpload } from './world.js';

/** Kept in the upload's `extra`. */
export function uploadProcessing({ now, settings, effect }: SimulatedCall): { readyAt: number | null; failsAt: number | null } {
  const doneAt = now + settings.processingMs;
  return { readyAt: effect === 'stuck' || effect === 'processing-fails' ? null : doneAt, failsAt: effect === 'processing-fails' ? doneAt : null };
}

export function uploadState({ extra }: SimulatedUpload, now: number): 'processing' | 'done' | 'failed' {
  const at = (name: string): number => (typeof extra?.[name] === 'number' ? extra[name] : Infinity);
  if (at('failsAt') <= now) return 'failed';
  // Uploads of an older journal have no clock.
  return extra?.['readyAt'] === undefined || at('readyAt') <= now ? 'done' : 'processing';
}
